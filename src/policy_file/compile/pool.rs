//! A pool: the targets of a policy, each once, whatever refers to them.

use crate::routing::policy::Target;

/// Targets, which are referred to by their indices.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) targets: Vec<Target>,
}

impl Pool {
    /// Returns the index of a target, which is added if it is not there yet.
    pub(super) fn index(&mut self, target: Target) -> usize {
        let known = |other: &Target| {
            other.model == target.model && other.endpoint.name == target.endpoint.name && other.edits == target.edits
        };
        self.targets.iter().position(known).unwrap_or_else(|| {
            self.targets.push(target);
            self.targets.len() - 1
        })
    }
}
