//! Envoy's external-processing service: each gRPC stream is one exchange.

mod counted;
mod message;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::capacity::{Capacity, Held};
use crate::classifier::Classification;
use crate::exchange::{Event, Exchange, Next};
use crate::router::Router;
pub use counted::Counted;

/// What a gRPC message has beside the body that it carries.
const MESSAGE_OVERHEAD_BYTES: usize = 8 << 20;

/// The event of a request's headers, as if Envoy had sent them: for who explains a request.
#[must_use]
pub fn request_headers(headers: &[(String, Vec<u8>)], end_of_stream: bool) -> Event {
    message::request_headers_of(headers, end_of_stream)
}

/// The service that Envoy's filter calls.
#[derive(Debug)]
pub struct Service {
    router: Arc<Router>,
    capacity: Arc<Capacity>,
}

impl Service {
    /// The service, ready to be added to a server. Messages are bounded a little above the longest body.
    #[must_use]
    pub fn server(router: Arc<Router>, capacity: Arc<Capacity>) -> Counted<ExternalProcessorServer<Self>> {
        let max_message_bytes = capacity.max_body_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
        let service = Self { router, capacity: Arc::clone(&capacity) };
        Counted::new(ExternalProcessorServer::new(service).max_decoding_message_size(max_message_bytes), capacity)
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Answers;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Answers>, Status> {
        let held = request.extensions().get().map_or_else(|| self.capacity.account(), Arc::clone);
        let exchange = Exchange::new(Arc::clone(&self.router), Arc::clone(&self.capacity));
        Ok(Response::new(Answers {
            messages: request.into_inner(),
            exchange: Some(exchange),
            held,
            ready: VecDeque::new(),
            deadline: None,
            classifying: None,
        }))
    }
}

/// The answers to one stream's messages, made as they are asked for: no task and no channel.
#[derive(Debug)]
pub struct Answers {
    messages: Streaming<ProcessingRequest>,
    /// `None` once the router has nothing more to say; dropping the exchange frees the probe that it may hold.
    exchange: Option<Exchange>,
    held: Arc<Held>,
    ready: VecDeque<ProcessingResponse>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The answer to the exchange's question. Envoy waits for ours meanwhile, as long as its `message_timeout` is.
    classifying: Option<Classifying>,
}

/// A question being asked.
struct Classifying(Pin<Box<dyn Future<Output = Classification> + Send>>);

impl fmt::Debug for Classifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifying")
    }
}

impl Stream for Answers {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(response)));
            }
            match &self.exchange {
                None => return Poll::Ready(None),
                // What was read is on its way to Envoy: being polled again means that there is room for more.
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
    /// What happens next on the stream; `None` if Envoy has gone or reset it (the client left, or Envoy needs us no
    /// more), or sent what only a newer version knows: Envoy then goes on without us.
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

    /// What happens on our side.
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
