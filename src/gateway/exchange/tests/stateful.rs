//! Requests that exist only at one account.

use super::*;

const STATEFUL: &str =
    "    production: { round_robin: { stateful_endpoint: west, targets: [ { model: one, endpoint: east } ] } }";

pub(super) fn stateful_router() -> Arc<Router> {
    let production = POLICY.find("    production:").expect("a policy");
    router(&format!("{}{STATEFUL}\n", &POLICY[..production]))
}

#[test]
fn what_exists_at_one_account_is_refused_where_no_account_is_named() {
    let router = router(POLICY);
    let files = RequestHead { path: "/v1/files/f1".into(), method: Method::GET, ..head() };
    assert_eq!(refused(Stream::new(&router).on(request(files))), 400);
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    let (Action::Reply(reply), _) = stream.on(body(r#"{"previous_response_id":"r"}"#)) else { panic!("refused") };
    assert_eq!(reply.status, 400);
    assert!(String::from_utf8(reply.body).expect("UTF-8").contains("stateful_endpoint"));
}

#[test]
fn what_exists_at_one_account_goes_there_as_it_is() {
    let router = stateful_router();
    for _ in 0..2 {
        let mut stream = Stream::new(&router);
        let files = RequestHead {
            path: "/v1/files?limit=2".into(),
            content_type: Some("multipart/form-data".into()),
            ..head()
        };
        let (Action::RequestHeaders(mutation), Next::More) = stream.on(request(files)) else { panic!("sent") };
        assert_eq!((value(&mutation, private::CLUSTER), value(&mutation, ":path")), ("west", "/files?limit=2"));
        assert_eq!(value(&mutation, "authorization"), "Bearer key-west");
        assert!(!mutation.remove.iter().any(|name| name == "authorization"), "what is set is not removed");
        assert_eq!(stream.on(body("--x")), (Action::Unchanged(Phase::RequestBody), Next::More));
        assert!(!stream.answer(500), "never tried elsewhere");
    }
}

#[test]
fn a_body_that_refers_to_state_keeps_its_model_if_the_account_has_it() {
    let router = stateful_router();
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    let text = r#"{"previous_response_id":"r","model":"two"}"#;
    let (Action::RequestBody(mutation, sent), Next::More) = stream.on(body(text)) else { panic!("sent") };
    assert_eq!((value(&mutation, private::CLUSTER), sent), ("west", None), "{text}: goes on as it came");
    assert!(!stream.answer(503));
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    assert_eq!(refused(stream.on(body(r#"{"previous_response_id":"r","model":"three"}"#))), 404);
}
