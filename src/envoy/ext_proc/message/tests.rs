//! Tests of the translation.

use prost::Message;

use super::wire::Value;
use super::*;

#[test]
fn a_streamed_body_comes_in_chunks_of_which_the_last_ends_it() {
    use envoy_types::pb::envoy::service::ext_proc::v3 as envoy;
    for (length, expected) in
        [(0, vec![0]), (1, vec![1]), (CHUNK_BYTES, vec![CHUNK_BYTES]), (CHUNK_BYTES + 1, vec![CHUNK_BYTES, 1])]
    {
        let mut out = VecDeque::new();
        chunks(Bytes::from(vec![b'x'; length]).into(), true, &mut out);
        let mut sent = Bytes::from(Vec::from(out).concat());
        let mut streamed = Vec::new();
        while !sent.is_empty() {
            let length = u32::from_be_bytes([sent[1], sent[2], sent[3], sent[4]]) as usize;
            let message = sent.split_to(5 + length).slice(5..);
            match envoy::ProcessingResponse::decode(message).expect("a message").response {
                Some(envoy::processing_response::Response::RequestBody(body)) => {
                    match body.response.and_then(|it| it.body_mutation).and_then(|it| it.mutation) {
                        Some(envoy::body_mutation::Mutation::StreamedResponse(chunk)) => streamed.push(chunk),
                        other => panic!("{other:?}"),
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let (lengths, ends): (Vec<_>, Vec<_>) =
            streamed.into_iter().map(|chunk| (chunk.body.len(), chunk.end_of_stream)).unzip();
        assert_eq!(lengths, expected);
        assert_eq!(ends.iter().position(|&end| end), Some(ends.len() - 1));
    }
}

#[test]
fn envoys_own_answers_are_told_by_details_and_flags() {
    for (details, flags, expected) in [
        ("via_upstream", 0.0, Origin::Provider),
        ("via_upstream", 32.0, Origin::Provider),
        ("cluster_not_found", 0.0, Origin::EnvoyRefused),
        ("upstream_reset_before_response_started{remote_connection_failure}", 32.0, Origin::EnvoyRefused),
        ("no_healthy_upstream", 2.0, Origin::EnvoyRefused),
        ("upstream_reset_before_response_started{overflow}", 128.0, Origin::EnvoyOverflow),
        ("response_timeout", 4.0, Origin::Envoy),
    ] {
        let field = |name: &'static str, kind| Field { name: name.into(), value: Some(Value { kind: Some(kind) }) };
        let attributes =
            [field("response.code_details", Kind::Text(details.into())), field("response.flags", Kind::Number(flags))];
        assert_eq!(origin(&attributes), expected, "{details}");
    }
    assert_eq!(origin(&[]), Origin::Provider, "the filter sends no attributes");
}

#[test]
fn an_unknown_message_is_no_event() {
    assert!(event(ProcessingRequest::default()).is_none());
}

#[test]
fn a_scheme_that_a_client_has_made_up_is_not_taken_for_one() {
    for (scheme, expected) in [("https", Some(true)), ("http", Some(false)), ("HTTPS", None), ("x", None), ("", None)] {
        let header = HeaderValue { key: ":scheme".into(), raw_value: scheme.into(), ..HeaderValue::default() };
        let headers = HttpHeaders { headers: Some(HeaderMap { headers: vec![header] }), ..HttpHeaders::default() };
        let event = request_headers(headers, BodyMode::Buffered, false);
        assert!(matches!(event, Event::RequestHeaders(Incoming { head, .. }) if head.tls == expected), "{scheme}");
    }
}

#[test]
fn header_values_are_read_from_either_field() {
    let headers = HeaderMap {
        headers: vec![
            HeaderValue { key: ":path".into(), value: "/old".into(), ..HeaderValue::default() },
            HeaderValue { key: ":authority".into(), raw_value: b"h"[..].into(), ..HeaderValue::default() },
            HeaderValue { key: "cookie".into(), raw_value: b"c"[..].into(), ..HeaderValue::default() },
        ],
    };
    let headers = HttpHeaders { headers: Some(headers), ..HttpHeaders::default() };
    let Event::RequestHeaders(Incoming { head, unwanted, .. }) = request_headers(headers, BodyMode::Buffered, false)
    else {
        panic!("headers")
    };
    assert_eq!((head.path.as_str(), head.authority.as_str(), unwanted), ("/old", "h", vec!["cookie"]));
    assert_eq!(head.tls, None, "its scheme is unknown");
}
