//! Envoy's external-processing service: each gRPC stream is one exchange.

mod counted;
mod message;
mod observer;
mod service;
mod wire;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use crate::classifier::Classification;
use crate::gateway::capacity::Held;
use crate::gateway::exchange::{Event, Exchange, Next};
pub(super) use message::METADATA_NAMESPACE;
pub use service::{EnvoyService, Processor};
use wire::ProcessingRequest;

/// Builds the request-headers event that Envoy would have sent. Used by `explain`.
#[must_use]
pub fn request_headers(headers: &[(String, Vec<u8>)], end_of_stream: bool) -> Event {
    message::request_headers_of(headers, end_of_stream)
}

/// The answers to one stream's messages, made as they are asked for: no task and no channel.
#[derive(Debug)]
struct Answers {
    messages: Streaming<ProcessingRequest>,
    /// `None` once the router has nothing more to say; dropping the exchange frees the probe that it may hold.
    exchange: Option<Exchange>,
    held: Arc<Held>,
    /// Messages as gRPC frames them, some in pieces.
    ready: VecDeque<Bytes>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The answer to the exchange's question. Envoy waits for ours meanwhile, as long as its `message_timeout` is.
    classifying: Option<Classifying>,
    /// Whether the stream's end was sent.
    ended: bool,
}

/// A question being asked.
struct Classifying(Pin<Box<dyn Future<Output = Classification> + Send>>);

impl fmt::Debug for Classifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifying")
    }
}

impl Body for Answers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &self.exchange {
                None => return Poll::Ready(self.trailers().map(|trailers| Ok(Frame::trailers(trailers)))),
                // What was read has been handed on: hyper holds what Envoy has no room for yet.
                Some(exchange) if !exchange.is_reading() => self.held.release(),
                Some(_) => {}
            }
            match self.poll_event(context) {
                Poll::Ready(Some(event)) => self.answer(event),
                Poll::Ready(None) => self.abandon(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Answers {
    fn new(messages: Streaming<ProcessingRequest>, exchange: Exchange, held: Arc<Held>) -> Self {
        let exchange = Some(exchange);
        Self { messages, exchange, held, ready: VecDeque::new(), deadline: None, classifying: None, ended: false }
    }

    /// Ends the stream, once and with success: errors were reported to the client, or Envoy is gone.
    fn trailers(&mut self) -> Option<HeaderMap> {
        (!std::mem::replace(&mut self.ended, true))
            .then(|| HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]))
    }

    /// Returns what happens next on the stream; `None` if Envoy has gone or reset it (the client left, or Envoy needs
    /// us no more), or sent what only a newer version knows: Envoy then goes on without us.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        match Pin::new(&mut self.messages).poll_next(context) {
            Poll::Ready(Some(Ok(message))) => Poll::Ready(message::event(message)),
            Poll::Ready(Some(Err(status))) => Poll::Ready(match status.code() {
                Code::ResourceExhausted => Some(Event::OverCapacity),
                // What tonic says of a message above its limit.
                Code::OutOfRange => Some(Event::TooLarge),
                _ => None,
            }),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_own(context),
        }
    }

    /// Returns the router's part of the explanation.
    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let classified = self.classifying.as_mut().map(|Classifying(answer)| answer.as_mut().poll(context));
        if let Some(Poll::Ready(classification)) = classified {
            self.classifying = None;
            return Poll::Ready(Some(Event::Classified(classification)));
        }
        match self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Some(Event::Late)),
            _ => Poll::Pending,
        }
    }

    fn abandon(&mut self) {
        self.classifying = None;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.abandon(Instant::now());
        }
    }

    fn answer(&mut self, event: Event) {
        let Some(exchange) = &mut self.exchange else { return };
        let (answer, next) = exchange.on(event, Instant::now());
        match exchange.deadline() {
            None => self.deadline = None,
            // Once for all that is awaited: a drip of chunks does not put it off.
            Some(_) if self.deadline.is_some() => {}
            Some(duration) => self.deadline = Some(Box::pin(tokio::time::sleep(duration))),
        }
        if let Some(question) = exchange.question() {
            self.classifying = Some(Classifying(Box::pin(question.answer())));
        }
        if next == Next::End {
            self.exchange = None;
        }
        message::responses(answer, &mut self.ready);
    }
}

impl Drop for Answers {
    /// Envoy has reset the stream.
    fn drop(&mut self) {
        self.abandon();
    }
}
