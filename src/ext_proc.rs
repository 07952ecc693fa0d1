//! Envoy's external-processing service: each gRPC stream is one exchange.

mod message;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::exchange::{Exchange, Next};
use crate::router::Router;

/// What a gRPC message has beside the body that it carries.
const MESSAGE_OVERHEAD_BYTES: usize = 8 << 20;

/// The service that Envoy's filter calls.
#[derive(Debug)]
pub struct Service {
    router: Arc<Router>,
    max_body_bytes: usize,
}

impl Service {
    /// The service, ready to be added to a server. Messages are bounded a little above `max_body_bytes`, so that a body
    /// over the limit gets our 413 and not Envoy's 500.
    #[must_use]
    pub fn server(router: Arc<Router>, max_body_bytes: usize) -> ExternalProcessorServer<Self> {
        ExternalProcessorServer::new(Self { router, max_body_bytes })
            .max_decoding_message_size(max_body_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES))
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Answers;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Answers>, Status> {
        let exchange = Exchange::new(Arc::clone(&self.router), self.max_body_bytes);
        Ok(Response::new(Answers { messages: request.into_inner(), exchange: Some(exchange) }))
    }
}

/// The answers to one stream's messages, made as they are asked for: no task and no channel.
#[derive(Debug)]
pub struct Answers {
    messages: Streaming<ProcessingRequest>,
    /// `None` once the router has nothing more to say; dropping the exchange frees the probe that it may hold.
    exchange: Option<Exchange>,
}

impl Stream for Answers {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(exchange) = &mut this.exchange else {
            return Poll::Ready(None);
        };
        let message = match ready!(Pin::new(&mut this.messages).poll_next(context)) {
            Some(Ok(message)) => message,
            // Envoy has gone or reset the stream: the client left, or Envoy needs us no more.
            Some(Err(_)) | None => {
                this.exchange = None;
                return Poll::Ready(None);
            }
        };
        let Some(event) = message::event(message) else {
            // A kind of message from a newer Envoy. Ending the stream makes Envoy go on without us.
            this.exchange = None;
            return Poll::Ready(None);
        };
        let (answer, next) = exchange.on(event, Instant::now());
        if next == Next::End {
            this.exchange = None;
        }
        Poll::Ready(Some(Ok(message::response(answer))))
    }
}
