//! The gRPC service `ExternalProcessor`: as tonic's generated code has it, but for what is read and written, see
//! [`wire`](super::wire).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;

use super::Answers;
use super::counted::CountedBody;
use crate::capacity::Capacity;
use crate::exchange::Exchange;
use crate::router::Router;

const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// What a gRPC message has beside the body that it carries.
const MESSAGE_OVERHEAD_BYTES: usize = 8 << 20;

/// The service that Envoy's filter calls. Messages are bounded a little above the longest body.
#[derive(Clone, Debug)]
pub struct Processor {
    router: Arc<Router>,
    capacity: Arc<Capacity>,
}

impl Processor {
    /// The service, ready to be added to a server.
    #[must_use]
    pub fn new(router: Arc<Router>, capacity: Arc<Capacity>) -> Self {
        Self { router, capacity }
    }

    fn process(&self, request: Request<Body>) -> Response<Body> {
        let held = self.capacity.account();
        let max_bytes = self.capacity.max_body_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
        let body = CountedBody::new(request.into_body(), Arc::clone(&held));
        // Envoy compresses nothing here, and a message that is compressed all the same is an error of its stream.
        let messages = Streaming::new_request(ProstDecoder::default(), body, None, Some(max_bytes));
        let exchange = Exchange::new(Arc::clone(&self.router), Arc::clone(&self.capacity));
        let mut response = Response::new(Body::new(Answers::new(messages, exchange, held)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

impl NamedService for Processor {
    const NAME: &'static str = "envoy.service.ext_proc.v3.ExternalProcessor";
}

impl Service<Request<Body>> for Processor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(match request.uri().path() {
            PROCESS => self.process(request),
            _ => Status::unimplemented("there is only Process").into_http(),
        }))
    }
}
