//! The log of decisions: a line for each, or for those that an operator will look for.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{debug, info};

use super::ResponseLabels;
use crate::routing::decision::{Decision, Used};
use crate::routing::outcome::Outcome;
use crate::routing::usage::{Known, Tokens, Unread};

/// Which decisions have a line in the log. Those of further attempts, and of attempts that fail, always have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogDecisions {
    /// All.
    #[default]
    All,
    /// No others.
    Failures,
    /// This many of a hundred, evenly.
    Percent(u64),
}

impl FromStr for LogDecisions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_suffix('%').map(str::parse)) {
            ("all", _) => Ok(Self::All),
            ("failures", _) => Ok(Self::Failures),
            (_, Some(Ok(percent @ 1..=100))) => Ok(Self::Percent(percent)),
            _ => Err("expected `all`, `failures`, or a share such as `10%`"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) which: LogDecisions,
    /// First attempts so far, where only a share of them has a line.
    counted: AtomicU64,
}

impl Log {
    pub(super) fn decided(&self, decision: &Decision) {
        if decision.attempt > 1 || self.is_due() {
            write(decision);
        }
    }

    /// A failure gets a line, and so does the decision for it; the rest is in Envoy's access log.
    pub(super) fn answered(&self, decision: &Decision, status: u16, outcome: &Outcome, took: Duration) {
        let request_id = decision.request_id.as_deref();
        let (model, endpoint) = (decision.model.as_ref().map(|model| model.as_str()), &*decision.endpoint);
        let (attempt, took_ms) = (decision.attempt, millis(took));
        if outcome.is_failure() {
            if !decision.logged.load(Ordering::Relaxed) {
                write(decision);
            }
            info!(request_id, model, endpoint, attempt, status, outcome = outcome.label(), took_ms, "attempt failed");
        } else {
            debug!(request_id, model, endpoint, attempt, status, outcome = outcome.label(), took_ms, "answered");
        }
    }

    /// What a response used has a line where its decision has one, and where it was not read to its end.
    pub(super) fn used(&self, labels: &ResponseLabels<'_>, decision: Option<&Decision>, used: &Used) {
        let is_logged = decision.map_or(self.which == LogDecisions::All, |it| it.logged.load(Ordering::Relaxed));
        if !is_logged && used.has_ended && used.usage.known != Known::Unread {
            return;
        }
        let ResponseLabels { request_id, api, environment, endpoint, model, attempt } = *labels;
        let Tokens { input, cached_input, cache_write, output, reasoning, .. } = used.usage.tokens;
        info!(
            request_id,
            api,
            environment,
            model,
            endpoint,
            attempt,
            known = used.usage.known.name(),
            unread = used.usage.unread.map(Unread::name),
            response_model = used.usage.model.as_deref(),
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost = used.cost.as_ref().map(|cost| cost.amount),
            currency = used.cost.as_ref().map(|cost| &*cost.currency),
            first_byte_ms = used.times.map(|(first, _)| millis(first)),
            last_byte_ms = used.times.map(|(_, last)| millis(last)),
            ended = used.has_ended,
            "usage"
        );
    }

    fn is_due(&self) -> bool {
        match self.which {
            LogDecisions::All => true,
            LogDecisions::Failures => false,
            LogDecisions::Percent(percent) => is_due(self.counted.fetch_add(1, Ordering::Relaxed), percent),
        }
    }
}

/// Returns whether the `count`th, from 0, is one of `percent` of each hundred.
fn is_due(count: u64, percent: u64) -> bool {
    count % 100 * percent % 100 < percent
}

fn write(decision: &Decision) {
    decision.logged.store(true, Ordering::Relaxed);
    let classification = decision.classification.as_ref();
    let closeness = classification.and_then(|classification| classification.closeness.as_ref());
    info!(
        request_id = decision.request_id.as_deref(),
        api = &*decision.api,
        environment = decision.environment,
        policy = decision.policy,
        requested = decision.requested.as_deref(),
        model = decision.model.as_ref().map(|model| model.as_str()),
        endpoint = &*decision.endpoint,
        attempt = decision.attempt,
        probe = decision.probe,
        after = decision.after.as_deref(),
        passed_over = decision.skipped.as_deref(),
        affinity = decision.affinity.as_deref(),
        classification = classification.map(|classification| classification.verdict),
        rule = classification.and_then(|classification| classification.rule.as_deref()),
        score = closeness.map(|closeness| f64::from(closeness.score)),
        threshold = closeness.map(|closeness| f64::from(closeness.threshold)),
        nearest = closeness.map(|closeness| &*closeness.route),
        second = closeness.and_then(|closeness| Some(&*closeness.second.as_ref()?.0)),
        second_score = closeness.and_then(|closeness| Some(f64::from(closeness.second.as_ref()?.1))),
        unsure = classification.and_then(|classification| Some(classification.unsure.as_ref()?.1)),
        classifier_error = classification.and_then(|classification| classification.error.as_deref()),
        classifier_ms = classification.map(|classification| millis(classification.took)),
        classifier_shared = classification.map(|classification| classification.shared),
        waited_ms = millis(decision.waited),
        worked_us = u64::try_from(decision.worked.as_micros()).unwrap_or(u64::MAX),
        policy_version = decision.policy_version,
        "decision"
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_over_a_hundred_and_begins_with_the_first() {
        for percent in 1..=100 {
            let due: Vec<_> = (0..300).filter(|&count| is_due(count, percent)).collect();
            assert_eq!((due[0], due.len() as u64), (0, 3 * percent), "{percent} %");
        }
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for (text, which) in
            [("all", LogDecisions::All), ("failures", LogDecisions::Failures), ("5%", LogDecisions::Percent(5))]
        {
            assert_eq!(text.parse(), Ok(which));
        }
        for text in ["", "none", "0%", "101%", "5", "-5%", "5.5%", "%"] {
            assert!(text.parse::<LogDecisions>().is_err(), "{text}");
        }
    }
}
