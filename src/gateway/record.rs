//! Records: the decision of an attempt, as the exchange hands it to telemetry.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::router::{Attempt, RequestHead, Route};
use crate::routing::decision::{Classified, Closeness, Decision, STATEFUL, Traced, bounded};
use crate::routing::endpoint::Endpoint;

/// Returns the decision of an attempt for a model that the client asked for.
pub(super) fn attempt(head: &RequestHead, attempt: &Attempt, requested: Option<&str>, now: Instant) -> Decision {
    Decision {
        requested: requested.map(|requested| bounded(requested).into()),
        model: Some(attempt.target().model.clone()),
        attempt: attempt.number(),
        probe: attempt.is_probe(),
        after: attempt
            .after()
            .map(|(target, outcome)| format!("{}@{}: {outcome}", target.model, target.endpoint.name).into()),
        skipped: skipped(attempt, now),
        affinity: attempt.affinity().map(|source| source.to_string().into()),
        classification: classified(attempt),
        policy: attempt.request.route.policy().kind(),
        ..pinned(head, &attempt.request.route, &attempt.target().endpoint)
    }
}

fn classified(attempt: &Attempt) -> Option<Classified> {
    let (it, sorter) = (attempt.request.classification.as_ref()?, attempt.sorter()?);
    let asked = *sorter.services().first()?;
    Some(Classified {
        kind: asked.kind(),
        service: Arc::clone(asked.name()),
        verdict: it.verdict.label(),
        rule: attempt.rule().map(Into::into),
        closeness: closeness(attempt),
        unsure: it.unsure.as_ref().map(|second| (Arc::clone(&second.classifier), second.verdict.label())),
        error: it.verdict.error().map(Into::into),
        took: it.took,
        shared: it.shared,
    })
}

/// Returns how close an attempt's request is to the routes of its policy, where vectors were compared.
pub(super) fn closeness(attempt: &Attempt) -> Option<Closeness> {
    let (scores, sorter) = (attempt.request.classification.as_ref()?.scores.as_ref()?, attempt.sorter()?);
    let name = |route: usize| Some(sorter.name(route)?.into());
    let second = scores.second.and_then(|second| Some((name(second)?, scores.routes[second].score())));
    Some(Closeness { route: name(scores.best)?, score: scores.score(), threshold: scores.threshold, second })
}

/// Returns the decision for a request that goes to the endpoint which keeps its state.
pub(super) fn pinned(head: &RequestHead, route: &Route, endpoint: &Endpoint) -> Decision {
    Decision {
        at: SystemTime::now(),
        traced: head.parent.as_deref().map(|parent| Traced::new(*parent, route.operation(), endpoint)),
        request_id: head.request_id.as_deref().map(|id| bounded(id).into()),
        api: Arc::clone(&route.api.name),
        environment: route.environment.name(),
        policy: STATEFUL,
        requested: None,
        model: None,
        endpoint: Arc::clone(&endpoint.name),
        attempt: 1,
        probe: false,
        after: None,
        skipped: None,
        affinity: None,
        classification: None,
        policy_version: route.version(),
        waited: Duration::ZERO,
        worked: Duration::ZERO,
        body_bytes: 0,
        observed: AtomicBool::new(false),
        used: OnceLock::new(),
        logged: AtomicBool::new(false),
        answer: OnceLock::new(),
    }
}

fn skipped(attempt: &Attempt, now: Instant) -> Option<Box<str>> {
    let mut text = String::new();
    for (target, availability) in attempt.skipped() {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{}@{}: {}", target.model, target.endpoint.name, availability.describe(now));
    }
    (!text.is_empty()).then(|| text.into())
}
