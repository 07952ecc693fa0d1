//! The admin listener: what an operator asks a running router.

mod access;
mod http;
mod page;
mod service;

/// The messages and stubs generated from `proto/`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("model_router.admin.v1");

    /// For gRPC reflection.
    pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));
}

pub use access::{Access, Token, token_in};
pub use http::{Watched, metrics_routes, routes};
pub use service::AdminService;
