//! The only translation between Envoy's messages and ours.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::TrailersResponse;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf as google;

use super::wire::{
    self, CommonResponse, Field, HeaderMap, HeaderValue, HttpHeaders, ImmediateResponse, Kind, NewBody, PartResponse,
    ProcessingRequest, ProcessingResponse, Request, Response,
};
use crate::body::Pieces;
use crate::body::coding::Coding;
use crate::gateway::exchange::{self, Action, BodyMode, Event, Incoming, Mutation, Phase, ResponseHead, private};
use crate::gateway::refusal::Reply;
use crate::gateway::router::RequestHead;
use crate::routing::decision::Parent;
use crate::routing::outcome::Origin;
use crate::routing::outcome::inspection;
use crate::routing::outcome::quota::{self, Quota};

/// The value of `%RESPONSE_CODE_DETAILS%` by which Envoy's configuration distinguishes our replies from its own.
const REPLY_DETAILS: &str = "model_router";

/// Under which Envoy's log finds what was decided: `%DYNAMIC_METADATA(model_router:model)%`.
pub(in crate::envoy) const METADATA_NAMESPACE: &str = "model_router";

/// Our own deadline decides, not Envoy's timer.
const HOLD_MARGIN: Duration = Duration::from_secs(1);

/// The longest chunk of a streamed body. Source: Envoy's `external_processor.proto` asks for at most 64 KiB.
const CHUNK_BYTES: usize = 64 << 10;

/// The name under which Envoy sends attributes.
const ATTRIBUTES: &str = "envoy.filters.http.ext_proc";

/// Response flags of Envoy's own replies, as the attribute `response.flags` has them. Source: the order of Envoy's
/// `CoreResponseFlag`; 4, 32 and 64 were seen on 1.36 to 1.40.
mod flag {
    /// No host of the cluster can be used, because its name does not resolve, say.
    pub(super) const NO_HEALTHY_UPSTREAM: f64 = 2.0;
    /// Nobody listens there.
    pub(super) const CONNECTION_FAILURE: f64 = 32.0;
    /// Envoy's own circuit breaker for the cluster.
    pub(super) const OVERFLOW: f64 = 128.0;
}

/// Returns the event of a message; `None` for a kind that this version does not know.
pub(super) fn event(message: ProcessingRequest) -> Option<Event> {
    let config = message.protocol_config.unwrap_or_default();
    let response_can_be_held = config.response_body_mode == BodySendMode::Streamed as i32
        && config.send_body_without_waiting_for_header_response;
    Some(match message.request? {
        Request::RequestHeaders(headers) => {
            request_headers(headers, body_mode(config.request_body_mode), response_can_be_held)
        }
        Request::RequestBody(body) => Event::RequestBody { bytes: body.body, end_of_stream: body.end_of_stream },
        Request::RequestTrailers(_) => Event::Other(Phase::RequestTrailers),
        Request::ResponseHeaders(headers) => {
            let of_filter = message.attributes.into_iter().find(|it| it.filter == ATTRIBUTES);
            let fields = of_filter.and_then(|it| it.all).map(|all| all.fields).unwrap_or_default();
            response_headers(headers, origin(&fields))
        }
        Request::ResponseBody(body) => Event::ResponseBody { bytes: body.body, end_of_stream: body.end_of_stream },
        Request::ResponseTrailers(_) => Event::Other(Phase::ResponseTrailers),
    })
}

fn body_mode(mode: i32) -> BodyMode {
    match BodySendMode::try_from(mode) {
        Ok(BodySendMode::Buffered) => BodyMode::Buffered,
        Ok(BodySendMode::FullDuplexStreamed) => BodyMode::FullDuplex,
        _ => BodyMode::Other,
    }
}

fn request_headers(headers: HttpHeaders, body_mode: BodyMode, response_can_be_held: bool) -> Event {
    let mut head = RequestHead { response_can_be_held, ..RequestHead::default() };
    let mut unwanted = Vec::new();
    for header in headers.headers.unwrap_or_default().headers {
        let name = name(&header);
        if let Some(name) = exchange::unwanted_request_header(name) {
            unwanted.push(name);
        }
        match name {
            ":method" => head.method = header.raw_value.as_ref().try_into().unwrap_or_default(),
            ":authority" => head.authority = text(&header),
            ":path" => head.path = text(&header),
            ":scheme" => head.tls = tls(&value(header)),
            "content-type" => head.content_type = Some(text(&header)),
            "content-encoding" => head.content_encoding = Some(text(&header)),
            "content-length" => head.content_length = text(&header).parse().ok(),
            "upgrade" | ":protocol" => head.wants_upgrade = text(&header).eq_ignore_ascii_case("websocket"),
            "x-envoy-attempt-count" => head.attempt_count = text(&header).parse().ok(),
            "traceparent" => head.parent = Parent::sampled(&text(&header)).map(Box::new),
            "x-request-id" => head.request_id = Some(text(&header)),
            private::ENVIRONMENT => head.environment = Some(text(&header)),
            private::STREAM => head.stream_id = Some(text(&header)),
            _ if name.starts_with(':') => {}
            _ => head.headers.push((header.key.clone(), value(header))),
        }
    }
    Event::RequestHeaders(Incoming { head, unwanted, end_of_stream: headers.end_of_stream, body_mode })
}

/// Returns the headers of a request that Envoy would send whole.
pub(super) fn request_headers_of(headers: &[(String, Vec<u8>)], end_of_stream: bool) -> Event {
    let value = |(key, value): &(String, Vec<u8>)| HeaderValue {
        key: Bytes::copy_from_slice(key.as_bytes()),
        raw_value: Bytes::copy_from_slice(value),
        ..HeaderValue::default()
    };
    let headers = HeaderMap { headers: headers.iter().map(value).collect() };
    request_headers(HttpHeaders { headers: Some(headers), end_of_stream }, BodyMode::Buffered, false)
}

fn response_headers(headers: HttpHeaders, origin: Origin) -> Event {
    let (mut status, mut quota_headers, mut unwanted) = (0, Vec::new(), Vec::new());
    let (mut kind, mut coding, mut error_type) = (None, Some(Coding::Identity), None);
    for header in headers.headers.unwrap_or_default().headers {
        let name = name(&header);
        if let Some(name) = exchange::unwanted_response_header(name) {
            unwanted.push(name);
        }
        match name {
            ":status" => status = text(&header).parse().unwrap_or_default(),
            "content-type" => kind = inspection::BodyFormat::of(&text(&header)),
            "content-encoding" => coding = Coding::named(&text(&header)),
            // Behind a colon is where to read of it.
            "x-amzn-errortype" => error_type = text(&header).split(':').next().map(str::to_owned),
            _ if quota::concerns(name) => quota_headers.push((name.to_owned(), text(&header))),
            _ => {}
        }
    }
    let at = SystemTime::now();
    let quota = Quota::read(&quota_headers, at);
    // Errors are read whatever their type; a body in an unknown coding cannot be.
    let kind = kind.or((status >= 400).then_some(inspection::BodyFormat::Text));
    let (kind, coding) = (kind.filter(|_| coding.is_some()), coding.unwrap_or_default());
    let end_of_stream = headers.end_of_stream;
    Event::ResponseHeaders(ResponseHead {
        status,
        quota,
        origin,
        at,
        unwanted,
        end_of_stream,
        error_type,
        kind,
        coding,
    })
}

/// Returns whether a scheme is `https`; `None` for any but the two, which a client may have made up.
fn tls(scheme: &[u8]) -> Option<bool> {
    match scheme {
        b"https" => Some(true),
        b"http" => Some(false),
        _ => None,
    }
}

/// Returns a header's name, or an empty text if it is not UTF-8.
fn name(header: &HeaderValue) -> &str {
    std::str::from_utf8(&header.key).unwrap_or_default()
}

/// Envoy sends values as `raw_value` only.
fn value(header: HeaderValue) -> Bytes {
    if header.raw_value.is_empty() { header.value } else { header.raw_value }
}

/// Returns a value as text. Bytes that are not UTF-8 are replaced: they cannot match anything that we know.
fn text(header: &HeaderValue) -> String {
    let value = if header.raw_value.is_empty() { &header.value } else { &header.raw_value };
    String::from_utf8_lossy(value).into_owned()
}

/// Returns who made a response. `response.code_details` is `via_upstream` for a provider's; flags and details differ
/// between versions of Envoy in the rest of their text, so only stable parts are compared.
fn origin(attributes: &[Field]) -> Origin {
    let kind = |name| attributes.iter().find(|it| it.name == name)?.value.as_ref()?.kind.as_ref();
    let Some(Kind::Text(details)) = kind("response.code_details") else { return Origin::Provider };
    if details == "via_upstream" {
        return Origin::Provider;
    }
    if details.starts_with(b"cluster_not_found") {
        return Origin::EnvoyRefused;
    }
    match kind("response.flags") {
        Some(Kind::Number(flag::NO_HEALTHY_UPSTREAM | flag::CONNECTION_FAILURE)) => Origin::EnvoyRefused,
        Some(Kind::Number(flag::OVERFLOW)) => Origin::EnvoyOverflow,
        _ => Origin::Envoy,
    }
}

/// Our action in Envoy's words: one message, or, full duplex, none or several; each as gRPC frames it.
pub(super) fn responses(answer: Action, out: &mut VecDeque<Bytes>) {
    let (response, metadata) = match answer {
        Action::Nothing => return,
        // No action, only more time for it. Envoy grants it where `max_message_timeout` allows.
        Action::Hold(duration) => {
            let duration = duration + HOLD_MARGIN;
            let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
            let override_message_timeout = Some(google::Duration { seconds, nanos });
            let message = ProcessingResponse { override_message_timeout, ..ProcessingResponse::default() };
            return wire::push(&message, out);
        }
        Action::RequestBody(mutation, Some(body)) => return with_body(mutation, NewBody::Whole(body), out),
        Action::Request { mutation, body, trailers } => return whole_request(mutation, body, trailers, out),
        Action::Chunk { bytes, end_of_stream } => return chunks(bytes.into(), end_of_stream, out),
        Action::RequestHeaders(mutation) => {
            let metadata = metadata(&mutation);
            (Response::RequestHeaders(part(&mutation)), metadata)
        }
        Action::RequestBody(mutation, None) => {
            let metadata = metadata(&mutation);
            (Response::RequestBody(part(&mutation)), metadata)
        }
        Action::ResponseHeaders(mutation) => {
            let metadata = metadata(&mutation);
            (Response::ResponseHeaders(part(&mutation)), metadata)
        }
        Action::Unchanged(phase) => (unchanged(phase), None),
        Action::Reply(reply) => (Response::Immediate(immediate(reply)), None),
    };
    push(response, metadata, out);
}

fn push(response: Response, dynamic_metadata: Option<Bytes>, out: &mut VecDeque<Bytes>) {
    let response = Some(response);
    wire::push(&ProcessingResponse { response, dynamic_metadata, ..ProcessingResponse::default() }, out);
}

fn with_body(mutation: Mutation, body: NewBody, out: &mut VecDeque<Bytes>) {
    let dynamic_metadata = metadata(&mutation);
    let message = ProcessingResponse { dynamic_metadata, ..ProcessingResponse::default() };
    wire::push_with_body(&message, &common(&mutation), &body, out);
}

/// Dynamic metadata under our namespace. Envoy drops it unless its filter's `receiving_namespaces` names that.
fn metadata(mutation: &Mutation) -> Option<Bytes> {
    mutation.metadata.as_ref().map(|metadata| wire::metadata(METADATA_NAMESPACE, metadata.iter()))
}

/// Headers, body and trailers, in the order that Envoy wants.
fn whole_request(mutation: Mutation, body: Pieces, trailers: bool, out: &mut VecDeque<Bytes>) {
    let metadata = metadata(&mutation);
    push(Response::RequestHeaders(part(&mutation)), metadata, out);
    chunks(body, !trailers, out);
    if trailers {
        push(unchanged(Phase::RequestTrailers), None, out);
    }
}

/// A streamed body. The last chunk carries the end of the stream and may be empty.
fn chunks(mut body: Pieces, end_of_stream: bool, out: &mut VecDeque<Bytes>) {
    loop {
        let chunk = body.split_to(CHUNK_BYTES);
        let is_last = body.is_empty();
        let chunk = NewBody::Part { body: chunk, end_of_stream: end_of_stream && is_last };
        wire::push_with_body(&ProcessingResponse::default(), &CommonResponse::default(), &chunk, out);
        if is_last {
            return;
        }
    }
}

/// Envoy continues with what it has. Each kind of message needs its own kind of reply; any other resets the request.
fn unchanged(phase: Phase) -> Response {
    match phase {
        Phase::RequestHeaders => Response::RequestHeaders(PartResponse::default()),
        Phase::RequestBody => Response::RequestBody(PartResponse::default()),
        Phase::RequestTrailers => Response::RequestTrailers(TrailersResponse::default()),
        Phase::ResponseHeaders => Response::ResponseHeaders(PartResponse::default()),
        Phase::ResponseBody => Response::ResponseBody(PartResponse::default()),
        Phase::ResponseTrailers => Response::ResponseTrailers(TrailersResponse::default()),
    }
}

fn part(mutation: &Mutation) -> PartResponse {
    PartResponse { response: Some(common(mutation)) }
}

/// Envoy removes what is to go, then sets what overwrites: a second value would reach the provider.
fn common(mutation: &Mutation) -> CommonResponse {
    let Mutation { set, remove, clear_route_cache, .. } = mutation;
    let changes = !set.is_empty() || !remove.is_empty();
    let header_mutation = changes.then(|| {
        let set = set.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        wire::header_mutation(set, remove.iter().map(|name| name.as_bytes()))
    });
    CommonResponse { header_mutation, clear_route_cache: *clear_route_cache }
}

/// Envoy sends this to the client as it is and asks no provider.
fn immediate(reply: Reply) -> ImmediateResponse {
    ImmediateResponse {
        status: Some(HttpStatus { code: i32::from(reply.status.as_u16()) }),
        headers: (!reply.headers.is_empty()).then(|| {
            let set = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            wire::header_mutation(set, [])
        }),
        body: reply.body.into(),
        details: REPLY_DETAILS.to_owned(),
    }
}

#[cfg(test)]
mod tests;
