//! The page: `status` and `decisions` in a browser. It changes nothing.

use std::time::{Duration, SystemTime};

use axum::Router as Routes;
use axum::extract::State as Shared;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use super::proto::{Classifier, Decision, GetStatusResponse, State, Target, Usage};
use super::service::{AdminService, HOUR};
use crate::routing::decision::STATEFUL;

/// The number of decisions that the page shows.
const DECISIONS: usize = 50;

/// Nothing but its own files, nowhere to send anything, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`, the files that it consists of, and `/status.json`, which it asks for.
pub(super) fn routes(service: AdminService) -> Routes {
    let file = |content_type: &'static str, text: &'static str| get(move || async move { sent(content_type, text) });
    Routes::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/page.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route("/status.json", get(status))
        .with_state(service)
}

fn sent(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    (headers(content_type), text)
}

fn headers(content_type: &'static str) -> [(HeaderName, &'static str); 5] {
    [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ]
}

async fn status(Shared(service): Shared<AdminService>) -> impl IntoResponse {
    let GetStatusResponse { router_version, started_at, policy, last_refused_reload } = service.status();
    let policy = policy.unwrap_or_default();
    let state = json!({
        "router_version": router_version,
        "started_at": instant(started_at),
        "policy": {
            "file": policy.file,
            "version": policy.version,
            "sha256": policy.sha256,
            "applied_at": instant(policy.applied_at),
        },
        "refused": last_refused_reload.map(|refused| json!({ "at": instant(refused.at), "report": refused.report })),
        "targets": service.described_targets().into_iter().map(target).collect::<Value>(),
        "classifiers": service.described_classifiers().into_iter().map(classifier).collect::<Value>(),
        "usage": service.usage(HOUR).into_iter().map(usage).collect::<Value>(),
        "decisions": service.decisions(DECISIONS).into_iter().map(decision).collect::<Value>(),
    });
    (headers("application/json"), state.to_string())
}

fn target(target: Target) -> Value {
    json!({
        "model": target.model,
        "endpoint": target.endpoint,
        "state": state(target.state),
        "remaining_seconds": target.remaining.map(seconds),
        "dispatched": target.dispatched,
        "served": target.served,
        "failed": target.failed,
        "used_by": target.used_by,
        "last_failure": target.last_failure.as_ref().map(|failure| json!({
            "at": instant(failure.at), "status": failure.status, "code": failure.code,
        })),
        "suspended_operations": target.suspended_operations.iter().map(|it| &*it.operation).collect::<Vec<_>>(),
    })
}

fn classifier(classifier: Classifier) -> Value {
    json!({
        "name": classifier.name,
        "kind": classifier.kind,
        "state": state(classifier.state),
        "remaining_seconds": classifier.remaining.map(seconds),
        "calls": classifier.calls,
        "verdicts": classifier.verdicts,
    })
}

fn usage(usage: Usage) -> Value {
    let tokens = usage.tokens.unwrap_or_default();
    json!({
        "api": usage.api,
        "environment": usage.environment,
        "model": usage.model,
        "endpoint": usage.endpoint,
        "responses": usage.reported + usage.estimated + usage.incomplete + usage.unread,
        "not_exact": usage.estimated + usage.incomplete + usage.unread,
        "input": tokens.input,
        "cached_input": tokens.cached_input,
        "output": tokens.output,
        "costs": usage.costs.into_iter().map(|cost| json!([cost.amount, cost.currency])).collect::<Value>(),
    })
}

fn decision(decision: Decision) -> Value {
    json!({
        "at": instant(decision.at),
        "request_id": decision.request_id,
        "api": decision.api,
        "environment": decision.environment,
        "requested": decision.requested,
        "model": decision.model,
        "endpoint": decision.endpoint,
        "attempt": decision.attempt,
        "reason": decision.reason,
        "status": decision.status,
        "outcome": decision.outcome,
        "took_ms": decision.took.map_or(0.0, seconds) * 1000.0,
        "worked_ms": decision.worked.map_or(0.0, millis),
        "watched": decision.policy != STATEFUL,
        "goes_on": decision.goes_on,
    })
}

fn state(state: i32) -> &'static str {
    match State::try_from(state).unwrap_or_default() {
        State::Unspecified => "",
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::ProbeDue => "probe_due",
        State::Probing => "probing",
        State::Priming => "priming",
    }
}

/// To the millisecond.
fn seconds(duration: prost_types::Duration) -> f64 {
    let millis = Duration::try_from(duration).unwrap_or_default().as_millis();
    u32::try_from(millis).map_or(f64::MAX, f64::from) / 1000.0
}

/// To the microsecond.
fn millis(duration: prost_types::Duration) -> f64 {
    Duration::try_from(duration).unwrap_or_default().as_secs_f64() * 1000.0
}

/// RFC 3339.
fn instant(timestamp: Option<prost_types::Timestamp>) -> Option<String> {
    let time = SystemTime::try_from(timestamp?).ok()?;
    Some(humantime::format_rfc3339_millis(time).to_string())
}
