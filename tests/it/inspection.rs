//! The start of an answer: errors under a 200, errors whose body says more, and answers that pass untouched.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use crate::check::{production, status_of};
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::client::stream;
use crate::rig::envoy::Topology;
use crate::rig::load::{Tally, load};
use crate::rig::script::{Completion, Script};

async fn rig(options: &str) -> Rig {
    let targets = "{ model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west }";
    let policy = format!("    round_robin: {{ {options} targets: [ {targets} ] }}");
    Rig::start(Topology::Failover, &production(&policy), &["east", "west"]).await
}

async fn inspecting() -> Rig {
    rig("inspect_first_event: true, first_byte_timeout: 1s,").await
}

fn raw(status: u16, content_type: &str, body: &str) -> Script {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Script::Raw { status, headers, body: body.to_owned().into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_under_a_200_is_failed_over() {
    for (content_type, body) in [
        ("text/event-stream", "data: {\"error\":{\"message\":\"overloaded\",\"code\":\"overloaded\"}}\n\n"),
        ("text/event-stream", ": hi\n\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\ndata: [DONE]\n\n"),
        ("text/event-stream", ""),
        ("application/json", "{\"error\":{\"message\":\"overloaded\"}}"),
    ] {
        let rig = inspecting().await;
        rig.provider("east").answer(raw(200, content_type, body));
        let events = stream(rig.envoy.addr(), chat("any").streamed()).await;
        assert_eq!(events.status, 200);
        let events = events.events().await;
        assert_eq!(events.last().unwrap().1.as_deref(), Ok("[DONE]"), "{body}");
        assert_eq!(rig.hits(), [1, 1], "{body}");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_before_its_first_byte_is_failed_over() {
    let rig = inspecting().await;
    let cut = Completion { cut_after: Some(0), ..Completion::default() };
    rig.provider("east").answer(Script::Ok(cut));
    let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
    assert_eq!(events.last().unwrap().1.as_deref(), Ok("[DONE]"));
    assert_eq!(rig.hits(), [1, 1]);
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stalls_before_its_first_event_is_failed_over() {
    let rig = inspecting().await;
    let stalled = Completion { before_first: Duration::from_secs(20), ..Completion::default() };
    rig.provider("east").answer(Script::Ok(stalled));
    let answer = rig.send(chat("any").streamed()).await;
    assert_eq!((answer.status, answer.provider()), (200, "west"));
    assert!(answer.took < Duration::from_secs(10), "the policy's first_byte_timeout is 1 s: {:?}", answer.took);
    assert_eq!(rig.hits(), [1, 1]);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_target_an_answer_that_breaks_off_is_not_tried_for_ever() {
    let policy =
        "    round_robin: { inspect_first_event: true, attempts: 3, targets: [ { model: gpt-4o, endpoint: east } ] }";
    let rig = Rig::start(Topology::Failover, &production(policy), &["east"]).await;
    let cut = Completion { cut_after: Some(0), ..Completion::default() };
    rig.provider("east").answer(Script::Ok(cut));
    let answer = rig.send(chat("any").streamed()).await;
    assert_eq!(answer.status, 502);
    assert!(answer.json()["error"]["message"].is_string());
    assert_eq!(rig.hits(), [1], "nobody is left to ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_parallel_streams_that_begin_with_an_error_are_all_served_by_the_next_target() {
    let rig = rig("inspect_first_event: true, suspend: 0s,").await;
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    rig.provider("east").answer(raw(200, "text/event-stream", error));
    let answers = load(rig.envoy.addr(), 200, 200, |_| chat("any").streamed()).await;
    for answer in &answers {
        let answer = answer.as_ref().unwrap();
        assert_eq!((answer.status, answer.provider()), (200, "west"), "{}", answer.text());
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
    }
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_stream_passes_untouched_event_by_event() {
    let rig = inspecting().await;
    let gap = Duration::from_millis(150);
    let completion = Completion { gap, chunks: 5, ..Completion::default() };
    rig.providers().for_each(|provider| provider.answer(Script::Ok(completion.clone())));
    let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
    assert_eq!(events.len(), 6);
    assert!(events[3].0 - events[0].0 >= gap * 2, "{events:?}");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_exact_whether_looked_at_or_not() {
    for option in ["inspect_first_event: true,", ""] {
        let rig = rig(option).await;
        let body = json!({ "choices": ["x".repeat(5 << 20)] }).to_string();
        rig.providers().for_each(|provider| provider.answer(raw(200, "application/json", &body)));
        let answers = load(rig.envoy.addr(), 20, 4, |_| chat("any")).await;
        for answer in answers {
            let answer = answer.unwrap();
            assert_eq!(answer.header("content-length"), body.len().to_string());
            assert!(answer.body == body, "{} of {} bytes", answer.body.len(), body.len());
        }
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_suspends_its_endpoint_and_the_client_notices_nothing() {
    let rig = rig("").await;
    let error = json!({ "error": { "message": "You exceeded your current quota", "code": "insufficient_quota" } });
    rig.provider("east").answer(Script::json(429, &error));
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
    let suspended = rig.router.events("endpoint suspended");
    assert_eq!(suspended.len(), 1, "the endpoint, not the target alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_long_is_returned_as_it_is_and_suspends_nothing() {
    let rig = rig("").await;
    let error = json!({ "error": { "message": "Request too large for gpt-4o", "code": "rate_limit_exceeded" } });
    rig.provider("east").answer(Script::json(429, &error));
    let answer = rig.send(chat("any")).await;
    assert_eq!((answer.status, answer.json(), rig.hits()), (429, error, vec![1, 0]));
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_left_the_client_gets_the_answer_as_it_was() {
    let rig = inspecting().await;
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\ndata: [DONE]\n\n";
    rig.providers().for_each(|provider| provider.answer(raw(200, "text/event-stream", error)));
    let answer = rig.send(chat("any").streamed()).await;
    assert_eq!((answer.status, answer.text(), rig.hits()), (200, error.to_owned(), vec![1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn load_on_answers_that_are_looked_at_loses_none() {
    let rig = inspecting().await;
    let answers = load(rig.envoy.addr(), 1_000, 16, |_| chat("any").streamed()).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.statuses.get(&200), Some(&1_000), "{tally:?}");
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text().ends_with("data: [DONE]\n\n")));
    rig.check_clean().await;
}

/// The first target answers in these pieces; returns who served the client, and how often each was asked.
async fn served_after(pieces: &[(u64, &str)], content_type: &str, limit: &str) -> (String, Vec<usize>) {
    let rig = rig(&format!("inspect_first_event: true, first_byte_timeout: {limit},")).await;
    rig.provider("east").answer(Script::pieces(content_type, pieces));
    let answer = rig.send(chat("any").streamed()).await;
    assert_eq!(answer.status, 200);
    let served = (answer.provider().to_owned(), rig.hits());
    rig.check_clean().await;
    served
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_do_not_end_the_hold() {
    // Each piece starts Envoy's `message_timeout` again, which was 5 s once.
    let pieces = [
        (1_000, ": hi\n\n"),
        (6_000, "data: {\"error\":{\"code\":502,\"message\":\"oops\"}}\n\n"),
        (10, "data: [DONE]\n\n"),
    ];
    assert_eq!(served_after(&pieces, "text/event-stream", "20s").await, ("west".to_owned(), vec![1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_alone_are_a_stall() {
    let pieces = [(200, ": hi\n\n"), (1_000, ": hi\n\n"), (1_000, ": hi\n\n"), (1_000, ": hi\n\n"), (30_000, "")];
    assert_eq!(served_after(&pieces, "text/event-stream", "2s").await, ("west".to_owned(), vec![1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_every_form_do_neither() {
    let beats = [
        (100, ":\r\n\r\n"),
        (300, "event: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\n"),
        (300, "data: {}\r\r"),
        (300, "event: keep-alive\n\n"),
        (300, "retry: 10\nid: 3\n\n"),
    ];
    let error = [(300, "data: {\"error\":{\"code\":502}}\n"), (300, "\n")];
    let pieces: Vec<_> = beats.into_iter().chain(error).collect();
    assert_eq!(served_after(&pieces, "text/event-stream", "20s").await, ("west".to_owned(), vec![1, 1]));
    let pieces: Vec<_> = beats.into_iter().chain(beats).chain([(30_000, "")]).collect();
    assert_eq!(served_after(&pieces, "text/event-stream", "2s").await, ("west".to_owned(), vec![1, 1]));
    let content = [(300, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n")];
    let pieces: Vec<_> = beats.into_iter().chain(content).collect();
    assert_eq!(served_after(&pieces, "text/event-stream", "20s").await, ("east".to_owned(), vec![1, 0]));
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).and_then(|()| encoder.finish()).unwrap()
}

/// An error of an account without money: as what it may come, and whether it can be read.
#[tokio::test(flavor = "multi_thread")]
async fn an_errors_body_is_read_whatever_it_is_called_and_within_bounds() {
    let error = br#"{"error":{"message":"m","code":"insufficient_quota"}}"#;
    let bomb = [&error[..], &vec![b' '; 50 << 20]].concat();
    let whole = gzip(error);
    for (content_type, coding, body, is_read) in [
        ("text/plain", "", error.to_vec(), true),
        ("", "", error.to_vec(), true),
        ("text/event-stream", "", [b"data: ", &error[..], b"\n\n"].concat(), true),
        ("application/vnd.api+json", "", error.to_vec(), true),
        ("application/json", "", [b"\xef\xbb\xbf", &error[..]].concat(), true),
        ("application/json", "GZIP", whole.clone(), true),
        ("application/json", "gzip", whole[..whole.len() - 8].to_vec(), true),
        ("application/json", "gzip", gzip(&bomb), true),
        ("application/json", "gzip", whole[..20].to_vec(), false),
        ("application/json", "gzip", error.to_vec(), false),
        ("application/json", "compress", error.to_vec(), false),
        ("application/json", "gzip, br", error.to_vec(), false),
    ] {
        let rig = rig("").await;
        let headers = [("content-type", content_type), ("content-encoding", coding)];
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        rig.provider("east").answer(Script::Raw { status: 400, headers, body: body.into() });
        let answer = rig.send(chat("any")).await;
        let expected = if is_read { (200, [1, 1], 1) } else { (400, [1, 0], 0) };
        let suspended = rig.router.events("endpoint suspended").len();
        assert_eq!((answer.status, [rig.hits()[0], rig.hits()[1]], suspended), expected, "{content_type} {coding}");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_begun_and_thinks_is_not_asked_twice() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let pieces = [(100, role), (3_000, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n")];
    assert_eq!(served_after(&pieces, "text/event-stream", "1s").await, ("east".to_owned(), vec![1, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_element_of_a_json_list_decides_before_the_list_ends() {
    let element = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}";
    let pieces = [(100, element), (4_000, ",\n"), (10, "{}]")];
    let served = served_after(&pieces, "application/json", "2s").await;
    assert_eq!(served, ("east".to_owned(), vec![1, 0]), "longer than the time limit, and not asked twice");
    let pieces = [(100, "[{\"error\":{\"code\":503,"), (500, "\"status\":\"UNAVAILABLE\"}}"), (30_000, "]")];
    assert_eq!(served_after(&pieces, "application/json", "20s").await, ("west".to_owned(), vec![1, 1]));
}
