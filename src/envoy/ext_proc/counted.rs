//! Counts the bytes of gRPC messages as they arrive, so that half-read ones are within the router's bounds as well.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;

use crate::gateway::capacity::Held;

/// The bytes that Envoy sends on one stream, each counted.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Incoming,
    held: Arc<Held>,
}

impl CountedBody {
    pub(super) fn new(body: Incoming, held: Arc<Held>) -> Self {
        Self { body, held }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Buf::remaining),
            _ => 0,
        };
        if bytes > 0 && !self.held.grow(bytes) {
            return Poll::Ready(Some(Err(Status::resource_exhausted("too many bytes of request bodies at once"))));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
