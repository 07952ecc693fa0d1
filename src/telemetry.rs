//! Telemetry: what the router reports of its work, in the log, in metrics, as spans and as recent decisions. Never a
//! prompt, never a credential.

mod awaiting;
mod json;
mod ledger;
mod lines;
mod live;
mod log;
mod metrics;
mod process;
mod recent;
mod traces;
mod usage;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::model_name::ModelName;
use crate::routing::decision::{AttemptResult, Decision, NO_ANSWER, Used, bounded};
use crate::routing::outcome::Outcome;
use awaiting::Awaiting;
pub use json::Json;
use ledger::Ledger;
pub use ledger::{Account, Sum};
pub use lines::{LastLines, Lines};
pub use live::Live;
use log::Log;
pub use log::LogDecisions;
use metrics::Metrics;
use recent::Recent;
use traces::Traces;
pub use traces::{Collector, Export, Exporter};

/// A request that the router refused.
#[derive(Clone, Copy, Debug)]
pub struct RefusedRequest<'a> {
    /// Envoy's id of the request.
    pub request_id: Option<&'a str>,
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// The error code of the refusal.
    pub code: &'static str,
}

/// Whose response one is that was read.
#[derive(Clone, Copy, Debug)]
pub struct ResponseLabels<'a> {
    /// Envoy's id of the request.
    pub request_id: Option<&'a str>,
    /// The API.
    pub api: &'a str,
    /// The environment.
    pub environment: &'static str,
    /// The endpoint.
    pub endpoint: &'a str,
    /// The model; none where the request kept its own.
    pub model: Option<&'a str>,
    /// The attempt's number.
    pub attempt: u32,
}

/// What has been recorded since the router started.
#[derive(Debug, Default)]
pub struct Telemetry {
    log: Log,
    metrics: Metrics,
    recent: Recent,
    traces: Traces,
    awaiting: Awaiting,
    ledger: Ledger,
}

impl Telemetry {
    /// Creates telemetry that logs these decisions.
    #[must_use]
    pub fn new(which: LogDecisions) -> Self {
        let mut telemetry = Self::default();
        telemetry.log.which = which;
        telemetry
    }

    /// An attempt, or a request that keeps its own model, goes to an endpoint.
    pub fn decided(&self, decision: &Arc<Decision>) {
        self.log.decided(decision);
        self.metrics.decided(decision);
        self.recent.push(Arc::clone(decision));
    }

    /// A response's headers came back.
    pub fn answered(&self, decision: &Arc<Decision>, status: u16, outcome: &Outcome, took: Duration) {
        self.log.answered(decision, status, outcome, took);
        self.metrics.answered(decision, outcome.label(), took);
        let awaits_usage = outcome.is_served() && self.awaiting.is_on();
        self.traces.ended(decision, Some((status, outcome)), took, awaits_usage, &self.metrics.spans);
    }

    /// A response passes to the client, and its usage may be read.
    pub fn awaits_usage(&self, decision: &Arc<Decision>) {
        self.awaiting.push(decision);
    }

    /// Returns the decision of a response that is about to be read, if it is still known.
    pub fn observed(&self, request_id: Option<&str>, attempt: u32) -> Option<Arc<Decision>> {
        let request_id = request_id?;
        let is_meant = |decision: &Decision| awaiting::is_of(decision, request_id, attempt);
        let recent = || self.recent.newest(is_meant, 1).pop();
        let decision = self.awaiting.take(request_id, attempt).or_else(recent)?;
        decision.observed.store(true, Ordering::Relaxed);
        Some(decision)
    }

    /// Returns the result of a request's attempt, if it is still known.
    #[must_use]
    pub fn result_of(&self, request_id: &str, attempt: u32) -> Option<AttemptResult> {
        let decision = self.recent.newest(|decision| awaiting::is_of(decision, request_id, attempt), 1).pop()?;
        decision.answer.get().copied()
    }

    /// A response is over, and what it used is known.
    pub fn used(&self, labels: &ResponseLabels<'_>, decision: Option<&Arc<Decision>>, used: Used) {
        self.metrics.usage.used(labels, &used);
        self.log.used(labels, decision.map(|decision| &**decision), &used);
        let account = Account {
            api: labels.api.into(),
            environment: labels.environment,
            model: labels.model.unwrap_or_default().into(),
            endpoint: labels.endpoint.into(),
        };
        self.ledger.add(account, &used, SystemTime::now());
        if let Some(decision) = decision {
            // There is one response to an attempt, so nothing is there yet.
            let _ = decision.used.set(used);
        }
    }

    /// Returns what was used in the last minutes, by account.
    #[must_use]
    pub fn usage(&self, since: Duration) -> Vec<(Account, Sum)> {
        self.ledger.since(since, SystemTime::now())
    }

    /// An attempt ended without a response: the client left, or the provider broke off, and then Envoy may ask for another
    /// one.
    pub fn unanswered(&self, decision: &Arc<Decision>, took: Duration, goes_on: bool) {
        decision.unanswered(took, goes_on);
        self.metrics.ended(decision, NO_ANSWER);
        self.traces.ended(decision, None, took, false, &self.metrics.spans);
    }

    /// Makes spans of attempts from now on.
    pub fn export(&self) -> Export {
        self.traces.export(self.metrics.spans.clone())
    }

    /// Records that Envoy was asked for another attempt, whose target is chosen already.
    pub fn failed_over(&self, from: &Decision, model: &ModelName, endpoint: &Arc<str>, reason: &'static str) {
        self.metrics.failed_over(from, model, endpoint, reason);
    }

    /// Records that a response broke off or failed after it had begun, with the code of what is wrong.
    pub fn broke(&self, model: &ModelName, endpoint: &Arc<str>, code: &str) {
        warn!(model = model.as_str(), endpoint = &**endpoint, code, "response broken off");
        self.metrics.broke(model, endpoint);
    }

    /// Records that the router refused a request.
    pub fn refused(&self, request: &RefusedRequest<'_>) {
        info!(
            request_id = request.request_id.map(bounded),
            method = bounded(request.method),
            path = bounded(request.path),
            reason = request.code,
            "refused"
        );
        self.metrics.refused(request.code);
    }

    /// A request's body has been read.
    pub fn body(&self, bytes: usize) {
        self.metrics.body(bytes);
    }

    /// Returns the last decisions that `meant` selects, newest first.
    #[must_use]
    pub fn recent(&self, meant: impl Fn(&Decision) -> bool, most: usize) -> Vec<Arc<Decision>> {
        self.recent.newest(meant, most)
    }

    /// Returns all metrics as OpenMetrics text, those of the moment included.
    #[must_use]
    pub fn openmetrics(&self, live: Live) -> String {
        self.metrics.encode(live)
    }
}
