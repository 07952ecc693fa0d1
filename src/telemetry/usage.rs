//! Metrics of usage: tokens, costs, and how responses went.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::ResponseLabels;
use super::metrics::{Name, TargetLabels};
use crate::routing::decision::Used;
use crate::routing::usage::Known;

/// Seconds until the first byte of a response's body.
const FIRST_BYTE_SECONDS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Seconds until the last one.
const LAST_BYTE_SECONDS: [f64; 11] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];
/// Tokens a second: from a large model on a busy machine to the fastest hardware.
const TOKENS_PER_SECOND: [f64; 10] = [5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 500.0, 2_000.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    api: Name,
    environment: &'static str,
    model: Option<Name>,
    endpoint: Name,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CostLabels {
    api: Name,
    environment: &'static str,
    model: Option<Name>,
    endpoint: Name,
    currency: Name,
    known: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    api: Name,
    environment: &'static str,
    model: Option<Name>,
    endpoint: Name,
    known: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnreadLabels {
    reason: &'static str,
}

type Histograms = Family<TargetLabels, Histogram, fn() -> Histogram>;

/// The metrics.
#[derive(Debug)]
pub(super) struct UsageMetrics {
    tokens: Family<TokenLabels, Counter>,
    cost: Family<CostLabels, Counter<f64, AtomicU64>>,
    responses: Family<ReadLabels, Counter>,
    unread: Family<UnreadLabels, Counter>,
    first_byte: Histograms,
    last_byte: Histograms,
    speed: Histograms,
}

impl UsageMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            tokens: Family::default(),
            cost: Family::default(),
            responses: Family::default(),
            unread: Family::default(),
            first_byte: Family::new_with_constructor(|| Histogram::new(FIRST_BYTE_SECONDS)),
            last_byte: Family::new_with_constructor(|| Histogram::new(LAST_BYTE_SECONDS)),
            speed: Family::new_with_constructor(|| Histogram::new(TOKENS_PER_SECOND)),
        };
        let help = "Tokens by kind: input includes cached_input and cache_write, output includes reasoning; estimated \
                    ones are kinds of their own";
        registry.register("tokens", help, metrics.tokens.clone());
        let help = "What responses cost by the policy's prices, in units of the currency";
        registry.register("cost", help, metrics.cost.clone());
        let help = "Successful responses by how their usage is known: reported, estimated, incomplete, unread";
        registry.register("usage_responses", help, metrics.responses.clone());
        let help = "Responses whose usage was not read, by reason";
        registry.register("usage_unread", help, metrics.unread.clone());
        let help = "Seconds from an attempt's decision to the first byte of its response's body";
        registry.register("first_byte_seconds", help, metrics.first_byte.clone());
        let help = "Seconds from an attempt's decision to the last byte of its response's body";
        registry.register("last_byte_seconds", help, metrics.last_byte.clone());
        let help = "Output tokens a second, from the first byte of a response's body to the last";
        registry.register("output_tokens_per_second", help, metrics.speed.clone());
        metrics
    }

    pub(super) fn used(&self, labels: &ResponseLabels<'_>, used: &Used) {
        let name = |text: &str| Name(Arc::from(text));
        let (api, endpoint, environment) = (name(labels.api), name(labels.endpoint), labels.environment);
        let (model, known) = (labels.model.map(name), used.usage.known);
        let responses = ReadLabels {
            api: api.clone(),
            environment,
            model: model.clone(),
            endpoint: endpoint.clone(),
            known: known.name(),
        };
        self.responses.get_or_create(&responses).inc();
        if let Some(reason) = used.usage.unread {
            self.unread.get_or_create(&UnreadLabels { reason: reason.name() }).inc();
        }
        for (kind, tokens) in used.usage.tokens.by_kind().into_iter().filter(|(_, tokens)| *tokens > 0) {
            let kind = if known == Known::Reported { kind } else { estimated(kind) };
            let (api, model, endpoint) = (api.clone(), model.clone(), endpoint.clone());
            self.tokens.get_or_create(&TokenLabels { api, environment, model, endpoint, kind }).inc_by(tokens);
        }
        if let Some(model) = &model {
            self.times(&TargetLabels { model: model.clone(), endpoint: endpoint.clone() }, used);
        }
        if let Some(cost) = &used.cost {
            let currency = Name(Arc::clone(&cost.currency));
            let labels = CostLabels { api, environment, model, endpoint, currency, known: known.name() };
            self.cost.get_or_create(&labels).inc_by(cost.amount);
        }
    }

    fn times(&self, target: &TargetLabels, used: &Used) {
        let Some((first, last)) = used.times else { return };
        self.first_byte.get_or_create(target).observe(first.as_secs_f64());
        if used.has_ended {
            self.last_byte.get_or_create(target).observe(last.as_secs_f64());
        }
        if let Some(speed) = used.tokens_per_second() {
            self.speed.get_or_create(target).observe(speed);
        }
    }
}

/// Returns the name of a kind whose tokens are estimated, at least in part.
fn estimated(kind: &'static str) -> &'static str {
    match kind {
        "input" => "estimated_input",
        "cached_input" => "estimated_cached_input",
        "cache_write" => "estimated_cache_write",
        "output" => "estimated_output",
        "reasoning" => "estimated_reasoning",
        "audio_input" => "estimated_audio_input",
        _ => "estimated_audio_output",
    }
}
