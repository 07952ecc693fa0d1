//! A dispatch: one attempt under way at a target, and what its outcome does to the target.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::operations::OperationPass;
use super::{Cause, SuspensionRules, TargetState};
use crate::gate::{Pass, SuspensionLength, Trigger};
use crate::routing::outcome::Outcome;

/// One attempt under way at a target. Settle it with the outcome; a dispatch that is dropped unsettled (the client
/// left, the stream died) frees the probe that it may have held and says nothing of the target.
#[derive(Debug)]
pub struct Dispatch {
    pub(super) target: Arc<TargetState>,
    pub(super) pass: Pass,
    pub(super) endpoint_pass: Pass,
    /// Set if the operation has failed by itself before.
    pub(super) operation_pass: Option<OperationPass>,
}

/// A failure that suspends its target, or an operation there, only if another candidate then serves the same request.
#[derive(Debug)]
pub struct PendingFailure {
    target: Arc<TargetState>,
    what: Failing,
    length: SuspensionLength,
}

/// What a failure would suspend.
#[derive(Debug)]
enum Failing {
    Target(Pass),
    Operation(OperationPass),
}

impl Dispatch {
    /// Returns whether this attempt is the one that tries a suspended target, endpoint or operation.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        let operation = self.operation_pass.as_ref().is_some_and(OperationPass::is_probe);
        self.pass.is_probe() || self.endpoint_pass.is_probe() || operation
    }

    /// Leaves the result open. Returns the failure to confirm if another target serves the request.
    #[must_use]
    pub fn doubt(self, rules: &SuspensionRules, cause: Option<Cause>) -> Option<PendingFailure> {
        if let Some(cause) = cause {
            self.target.cause.set(cause);
        }
        let length = SuspensionLength::Growing(rules.suspend);
        let what = Failing::Target(self.pass);
        (!rules.suspend.is_zero()).then(|| PendingFailure { target: Arc::clone(&self.target), what, length })
    }

    /// Records the outcome of an operation at the target, and the cause of a failure. Returns the failure to confirm if
    /// another candidate serves the request.
    pub fn settle(
        self,
        operation: &str,
        outcome: &Outcome,
        cause: Option<Cause>,
        rules: &SuspensionRules,
        now: Instant,
    ) -> Option<PendingFailure> {
        self.count(outcome, cause);
        let target = &self.target;
        let suspend = match outcome {
            Outcome::RateLimited { .. } | Outcome::ServedLast { .. } => rules.quota_suspend.unwrap_or(rules.suspend),
            _ => rules.suspend,
        };
        // Zero means never, whatever the response asks for.
        if suspend.is_zero() || outcome.is_neutral() {
            return None;
        }
        let length = outcome.asked().map_or(SuspensionLength::Growing(suspend), SuspensionLength::Asked);
        // A suspension for one operation becomes one for all, even where this attempt began before it.
        let is_known = *outcome == Outcome::UnknownModel && !target.only_for.is_another(operation);
        if outcome.is_targets() && !is_known {
            target.only_for.widen();
        }
        match outcome {
            Outcome::EndpointFault { .. } => target.endpoint.failed(self.endpoint_pass, length, now),
            // As a request that comes now would be: the probe that this may have been has opened the gate.
            Outcome::ServedLast { .. } => target.exhausted(length, now),
            Outcome::RateLimited { .. } => target.failed(self.pass, Trigger::AtOnce, length, now),
            Outcome::Absent => {
                target.endpoint.probe_failed(self.endpoint_pass, length, now);
                target.failed(self.pass, Trigger::AtOnce, length, now);
            }
            Outcome::UnknownModel => {
                target.endpoint.probe_failed(self.endpoint_pass, length, now);
                target.unknown_model(self.pass, operation, length, now);
            }
            Outcome::Failed { .. } => {
                target.endpoint.probe_failed(self.endpoint_pass, length, now);
                target.failed(self.pass, Trigger::InARow(rules.suspend_after), length, now);
                return Some(PendingFailure { target: Arc::clone(target), what: Failing::Target(self.pass), length });
            }
            Outcome::Unsupported => {
                let pass = self.operation_pass.clone().or_else(|| target.operations.pass(operation, now))?;
                target.operation_failed(&pass, Trigger::InARow(rules.suspend_after), length, now);
                return Some(PendingFailure { target: Arc::clone(target), what: Failing::Operation(pass), length });
            }
            _ => {}
        }
        None
    }

    /// Counts the outcome, opens the gates of what served, and keeps the cause of what failed.
    fn count(&self, outcome: &Outcome, cause: Option<Cause>) {
        let target = &self.target;
        if outcome.is_served() {
            target.counters.served.fetch_add(1, Ordering::Relaxed);
            target.served(self.pass);
            target.endpoint.served(self.endpoint_pass);
            if let Some(pass) = &self.operation_pass {
                target.operation_served(pass);
            }
        } else if outcome.is_failure() && *outcome != Outcome::Unsent {
            target.counters.failed.fetch_add(1, Ordering::Relaxed);
            match (outcome, cause) {
                (_, None) => {}
                (Outcome::EndpointFault { .. }, Some(cause)) => target.endpoint.cause.set(cause),
                (_, Some(cause)) => target.cause.set(cause),
            }
        }
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        self.target.gate.release(self.pass);
        self.target.endpoint.gate.release(self.endpoint_pass);
        if let Some(pass) = &self.operation_pass {
            pass.release();
        }
    }
}

impl PendingFailure {
    /// Suspends the target, or the operation there: another candidate served the request, so the failure was not the
    /// request's fault.
    pub fn confirm(self, now: Instant) {
        match self.what {
            Failing::Target(pass) => self.target.failed(pass, Trigger::AtOnce, self.length, now),
            Failing::Operation(pass) => self.target.operation_failed(&pass, Trigger::AtOnce, self.length, now),
        }
    }
}
