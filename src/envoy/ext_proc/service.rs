//! The gRPC service `ExternalProcessor`, as tonic generates it, except for the encoding of messages, see
//! [`wire`](super::wire), and for what tonic puts around every service: boxes and a table of routes.

use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::codegen::Service as _;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;

use super::Answers;
use super::counted::CountedBody;
use super::observer::{self, Observer};
use crate::gateway::Gateway;
use crate::gateway::exchange::Exchange;

const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// The size of a gRPC message beside the body that it carries.
const MESSAGE_OVERHEAD_BYTES: usize = 8 << 20;

/// The service that Envoy's filter calls. Messages are bounded a little above the longest body.
#[derive(Clone, Debug)]
pub struct Processor {
    gateway: Arc<Gateway>,
}

impl Processor {
    /// Creates a processor from what all streams share.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn observe(&self, request: Request<Incoming>) -> Response<Reply> {
        let observer = Observer::new(Arc::clone(&self.gateway), request.into_body());
        grpc(Content::Observer(Box::new(observer)))
    }

    fn process(&self, request: Request<Incoming>) -> Response<Reply> {
        let held = self.gateway.capacity.account();
        let max_bytes = self.gateway.capacity.max_body_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
        let body = CountedBody::new(request.into_body(), Arc::clone(&held));
        // Envoy compresses nothing here, and a message that is compressed all the same is an error of its stream.
        let messages = Streaming::new_request(ProstDecoder::default(), body, None, Some(max_bytes));
        let exchange = Exchange::new(Arc::clone(&self.gateway));
        grpc(Content::Answers(Box::new(Answers::new(messages, exchange, held))))
    }
}

fn grpc(content: Content) -> Response<Reply> {
    let mut response = Response::new(Reply(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

impl NamedService for Processor {
    const NAME: &'static str = "envoy.service.ext_proc.v3.ExternalProcessor";
}

/// The processor, and what else Envoy may ask at its address: whether it is well.
#[derive(Clone, Debug)]
pub struct EnvoyService {
    processor: Processor,
    others: Routes,
}

impl EnvoyService {
    /// Creates the processor beside other services.
    #[must_use]
    pub fn new(processor: Processor, others: Routes) -> Self {
        Self { processor, others }
    }
}

impl hyper::service::Service<Request<Incoming>> for EnvoyService {
    type Response = Response<Reply>;
    type Error = Status;
    type Future = Replying;

    fn call(&self, request: Request<Incoming>) -> Replying {
        if request.uri().path() == PROCESS {
            if request.headers().get(observer::HEADER).is_some_and(|name| name == observer::USAGE) {
                return Replying::Now(ready(self.processor.observe(request)));
            }
            return Replying::Now(ready(self.processor.process(request)));
        }
        let mut others = self.others.clone();
        Replying::Later(Box::pin(async move {
            let response = others.call(request).await.unwrap_or_else(|never| match never {});
            response.map(|body| Reply(Content::Other(body)))
        }))
    }
}

/// A response, at once where it matters.
pub enum Replying {
    /// Of the processor.
    Now(Ready<Response<Reply>>),
    /// Of another service.
    Later(Pin<Box<dyn Future<Output = Response<Reply>> + Send>>),
}

impl fmt::Debug for Replying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replying")
    }
}

impl Future for Replying {
    type Output = Result<Response<Reply>, Status>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.get_mut() {
            Self::Now(response) => ready!(Pin::new(response).poll(context)),
            Self::Later(response) => ready!(response.as_mut().poll(context)),
        }))
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct Reply(Content);

#[derive(Debug)]
enum Content {
    /// Of the processor.
    Answers(Box<Answers>),
    /// Of the processor, to copies of a response.
    Observer(Box<Observer>),
    /// Of another service.
    Other(tonic::body::Body),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut self.get_mut().0 {
            Content::Answers(answers) => {
                let frame = ready!(Pin::new(&mut **answers).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Content::Observer(observer) => {
                let frame = ready!(Pin::new(&mut **observer).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Content::Other(body) => Pin::new(body).poll_frame(context),
        }
    }

    /// Returns whether a response consists of headers only, as another service's error does; gRPC ends the stream with
    /// these.
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Answers(_) | Content::Observer(_) => false,
            Content::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Answers(_) | Content::Observer(_) => SizeHint::default(),
            Content::Other(body) => body.size_hint(),
        }
    }
}
