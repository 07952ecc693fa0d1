//! The attempts of one request: its way through the candidates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Route;
use crate::body::BodyFacts;
use crate::classifier::{Classification, Sorter};
use crate::gateway::refusal::Refusal;
use crate::routing::decision::Decision;
use crate::routing::outcome::Outcome;
use crate::routing::policy::affinity::Source;
use crate::routing::policy::{Candidates, Limits, Target};
use crate::routing::suspension::{Availability, Cause, Dispatch, PendingFailure};

/// The outcome of an attempt whose response broke off while its headers were held.
pub const BROKEN_OFF: &str = "broken_off";

/// The most suspended targets that a refusal explains.
const MAX_CAUSES: usize = 4;

/// The state that a request keeps from its first attempt to its last.
#[derive(Debug)]
pub struct RequestAttempts {
    /// The request's route.
    pub route: Route,
    limits: Limits,
    /// The time limit of each attempt.
    attempt_limit: Duration,
    deadline: Instant,
    /// The candidates, as indices into the policy's targets.
    order: Vec<usize>,
    /// The position in the order.
    position: usize,
    /// The candidates skipped since the last one was taken, each with the reason.
    skipped: Vec<(usize, Availability)>,
    /// The target and the outcome of the previous attempt.
    after: Option<(usize, &'static str)>,
    /// The attempts begun.
    attempts: u32,
    /// The classification of the request; no attempt asks again.
    pub classification: Option<Classification>,
    /// Where the key of the request's session was found.
    affinity: Option<Arc<Source>>,
    /// Failures that are confirmed against their targets if another one serves the request.
    pending_failures: Vec<PendingFailure>,
}

/// One attempt: a target that was taken.
#[derive(Debug)]
pub struct Attempt {
    /// The request's attempts so far.
    pub request: RequestAttempts,
    /// The time limit for the response's headers.
    pub time_limit: Duration,
    /// The decision, once the attempt has arrived.
    pub decision: Option<Arc<Decision>>,
    target: usize,
    dispatch: Dispatch,
}

/// The state of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateState {
    /// It was not available.
    Skipped(Availability),
    /// It was taken for this attempt.
    Taken,
    /// It comes later in the order.
    Behind,
}

impl RequestAttempts {
    /// Takes a turn of the policy for a new request, using its classification.
    ///
    /// # Errors
    /// The policy serves no such model.
    pub(super) fn begin(
        route: Route,
        facts: &BodyFacts<'_>,
        classification: Option<Classification>,
        now: Instant,
    ) -> Result<Self, Refusal> {
        let requested = facts.model.as_deref();
        let rule = classification.as_ref().and_then(|classification| classification.verdict.rule());
        let policy = route.policy();
        let operation = route.operation_name();
        let is_available = |target: &Target| target.state.availability_for(operation, now).is_available();
        let available: Vec<_> = policy.targets.iter().map(is_available).collect();
        let found = policy.strategy.affinity().and_then(|affinity| affinity.key(&route.keys, facts));
        let (affinity, key) = found.map(|(source, key)| (Arc::clone(source), key)).unzip();
        let Some(Candidates { order, limits }) = policy.candidates(requested, rule, key, &available) else {
            return Err(route.unknown_model(requested));
        };
        policy.budget.pay_in();
        let attempt_limit = if facts.streamed { limits.first_byte_timeout } else { limits.request_timeout };
        // The client waits since before it was asked about.
        let asked = classification.as_ref().map_or(Duration::ZERO, |classification| classification.took);
        let deadline = now + limits.overall_timeout.saturating_sub(asked);
        let (skipped, pending_failures) = (Vec::new(), Vec::new());
        Ok(Self {
            route,
            limits,
            attempt_limit,
            deadline,
            order,
            position: 0,
            skipped,
            after: None,
            attempts: 0,
            classification,
            affinity,
            pending_failures,
        })
    }

    /// Takes the next candidate that is available.
    ///
    /// # Errors
    /// Nothing is left: returns the request.
    pub(super) fn next(mut self, now: Instant) -> Result<Box<Attempt>, Box<Self>> {
        self.skipped.clear();
        while let Some(&target) = self.order.get(self.position) {
            self.position += 1;
            let (state, lease) = (&self.route.policy().targets[target].state, self.time_limit(now));
            match state.take(self.route.operation_name(), now, lease) {
                Ok(dispatch) => return Ok(self.attempt(target, dispatch, now)),
                Err(availability) => self.skipped.push((target, availability)),
            }
        }
        Err(Box::new(self))
    }

    /// Takes the candidate whose suspension ends first; used when all are suspended.
    ///
    /// # Errors
    /// There is no candidate at all: returns the request.
    pub(super) fn least_bad(self, now: Instant) -> Result<Box<Attempt>, Box<Self>> {
        let remaining = |&(_, availability): &(usize, Availability)| remaining(availability, now);
        let Some(&(target, _)) = self.skipped.iter().min_by_key(|passed| remaining(passed)) else {
            return Err(Box::new(self));
        };
        let (state, lease) = (&self.route.policy().targets[target].state, self.time_limit(now));
        let dispatch = state.take_suspended(self.route.operation_name(), now, lease);
        Ok(self.attempt(target, dispatch, now))
    }

    fn attempt(mut self, target: usize, dispatch: Dispatch, now: Instant) -> Box<Attempt> {
        self.attempts += 1;
        let time_limit = self.time_limit(now);
        Box::new(Attempt { request: self, target, dispatch, time_limit, decision: None })
    }

    /// Returns an attempt's own limit, or what is left of the overall one.
    fn time_limit(&self, now: Instant) -> Duration {
        self.attempt_limit.min(self.deadline.saturating_duration_since(now)).max(Duration::from_millis(1))
    }

    /// Takes the target of a further attempt, if the policy allows one: by number, by time, and by its retry budget,
    /// which pays only for an attempt that is made.
    pub(super) fn next_attempt(self, now: Instant) -> Option<Box<Attempt>> {
        let is_allowed =
            self.attempts < self.limits.attempts.get() && now < self.deadline && self.position < self.order.len();
        if !is_allowed || !self.route.policy().budget.draw() {
            return None;
        }
        self.next(now).map_err(|request| request.route.policy().budget.give_back()).ok()
    }

    /// Returns why the candidates that were skipped are suspended: `gpt-4o@east: 429 rate_limit_exceeded`.
    pub(super) fn causes(&self) -> Vec<String> {
        let targets = &self.route.policy().targets;
        let cause = |&(target, _): &(usize, Availability)| {
            let cause = targets[target].state.last_cause()?;
            let status = if cause.status == 0 { String::new() } else { format!("{} ", cause.status) };
            Some(format!("{}@{}: {status}{}", targets[target].model, targets[target].endpoint.name, cause.code))
        };
        self.skipped.iter().filter_map(cause).take(MAX_CAUSES).collect()
    }

    /// Returns how long until the first of the candidates that were skipped may be tried again.
    pub(super) fn until_available(&self, now: Instant) -> Duration {
        self.skipped.iter().map(|&(_, availability)| remaining(availability, now)).min().unwrap_or_default()
    }
}

fn remaining(availability: Availability, now: Instant) -> Duration {
    match availability {
        Availability::Suspended(until) => until.saturating_duration_since(now),
        // A probe is due or under way, which may succeed at any moment.
        _ => Duration::ZERO,
    }
}

impl Attempt {
    /// Returns the target taken.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.request.route.policy().targets[self.target]
    }

    /// Returns the attempt's number within its request, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.request.attempts
    }

    /// Returns what decides which rule or route a request of this policy fits.
    #[must_use]
    pub fn sorter(&self) -> Option<&Sorter> {
        self.request.route.policy().strategy.sorted().map(|sorted| &sorted.sorter)
    }

    /// Returns the name of the rule or route that the request was found to fit.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        let rule = self.request.classification.as_ref()?.verdict.rule()?;
        self.sorter()?.name(rule)
    }

    /// Returns where the key of the request's session was found, which decided the order of the candidates.
    #[must_use]
    pub fn affinity(&self) -> Option<&Source> {
        self.request.affinity.as_deref()
    }

    /// Returns whether it tries a target whose suspension is over.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.dispatch.is_probe()
    }

    /// Returns all candidates in order, each with its outcome.
    pub fn candidates(&self) -> impl Iterator<Item = (&Target, CandidateState)> {
        let targets = &self.request.route.policy().targets;
        let passed =
            self.request.skipped.iter().map(|&(target, availability)| (target, CandidateState::Skipped(availability)));
        let behind =
            self.request.order.iter().skip(self.request.position).map(|&target| (target, CandidateState::Behind));
        let all = passed
            .filter(|(target, _)| *target != self.target)
            .chain([(self.target, CandidateState::Taken)])
            .chain(behind);
        all.map(|(target, fate)| (&targets[target], fate))
    }

    /// Returns the target and the outcome of the previous attempt.
    pub fn after(&self) -> Option<(&Target, &'static str)> {
        self.request.after.map(|(target, outcome)| (&self.request.route.policy().targets[target], outcome))
    }

    /// Returns the earlier candidates that were not available, each with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (&Target, Availability)> {
        let targets = &self.request.route.policy().targets;
        self.request.skipped.iter().map(|&(target, availability)| (&targets[target], availability))
    }

    /// Gives up an attempt whose result is not known. If another target serves the request, this one failed.
    pub(super) fn abandon(self) -> RequestAttempts {
        let Self { mut request, dispatch, target, decision, .. } = self;
        request.after = Some((target, BROKEN_OFF));
        let cause = decision.map(|decision| Cause { at: decision.at, status: 0, code: BROKEN_OFF.into() });
        request.pending_failures.extend(dispatch.doubt(&request.limits.suspension(), cause));
        request
    }

    /// Records the outcome at the target. If it served the request, the targets that failed before it are confirmed as
    /// failing.
    pub(super) fn settle(self, outcome: &Outcome, cause: Option<Cause>, now: Instant) -> RequestAttempts {
        let Self { mut request, dispatch, target, .. } = self;
        request.after = Some((target, outcome.label()));
        let (operation, rules) = (request.route.operation_name(), request.limits.suspension());
        let pending = dispatch.settle(operation, outcome, cause, &rules, now);
        request.pending_failures.extend(pending);
        if outcome.is_served() {
            for failure in request.pending_failures.drain(..) {
                failure.confirm(now);
            }
        }
        request
    }
}
