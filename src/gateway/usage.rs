//! Usage of responses: copies of them are read as they pass, and nothing waits for that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Gateway;
use crate::body::coding::Coding;
use crate::gateway::breaks::BrokenResponse;
use crate::gateway::capacity::{Capacity, Held, Place};
use crate::routing::api::Environment;
use crate::routing::decision::{AttemptResult, Decision, Used};
use crate::routing::outcome::Outcome;
use crate::routing::outcome::error::ErrorFacts;
use crate::routing::outcome::inspection::BodyFormat;
use crate::routing::usage::{Known, Reader, Unread};
use crate::telemetry::ResponseLabels;

/// Responses that are read at once.
const MAX_STREAMS: usize = 20_000;

/// The memory of all decoders of compressed responses at once.
const MAX_DECODER_BYTES: usize = 256 << 20;

/// A response whose headers have come, as far as its usage is concerned.
#[derive(Debug, Default)]
pub struct ObservedHead {
    /// The API of its request.
    pub api: String,
    /// The environment.
    pub environment: String,
    /// The endpoint that served it.
    pub endpoint: String,
    /// The model that was asked for; none where the request kept its own.
    pub model: Option<String>,
    /// The attempt's number.
    pub attempt: u32,
    /// Envoy's id of the request.
    pub request_id: Option<String>,
    /// The response's status.
    pub status: u16,
    /// Whether another attempt will take its place.
    pub is_replaced: bool,
    /// Its format, by its content type; `None` for one that cannot be read.
    pub format: Option<BodyFormat>,
    /// Its coding; `None` for one that is not known.
    pub coding: Option<Coding>,
    /// Headers that may state usage.
    pub headers: Vec<(String, String)>,
}

/// Returns the bounds of what is read at once: responses, and the memory of their decoders.
#[must_use]
pub fn capacity() -> Arc<Capacity> {
    Capacity::new(usize::MAX, MAX_STREAMS, MAX_DECODER_BYTES)
}

/// A response that is being read.
#[derive(Debug)]
pub struct Observation {
    gateway: Arc<Gateway>,
    head: ObservedHead,
    decision: Option<Arc<Decision>>,
    reader: Option<Reader>,
    /// Its place among the responses that are read at once, and the memory that its decoder takes.
    _place: Option<Place>,
    decoder: Arc<Held>,
    /// When the first and the last byte of its body came.
    first: Option<Instant>,
    last: Instant,
}

impl Gateway {
    /// Begins to read a response; `None` if there is nothing to read in it: it is not a target's, or none that succeeded.
    #[must_use]
    pub fn observe(self: &Arc<Self>, head: ObservedHead, now: Instant) -> Option<Observation> {
        if head.is_replaced || !(200..300).contains(&head.status) || head.endpoint.is_empty() {
            return None;
        }
        let decision = self.telemetry.observed(head.request_id.as_deref(), head.attempt);
        let place = self.reading.enter();
        let mut reader = match place {
            Some(_) => Reader::new(head.format, head.coding),
            None => Reader::unread(Unread::OverCapacity),
        };
        head.headers.iter().for_each(|(name, value)| reader.header(name, value));
        let (gateway, decoder) = (Arc::clone(self), self.reading.account());
        let (reader, _place) = (Some(reader), place);
        Some(Observation { gateway, head, decision, reader, _place, decoder, first: None, last: now })
    }
}

impl Observation {
    /// Returns whether it needs no more of the response.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.reader.as_ref().is_none_or(Reader::is_done)
    }

    /// Reads a part of the body.
    pub fn push(&mut self, bytes: &[u8], now: Instant) {
        let Some(reader) = &mut self.reader else { return };
        if !bytes.is_empty() {
            self.first = self.first.or(Some(now));
            self.last = now;
        }
        reader.push(bytes, |bytes| {
            let has_room = self.decoder.grow(bytes);
            if !has_room {
                self.decoder.release();
            }
            has_room
        });
    }

    /// Ends it: the response came to its end.
    pub fn end(mut self) {
        self.finish(true);
    }

    fn finish(&mut self, has_ended: bool) {
        let Some(mut reader) = self.reader.take() else { return };
        let silent_for = if self.first.is_some() { self.last.elapsed() } else { Duration::ZERO };
        match (reader.error(), reader.fault(has_ended, silent_for)) {
            (Some(error), _) => self.stated(&error),
            (None, Some(fault)) => self.failed(fault),
            (None, None) => {}
        }
        let input_bytes = self.decision.as_ref().map(|decision| decision.body_bytes);
        let usage = reader.usage(has_ended, input_bytes);
        let model = self.head.model.as_deref().or(usage.model.as_deref());
        let snapshot = self.gateway.router.snapshot();
        let price = snapshot.apis.endpoint(&self.head.endpoint).and_then(|endpoint| endpoint.prices.get(model?));
        let cost = price.filter(|_| usage.known != Known::Unread).map(|price| price.of(&usage.tokens));
        let used = Used { usage, cost, times: self.times(), has_ended };
        let labels = ResponseLabels {
            request_id: self.head.request_id.as_deref(),
            api: &self.head.api,
            environment: Environment::named(&self.head.environment).map_or("unknown", Environment::name),
            endpoint: &self.head.endpoint,
            model: self.head.model.as_deref(),
            attempt: self.head.attempt,
        };
        self.gateway.telemetry.used(&labels, self.decision.as_ref(), used);
    }

    /// Returns how long after the decision the first and the last byte came; none without its decision.
    fn times(&self) -> Option<(Duration, Duration)> {
        let (decision, first) = (self.decision.as_ref()?, self.first?);
        let until_now = SystemTime::now().duration_since(decision.at).ok()?;
        let age = |instant: Instant| until_now.saturating_sub(instant.elapsed());
        Some((age(first), age(self.last)))
    }

    /// Records an error in the middle of a response at its target, unless it is the request's own fault, or about the
    /// client's own credential.
    fn stated(&self, error: &ErrorFacts) {
        let snapshot = self.gateway.router.snapshot();
        let Some(endpoint) = snapshot.apis.endpoint(&self.head.endpoint) else { return };
        let mut outcome = Outcome::of_hidden_error(error, endpoint.provider);
        if endpoint.credential.is_clients() {
            outcome = outcome.of_clients_own(self.head.status);
        }
        if !outcome.is_neutral() && outcome != Outcome::Unsent {
            self.failed(error.code().unwrap_or(outcome.label()));
        }
    }

    /// Records at the target that the response failed after it had begun.
    fn failed(&self, code: &str) {
        let Some(model) = self.head.model.as_deref().filter(|_| !self.was_judged()) else { return };
        let broken = BrokenResponse {
            api: &self.head.api,
            environment: &self.head.environment,
            endpoint: &self.head.endpoint,
            model,
            status: self.head.status,
            attempt: self.head.attempt,
            request_id: self.head.request_id.as_deref().unwrap_or_default(),
            at: SystemTime::now(),
        };
        self.gateway.failed_late(&broken, code, self.last);
    }

    /// Returns whether the response was a failure already when its headers passed, or its first event.
    fn was_judged(&self) -> bool {
        let answer = self.decision.as_ref().and_then(|decision| decision.answer.get());
        answer.is_some_and(AttemptResult::is_failure)
    }
}

impl Drop for Observation {
    /// Envoy has ended its copies before the response's end: the client left, or the provider broke it off.
    fn drop(&mut self) {
        self.finish(false);
    }
}
