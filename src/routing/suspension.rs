//! Suspension: which targets and endpoints may be chosen, and how responses change that.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{info, warn};

mod breaks;
mod cause;
mod dispatch;
mod operations;
mod unknown_model;

pub use crate::gate::Availability;
use crate::gate::{Gate, Pass, SuspensionLength, Trigger};
use crate::model_name::ModelName;
use breaks::Breaks;
pub use cause::Cause;
use cause::LastCause;
pub use dispatch::{Dispatch, PendingFailure};
use operations::{OperationPass, Operations};
use unknown_model::OnlyFor;

/// The state of an endpoint: whether it accepts its credential.
#[derive(Debug)]
pub struct EndpointState {
    /// The endpoint's name in the policy file.
    pub name: Arc<str>,
    gate: Gate,
    cause: LastCause,
}

/// The state of a target, kept while any snapshot names it.
#[derive(Debug)]
pub struct TargetState {
    /// The model's name.
    pub model: ModelName,
    /// The endpoint's state: a target of a suspended endpoint is suspended.
    pub endpoint: Arc<EndpointState>,
    gate: Gate,
    only_for: OnlyFor,
    operations: Operations,
    breaks: Breaks,
    cause: LastCause,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    dispatched: AtomicU64,
    served: AtomicU64,
    failed: AtomicU64,
    suspensions: AtomicU64,
}

/// The counters of a target since it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Attempts sent to it.
    pub dispatched: u64,
    /// Responses with a status of 2xx.
    pub served: u64,
    /// Responses and failed connections counted as its failures.
    pub failed: u64,
    /// Its suspensions, those of its endpoint not included.
    pub suspensions: u64,
}

impl TargetState {
    /// Creates a target without any history.
    pub(crate) fn new(model: ModelName, endpoint: Arc<EndpointState>) -> Self {
        Self {
            model,
            endpoint,
            gate: Gate::default(),
            only_for: OnlyFor::default(),
            operations: Operations::default(),
            breaks: Breaks::default(),
            cause: LastCause::default(),
            counters: Counters::default(),
        }
    }

    /// Returns an independent copy with the current suspension state, for dry runs.
    #[must_use]
    pub fn copied(&self, now: Instant) -> Self {
        let endpoint = EndpointState::new(Arc::clone(&self.endpoint.name));
        endpoint.gate.assume(self.endpoint.gate.availability(now), now);
        let copy = Self::new(self.model.clone(), Arc::new(endpoint));
        copy.gate.assume(self.gate.availability(now), now);
        copy.operations.assume(&self.operations, now);
        copy
    }

    /// Returns whether the target may be chosen at `now`, and until when not.
    #[must_use]
    pub fn availability(&self, now: Instant) -> Availability {
        self.endpoint.gate.availability(now).or_worse(self.gate.availability(now))
    }

    /// Returns the same for one operation, which may be suspended by itself.
    #[must_use]
    #[inline]
    pub fn availability_for(&self, operation: &str, now: Instant) -> Availability {
        // Asked for each target of a policy at each request: nearly always nothing is closed.
        if self.endpoint.gate.is_open() && self.gate.is_open() && self.operations.is_empty() {
            return Availability::Ready;
        }
        let target = match self.is_closed_for_another(operation) {
            true => self.endpoint.gate.availability(now),
            false => self.availability(now),
        };
        self.operations.availability(operation, now).map_or(target, |own| target.or_worse(own))
    }

    /// Takes the target for one attempt of an operation, or says why it is not available. `lease` bounds how long a
    /// probe keeps others out.
    ///
    /// # Errors
    /// The availability that keeps the target from being taken.
    pub fn take(self: &Arc<Self>, operation: &str, now: Instant, lease: Duration) -> Result<Dispatch, Availability> {
        // Before a probe of the endpoint is begun that this target could not make.
        let availability = self.availability_for(operation, now);
        if !availability.is_available() {
            return Err(availability);
        }
        let endpoint_pass = self.endpoint.gate.enter(now, lease)?;
        let entered = match self.is_closed_for_another(operation) {
            true => Ok(Pass::BYSTANDER),
            false => self.gate.enter(now, lease),
        };
        let passes = entered.and_then(|pass| match self.operations.enter(operation, now, lease) {
            Ok(operation_pass) => Ok((pass, operation_pass)),
            Err(availability) => {
                self.gate.release(pass);
                Err(availability)
            }
        });
        match passes {
            Ok((pass, operation_pass)) => {
                self.counters.dispatched.fetch_add(1, Ordering::Relaxed);
                Ok(Dispatch { target: Arc::clone(self), pass, endpoint_pass, operation_pass })
            }
            Err(availability) => {
                self.endpoint.gate.release(endpoint_pass);
                Err(availability)
            }
        }
    }

    /// Returns whether the target is suspended because a request of another operation found its model unknown.
    fn is_closed_for_another(&self, operation: &str) -> bool {
        !self.gate.is_open() && self.only_for.is_another(operation)
    }

    /// Takes the target although it is suspended, for a request that has nowhere else to go.
    pub fn take_suspended(self: &Arc<Self>, operation: &str, now: Instant, lease: Duration) -> Dispatch {
        self.counters.dispatched.fetch_add(1, Ordering::Relaxed);
        Dispatch {
            target: Arc::clone(self),
            pass: self.gate.enter_closed(now, lease),
            endpoint_pass: self.endpoint.gate.enter_closed(now, lease),
            operation_pass: self.operations.enter_closed(operation, now, lease),
        }
    }

    /// Returns the operations that are suspended while the target's others are not, each with its availability.
    #[must_use]
    pub fn suspended_operations(&self, now: Instant) -> Vec<(Arc<str>, Availability)> {
        self.operations.suspended(now)
    }

    /// Returns the last failure of the target or of its endpoint, the later of the two.
    #[must_use]
    pub fn last_cause(&self) -> Option<Cause> {
        match (self.cause.get(), self.endpoint.cause.get()) {
            (Some(own), Some(endpoint)) => Some(if endpoint.at > own.at { endpoint } else { own }),
            (own, endpoint) => own.or(endpoint),
        }
    }

    /// Suspends the target by hand for a duration, after which it is probed as after any suspension.
    pub fn suspend(&self, duration: Duration, reason: &str, now: Instant) {
        self.only_for.widen();
        self.gate.close(duration, now);
        let (model, endpoint, suspended_ms) = (self.model.as_str(), &*self.endpoint.name, millis(duration));
        warn!(model, endpoint, suspended_ms, reason, "target suspended by hand");
    }

    /// Ends its suspension, by hand.
    pub fn resume(&self) {
        self.operations.open();
        if self.gate.open() {
            info!(model = self.model.as_str(), endpoint = &*self.endpoint.name, "target resumed by hand");
        }
    }

    fn served(&self, pass: Pass) {
        if self.gate.served(pass) {
            info!(model = self.model.as_str(), endpoint = &*self.endpoint.name, "target restored");
        }
    }

    fn failed(&self, pass: Pass, trigger: Trigger, length: SuspensionLength, now: Instant) {
        self.is_suspended_by(pass, trigger, length, now);
    }

    /// Records a failure, and returns whether it suspended the target.
    fn is_suspended_by(&self, pass: Pass, trigger: Trigger, length: SuspensionLength, now: Instant) -> bool {
        let Some(suspended) = self.gate.failed(pass, trigger, length, now) else { return false };
        self.only_for.widen();
        self.counters.suspensions.fetch_add(1, Ordering::Relaxed);
        let suspended_ms = millis(suspended);
        warn!(model = self.model.as_str(), endpoint = &*self.endpoint.name, suspended_ms, "target suspended");
        true
    }

    /// Suspends a target for the operation for which its model is unknown. A suspension that had another reason stays
    /// one for all operations.
    fn unknown_model(&self, pass: Pass, operation: &str, length: SuspensionLength, now: Instant) {
        if self.is_suspended_by(pass, Trigger::AtOnce, length, now) {
            self.only_for.narrow(operation);
        }
    }

    fn operation_served(&self, pass: &OperationPass) {
        if pass.served() {
            let (model, endpoint) = (self.model.as_str(), &*self.endpoint.name);
            info!(model, endpoint, operation = pass.operation(), "operation restored");
        }
    }

    fn operation_failed(&self, pass: &OperationPass, trigger: Trigger, length: SuspensionLength, now: Instant) {
        if let Some(suspended) = pass.failed(trigger, length, now) {
            let (model, endpoint, suspended_ms) = (self.model.as_str(), &*self.endpoint.name, millis(suspended));
            warn!(model, endpoint, operation = pass.operation(), suspended_ms, "operation suspended");
        }
    }

    /// Records that a response broke off after it had begun, which its headers could not tell.
    pub fn broke(&self, cause: Cause, rules: &SuspensionRules, now: Instant) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        self.cause.set(cause);
        let is_failing = self.breaks.add(self.counters.dispatched.load(Ordering::Relaxed), rules.suspend_after);
        if is_failing && !rules.suspend.is_zero() {
            self.exhausted(SuspensionLength::Growing(rules.suspend), now);
        }
    }

    /// Suspends a target whose quota is used up, or whose responses break off. A suspension in progress is unchanged.
    fn exhausted(&self, length: SuspensionLength, now: Instant) {
        if let Ok(pass) = self.gate.enter(now, Duration::ZERO) {
            self.failed(pass, Trigger::AtOnce, length, now);
        }
    }

    /// Returns its counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            dispatched: self.counters.dispatched.load(Ordering::Relaxed),
            served: self.counters.served.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            suspensions: self.counters.suspensions.load(Ordering::Relaxed),
        }
    }
}

impl EndpointState {
    /// Creates an endpoint without any history.
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self { name, gate: Gate::default(), cause: LastCause::default() }
    }

    /// Suspends the endpoint by hand for a duration.
    pub fn suspend(&self, duration: Duration, reason: &str, now: Instant) {
        self.gate.close(duration, now);
        warn!(endpoint = &*self.name, suspended_ms = millis(duration), reason, "endpoint suspended by hand");
    }

    /// Ends its suspension, by hand.
    pub fn resume(&self) {
        if self.gate.open() {
            info!(endpoint = &*self.name, "endpoint resumed by hand");
        }
    }

    fn served(&self, pass: Pass) {
        if self.gate.served(pass) {
            info!(endpoint = &*self.name, "endpoint restored");
        }
    }

    fn failed(&self, pass: Pass, length: SuspensionLength, now: Instant) {
        self.log_suspension(self.gate.failed(pass, Trigger::AtOnce, length, now));
    }

    fn probe_failed(&self, pass: Pass, length: SuspensionLength, now: Instant) {
        self.log_suspension(self.gate.probe_failed(pass, length, now));
    }

    fn log_suspension(&self, suspended: Option<Duration>) {
        if let Some(suspended) = suspended {
            warn!(endpoint = &*self.name, suspended_ms = millis(suspended), "endpoint suspended");
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The rules by which failures suspend a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuspensionRules {
    /// The duration of a failing target's suspension; zero means never.
    pub suspend: Duration,
    /// The same for a target whose quota is used up; as `suspend` when absent.
    pub quota_suspend: Option<Duration>,
    /// The number of failures in a row, of different requests, that suspend a target.
    pub suspend_after: NonZeroU32,
}

#[cfg(test)]
mod tests;
