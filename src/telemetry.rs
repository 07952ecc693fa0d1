//! Telemetry: what the router reports of its work, in the log, in metrics, as spans and as recent decisions. Never a
//! prompt, never a credential.

mod json;
mod lines;
mod live;
mod log;
mod metrics;
mod process;
mod recent;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::model_name::ModelName;
use crate::routing::decision::{Decision, NO_ANSWER, bounded};
use crate::routing::outcome::Outcome;
pub use json::Json;
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

/// What has been recorded since the router started.
#[derive(Debug, Default)]
pub struct Telemetry {
    log: Log,
    metrics: Metrics,
    recent: Recent,
    traces: Traces,
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
        self.traces.ended(decision, Some((status, outcome)), took, &self.metrics.spans);
    }

    /// An attempt ended without a response: the client left, or the provider broke off.
    pub fn unanswered(&self, decision: &Arc<Decision>, took: Duration) {
        decision.unanswered(took);
        self.metrics.ended(decision, NO_ANSWER);
        self.traces.ended(decision, None, took, &self.metrics.spans);
    }

    /// Makes spans of attempts from now on.
    pub fn export(&self) -> Export {
        self.traces.export(self.metrics.spans.clone())
    }

    /// Records that Envoy was asked for another attempt, whose target is chosen already.
    pub fn failed_over(&self, from: &Decision, model: &ModelName, endpoint: &Arc<str>, reason: &'static str) {
        self.metrics.failed_over(from, model, endpoint, reason);
    }

    /// Records that a response broke off after it had begun.
    pub fn broke(&self, model: &ModelName, endpoint: &Arc<str>) {
        warn!(model = model.as_str(), endpoint = &**endpoint, "response broken off");
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
