//! A decision: which target an attempt took and why; what is logged, shown to Envoy and kept for operators.

mod metadata;
mod parent;
mod traced;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::classifier::ServiceKind;
use crate::model_name::ModelName;
use crate::routing::outcome::Outcome;
use crate::routing::usage::{Cost, Usage};
pub use metadata::Metadata;
pub use parent::Parent;
pub use traced::Traced;

/// The outcome of an attempt without a response: the client left, or the provider broke off.
pub const NO_ANSWER: &str = "no_answer";

/// The policy of a request that goes to the endpoint which keeps its state; nothing is learnt from its response.
pub const STATEFUL: &str = "stateful_endpoint";

/// A shorter stream says nothing about how fast it was.
const MIN_STREAM_SECONDS: f64 = 0.05;

/// The longest part of a client's own words that is kept.
const MAX_CLIENT_TEXT: usize = 128;

/// One attempt's decision. Never a prompt, never a credential.
#[derive(Debug)]
pub struct Decision {
    /// When it was made.
    pub at: SystemTime,
    /// The span that it belongs to and what a span reports besides, where the request is traced.
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
    /// The attempt's number within its request, from 1.
    pub attempt: u32,
    /// Whether it tries a target whose suspension is over.
    pub probe: bool,
    /// The result of the previous attempt: `gpt-4o@east: failed`.
    pub after: Option<Box<str>>,
    /// The earlier candidates that were not available: `gpt-4o@east: suspended for 12 s; …`.
    pub skipped: Option<Box<str>>,
    /// Where the key of the request's session was found: `header x-session`.
    pub affinity: Option<Box<str>>,
    /// The classification of the request.
    pub classification: Option<Classified>,
    /// The version of the policy file.
    pub policy_version: u64,
    /// The time for which the router waited for the request's body and its classification.
    pub waited: Duration,
    /// The time that the router then needed to read the body and to choose.
    pub worked: Duration,
    /// The length of the request's body as the client sent it.
    pub body_bytes: u64,
    /// Whether its response is being read, so that its usage will be known.
    pub observed: AtomicBool,
    /// What its response used, once it is over.
    pub used: OnceLock<Used>,
    /// Whether the log has a line for it.
    pub logged: AtomicBool,
    /// The attempt's result, once that is known.
    pub answer: OnceLock<AttemptResult>,
}

/// The classification of a request.
#[derive(Debug)]
pub struct Classified {
    /// The kind of service that was asked.
    pub kind: ServiceKind,
    /// Its name.
    pub service: Arc<str>,
    /// The label of the verdict.
    pub verdict: &'static str,
    /// The rule or route that matched.
    pub rule: Option<Box<str>>,
    /// How close it was, where vectors were compared.
    pub closeness: Option<Closeness>,
    /// The classifier that was asked because it was too close, and its verdict.
    pub unsure: Option<(Arc<str>, &'static str)>,
    /// The error, if there was one.
    pub error: Option<Box<str>>,
    /// The time it took.
    pub took: Duration,
    /// Whether it needed no call, because the verdict was cached or another request asked the same.
    pub shared: bool,
}

/// How close a request is to the routes of a semantic policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Closeness {
    /// The best route.
    pub route: Box<str>,
    /// Its score.
    pub score: f32,
    /// What its score must reach.
    pub threshold: f32,
    /// The second best route and its score.
    pub second: Option<(Box<str>, f32)>,
}

impl fmt::Display for Closeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.3} of {:.3}", self.route, self.score, self.threshold)?;
        match &self.second {
            Some((route, score)) => write!(f, ", {route} {score:.3}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict)?;
        if let Some(rule) = &self.rule {
            write!(f, ": {rule}")?;
        }
        if let Some(closeness) = &self.closeness {
            write!(f, " ({closeness})")?;
        }
        match &self.unsure {
            Some((classifier, verdict)) => write!(f, ", unsure: {classifier} said {verdict}"),
            None => Ok(()),
        }
    }
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// The response's status; 0 if there was no response.
    pub status: u16,
    /// The label of its outcome, or that there was none.
    pub outcome: &'static str,
    /// The time until its headers.
    pub took: Duration,
    /// Whether Envoy was asked for another attempt, or asks for one by itself.
    pub goes_on: bool,
}

impl AttemptResult {
    /// Returns whether the attempt's failure has counted already: its headers or its first event told of it.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.goes_on || !matches!(self.outcome, "served" | "served_last" | NO_ANSWER)
    }
}

/// What a response used, and how it went.
#[derive(Clone, Debug)]
pub struct Used {
    /// Its tokens.
    pub usage: Usage,
    /// What they cost, if the policy has a price.
    pub cost: Option<Cost>,
    /// How long after the decision the first and the last byte of its body came, if that is known.
    pub times: Option<(Duration, Duration)>,
    /// Whether it came to its end.
    pub has_ended: bool,
}

impl Used {
    /// Returns how many tokens a second were generated, from the first byte to the last; `None` where too little can be
    /// said.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let (first, last) = self.times?;
        let seconds = last.saturating_sub(first).as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // Of more than 2^52 tokens.
        let output = self.usage.tokens.output as f64;
        (seconds >= MIN_STREAM_SECONDS && output >= 1.0).then(|| output / seconds)
    }
}

impl Decision {
    /// Records the attempt's result.
    pub fn answered(&self, status: u16, outcome: &Outcome, took: Duration, goes_on: bool) {
        // There is one response to an attempt, so nothing is there yet.
        let _ = self.answer.set(AttemptResult { status, outcome: outcome.label(), took, goes_on });
    }

    /// Records that the attempt ended without a response.
    pub fn unanswered(&self, took: Duration, goes_on: bool) {
        let _ = self.answer.set(AttemptResult { status: 0, outcome: NO_ANSWER, took, goes_on });
    }

    /// Returns why this target was chosen: the affinity of its session, the verdict, the result of the previous attempt,
    /// the candidates that were not available, or that it came first.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.affinity.as_ref().map(|source| format!("affinity by {source}")), self.why()) {
            (Some(affinity), Some(why)) => affinity + "; " + &why,
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => "first choice".to_owned(),
        }
    }

    /// Returns the reason, unless the target came first.
    fn why(&self) -> Option<String> {
        let classified = self.classification.as_ref().map(ToString::to_string);
        let probe = self.probe.then(|| "probe".to_owned());
        let after = self.after.as_ref().map(|after| format!("after {after}"));
        let parts = [classified, after, probe, self.skipped.as_deref().map(str::to_owned)];
        parts.into_iter().flatten().reduce(|parts, part| parts + "; " + &part)
    }

    /// Returns what Envoy can write into its own log. Each text costs it some six thousand instructions (`make bench`),
    /// so there is no reason where the first choice was taken.
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

/// Returns a client's words, cut off.
#[must_use]
pub fn bounded(text: &str) -> &str {
    match text.char_indices().nth(MAX_CLIENT_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
