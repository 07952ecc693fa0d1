//! The admin service: what an operator asks a running router.

mod http;
mod service;

/// The messages and stubs generated from `proto/`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("model_router.admin.v1");

    /// For gRPC reflection.
    pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));
}

pub use http::{Watched, http2_only, routes};
pub use service::AdminService;
