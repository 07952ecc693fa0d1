//! A decision: which target an attempt took and why; what is logged, shown to Envoy and kept for operators.

mod metadata;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::policy::ModelName;
use crate::router::{Attempt, RequestHead, Route};
use crate::telemetry::Traced;
pub use metadata::Metadata;

/// The outcome of an attempt without an answer: the client left, or the provider broke off.
pub const NO_ANSWER: &str = "no_answer";

/// The policy of a request that goes to the endpoint which keeps its state; nothing is learnt from its answer.
pub const STATEFUL: &str = "stateful_endpoint";

/// The longest part of a client's own words that is kept.
const MAX_CLIENT_TEXT: usize = 128;

/// One attempt's decision. Never a prompt, never a credential.
#[derive(Debug)]
pub struct Decision {
    /// When it was made.
    pub at: SystemTime,
    /// The span that it belongs to and what else a span tells, where the request is traced.
    pub traced: Option<Traced>,
    /// Envoy's id of the request.
    pub request_id: Option<Box<str>>,
    /// The API.
    pub api: Arc<str>,
    /// The environment.
    pub environment: &'static str,
    /// The kind of policy, or `stateful_endpoint`.
    pub policy: &'static str,
    /// The model that the client asked for.
    pub requested: Option<Box<str>>,
    /// The model that it gets; `None` where it keeps its own.
    pub model: Option<ModelName>,
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// Which attempt of its request it is, from 1.
    pub attempt: u32,
    /// Whether it tries a target whose suspension is over.
    pub probe: bool,
    /// What the attempt before came to: `gpt-4o@east: failed`.
    pub after: Option<Box<str>>,
    /// The candidates that came first and could not be had: `gpt-4o@east: suspended for 12 s; …`.
    pub passed_over: Option<Box<str>>,
    /// What was asked about the request.
    pub classification: Option<Classified>,
    /// The version of the policy file.
    pub policy_version: u64,
    /// How long the router had to wait for the request's body, and for what was asked about it.
    pub waited: Duration,
    /// How long it then took itself to read the body and to choose.
    pub worked: Duration,
    /// Whether the log has a line of it.
    pub logged: AtomicBool,
    /// What came of it, once that is known.
    pub answer: OnceLock<Answered>,
}

/// What was asked about a request.
#[derive(Debug)]
pub struct Classified {
    /// Who was asked.
    pub classifier: Option<Arc<str>>,
    /// The label of the verdict.
    pub verdict: &'static str,
    /// The rule that matched.
    pub rule: Option<Box<str>>,
    /// What was wrong.
    pub error: Option<Box<str>>,
    /// How long it took.
    pub took: Duration,
    /// Whether it took no call of its own.
    pub shared: bool,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer's status; 0 if there was no answer.
    pub status: u16,
    /// The label of its outcome, or that there was none.
    pub outcome: &'static str,
    /// How long its headers took.
    pub took: Duration,
    /// Whether Envoy was asked for another attempt.
    pub goes_on: bool,
}

impl Decision {
    /// The decision of an attempt for a model that the client asked for.
    #[must_use]
    pub fn of(head: &RequestHead, attempt: &Attempt, requested: Option<&str>, now: Instant) -> Self {
        let classification = attempt.trial.classification.as_ref().map(|it| Classified {
            classifier: attempt.classifier(),
            verdict: it.verdict.label(),
            rule: attempt.rule().map(Into::into),
            error: it.verdict.error().map(Into::into),
            took: it.took,
            shared: it.shared,
        });
        Self {
            requested: requested.map(|requested| bounded(requested).into()),
            model: Some(attempt.target().model.clone()),
            attempt: attempt.number(),
            probe: attempt.is_probe(),
            after: attempt
                .after()
                .map(|(target, outcome)| format!("{}@{}: {outcome}", target.model, target.endpoint.name).into()),
            passed_over: passed_over(attempt, now),
            classification,
            policy: attempt.trial.route.policy().turns.name(),
            ..Self::pinned(head, &attempt.trial.route, &attempt.target().endpoint)
        }
    }

    /// The decision for a request that goes to the endpoint which keeps its state.
    #[must_use]
    pub fn pinned(head: &RequestHead, route: &Route, endpoint: &Endpoint) -> Self {
        Self {
            at: SystemTime::now(),
            traced: head.parent.as_deref().map(|parent| Traced::new(*parent, route, endpoint)),
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
            passed_over: None,
            classification: None,
            policy_version: route.version(),
            waited: Duration::ZERO,
            worked: Duration::ZERO,
            logged: AtomicBool::new(false),
            answer: OnceLock::new(),
        }
    }

    /// Notes what came of it.
    pub fn answered(&self, status: u16, outcome: &Outcome, took: Duration, goes_on: bool) {
        // There is one answer to an attempt, so nothing is there yet.
        let _ = self.answer.set(Answered { status, outcome: outcome.label(), took, goes_on });
    }

    /// Notes that it ended without an answer.
    pub fn unanswered(&self, took: Duration) {
        let _ = self.answer.set(Answered { status: 0, outcome: NO_ANSWER, took, goes_on: false });
    }

    /// Why this target: what the classifier said, what the attempt before came to, which candidates could not be had, or
    /// that it came first.
    #[must_use]
    pub fn reason(&self) -> String {
        self.why().unwrap_or_else(|| "first choice".to_owned())
    }

    /// The same, unless it came first.
    fn why(&self) -> Option<String> {
        let classified = self.classification.as_ref().map(|it| match &it.rule {
            Some(rule) => format!("{}: {rule}", it.verdict),
            None => it.verdict.to_owned(),
        });
        let probe = self.probe.then(|| "probe".to_owned());
        let after = self.after.as_ref().map(|after| format!("after {after}"));
        let parts = [classified, after, probe, self.passed_over.as_deref().map(str::to_owned)];
        parts.into_iter().flatten().reduce(|parts, part| parts + "; " + &part)
    }

    /// What Envoy can write into its own log. Each text costs it some six thousand instructions (`make bench`), so there is
    /// no reason where the first choice was taken.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::of("api", &self.api);
        metadata.push("environment", self.environment);
        metadata.push("policy", self.policy);
        metadata.push("endpoint", &self.endpoint);
        metadata.push("attempt", &self.attempt.to_string());
        if let Some(why) = self.why() {
            metadata.push("reason", &why);
        }
        if let Some(model) = &self.model {
            metadata.push("model", model.as_str());
        }
        if let Some(requested) = &self.requested {
            metadata.push("requested", requested);
        }
        metadata
    }
}

fn passed_over(attempt: &Attempt, now: Instant) -> Option<Box<str>> {
    let mut text = String::new();
    for (target, standing) in attempt.passed_over() {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}{}@{}: {}", target.model, target.endpoint.name, standing.told(now));
    }
    (!text.is_empty()).then(|| text.into())
}

/// A client's words, cut off.
#[must_use]
pub fn bounded(text: &str) -> &str {
    match text.char_indices().nth(MAX_CLIENT_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
