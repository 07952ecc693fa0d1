//! The targets of a policy.

use std::ops::Deref;

use super::Target;
use crate::routing::provider::ProviderType;

/// The targets in the order of the policy file. There is at least one.
#[derive(Debug)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// Wraps targets; `None` if there are none.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Option<Self> {
        (!targets.is_empty()).then_some(Self(targets))
    }

    /// Returns the type of the provider that serves the first target. All targets of a policy speak the same API.
    #[must_use]
    pub fn provider(&self) -> &'static ProviderType {
        self.0[0].endpoint.provider
    }

    /// Returns the path of the first target's endpoint.
    #[must_use]
    pub fn endpoint_path(&self) -> &str {
        &self.0[0].endpoint.path
    }

    /// Returns whether all targets are at one endpoint, so that there is only one account.
    #[must_use]
    pub fn share_an_endpoint(&self) -> bool {
        self.0.iter().all(|target| target.endpoint.name == self.0[0].endpoint.name)
    }

    /// Returns as many targets, each made from one of these.
    #[must_use]
    pub fn map(&self, change: impl FnMut(&Target) -> Target) -> Self {
        Self(self.0.iter().map(change).collect())
    }
}

impl Deref for Targets {
    type Target = [Target];

    fn deref(&self) -> &[Target] {
        &self.0
    }
}
