//! The way of one request: an exchange per stream, the attempts made for it, and every reply of our own.

pub mod breaks;
pub mod capacity;
pub mod exchange;
pub mod record;
pub mod refusal;
pub mod router;
pub mod usage;

use std::sync::Arc;

use crate::telemetry::Telemetry;
use capacity::Capacity;
use router::Router;

/// What all exchanges share.
#[derive(Debug)]
pub struct Gateway {
    /// Chooses targets and learns from responses.
    pub router: Arc<Router>,
    /// Records what exchanges report.
    pub telemetry: Arc<Telemetry>,
    /// Bounds what exchanges hold.
    pub capacity: Arc<Capacity>,
    /// Bounds the responses whose usage is read at once.
    pub reading: Arc<Capacity>,
}
