//! Messages in any order.

use proptest::prelude::*;

use super::*;

fn event(number: u8, mode: BodyMode, names_a_cluster: bool) -> (Event, &'static str) {
    let unwanted = if names_a_cluster { vec!["cookie", private::CLUSTER] } else { vec!["cookie"] };
    let headers = |head| Event::RequestHeaders(Incoming { head, unwanted, end_of_stream: false, body_mode: mode });
    let part = |text: &'static str, end_of_stream| Event::RequestBody { bytes: text.into(), end_of_stream };
    match number {
        0 => (headers(head()), "request headers"),
        1 => (headers(RequestHead { path: "/x".into(), ..head() }), "request headers"),
        2 => (headers(RequestHead { path: "/v1/files".into(), ..head() }), "request headers"),
        3 => (part("{}", true), "request body"),
        4 => (part("{", false), "request body"),
        5 => (answered(200), "response headers"),
        6 => (answered(500), "response headers"),
        7 => (Event::Other(Phase::RequestTrailers), "request trailers"),
        8 => (Event::ResponseBody { bytes: Bytes::new(), end_of_stream: false }, "response body"),
        _ => (Event::Other(Phase::ResponseTrailers), "response trailers"),
    }
}

fn kind(answer: &Action) -> &'static str {
    match answer {
        Action::RequestHeaders(_) | Action::Unchanged(Phase::RequestHeaders) => "request headers",
        Action::RequestBody(..) | Action::Unchanged(Phase::RequestBody) => "request body",
        Action::ResponseHeaders(_) | Action::Unchanged(Phase::ResponseHeaders) => "response headers",
        Action::Unchanged(Phase::RequestTrailers) => "request trailers",
        Action::Unchanged(Phase::ResponseBody) => "response body",
        Action::Unchanged(Phase::ResponseTrailers) => "response trailers",
        Action::Reply(_) => "reply",
        Action::Request { .. } | Action::Chunk { .. } | Action::Nothing | Action::Hold(_) => "full duplex",
    }
}

/// Whether a change takes the client's cluster away or puts ours in its place, and makes Envoy look for its route
/// again.
fn rules_out_the_clients_cluster(mutation: &Mutation) -> bool {
    let is_cluster = |name: &str| name == private::CLUSTER;
    let gone =
        mutation.remove.iter().any(|name| is_cluster(name)) || mutation.set.iter().any(|(name, _)| is_cluster(name));
    gone && mutation.clear_route_cache
}

proptest! {
    #[test]
    fn in_whatever_order_messages_come_each_gets_an_answer_of_its_kind(
        numbers in prop::collection::vec(0..10_u8, 1..12),
        duplex: bool,
        stateful: bool,
        names_a_cluster: bool,
    ) {
        let mode = if duplex { BodyMode::FullDuplex } else { BodyMode::Buffered };
        let router = if stateful { stateful::stateful_router() } else { router(&format!("unmatched: continue\n{POLICY}")) };
        let mut stream = Stream::new(&router);
        // Whether headers were let through as they are, to be changed with the body.
        let mut put_off = false;
        for number in numbers {
            let (event, asked) = event(number, mode, names_a_cluster);
            let (answer, next) = stream.on(event);
            let kind = kind(&answer);
            let fits = kind == asked
                || (kind == "reply" && asked.starts_with("request"))
                || (kind == "full duplex" && asked.starts_with("request") && (duplex || asked == "request body"));
            prop_assert!(fits, "{asked}: {answer:?}");
            match &answer {
                Action::RequestHeaders(mutation) => prop_assert!(rules_out_the_clients_cluster(mutation), "{answer:?}"),
                Action::Unchanged(Phase::RequestHeaders) => {
                    prop_assert!(!names_a_cluster && !duplex && next == Next::More, "nobody is left to put it right");
                    put_off = true;
                }
                Action::RequestBody(mutation, _) => {
                    let removes_all = !put_off || mutation.remove.iter().any(|name| name == "cookie");
                    prop_assert!(removes_all && rules_out_the_clients_cluster(mutation), "{answer:?}");
                    put_off = false;
                }
                Action::Request { mutation, .. } => prop_assert!(rules_out_the_clients_cluster(mutation), "{answer:?}"),
                Action::Unchanged(Phase::RequestBody) => prop_assert!(!put_off, "the headers were never changed"),
                _ => {}
            }
            if next == Next::End {
                break;
            }
        }
    }
}
