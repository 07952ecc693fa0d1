//! A snapshot: one policy file, compiled. Immutable, swapped whole, and it cannot be wrong.

use crate::api::Apis;

/// What the router needs of a policy file.
#[derive(Debug)]
pub struct Snapshot {
    /// The APIs, indexed for matching.
    pub apis: Apis,
    /// Counts the policies applied since start, from 1.
    pub version: u64,
    /// SHA-256 of the policy file, in hex.
    pub hash: String,
}
