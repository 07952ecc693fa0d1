//! Telemetry: what the router tells of its work, in the log, in metrics, and of the last decisions. Never a prompt,
//! never a credential.

mod json;
mod lines;
mod live;
mod log;
mod metrics;
mod recent;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::decision::{Decision, NO_ANSWER, bounded};
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::router::{Attempt, RequestHead};
pub use json::Json;
pub use lines::{LastLines, Lines};
pub use live::Live;
use log::Log;
pub use log::LogDecisions;
use metrics::Metrics;
use recent::Recent;
use traces::Traces;
pub use traces::{Export, Exporter, Parent, Traced};

/// What has been told since the router started.
#[derive(Debug, Default)]
pub struct Telemetry {
    log: Log,
    metrics: Metrics,
    recent: Recent,
    traces: Traces,
}

impl Telemetry {
    /// Says which decisions are logged.
    pub fn log_decisions(&mut self, which: LogDecisions) {
        self.log.which = which;
    }

    /// An attempt, or a request that keeps its own model, goes to an endpoint.
    pub fn decided(&self, decision: &Arc<Decision>) {
        self.log.decided(decision);
        self.metrics.decided(decision);
        self.recent.push(Arc::clone(decision));
    }

    /// An answer's headers came back.
    pub fn answered(&self, decision: &Arc<Decision>, status: u16, outcome: &Outcome, took: Duration) {
        self.log.answered(decision, status, outcome, took);
        self.metrics.answered(decision, outcome.label(), took);
        self.traces.ended(decision, Some((status, outcome)), took, &self.metrics.spans);
    }

    /// An attempt ended without an answer: the client left, or the provider broke off.
    pub fn unanswered(&self, decision: &Arc<Decision>, took: Duration) {
        decision.unanswered(took);
        self.metrics.ended(decision, NO_ANSWER);
        self.traces.ended(decision, None, took, &self.metrics.spans);
    }

    /// Makes spans of attempts from now on.
    pub fn export(&self) -> Export {
        self.traces.export(self.metrics.spans.clone())
    }

    /// Envoy was asked for another attempt, whose target is chosen already.
    pub fn goes_on(&self, from: &Decision, to: &Attempt, reason: &'static str) {
        self.metrics.failed_over(from, to.target(), reason);
    }

    /// The router answered in the place of a provider.
    pub fn refused(&self, head: &RequestHead, refusal: &Refusal) {
        info!(
            request_id = head.request_id.as_deref().map(bounded),
            method = bounded(head.method.as_str()),
            path = bounded(head.path_only()),
            reason = refusal.code(),
            "refused"
        );
        self.metrics.refused(refusal.code());
    }

    /// A request's body has been read.
    pub fn body(&self, bytes: usize) {
        self.metrics.body(bytes);
    }

    /// The last decisions that are `meant`, newest first.
    #[must_use]
    pub fn recent(&self, meant: impl Fn(&Decision) -> bool, most: usize) -> Vec<Arc<Decision>> {
        self.recent.newest(meant, most)
    }

    /// All metrics as OpenMetrics text, those of the moment included.
    #[must_use]
    pub fn openmetrics(&self, live: Live) -> String {
        self.metrics.encode(live)
    }
}
