//! Telemetry: what the router tells of its work, in the log, in metrics, and of the last decisions. Never a prompt,
//! never a credential.

mod live;
mod metrics;
mod recent;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use crate::decision::{Decision, bounded};
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::router::{Attempt, RequestHead};
pub use live::Live;
use metrics::Metrics;
use recent::Recent;
use traces::Traces;
pub use traces::{Export, Exporter, Parent};

/// What has been told since the router started.
#[derive(Debug, Default)]
pub struct Telemetry {
    metrics: Metrics,
    recent: Recent,
    traces: Traces,
}

impl Telemetry {
    /// An attempt, or a request that keeps its own model, goes to an endpoint; so long ago its headers came.
    pub fn decided(&self, decision: &Arc<Decision>, took: Duration) {
        let classification = decision.classification.as_ref();
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
            passed_over = decision.passed_over.as_deref(),
            classification = classification.map(|classification| classification.verdict),
            rule = classification.and_then(|classification| classification.rule.as_deref()),
            classifier_error = classification.and_then(|classification| classification.error.as_deref()),
            classifier_ms = classification.map(|classification| millis(classification.took)),
            classifier_shared = classification.map(|classification| classification.shared),
            policy_version = decision.policy_version,
            "decision"
        );
        self.metrics.decided(decision, took);
        self.recent.push(Arc::clone(decision));
    }

    /// An answer's headers came back. A failure is worth a line; the rest is in Envoy's access log.
    pub fn answered(&self, decision: &Arc<Decision>, status: u16, outcome: &Outcome, took: Duration) {
        let request_id = decision.request_id.as_deref();
        let (model, endpoint) = (decision.model.as_ref().map(|model| model.as_str()), &*decision.endpoint);
        let (attempt, took_ms) = (decision.attempt, millis(took));
        if outcome.is_failure() {
            info!(request_id, model, endpoint, attempt, status, outcome = outcome.label(), took_ms, "attempt failed");
        } else {
            debug!(request_id, model, endpoint, attempt, status, outcome = outcome.label(), took_ms, "answered");
        }
        self.metrics.answered(decision, outcome.label(), took);
        self.traces.ended(decision, Some((status, outcome)), took, &self.metrics.spans);
    }

    /// An attempt ended without an answer: the client left, or the provider broke off.
    pub fn unanswered(&self, decision: &Arc<Decision>, took: Duration) {
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

    /// The last decisions, newest first.
    #[must_use]
    pub fn recent(&self, most: usize) -> Vec<Arc<Decision>> {
        self.recent.newest(most)
    }

    /// All metrics as OpenMetrics text, those of the moment included.
    #[must_use]
    pub fn openmetrics(&self, live: Live) -> String {
        self.metrics.encode(live)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
