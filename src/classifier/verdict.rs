//! A verdict: the outcome of classifying a request. Every failure mode has a name.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::completion::Reply;
use super::index::Scores;

/// The outcome of a question. Every one but the first leaves the request to the policy's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request fits the rule of this index.
    Matched(usize),
    /// It fits none.
    None,
    /// The answer names no rule, or several.
    Unparsable,
    /// There was no answer in time.
    Timeout,
    /// There was none that can be read; why.
    Error(String),
    /// The classifier failed too often and is not asked for a while.
    BreakerOpen,
    /// The request has nothing to be classified by.
    ContentMissing,
    /// Too many questions are being asked.
    OverCapacity,
    /// The vectors of the policy's utterances are not there yet.
    Priming,
}

impl Verdict {
    /// The stable names of all outcomes, for logs, status and headers.
    pub const LABELS: [&'static str; 9] = [
        "matched",
        "none",
        "unparsable",
        "timeout",
        "error",
        "breaker_open",
        "content_missing",
        "over_capacity",
        "priming",
    ];

    pub(super) fn index(&self) -> usize {
        match self {
            Self::Matched(_) => 0,
            Self::None => 1,
            Self::Unparsable => 2,
            Self::Timeout => 3,
            Self::Error(_) => 4,
            Self::BreakerOpen => 5,
            Self::ContentMissing => 6,
            Self::OverCapacity => 7,
            Self::Priming => 8,
        }
    }

    /// Returns the reason of the failure, for [`Verdict::Error`].
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(why) => Some(why),
            _ => None,
        }
    }

    /// Returns the failure in words: its name, or its reason.
    pub(super) fn why(self) -> String {
        match self {
            Self::Error(why) => why,
            other => other.label().to_owned(),
        }
    }

    /// Returns the index of the rule that the request fits.
    #[must_use]
    pub fn rule(&self) -> Option<usize> {
        match self {
            Self::Matched(rule) => Some(*rule),
            _ => None,
        }
    }

    /// Returns its stable name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        Self::LABELS[self.index()]
    }
}

/// The result of classifying one request.
#[derive(Clone)]
pub struct Classification {
    /// The outcome.
    pub verdict: Verdict,
    /// The time that the request waited for it.
    pub took: Duration,
    /// Whether it needed no call, because the verdict was cached or another request asked the same.
    pub shared: bool,
    /// The classifier's words; they may repeat the client's, so they are never logged.
    pub answer: Option<String>,
    /// The tokens of prompt and answer, where the service reports them.
    pub tokens: Option<(u64, u64)>,
    /// The scores of the routes, where vectors were compared.
    pub scores: Option<Arc<Scores>>,
    /// What the classifier said that was asked because the scores were too close.
    pub unsure: Option<Second>,
}

/// The second stage of a classification: what an LLM made of a request whose scores were too close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    /// The classifier that was asked.
    pub classifier: Arc<str>,
    /// Its verdict; any but `matched` and `none` leaves the request to the scores.
    pub verdict: Verdict,
}

impl fmt::Debug for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classification")
            .field("verdict", &self.verdict)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

impl Classification {
    /// Creates the result for a request about which nothing was asked.
    #[must_use]
    pub(super) fn at_once(verdict: Verdict) -> Self {
        Self { verdict, took: Duration::ZERO, shared: false, answer: None, tokens: None, scores: None, unsure: None }
    }

    /// Nobody was asked, because somebody only wants to know what would be asked: it counts for nothing.
    #[must_use]
    pub fn not_asked() -> Self {
        Self::at_once(Verdict::None)
    }

    /// Creates the result of a question that began at `began`.
    pub(super) fn of(verdict: Verdict, reply: Option<Reply>, shared: bool, began: Instant) -> Self {
        let Reply { text, tokens } = reply.unwrap_or_default();
        Self { took: began.elapsed(), shared, answer: text, tokens, ..Self::at_once(verdict) }
    }
}
