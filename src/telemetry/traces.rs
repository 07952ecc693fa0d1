//! Traces: a span for each attempt whose request is traced, sent over OTLP when there is time for it.

mod collector;
mod exporter;
mod span;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use super::metrics::Spans;
use crate::routing::decision::Decision;
use crate::routing::decision::Traced;
use crate::routing::outcome::Outcome;
pub use collector::Collector;
pub use exporter::{Export, Exporter};

/// Spans that wait to be sent; further ones are dropped and counted.
const MAX_WAITING: usize = 8_192;

/// An attempt that is over.
#[derive(Debug)]
struct Ended {
    decision: Arc<Decision>,
    traced: Traced,
    took: Duration,
    /// The response's status, and what it says of the target; `None` if there was none.
    answer: Option<(u16, Answer)>,
    /// Whether its response may be read, which its span waits for.
    awaits_usage: bool,
}

/// The outcome of a response for its target.
#[derive(Clone, Copy, Debug)]
struct Answer {
    label: &'static str,
    is_failure: bool,
}

/// The queue of ended attempts. Off until there is an exporter.
#[derive(Debug, Default)]
pub(super) struct Traces {
    waiting: OnceLock<mpsc::Sender<Ended>>,
}

impl Traces {
    /// Turns it on.
    pub(super) fn export(&self, spans: Spans) -> Export {
        let (sender, waiting) = mpsc::channel(MAX_WAITING);
        // Only once: there is one exporter.
        let _ = self.waiting.set(sender);
        Export::new(waiting, spans)
    }

    /// Never waits: a span that finds no room is dropped.
    pub(super) fn ended(
        &self,
        decision: &Arc<Decision>,
        answer: Option<(u16, &Outcome)>,
        took: Duration,
        awaits_usage: bool,
        spans: &Spans,
    ) {
        let (Some(waiting), Some(traced)) = (self.waiting.get(), decision.traced.as_ref()) else { return };
        let said = |(status, outcome): (u16, &Outcome)| {
            (status, Answer { label: outcome.label(), is_failure: outcome.is_failure() })
        };
        let (decision, traced, answer) = (Arc::clone(decision), traced.clone(), answer.map(said));
        let ended = Ended { decision, traced, took, answer, awaits_usage };
        if waiting.try_send(ended).is_err() {
            spans.dropped();
        }
    }
}
