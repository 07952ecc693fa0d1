//! Copies of responses, which Envoy's second filter sends in `observability_mode`: it waits for nothing, so no byte of a
//! response depends on the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio_stream::Stream;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;

use super::METADATA_NAMESPACE;
use super::wire::{Attributes, Copied, Field, HttpHeaders, Kind, ResponseCopy};
use crate::body::coding::Coding;
use crate::gateway::Gateway;
use crate::gateway::exchange::private;
use crate::gateway::usage::{Observation, ObservedHead};
use crate::routing::outcome::inspection::BodyFormat;

/// The gRPC header by which Envoy's second filter asks for this and not for decisions.
pub(super) const HEADER: &str = "x-model-router-service";

/// Its value.
pub(super) const USAGE: &str = "usage";

/// The longest message: Envoy copies a body in the chunks in which it comes, which its buffers bound.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The attribute that has Envoy's id of the request.
const REQUEST_ID: &str = "request.id";

/// One response's copy. Nothing is ever sent but the stream's end.
#[derive(Debug)]
pub(super) struct Observer {
    gateway: Arc<Gateway>,
    messages: Streaming<ResponseCopy>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    Reading(Box<Observation>),
    /// Only the stream's end is left to send.
    Over,
    Ended,
}

impl Observer {
    pub(super) fn new(gateway: Arc<Gateway>, body: Incoming) -> Self {
        let messages = Streaming::new_request(ProstDecoder::default(), body, None, Some(MAX_MESSAGE_BYTES));
        Self { gateway, messages, state: State::Begun }
    }

    /// Takes the next part of the response.
    fn on(&mut self, copy: ResponseCopy, now: Instant) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, copy.part) {
            (State::Begun, Some(Copied::Headers(headers))) => {
                let is_whole = headers.end_of_stream;
                let namespaces = copy.metadata.map(|metadata| metadata.namespaces).unwrap_or_default();
                let head = head(headers, &namespaces, &copy.attributes);
                next(self.gateway.observe(head, now).map(Box::new), is_whole)
            }
            (State::Reading(mut observation), Some(Copied::Body(body))) => {
                observation.push(&body.body, now);
                next(Some(observation), body.end_of_stream)
            }
            (State::Reading(observation), Some(Copied::Trailers(_))) => next(Some(observation), true),
            // A message that only a newer Envoy knows; or the stream began elsewhere, and there is nothing to read.
            (State::Reading(observation), None) => State::Reading(observation),
            _ => State::Over,
        };
    }
}

/// Ends an observation when its response is complete, or when nothing more of it can be read: the end of the stream tells
/// Envoy to send no more copies.
fn next(observation: Option<Box<Observation>>, is_whole: bool) -> State {
    match observation {
        Some(observation) if is_whole || observation.is_done() => {
            observation.end();
            State::Over
        }
        Some(observation) => State::Reading(observation),
        None => State::Over,
    }
}

impl Body for Observer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            match self.state {
                State::Over => {
                    self.state = State::Ended;
                    let end = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
                    return Poll::Ready(Some(Ok(Frame::trailers(end))));
                }
                State::Ended => return Poll::Ready(None),
                State::Begun | State::Reading(_) => {}
            }
            match ready!(Pin::new(&mut self.messages).poll_next(context)) {
                Some(Ok(copy)) => self.on(copy, Instant::now()),
                // Envoy has closed its side, or reset the stream: what is being read is over without its end.
                Some(Err(_)) | None => self.state = State::Over,
            }
        }
    }
}

/// Reads the headers, and what the router itself decided for the request.
fn head(headers: HttpHeaders, namespaces: &[Attributes], attributes: &[Attributes]) -> ObservedHead {
    let mut head = ObservedHead { coding: Some(Coding::Identity), ..ObservedHead::default() };
    for header in headers.headers.unwrap_or_default().headers {
        let value = || String::from_utf8_lossy(&header.raw_value);
        match std::str::from_utf8(&header.key).unwrap_or_default() {
            ":status" => head.status = value().parse().unwrap_or_default(),
            "content-type" => head.format = BodyFormat::of(&value()),
            "content-encoding" => head.coding = Coding::named(&value()),
            private::RETRY => head.is_replaced = true,
            name if name.starts_with("x-amzn-bedrock-") => head.headers.push((name.to_owned(), value().into_owned())),
            _ => {}
        }
    }
    let decided = namespaces.iter().find(|it| it.filter == METADATA_NAMESPACE);
    for field in decided.and_then(|it| it.all.as_ref()).map_or(&[][..], |all| &all.fields) {
        let Some(text) = text(field) else { continue };
        match &*field.name {
            b"api" => head.api = text,
            b"environment" => head.environment = text,
            b"endpoint" => head.endpoint = text,
            b"model" => head.model = Some(text),
            b"attempt" => head.attempt = text.parse().unwrap_or_default(),
            _ => {}
        }
    }
    let fields = attributes.iter().filter_map(|it| it.all.as_ref()).flat_map(|all| &all.fields);
    head.request_id = fields.filter(|field| field.name == REQUEST_ID).find_map(text);
    head
}

fn text(field: &Field) -> Option<String> {
    match field.value.as_ref()?.kind.as_ref()? {
        Kind::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Kind::Number(_) => None,
    }
}
