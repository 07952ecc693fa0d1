//! Metrics that are counted as events happen. Every label comes from the policy file or is a word of ours, so
//! that no client can make series.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Live;
use super::process::Process;
use super::usage::UsageMetrics;
use crate::classifier::ServiceKind;
use crate::model_name::ModelName;
use crate::routing::decision::Decision;

/// Seconds until a response's headers: generation takes from tenths of a second to minutes.
const ANSWER_SECONDS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Seconds of work on a decision: from microseconds to what a large body takes.
const DECISION_SECONDS: [f64; 10] = [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 1.0];
/// Seconds of a small model's short response, up to the longest that anybody would wait for one.
/// From a model in this process to a slow API.
const EMBEDDER_SECONDS: [f64; 10] = [0.000_05, 0.000_1, 0.000_25, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0];
const CLASSIFIER_SECONDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];
const BODY_BYTES: [f64; 8] = [1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6];

/// A name out of the policy file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

impl From<&ModelName> for Name {
    fn from(model: &ModelName) -> Self {
        Self(model.shared())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: Name,
    environment: &'static str,
    policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    api: Name,
    environment: &'static str,
    policy: &'static str,
    model: Option<Name>,
    endpoint: Name,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailoverLabels {
    from_model: Option<Name>,
    from_endpoint: Name,
    to_model: Name,
    to_endpoint: Name,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TargetLabels {
    pub(super) model: Name,
    pub(super) endpoint: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanLabels {
    result: &'static str,
}

/// Counters of exported and dropped spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Family<SpanLabels, Counter>);

impl Spans {
    /// The collector took them.
    pub(super) fn exported(&self, count: u64) {
        self.count("exported", count);
    }

    /// The collector did not.
    pub(super) fn failed(&self, count: u64) {
        self.count("failed", count);
    }

    /// One found no room to wait.
    pub(super) fn dropped(&self) {
        self.count("dropped", 1);
    }

    fn count(&self, result: &'static str, count: u64) {
        self.0.get_or_create(&SpanLabels { result }).inc_by(count);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassifierLabels {
    classifier: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EmbedderLabels {
    embedder: Name,
}

type Histograms = Family<TargetLabels, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    failovers: Family<FailoverLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    broken: Family<TargetLabels, Counter>,
    decision_seconds: Histogram,
    answer_seconds: Histograms,
    body_bytes: Histogram,
    probes: Family<TargetLabels, Counter>,
    classifier_seconds: Family<ClassifierLabels, Histogram, fn() -> Histogram>,
    embedder_seconds: Family<EmbedderLabels, Histogram, fn() -> Histogram>,
    pub(super) spans: Spans,
    pub(super) usage: UsageMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("model_router");
        let metrics = Self {
            requests: Family::default(),
            attempts: Family::default(),
            failovers: Family::default(),
            refusals: Family::default(),
            broken: Family::default(),
            decision_seconds: Histogram::new(DECISION_SECONDS),
            answer_seconds: Family::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            body_bytes: Histogram::new(BODY_BYTES),
            probes: Family::default(),
            classifier_seconds: Family::new_with_constructor(|| Histogram::new(CLASSIFIER_SECONDS)),
            embedder_seconds: Family::new_with_constructor(|| Histogram::new(EMBEDDER_SECONDS)),
            spans: Spans::default(),
            usage: UsageMetrics::new(&mut registry),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests for which a target was chosen, each counted once",
            metrics.requests.clone(),
        );
        registry.register("attempts", "Finished attempts, by outcome", metrics.attempts.clone());
        registry.register("failovers", "Further attempts, by the reason for them", metrics.failovers.clone());
        let help = "Responses that their provider broke off, or that stated an error, after the start";
        registry.register("broken_responses", help, metrics.broken.clone());
        registry.register("refusals", "Requests refused by the router, by error code", metrics.refusals.clone());
        let help = "Seconds that the router needed for a decision, once the body and its classification were available";
        registry.register("decision_seconds", help, metrics.decision_seconds.clone());
        let help = "Seconds from an attempt's decision to its response's headers";
        registry.register("answer_seconds", help, metrics.answer_seconds.clone());
        registry.register("request_body_bytes", "Lengths of request bodies in bytes", metrics.body_bytes.clone());
        registry.register(
            "target_probes",
            "Attempts that probe whether a target has recovered",
            metrics.probes.clone(),
        );
        let help = "Seconds of classifier calls";
        registry.register("classifier_seconds", help, metrics.classifier_seconds.clone());
        let help = "Seconds that requests waited for their scores at the routes of a semantic policy";
        registry.register("embedder_seconds", help, metrics.embedder_seconds.clone());
        registry.register("spans", "Spans of traced attempts, by result", metrics.spans.0.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    pub(super) fn decided(&self, decision: &Decision) {
        if decision.attempt == 1 {
            let Decision { environment, policy, .. } = *decision;
            let labels = RequestLabels { api: Name(Arc::clone(&decision.api)), environment, policy };
            self.requests.get_or_create(&labels).inc();
        }
        self.decision_seconds.observe(decision.worked.as_secs_f64());
        if let Some(model) = decision.model.as_ref().filter(|_| decision.probe) {
            let labels = TargetLabels { model: Name::from(model), endpoint: Name(Arc::clone(&decision.endpoint)) };
            self.probes.get_or_create(&labels).inc();
        }
        if decision.attempt == 1 {
            self.classified(decision);
        }
    }

    fn classified(&self, decision: &Decision) {
        let Some(it) = decision.classification.as_ref().filter(|it| !it.shared) else { return };
        let (name, seconds) = (Name(Arc::clone(&it.service)), it.took.as_secs_f64());
        match it.kind {
            ServiceKind::Classifier => {
                self.classifier_seconds.get_or_create(&ClassifierLabels { classifier: name }).observe(seconds);
            }
            ServiceKind::Embedder => {
                self.embedder_seconds.get_or_create(&EmbedderLabels { embedder: name }).observe(seconds);
            }
        }
    }

    pub(super) fn answered(&self, decision: &Decision, outcome: &'static str, took: Duration) {
        if let Some(model) = decision.model.as_ref() {
            let labels = TargetLabels { model: Name::from(model), endpoint: Name(Arc::clone(&decision.endpoint)) };
            self.answer_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        }
        self.ended(decision, outcome);
    }

    pub(super) fn ended(&self, decision: &Decision, outcome: &'static str) {
        let model = decision.model.as_ref().map(Name::from);
        let Decision { environment, policy, .. } = *decision;
        let (api, endpoint) = (Name(Arc::clone(&decision.api)), Name(Arc::clone(&decision.endpoint)));
        self.attempts.get_or_create(&AttemptLabels { api, environment, policy, model, endpoint, outcome }).inc();
    }

    pub(super) fn failed_over(&self, from: &Decision, model: &ModelName, endpoint: &Arc<str>, reason: &'static str) {
        let labels = FailoverLabels {
            from_model: from.model.as_ref().map(Name::from),
            from_endpoint: Name(Arc::clone(&from.endpoint)),
            to_model: Name::from(model),
            to_endpoint: Name(Arc::clone(endpoint)),
            reason,
        };
        self.failovers.get_or_create(&labels).inc();
    }

    pub(super) fn broke(&self, model: &ModelName, endpoint: &Arc<str>) {
        let labels = TargetLabels { model: Name(Arc::from(model.as_str())), endpoint: Name(Arc::clone(endpoint)) };
        self.broken.get_or_create(&labels).inc();
    }

    pub(super) fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { code }).inc();
    }

    #[allow(clippy::cast_precision_loss)] // Of a body beyond 2^52 bytes.
    pub(super) fn body(&self, bytes: usize) {
        self.body_bytes.observe(bytes as f64);
    }

    pub(super) fn encode(&self, live: Live) -> String {
        let mut text = String::new();
        let mut moment = Registry::with_prefix("model_router");
        moment.register_collector(Box::new(live));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        // Writing to a string does not fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &moment))
            .and_then(|()| encode_registry(&mut text, &process))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}
