//! An attempt as a span. Names are OpenTelemetry's where its conventions have one. Never a prompt, never a credential.

use std::hash::{BuildHasher, RandomState};

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{Ended, Traced};
use crate::routing::decision::{Decision, NO_ANSWER, Used};
use crate::routing::usage::Known;

/// Creates spans. Their ids are random, so two processes share one only by chance.
#[derive(Debug)]
pub(super) struct Spans {
    seed: RandomState,
    made: u64,
    scope: InstrumentationScope,
}

impl Default for Spans {
    fn default() -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION"));
        Self { seed: RandomState::new(), made: 0, scope: scope.build() }
    }
}

impl Spans {
    /// Returns the span of an attempt, below the span of the client or of Envoy.
    pub(super) fn of(&mut self, ended: &Ended) -> SpanData {
        let Ended { decision, traced, took, answer, .. } = ended;
        let mut attributes = attributes(decision);
        attributes.extend(conventional(traced));
        let used = decision.used.get();
        attributes.extend(used.into_iter().flat_map(usage));
        let until = used.and_then(|used| used.times).map_or(*took, |(_, last)| last.max(*took));
        let is_failure = answer.is_none_or(|(_, answer)| answer.is_failure);
        let outcome = answer.map_or(NO_ANSWER, |(_, answer)| answer.label);
        attributes.push(KeyValue::new("model_router.outcome", outcome));
        attributes.extend(answer.map(|(status, _)| KeyValue::new("http.response.status_code", i64::from(status))));
        attributes.extend(is_failure.then(|| KeyValue::new("error.type", outcome)));
        let mut happened = SpanEvents::default();
        happened.events = events(decision);
        SpanData {
            span_context: self.context(traced.parent.trace_id),
            parent_span_id: SpanId::from_bytes(traced.parent.span_id),
            parent_span_is_remote: true,
            // Envoy makes the call to the provider, and the span of it where it traces.
            span_kind: SpanKind::Internal,
            name: decision.model.as_ref().map_or("attempt".into(), |model| format!("attempt {model}").into()),
            start_time: decision.at,
            end_time: decision.at + until,
            attributes,
            dropped_attributes_count: 0,
            events: happened,
            links: SpanLinks::default(),
            status: if is_failure { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        }
    }

    /// Returns a new span's place in its client's trace.
    fn context(&mut self, trace_id: [u8; 16]) -> SpanContext {
        self.made += 1;
        // Zero means that there is no span.
        let id = self.seed.hash_one(self.made).max(1).to_be_bytes();
        let (trace, span) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(id));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
    }
}

fn attributes(decision: &Decision) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("model_router.api", &decision.api),
        text("model_router.environment", decision.environment),
        text("model_router.policy", decision.policy),
        text("model_router.endpoint", &decision.endpoint),
        number("model_router.attempt", decision.attempt),
        text("model_router.reason", &decision.reason()),
        number("model_router.policy_version", decision.policy_version),
    ];
    attributes.extend(decision.model.as_ref().map(|model| text("gen_ai.request.model", model.as_str())));
    attributes.extend(decision.requested.as_ref().map(|model| text("model_router.requested_model", model)));
    attributes.extend(decision.request_id.as_ref().map(|id| text("model_router.request_id", id)));
    attributes
}

/// Returns the attributes for which OpenTelemetry's conventions have names, except the model.
fn conventional(Traced { origin, provider, operation, .. }: &Traced) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("gen_ai.provider.name", provider),
        text("server.address", &origin.host.to_string()),
        number("server.port", origin.port),
    ];
    attributes.extend(operation.map(|operation| text("gen_ai.operation.name", operation)));
    attributes
}

/// Returns what the response used.
fn usage(used: &Used) -> Vec<KeyValue> {
    let tokens = &used.usage.tokens;
    let mut attributes = vec![text("model_router.usage", used.usage.known.name())];
    if used.usage.known != Known::Unread {
        attributes.extend([
            number("gen_ai.usage.input_tokens", tokens.input),
            number("gen_ai.usage.output_tokens", tokens.output),
            number("gen_ai.usage.cache_read.input_tokens", tokens.cached_input),
            number("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write),
            number("gen_ai.usage.reasoning.output_tokens", tokens.reasoning),
        ]);
    }
    attributes.extend(used.usage.model.as_ref().map(|model| text("gen_ai.response.model", model)));
    attributes.extend(used.cost.as_ref().map(|cost| KeyValue::new("model_router.cost", cost.amount)));
    attributes.extend(used.cost.as_ref().map(|cost| text("model_router.currency", &cost.currency)));
    attributes
}

/// Returns an event for each candidate that was skipped, and one for the classifier's verdict.
fn events(decision: &Decision) -> Vec<Event> {
    let event = |name, attributes| Event::new(name, decision.at, attributes, 0);
    let skipped = decision.skipped.as_deref().into_iter().flat_map(|all| all.split("; "));
    let skipped = skipped.map(|candidate| {
        let (target, reason) = candidate.split_once(": ").unwrap_or((candidate, ""));
        event("passed over", vec![text("model_router.target", target), text("model_router.reason", reason)])
    });
    let classified = decision.classification.as_ref().map(|it| {
        let mut attributes = vec![
            KeyValue::new("model_router.verdict", it.verdict),
            number("model_router.classifier_ms", it.took.as_millis()),
        ];
        attributes.extend(it.rule.as_ref().map(|rule| text("model_router.rule", rule)));
        if let Some(closeness) = &it.closeness {
            attributes.push(text("model_router.nearest", &closeness.route));
            attributes.push(KeyValue::new("model_router.score", f64::from(closeness.score)));
            attributes.push(KeyValue::new("model_router.threshold", f64::from(closeness.threshold)));
            let second = closeness.second.as_ref().map(|(_, score)| f64::from(*score));
            attributes.extend(second.map(|score| KeyValue::new("model_router.second_score", score)));
        }
        attributes.extend(it.unsure.as_ref().map(|(_, verdict)| KeyValue::new("model_router.unsure", *verdict)));
        event("classified", attributes)
    });
    classified.into_iter().chain(skipped).collect()
}

fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, value.to_owned())
}

fn number(key: &'static str, value: impl TryInto<i64>) -> KeyValue {
    KeyValue::new(key, value.try_into().unwrap_or(i64::MAX))
}
