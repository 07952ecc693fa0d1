//! Bodies in full duplex.

use super::*;

/// Full duplex: the request's headers, then its body in these pieces.
fn duplex(stream: &mut Stream, head: RequestHead, pieces: &[&str]) -> Vec<Action> {
    let unwanted = vec!["authorization"];
    let headers =
        Event::RequestHeaders(Incoming { head, unwanted, end_of_stream: false, body_mode: BodyMode::FullDuplex });
    let mut answers = vec![stream.on(headers).0];
    for (index, piece) in pieces.iter().enumerate() {
        let end_of_stream = index + 1 == pieces.len();
        answers
            .push(stream.on(Event::RequestBody { bytes: Bytes::copy_from_slice(piece.as_bytes()), end_of_stream }).0);
    }
    answers
}

#[test]
fn full_duplex_all_is_answered_at_the_end_of_the_body() {
    let mut stream = Stream::new(&router(POLICY));
    let mut answers = duplex(&mut stream, head(), &[r#"{"mod"#, r#"el":"x"}"#, ""]);
    let Some(Action::Request { mutation, body, trailers: false }) = answers.pop() else { panic!("{answers:?}") };
    assert_eq!(answers, [Action::Nothing, Action::Nothing, Action::Nothing]);
    assert_eq!(body.whole(), r#"{"model":"one"}"#);
    assert_eq!((value(&mutation, private::CLUSTER), value(&mutation, "content-length")), ("east", "15"));
    assert!(mutation.clear_route_cache && mutation.remove.is_empty(), "the authorization is overwritten: {mutation:?}");
    let again = Event::RequestBody { bytes: Bytes::new(), end_of_stream: true };
    assert_eq!(stream.on(again), (Action::Nothing, Next::More), "a repeated end");
    assert!(stream.answer(500));
}

#[test]
fn full_duplex_trailers_end_a_body() {
    let mut stream = Stream::new(&router(POLICY));
    duplex(&mut stream, head(), &["{}", ""]);
    let mut stream = Stream::new(&router(POLICY));
    let headers = Event::RequestHeaders(Incoming {
        head: head(),
        unwanted: vec![],
        end_of_stream: false,
        body_mode: BodyMode::FullDuplex,
    });
    stream.on(headers);
    stream.on(Event::RequestBody { bytes: Bytes::from_static(b"{}"), end_of_stream: false });
    let (answer, _) = stream.on(Event::Other(Phase::RequestTrailers));
    assert!(matches!(answer, Action::Request { trailers: true, .. }), "{answer:?}");
}

#[test]
fn buffered_trailers_without_a_body_are_refused() {
    let policy = POLICY.replace("type: openai,", "type: custom, operations: ['/engines/{model}/go'],");
    let mut stream = Stream::new(&router(&policy));
    let opaque = RequestHead {
        path: "/v1/engines/any/go".into(),
        content_type: Some("application/octet-stream".into()),
        ..head()
    };
    assert_eq!(stream.on(request(opaque)), (Action::Unchanged(Phase::RequestHeaders), Next::More));
    let (answer, next) = stream.on(Event::Other(Phase::RequestTrailers));
    assert!(matches!(&answer, Action::Reply(reply) if reply.status == 400) && next == Next::End, "{answer:?}");
}

#[test]
fn full_duplex_a_body_is_bounded_in_length_and_time() {
    let router = router(POLICY);
    let too_long = " ".repeat(600);
    let answers = duplex(&mut Stream::new(&router), head(), &[&too_long, &too_long]);
    assert!(matches!(&answers[..], [Action::Nothing, Action::Nothing, Action::Reply(reply)] if reply.status == 413));
    for (event, status) in [(Event::Late, 408), (Event::OverCapacity, 503)] {
        let mut stream = Stream::new(&router);
        let headers = Event::RequestHeaders(Incoming {
            head: head(),
            unwanted: vec![],
            end_of_stream: false,
            body_mode: BodyMode::FullDuplex,
        });
        stream.on(headers);
        assert!(stream.exchange.deadline().is_some());
        assert_eq!(refused(stream.on(event)), status);
    }
}

#[test]
fn full_duplex_what_is_nobodys_passes_chunk_by_chunk() {
    let router = router(&format!("unmatched: continue\n{POLICY}"));
    let mut stream = Stream::new(&router);
    let answers = duplex(&mut stream, RequestHead { path: "/other".into(), ..head() }, &["a", "b"]);
    let chunk = |bytes: &'static str, end_of_stream| Action::Chunk { bytes: bytes.into(), end_of_stream };
    assert!(matches!(answers[0], Action::RequestHeaders(_)));
    assert_eq!(answers[1..], [chunk("a", false), chunk("b", true)]);
}
