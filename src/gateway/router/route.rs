//! Where a route leads: the policy of the model that is asked for, and the endpoints.

use std::sync::Arc;

use bytes::Bytes;

use super::Route;
use crate::gateway::refusal::Refusal;
use crate::routing::endpoint::Endpoint;
use crate::routing::policy::affinity::{HeaderKey, Key};

impl Route {
    /// Returns the route with the policy of the model asked for, where each model has its own.
    pub(super) fn of_model(mut self, requested: Option<&str>) -> Result<Self, Refusal> {
        match self.policy.of_model(requested) {
            Some(policy) if Arc::ptr_eq(policy, &self.policy) => {}
            Some(policy) => self.policy = Arc::clone(policy),
            None => return Err(self.unknown_model(requested)),
        }
        Ok(self)
    }

    /// Hashes the headers in which the policy looks for a session's key.
    pub(super) fn note_keys(&mut self, headers: &[(Bytes, Bytes)]) {
        let key = |name: &str| {
            let (_, value) = headers.iter().find(|(header, _)| **header == *name.as_bytes())?;
            Some(HeaderKey { name: name.into(), key: Key::of(value)? })
        };
        self.keys = self.policy.strategy.key_headers().iter().filter_map(|name| key(name)).collect();
    }

    /// Returns the endpoints to which requests of its API and environment may be sent; one may appear more than once.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.api.policy(self.environment).into_iter().flat_map(|policy| policy.endpoints()).map(|endpoint| &**endpoint)
    }
}
