//! Where a route leads: the policy of the model that is asked for, and the endpoints.

use std::sync::Arc;

use super::Route;
use crate::gateway::refusal::Refusal;
use crate::routing::endpoint::Endpoint;

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

    /// Returns the endpoints to which requests of its API and environment may be sent; one may appear more than once.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.api.policy(self.environment).into_iter().flat_map(|policy| policy.endpoints())
    }
}
