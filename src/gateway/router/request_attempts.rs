//! A request: one request's way through its candidates, attempt by attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Route;
use crate::body::BodyFacts;
use crate::classifier::Classification;
use crate::gateway::refusal::Refusal;
use crate::routing::decision::Decision;
use crate::routing::outcome::Outcome;
use crate::routing::policy::{Candidates, Limits, Strategy, Target};
use crate::routing::suspension::{Availability, Dispatch, PendingFailure};

/// The outcome of an attempt whose response broke off while its headers were held.
pub const BROKEN_OFF: &str = "broken_off";

/// What a request keeps from its first attempt to its last.
#[derive(Debug)]
pub struct RequestAttempts {
    /// Where it belongs.
    pub route: Route,
    limits: Limits,
    /// How long an attempt of its own may take, and until when all of them.
    attempt_limit: Duration,
    deadline: Instant,
    /// The candidates, as indices into the policy's targets.
    order: Vec<usize>,
    /// How far into the order it has come.
    position: usize,
    /// The candidates that were passed over since the last one was taken, with the reason.
    skipped: Vec<(usize, Availability)>,
    /// The target of the attempt before, and what came of it.
    after: Option<(usize, &'static str)>,
    /// The attempts begun.
    attempts: u32,
    /// What was asked about the request before its candidates were known; no attempt asks again.
    pub classification: Option<Classification>,
    /// What the failed attempts hold against their targets, should another one serve.
    pending_failures: Vec<PendingFailure>,
}

/// One attempt of a request: a target taken.
#[derive(Debug)]
pub struct Attempt {
    /// The request's way so far.
    pub request: RequestAttempts,
    /// How long until it must have brought headers.
    pub time_limit: Duration,
    /// What was decided, once the attempt has arrived.
    pub decision: Option<Arc<Decision>>,
    target: usize,
    dispatch: Dispatch,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateState {
    /// It could not be had.
    Skipped(Availability),
    /// It serves this attempt.
    Taken,
    /// It is tried when those before it fail.
    Behind,
}

impl RequestAttempts {
    /// Takes a turn of the policy for a new request, with what was asked about it.
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
        let available: Vec<_> =
            policy.targets.iter().map(|target| target.state.availability(now).is_available()).collect();
        let Some(Candidates { order, limits }) = policy.candidates(requested, rule, &available) else {
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
            pending_failures,
        })
    }

    /// Takes the next candidate that can be had.
    ///
    /// # Errors
    /// The request itself: none is left.
    pub(super) fn next(mut self, now: Instant) -> Result<Box<Attempt>, Box<Self>> {
        self.skipped.clear();
        while let Some(&target) = self.order.get(self.position) {
            self.position += 1;
            match self.route.policy().targets[target].state.take(now, self.time_limit(now)) {
                Ok(dispatch) => return Ok(self.attempt(target, dispatch, now)),
                Err(availability) => self.skipped.push((target, availability)),
            }
        }
        Err(Box::new(self))
    }

    /// Takes the candidate whose suspension ends first: there is none that is not suspended.
    ///
    /// # Errors
    /// The request itself: there is no candidate at all.
    pub(super) fn least_bad(self, now: Instant) -> Result<Box<Attempt>, Box<Self>> {
        let remaining = |&(_, availability): &(usize, Availability)| remaining(availability, now);
        let Some(&(target, _)) = self.skipped.iter().min_by_key(|passed| remaining(passed)) else {
            return Err(Box::new(self));
        };
        let dispatch = self.route.policy().targets[target].state.take_suspended(now, self.time_limit(now));
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

    /// Takes the target of a further attempt, if the policy allows one: by number, by time, and by its retry budget, which
    /// pays only for an attempt that is made.
    pub(super) fn next_attempt(self, now: Instant) -> Option<Box<Attempt>> {
        let is_allowed =
            self.attempts < self.limits.attempts.get() && now < self.deadline && self.position < self.order.len();
        if !is_allowed || !self.route.policy().budget.draw() {
            return None;
        }
        self.next(now).map_err(|request| request.route.policy().budget.give_back()).ok()
    }

    /// Returns how long until the first of the candidates that were passed over may be tried again.
    pub(super) fn until_available(&self, now: Instant) -> Duration {
        self.skipped.iter().map(|&(_, availability)| remaining(availability, now)).min().unwrap_or_default()
    }
}

fn remaining(availability: Availability, now: Instant) -> Duration {
    match availability {
        Availability::Suspended(until) => until.saturating_duration_since(now),
        // Its probe may succeed at any moment.
        _ => Duration::ZERO,
    }
}

impl Attempt {
    /// Returns the target taken.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.request.route.policy().targets[self.target]
    }

    /// Returns which attempt of its request it is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.request.attempts
    }

    /// Returns who was asked about the request.
    #[must_use]
    pub fn classifier(&self) -> Option<Arc<str>> {
        match &self.request.route.policy().strategy {
            Strategy::Intelligent(rules) => Some(Arc::clone(&rules.classifier.name)),
            Strategy::RoundRobin(_) | Strategy::Weighted(_) | Strategy::Failover(_) => None,
        }
    }

    /// Returns the name of the rule that the request was found to fit.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        let rule = self.request.classification.as_ref()?.verdict.rule()?;
        match &self.request.route.policy().strategy {
            Strategy::Intelligent(rules) => rules.rule(rule),
            Strategy::RoundRobin(_) | Strategy::Weighted(_) | Strategy::Failover(_) => None,
        }
    }

    /// Returns whether it tries a target whose suspension is over.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.dispatch.is_probe()
    }

    /// Returns all candidates in their order, each with what became of it.
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

    /// Returns the target of the attempt before, and what came of it.
    pub fn after(&self) -> Option<(&Target, &'static str)> {
        self.request.after.map(|(target, outcome)| (&self.request.route.policy().targets[target], outcome))
    }

    /// Returns the candidates that came before and could not be had, with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (&Target, Availability)> {
        let targets = &self.request.route.policy().targets;
        self.request.skipped.iter().map(|&(target, availability)| (&targets[target], availability))
    }

    /// Returns what came of it is not known; if another target serves, this one failed.
    pub(super) fn abandon(self) -> RequestAttempts {
        let Self { mut request, dispatch, target, .. } = self;
        request.after = Some((target, BROKEN_OFF));
        request.pending_failures.extend(dispatch.doubt(&request.limits.suspension()));
        request
    }

    /// Tells the target what came of it; when it served, those that failed before it are told so.
    pub(super) fn settle(self, outcome: &Outcome, now: Instant) -> RequestAttempts {
        let Self { mut request, dispatch, target, .. } = self;
        request.after = Some((target, outcome.label()));
        request.pending_failures.extend(dispatch.settle(outcome, &request.limits.suspension(), now));
        if outcome.is_served() {
            for failure in request.pending_failures.drain(..) {
                failure.confirm(now);
            }
        }
        request
    }
}
