//! The log: one line for each decision, and what came of it. Never a prompt, never a credential.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tracing::{debug, info};

use crate::endpoint::Endpoint;
use crate::health::Standing;
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::router::{Attempt, RequestHead, Route};

/// The longest part of a client's own words that is logged.
const MAX_CLIENT_TEXT: usize = 128;

/// A target was chosen.
pub fn decision(head: &RequestHead, attempt: &Attempt, requested: Option<&str>, now: Instant) {
    let (route, target) = (&attempt.trial.route, attempt.target());
    info!(
        request_id = head.request_id.as_deref().map(bounded),
        api = &*route.api.name,
        environment = route.environment.name(),
        policy = route.policy().turns.name(),
        requested = requested.map(bounded),
        model = target.model.as_str(),
        endpoint = &*target.endpoint.name,
        attempt = attempt.number(),
        probe = attempt.is_probe(),
        passed_over = passed_over(attempt, now),
        policy_version = route.version(),
        "decision"
    );
}

/// A request went to the endpoint that keeps its state.
pub fn pinned(head: &RequestHead, route: &Route, endpoint: &Endpoint) {
    info!(
        request_id = head.request_id.as_deref().map(bounded),
        api = &*route.api.name,
        environment = route.environment.name(),
        policy = "stateful_endpoint",
        endpoint = &*endpoint.name,
        policy_version = route.version(),
        "decision"
    );
}

/// An answer's headers came back. A failure is worth a line; the rest is in Envoy's access log.
pub fn answer(head: &RequestHead, attempt: &Attempt, status: u16, outcome: &Outcome, took: Duration) {
    let request_id = head.request_id.as_deref().map(bounded);
    let (model, endpoint) = (attempt.target().model.as_str(), &*attempt.target().endpoint.name);
    let (attempt, outcome_label) = (attempt.number(), outcome.label());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if outcome.is_failure() {
        info!(request_id, model, endpoint, attempt, status, outcome = outcome_label, took_ms, "attempt failed");
    } else {
        debug!(request_id, model, endpoint, attempt, status, outcome = outcome_label, took_ms, "answered");
    }
}

/// The router answered in the place of a provider.
pub fn refused(head: &RequestHead, refusal: &Refusal) {
    let request_id = head.request_id.as_deref().map(bounded);
    info!(
        request_id,
        method = bounded(head.method.as_str()),
        path = bounded(head.path_only()),
        reason = refusal.code(),
        "refused"
    );
}

/// `gpt-4o@openai-east: suspended for 12 s`, one for each candidate that came first and could not be had.
fn passed_over(attempt: &Attempt, now: Instant) -> Option<String> {
    let mut text = String::new();
    for (target, standing) in attempt.passed_over() {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{}@{}: {}", target.model, target.endpoint.name, reason(standing, now));
    }
    (!text.is_empty()).then_some(text)
}

fn reason(standing: Standing, now: Instant) -> String {
    match standing {
        Standing::Suspended(until) => format!("suspended for {} s", until.saturating_duration_since(now).as_secs() + 1),
        Standing::Probing(_) => "being probed".into(),
        Standing::Ready | Standing::ProbeDue => "taken by another request".into(),
    }
}

fn bounded(text: &str) -> &str {
    match text.char_indices().nth(MAX_CLIENT_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
