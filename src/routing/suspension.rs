//! Suspension: which targets and endpoints may be chosen, and how responses change that.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{info, warn};

pub use crate::gate::Availability;
use crate::gate::{Gate, Pass, SuspensionLength, Trigger};
use crate::model_name::ModelName;
use crate::routing::outcome::Outcome;

/// The state of an endpoint: whether it accepts its credential.
#[derive(Debug)]
pub struct EndpointState {
    /// The endpoint's name in the policy file.
    pub name: Arc<str>,
    gate: Gate,
}

/// The state of a target, kept while any snapshot names it.
#[derive(Debug)]
pub struct TargetState {
    /// The model's name.
    pub model: ModelName,
    /// The endpoint's state: a target of a suspended endpoint is suspended.
    pub endpoint: Arc<EndpointState>,
    gate: Gate,
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
        Self { model, endpoint, gate: Gate::default(), counters: Counters::default() }
    }

    /// Returns an independent copy with the current suspension state, for dry runs.
    #[must_use]
    pub fn copied(&self, now: Instant) -> Self {
        let endpoint = EndpointState::new(Arc::clone(&self.endpoint.name));
        endpoint.gate.assume(self.endpoint.gate.availability(now), now);
        let copy = Self::new(self.model.clone(), Arc::new(endpoint));
        copy.gate.assume(self.gate.availability(now), now);
        copy
    }

    /// Returns whether the target may be chosen at `now`, and until when not.
    #[must_use]
    pub fn availability(&self, now: Instant) -> Availability {
        self.endpoint.gate.availability(now).or_worse(self.gate.availability(now))
    }

    /// Takes the target for one attempt, or says why it is not available. `lease` bounds how long a probe keeps others
    /// out.
    ///
    /// # Errors
    /// The availability that keeps the target from being taken.
    pub fn take(self: &Arc<Self>, now: Instant, lease: Duration) -> Result<Dispatch, Availability> {
        // Before a probe of the endpoint is begun that this target could not make.
        let availability = self.availability(now);
        if !availability.is_available() {
            return Err(availability);
        }
        let endpoint_pass = self.endpoint.gate.enter(now, lease)?;
        match self.gate.enter(now, lease) {
            Ok(pass) => {
                self.counters.dispatched.fetch_add(1, Ordering::Relaxed);
                Ok(Dispatch { target: Arc::clone(self), pass, endpoint_pass })
            }
            Err(availability) => {
                self.endpoint.gate.release(endpoint_pass);
                Err(availability)
            }
        }
    }

    /// Takes the target although it is suspended, for a request that has nowhere else to go.
    pub fn take_suspended(self: &Arc<Self>, now: Instant, lease: Duration) -> Dispatch {
        self.counters.dispatched.fetch_add(1, Ordering::Relaxed);
        let endpoint_pass = self.endpoint.gate.enter_closed(now, lease);
        Dispatch { target: Arc::clone(self), pass: self.gate.enter_closed(now, lease), endpoint_pass }
    }

    /// Suspends the target by hand for a duration, after which it is probed as after any suspension.
    pub fn suspend(&self, duration: Duration, reason: &str, now: Instant) {
        self.gate.close(duration, now);
        let (model, endpoint, suspended_ms) = (self.model.as_str(), &*self.endpoint.name, millis(duration));
        warn!(model, endpoint, suspended_ms, reason, "target suspended by hand");
    }

    /// Ends its suspension, by hand.
    pub fn resume(&self) {
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
        if let Some(suspended) = self.gate.failed(pass, trigger, length, now) {
            self.counters.suspensions.fetch_add(1, Ordering::Relaxed);
            let suspended_ms = millis(suspended);
            warn!(model = self.model.as_str(), endpoint = &*self.endpoint.name, suspended_ms, "target suspended");
        }
    }

    /// Suspends a target whose quota is used up. A suspension in progress is unchanged.
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
        Self { name, gate: Gate::default() }
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

/// One attempt under way at a target. Settle it with the outcome; a dispatch that is dropped unsettled (the client
/// left, the stream died) frees the probe that it may have held and says nothing of the target.
#[derive(Debug)]
pub struct Dispatch {
    target: Arc<TargetState>,
    pass: Pass,
    endpoint_pass: Pass,
}

/// A failure that suspends its target only if another candidate then serves the same request.
#[derive(Debug)]
pub struct PendingFailure {
    target: Arc<TargetState>,
    pass: Pass,
    length: SuspensionLength,
}

impl Dispatch {
    /// Returns whether this attempt is the one that tries a suspended target or endpoint.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.is_probe() || self.endpoint_pass.is_probe()
    }

    /// Leaves the result open. Returns the failure to confirm if another target serves the request.
    #[must_use]
    pub fn doubt(self, rules: &SuspensionRules) -> Option<PendingFailure> {
        let length = SuspensionLength::Growing(rules.suspend);
        (!rules.suspend.is_zero()).then(|| PendingFailure { target: Arc::clone(&self.target), pass: self.pass, length })
    }

    /// Records the outcome at the target. Returns the failure to confirm if another candidate serves the request.
    pub fn settle(self, outcome: &Outcome, rules: &SuspensionRules, now: Instant) -> Option<PendingFailure> {
        let target = &self.target;
        match outcome {
            _ if outcome.is_served() => {
                target.counters.served.fetch_add(1, Ordering::Relaxed);
                target.served(self.pass);
                target.endpoint.served(self.endpoint_pass);
            }
            Outcome::Redirected | Outcome::RequestFault | Outcome::TooLong | Outcome::Unsent => {}
            _ => {
                target.counters.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        let suspend = match outcome {
            Outcome::RateLimited { .. } | Outcome::ServedLast { .. } => rules.quota_suspend.unwrap_or(rules.suspend),
            _ => rules.suspend,
        };
        // Zero means never, whatever the response asks for.
        if suspend.is_zero() {
            return None;
        }
        let length = outcome.asked().map_or(SuspensionLength::Growing(suspend), SuspensionLength::Asked);
        match outcome {
            Outcome::Served | Outcome::Redirected | Outcome::RequestFault | Outcome::TooLong | Outcome::Unsent => {}
            Outcome::EndpointFault { .. } => target.endpoint.failed(self.endpoint_pass, length, now),
            // As a request that comes now would be: the probe that this may have been has opened the gate.
            Outcome::ServedLast { .. } => target.exhausted(length, now),
            Outcome::RateLimited { .. } => target.failed(self.pass, Trigger::AtOnce, length, now),
            Outcome::Absent => {
                target.endpoint.probe_failed(self.endpoint_pass, length, now);
                target.failed(self.pass, Trigger::AtOnce, length, now);
            }
            Outcome::Failed { .. } => {
                target.endpoint.probe_failed(self.endpoint_pass, length, now);
                target.failed(self.pass, Trigger::InARow(rules.suspend_after), length, now);
                return Some(PendingFailure { target: Arc::clone(target), pass: self.pass, length });
            }
        }
        None
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        self.target.gate.release(self.pass);
        self.target.endpoint.gate.release(self.endpoint_pass);
    }
}

impl PendingFailure {
    /// Suspends the target: another candidate served the request, so the failure was not the request's fault.
    pub fn confirm(self, now: Instant) {
        self.target.failed(self.pass, Trigger::AtOnce, self.length, now);
    }
}

#[cfg(test)]
mod tests;
