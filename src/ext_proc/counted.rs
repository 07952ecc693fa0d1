//! Counts the bytes of gRPC messages as they arrive, so that half-read ones are within the router's bounds as well.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;

use crate::capacity::{Capacity, Held};

/// A gRPC service whose requests' bytes are counted. The stream's account is an extension of its request.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    service: S,
    capacity: Arc<Capacity>,
}

impl<S> Counted<S> {
    pub(super) fn new(service: S, capacity: Arc<Capacity>) -> Self {
        Self { service, capacity }
    }
}

impl<S: NamedService> NamedService for Counted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let held = self.capacity.account();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Arc::clone(&held));
        self.service.call(Request::from_parts(parts, Body::new(CountedBody { body, held })))
    }
}

#[derive(Debug)]
struct CountedBody {
    body: Body,
    held: Arc<Held>,
}

impl HttpBody for CountedBody {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Buf::remaining),
            _ => 0,
        };
        if bytes > 0 && !self.held.grow(bytes) {
            return Poll::Ready(Some(Err(Status::resource_exhausted("too many bytes of request bodies at once"))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
