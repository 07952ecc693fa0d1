//! An attempt as a span. Names are OpenTelemetry's where its conventions have one. Never a prompt, never a credential.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::{Ended, Traced};
use crate::routing::decision::{Decision, NO_ANSWER};

/// Makes spans with ids that no other process makes but by chance.
#[derive(Debug, Default)]
pub(super) struct Spans {
    seed: RandomState,
    made: u64,
}

impl Spans {
    pub(super) fn of(&mut self, ended: &Ended) -> Span {
        let Ended { decision, traced, took, answer } = ended;
        let mut attributes = attributes(decision);
        attributes.extend(conventional(traced));
        let is_failure = answer.is_none_or(|(_, answer)| answer.is_failure);
        let outcome = answer.map_or(NO_ANSWER, |(_, answer)| answer.label);
        attributes.push(text("model_router.outcome", outcome));
        attributes.extend(answer.map(|(status, _)| number("http.response.status_code", status.into())));
        attributes.extend(is_failure.then(|| text("error.type", outcome)));
        let status = Status {
            code: if is_failure { StatusCode::Error.into() } else { StatusCode::Unset.into() },
            ..Status::default()
        };
        let at = nanos(decision.at);
        Span {
            trace_id: traced.parent.trace_id.to_vec(),
            span_id: self.id(),
            parent_span_id: traced.parent.span_id.to_vec(),
            name: match &decision.model {
                Some(model) => format!("attempt {model}"),
                None => "attempt".to_owned(),
            },
            // Envoy makes the call, and where it traces, the span of the call.
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: at,
            end_time_unix_nano: at.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
            attributes,
            events: events(decision, at),
            status: Some(status),
            ..Span::default()
        }
    }

    fn id(&mut self) -> Vec<u8> {
        self.made += 1;
        // Zero means that there is none.
        self.seed.hash_one(self.made).max(1).to_be_bytes().to_vec()
    }
}

fn attributes(decision: &Decision) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("model_router.api", &decision.api),
        text("model_router.environment", decision.environment),
        text("model_router.policy", decision.policy),
        text("model_router.endpoint", &decision.endpoint),
        number("model_router.attempt", decision.attempt.into()),
        text("model_router.reason", &decision.reason()),
        number("model_router.policy_version", i64::try_from(decision.policy_version).unwrap_or(i64::MAX)),
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
        number("server.port", origin.port.into()),
    ];
    attributes.extend(operation.map(|operation| text("gen_ai.operation.name", operation)));
    attributes
}

/// Returns what was skipped, a candidate each, and what a classifier said.
fn events(decision: &Decision, at: u64) -> Vec<Event> {
    let event = |name: &str, attributes| Event {
        time_unix_nano: at,
        name: name.to_owned(),
        attributes,
        dropped_attributes_count: 0,
    };
    let skipped = decision.skipped.as_deref().into_iter().flat_map(|all| all.split("; "));
    let skipped = skipped.map(|candidate| {
        let (target, reason) = candidate.split_once(": ").unwrap_or((candidate, ""));
        event("passed over", vec![text("model_router.target", target), text("model_router.reason", reason)])
    });
    let classified = decision.classification.as_ref().map(|it| {
        let mut attributes = vec![
            text("model_router.verdict", it.verdict),
            number("model_router.classifier_ms", i64::try_from(it.took.as_millis()).unwrap_or(i64::MAX)),
        ];
        attributes.extend(it.rule.as_ref().map(|rule| text("model_router.rule", rule)));
        event("classified", attributes)
    });
    classified.into_iter().chain(skipped).collect()
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
