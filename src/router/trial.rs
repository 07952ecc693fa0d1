//! A trial: one request's way through its candidates, attempt by attempt.

use std::time::{Duration, Instant};

use super::Route;
use crate::health::{Dispatch, Grudge, Standing};
use crate::outcome::Outcome;
use crate::policy::Target;

/// What a request keeps from its first attempt to its last.
#[derive(Debug)]
pub struct Trial {
    /// Where it belongs.
    pub route: Route,
    /// Until when each attempt must have brought headers, from its start.
    pub time_limit: Duration,
    /// The candidates, as indices into the policy's targets.
    order: Vec<usize>,
    /// How far into the order it has come.
    position: usize,
    /// The candidates that were passed over since the last one was taken, with the reason.
    passed_over: Vec<(usize, Standing)>,
    /// The attempts begun.
    attempts: u32,
    /// What the failed attempts hold against their targets, should another one serve.
    grudges: Vec<Grudge>,
}

/// One attempt of a trial: a target taken.
#[derive(Debug)]
pub struct Attempt {
    /// The request's way so far.
    pub trial: Trial,
    target: usize,
    dispatch: Dispatch,
}

impl Trial {
    /// Takes a turn of the policy for a new request.
    pub(super) fn begin(route: Route, time_limit: Duration, now: Instant) -> Self {
        let policy = route.policy();
        let available: Vec<_> = policy.targets.iter().map(|target| target.state.standing(now).is_available()).collect();
        let order = policy.turns.candidates(&available);
        Self { route, time_limit, order, position: 0, passed_over: Vec::new(), attempts: 0, grudges: Vec::new() }
    }

    /// Takes the next candidate that can be had.
    ///
    /// # Errors
    /// The trial itself: none is left.
    pub(super) fn next(mut self, now: Instant) -> Result<Attempt, Box<Self>> {
        self.passed_over.clear();
        while let Some(&target) = self.order.get(self.position) {
            self.position += 1;
            match self.route.policy().targets[target].state.take(now, self.time_limit) {
                Ok(dispatch) => {
                    self.attempts += 1;
                    return Ok(Attempt { trial: self, target, dispatch });
                }
                Err(standing) => self.passed_over.push((target, standing)),
            }
        }
        Err(Box::new(self))
    }

    /// Whether the policy allows another attempt.
    pub(super) fn may_go_on(&self) -> bool {
        self.attempts < self.route.policy().limits.attempts.get()
    }

    /// How long until the first of the candidates that were passed over may be tried again.
    pub(super) fn until_available(&self, now: Instant) -> Duration {
        let remaining = self.passed_over.iter().map(|(_, standing)| match standing {
            Standing::Suspended(until) => until.saturating_duration_since(now),
            // Its probe may succeed at any moment.
            _ => Duration::ZERO,
        });
        remaining.min().unwrap_or_default()
    }
}

impl Attempt {
    /// The target taken.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.trial.route.policy().targets[self.target]
    }

    /// Which attempt of its request it is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.trial.attempts
    }

    /// Whether it tries a target whose suspension is over.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.dispatch.is_probe()
    }

    /// The candidates that came before and could not be had, with the reason.
    pub fn passed_over(&self) -> impl Iterator<Item = (&Target, Standing)> {
        let targets = &self.trial.route.policy().targets;
        self.trial.passed_over.iter().map(|&(target, standing)| (&targets[target], standing))
    }

    /// Tells the target what came of it; when it served, those that failed before it are told so.
    pub(super) fn settle(self, outcome: &Outcome, now: Instant) -> Trial {
        let Self { mut trial, dispatch, .. } = self;
        let limits = trial.route.policy().limits;
        trial.grudges.extend(dispatch.settle(outcome, &limits, now));
        if outcome.is_served() {
            for grudge in trial.grudges.drain(..) {
                grudge.outdone(now);
            }
        }
        trial
    }
}
