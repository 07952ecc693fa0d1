//! Every message against the generated types of `envoy-types`.

use std::collections::HashMap;
use std::fmt::Debug;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::ext_proc::v3 as envoy;
use prost::Message;

use super::*;

/// What one type writes the other reads as the same.
fn check<Ours, Theirs>(ours: Ours, theirs: Theirs)
where
    Ours: Message + Default + PartialEq + Debug,
    Theirs: Message + Default + PartialEq + Debug,
{
    assert_eq!(Theirs::decode(&*ours.encode_to_vec()), Ok(theirs), "ours, read by the generated type");
    let theirs = Theirs::decode(&*ours.encode_to_vec()).expect("just read");
    assert_eq!(Ours::decode(&*theirs.encode_to_vec()), Ok(ours), "the generated type's, read by ours");
}

fn agree(ours: Request, theirs: envoy::processing_request::Request) {
    let config = ProtocolConfiguration { request_body_mode: 2, ..ProtocolConfiguration::default() };
    let (all, their_all) = attributes();
    let attributes = HashMap::from([("envoy.filters.http.ext_proc".to_owned(), their_all)]);
    let ours_all = vec![Attributes { filter: "envoy.filters.http.ext_proc".into(), all: Some(all) }];
    check(
        ProcessingRequest { request: Some(ours), attributes: ours_all, protocol_config: Some(config) },
        envoy::ProcessingRequest {
            request: Some(theirs),
            attributes,
            protocol_config: Some(config),
            ..envoy::ProcessingRequest::default()
        },
    );
}

fn attributes() -> (Struct, protobuf::Struct) {
    use protobuf::value::Kind as Theirs;
    let check = |name: &str, kind, theirs| {
        let ours =
            Struct { fields: vec![Field { name: name.to_owned().into(), value: Some(Value { kind: Some(kind) }) }] };
        let theirs = protobuf::Value { kind: Some(theirs) };
        let theirs = protobuf::Struct { fields: HashMap::from([(name.to_owned(), theirs)]) };
        super::tests::check(ours.clone(), theirs.clone());
        (ours, theirs)
    };
    check("n", Kind::Number(32.0), Theirs::NumberValue(32.0));
    check("a", Kind::Text("via_upstream".into()), Theirs::StringValue("via_upstream".into()))
}

#[test]
fn what_envoy_tells_is_read_as_the_generated_types_read_it() {
    use envoy::processing_request::Request as Theirs;
    let (key, raw_value) = ("a", b"\xff\0b");
    let ours = HeaderValue { key: key.into(), raw_value: raw_value[..].into(), ..HeaderValue::default() };
    let theirs = core::HeaderValue { key: key.into(), raw_value: raw_value.into(), ..core::HeaderValue::default() };
    let ours = HttpHeaders { headers: Some(HeaderMap { headers: vec![ours; 2] }), end_of_stream: true };
    let theirs = envoy::HttpHeaders {
        headers: Some(core::HeaderMap { headers: vec![theirs; 2] }),
        end_of_stream: true,
        ..envoy::HttpHeaders::default()
    };
    agree(Request::RequestHeaders(ours.clone()), Theirs::RequestHeaders(theirs.clone()));
    agree(Request::ResponseHeaders(ours), Theirs::ResponseHeaders(theirs));
    let ours = HttpBody { body: b"\xff{}"[..].into(), end_of_stream: true };
    let theirs = envoy::HttpBody { body: b"\xff{}".into(), end_of_stream: true, ..envoy::HttpBody::default() };
    agree(Request::RequestBody(ours.clone()), Theirs::RequestBody(theirs.clone()));
    agree(Request::ResponseBody(ours), Theirs::ResponseBody(theirs));
    let trailers = HttpTrailers::default();
    agree(Request::RequestTrailers(trailers.clone()), Theirs::RequestTrailers(trailers.clone()));
    agree(Request::ResponseTrailers(trailers.clone()), Theirs::ResponseTrailers(trailers));
}

#[test]
fn copies_of_responses_are_read_as_the_generated_types_read_them() {
    use envoy::processing_request::Request as Theirs;
    let (all, their_all) = attributes();
    let named = |all: &Struct| vec![Attributes { filter: "model_router".into(), all: Some(all.clone()) }];
    let body = HttpBody { body: b"data"[..].into(), end_of_stream: true };
    let their_body = envoy::HttpBody { body: b"data".into(), end_of_stream: true, ..envoy::HttpBody::default() };
    let headers = HttpHeaders { headers: None, end_of_stream: true };
    let their_headers = envoy::HttpHeaders { end_of_stream: true, ..envoy::HttpHeaders::default() };
    for (ours, theirs) in [
        (Copied::Headers(headers), Theirs::ResponseHeaders(their_headers)),
        (Copied::Body(body), Theirs::ResponseBody(their_body)),
        (Copied::Trailers(HttpTrailers::default()), Theirs::ResponseTrailers(HttpTrailers::default())),
    ] {
        let filter_metadata = HashMap::from([("model_router".to_owned(), their_all.clone())]);
        check(
            ResponseCopy {
                part: Some(ours),
                metadata: Some(Metadata { namespaces: named(&all) }),
                attributes: named(&all),
            },
            envoy::ProcessingRequest {
                request: Some(theirs),
                metadata_context: Some(core::Metadata { filter_metadata, ..core::Metadata::default() }),
                attributes: HashMap::from([("model_router".to_owned(), their_all.clone())]),
                ..envoy::ProcessingRequest::default()
            },
        );
    }
}

/// One header, and two that go.
fn mutations() -> (Bytes, envoy::HeaderMutation) {
    let (key, raw_value) = ("x-model-router-cluster", b"east");
    let theirs = core::HeaderValue { key: key.into(), raw_value: raw_value.into(), ..core::HeaderValue::default() };
    let append_action = HeaderAppendAction::OverwriteIfExistsOrAdd.into();
    let theirs = core::HeaderValueOption { header: Some(theirs), append_action, ..core::HeaderValueOption::default() };
    (
        header_mutation([(key.as_bytes(), &raw_value[..])], [&b"cookie"[..], b"te"]),
        envoy::HeaderMutation { set_headers: vec![theirs], remove_headers: vec!["cookie".into(), "te".into()] },
    )
}

fn metadata_of_decision() -> (Bytes, protobuf::Struct) {
    let value = |kind| protobuf::Value { kind: Some(kind) };
    let one = |name: &str, value| protobuf::Struct { fields: HashMap::from([(name.to_owned(), value)]) };
    let text = value(protobuf::value::Kind::StringValue("c".into()));
    let theirs = one("a", value(protobuf::value::Kind::StructValue(one("b", text))));
    (metadata("a", [("b", "c")]), theirs)
}

#[test]
fn lengths_of_more_than_a_byte_are_written_as_they_are_read() {
    for length in [0, 1, 100, 120, 127, 128, 129, 5_000, 1 << 15] {
        let text = "x".repeat(length);
        let read = envoy::HeaderMutation::decode(header_mutation([(text.as_bytes(), text.as_bytes()); 2], []));
        let header = core::HeaderValue { key: text.clone(), raw_value: text.clone().into(), ..Default::default() };
        let append_action = HeaderAppendAction::OverwriteIfExistsOrAdd.into();
        let header = core::HeaderValueOption { header: Some(header), append_action, ..Default::default() };
        let expected = envoy::HeaderMutation { set_headers: vec![header; 2], ..Default::default() };
        assert_eq!(read, Ok(expected), "{length}");
        let fields = [("first", text.as_str()), (text.as_str(), "second")];
        let value = |kind| protobuf::Value { kind: Some(kind) };
        let text_value = |text: &str| value(protobuf::value::Kind::StringValue(text.to_owned()));
        let inner = fields.map(|(name, text)| (name.to_owned(), text_value(text))).into();
        let inner = value(protobuf::value::Kind::StructValue(protobuf::Struct { fields: inner }));
        let expected = protobuf::Struct { fields: HashMap::from([("space".to_owned(), inner)]) };
        assert_eq!(protobuf::Struct::decode(metadata("space", fields)), Ok(expected), "{length}");
    }
}

fn answered(ours: Response, theirs: envoy::processing_response::Response) {
    let override_message_timeout = Some(protobuf::Duration { seconds: 3, nanos: 1 });
    let (metadata, their_metadata) = metadata_of_decision();
    check(
        ProcessingResponse { response: Some(ours), dynamic_metadata: Some(metadata), override_message_timeout },
        envoy::ProcessingResponse {
            response: Some(theirs),
            dynamic_metadata: Some(their_metadata),
            override_message_timeout,
            ..envoy::ProcessingResponse::default()
        },
    );
}

#[test]
fn what_envoy_is_told_is_what_the_generated_types_would_say() {
    use envoy::processing_response::Response as Theirs;
    let (header_mutation, their_header_mutation) = mutations();
    let common = CommonResponse { header_mutation: Some(header_mutation), clear_route_cache: true };
    let ours = PartResponse { response: Some(common) };
    let response = Some(envoy::CommonResponse {
        header_mutation: Some(their_header_mutation),
        clear_route_cache: true,
        ..envoy::CommonResponse::default()
    });
    let headers = envoy::HeadersResponse { response: response.clone() };
    let body = envoy::BodyResponse { response };
    answered(Response::RequestHeaders(ours.clone()), Theirs::RequestHeaders(headers.clone()));
    answered(Response::ResponseHeaders(ours.clone()), Theirs::ResponseHeaders(headers));
    answered(Response::RequestBody(ours.clone()), Theirs::RequestBody(body.clone()));
    answered(Response::ResponseBody(ours), Theirs::ResponseBody(body));
    let trailers = TrailersResponse::default();
    answered(Response::RequestTrailers(trailers.clone()), Theirs::RequestTrailers(trailers.clone()));
    answered(Response::ResponseTrailers(trailers.clone()), Theirs::ResponseTrailers(trailers));
    let (ours, theirs) = mutations();
    let (status, details) = (Some(HttpStatus { code: 404 }), "model_router".to_owned());
    answered(
        Response::Immediate(ImmediateResponse {
            status,
            headers: Some(ours),
            body: b"{}"[..].into(),
            details: details.clone(),
        }),
        Theirs::ImmediateResponse(envoy::ImmediateResponse {
            status,
            headers: Some(theirs),
            body: b"{}".into(),
            details,
            ..envoy::ImmediateResponse::default()
        }),
    );
}

/// The one message in these frames, as the generated type reads it.
fn framed(frames: &VecDeque<Bytes>) -> envoy::ProcessingResponse {
    let all: Vec<u8> = frames.iter().flat_map(|frame| frame.to_vec()).collect();
    let (head, message) = all.split_at(FRAME_HEAD_BYTES);
    assert_eq!((head[0], u32::from_be_bytes([head[1], head[2], head[3], head[4]])), (0, message.len() as u32));
    envoy::ProcessingResponse::decode(message).expect("a message")
}

fn with_body(body: NewBody) -> (usize, envoy::body_mutation::Mutation) {
    let ((header_mutation, theirs), (metadata, their_metadata)) = (mutations(), metadata_of_decision());
    let message = ProcessingResponse { dynamic_metadata: Some(metadata), ..ProcessingResponse::default() };
    let common = CommonResponse { header_mutation: Some(header_mutation), clear_route_cache: true };
    let mut frames = VecDeque::new();
    push_with_body(&message, &common, &body, &mut frames);
    let read = framed(&frames);
    assert_eq!(read.dynamic_metadata, Some(their_metadata));
    let Some(envoy::processing_response::Response::RequestBody(read)) = read.response else { panic!("a body") };
    let read = read.response.expect("an answer");
    assert_eq!((read.header_mutation, read.clear_route_cache), (Some(theirs), true));
    (frames.len(), read.body_mutation.and_then(|it| it.mutation).expect("a body"))
}

#[test]
fn a_body_is_written_around_its_pieces() {
    use envoy::body_mutation::Mutation as Theirs;
    for length in [0, 1, 127, 128, 16_000, 16_384, 17_000, 100_000, 3_000_000] {
        let body: Bytes = (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        let (frames, read) = with_body(NewBody::Whole(body.clone().into()));
        assert_eq!(frames, if length <= 16_000 { 1 } else { 2 }, "long bodies are not copied: {length}");
        assert!(read == Theirs::Body(body.to_vec()), "{length}");
        for end_of_stream in [false, true] {
            let (_, read) = with_body(NewBody::Part { body: body.clone().into(), end_of_stream });
            let Theirs::StreamedResponse(read) = read else { panic!("a part of a body") };
            assert!(read.end_of_stream == end_of_stream && read.body == body, "{length}");
        }
    }
}

#[test]
fn a_message_has_its_frame() {
    let ours = Response::RequestTrailers(TrailersResponse::default());
    let mut frames = VecDeque::new();
    push(&ProcessingResponse { response: Some(ours), ..ProcessingResponse::default() }, &mut frames);
    let theirs = envoy::processing_response::Response::RequestTrailers(TrailersResponse::default());
    assert_eq!((frames.len(), framed(&frames).response), (1, Some(theirs)));
}
