//! Answers whose start is looked at.

use std::time::SystemTime;

use super::*;
use crate::body::coding::Coding;

/// The headers of an answer whose start can be looked at.
fn held(stream: &mut Stream, status: u16, kind: BodyFormat) -> (Action, Next) {
    stream.on(request(RequestHead { response_can_be_held: true, ..head() }));
    stream.on(body("{}"));
    let (quota, origin) = (Quota::default(), Origin::Provider);
    let unwanted = vec![];
    let answer = ResponseHead {
        status,
        quota,
        origin,
        at: SystemTime::UNIX_EPOCH,
        unwanted,
        end_of_stream: false,
        error_type: None,
        kind: Some(kind),
        coding: Coding::Identity,
    };
    stream.on(Event::ResponseHeaders(answer))
}

fn chunk(stream: &mut Stream, text: &str, end_of_stream: bool) -> (Action, Next) {
    stream.on(Event::ResponseBody { bytes: Bytes::copy_from_slice(text.as_bytes()), end_of_stream })
}

/// Whether these headers of an answer ask for another attempt.
fn asks_again((answer, next): (Action, Next)) -> bool {
    match (answer, next) {
        (Action::ResponseHeaders(mutation), Next::End) => {
            mutation.set.contains(&(private::RETRY.into(), "1".to_owned()))
        }
        other => panic!("not decided: {other:?}"),
    }
}

#[test]
fn an_errors_body_says_more_than_its_status() {
    for (status, text, again, available_after) in [
        (429, r#"{"error":{"code":"insufficient_quota"}}"#, true, [false, true]),
        (404, r#"{"error":{"code":"model_not_found"}}"#, true, [false, true]),
        (429, r#"{"error":{"code":"rate_limit_exceeded","message":"Request too large"}}"#, false, [true, true]),
        (400, r#"{"error":{"code":"context_length_exceeded"}}"#, false, [true, true]),
        (500, "oops", true, [true, true]),
    ] {
        let router = router(POLICY);
        let mut stream = Stream::new(&router);
        assert!(matches!(held(&mut stream, status, BodyFormat::Json), (Action::Hold(_), Next::More)));
        assert_eq!(chunk(&mut stream, "", false), (Action::Nothing, Next::More));
        assert_eq!(asks_again(chunk(&mut stream, text, true)), again, "{text}");
        assert_eq!(available(&router, stream.now), available_after, "{text}");
    }
}

#[test]
fn a_request_too_long_for_one_model_goes_on_where_the_policy_says_so() {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { next_on: [context_length],"));
    let mut stream = Stream::new(&router);
    held(&mut stream, 400, BodyFormat::Json);
    assert!(asks_again(chunk(&mut stream, r#"{"error":{"code":"context_length_exceeded"}}"#, true)));
    assert_eq!(available(&router, stream.now), [true, true]);
}

fn inspecting() -> Arc<Router> {
    router(&POLICY.replace("round_robin: {", "round_robin: { inspect_first_event: true,"))
}

#[test]
fn a_success_that_begins_with_an_error_is_a_failure() {
    for (kind, text, ended, again) in [
        (BodyFormat::Events, "data: {\"id\":1}\n\n", false, false),
        (BodyFormat::Events, "data: {\"error\":{}}\n\n", false, true),
        (BodyFormat::Events, "", true, true),
        (BodyFormat::Json, r#"{"error":{}}"#, true, true),
        (BodyFormat::Json, r#"{"choices":[]}"#, true, false),
    ] {
        let mut stream = Stream::new(&inspecting());
        assert!(matches!(held(&mut stream, 200, kind), (Action::Hold(_), Next::More)));
        assert_eq!(asks_again(chunk(&mut stream, text, ended)), again, "{text}");
    }
}

#[test]
fn a_success_that_stalls_is_a_failure_and_an_error_that_stalls_is_what_it_was() {
    let mut stream = Stream::new(&inspecting());
    held(&mut stream, 200, BodyFormat::Events);
    assert!(stream.exchange.deadline().is_some());
    assert!(asks_again(stream.on(Event::Late)));
    let mut stream = Stream::new(&inspecting());
    held(&mut stream, 400, BodyFormat::Json);
    assert!(!asks_again(stream.on(Event::Late)));
    let mut stream = Stream::new(&inspecting());
    held(&mut stream, 400, BodyFormat::Json);
    chunk(&mut stream, r#"{"error":{"code":"insufficient_quota"}}"#, false);
    assert!(asks_again(stream.on(Event::Late)), "all of it has arrived, and the connection is still open");
}

#[test]
fn a_stream_that_has_begun_passes_when_its_first_content_is_late() {
    let mut stream = Stream::new(&inspecting());
    held(&mut stream, 200, BodyFormat::Events);
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    assert_eq!(chunk(&mut stream, role, false), (Action::Nothing, Next::More));
    assert!(!asks_again(stream.on(Event::Late)), "it thinks; a second answer would be paid twice");
}

#[test]
fn what_cannot_be_held_or_has_no_second_chance_is_not_looked_at() {
    let mut stream = Stream::new(&inspecting());
    stream.forward();
    assert!(!stream.answer(200));
    let mut stream = Stream::new(&router(POLICY));
    let (answer, next) = held(&mut stream, 200, BodyFormat::Events);
    assert!(matches!((answer, next), (Action::ResponseHeaders(_), Next::End)), "the policy does not ask for it");
}

#[test]
fn an_answer_that_breaks_off_while_it_is_held_leaves_the_next_attempt_ready() {
    let router = inspecting();
    let mut stream = Stream::new(&router);
    held(&mut stream, 200, BodyFormat::Events);
    stream.exchange.abandon(stream.now);
    let mut second = Stream::new(&router);
    assert_eq!(second.forward(), "west");
    assert!(!second.answer(200));
    assert_eq!(available(&router, second.now), [false, true], "the other one served, so this one broke off");
}

#[test]
fn an_answer_that_breaks_off_when_attempts_are_used_up_is_not_tried_for_ever() {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { attempts: 1,"));
    let mut stream = Stream::new(&router);
    held(&mut stream, 500, BodyFormat::Json);
    stream.exchange.abandon(stream.now);
    let again = request(RequestHead { attempt_count: Some(2), ..head() });
    assert_eq!(refused(Stream::new(&router).on(again)), 502);
    let another = request(RequestHead { stream_id: Some("another".into()), ..head() });
    assert_eq!(Stream::new(&router).on(another).0, Action::Unchanged(Phase::RequestHeaders));
}
