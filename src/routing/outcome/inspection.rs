//! The start of a successful response: errors that look like success, and streams that fail before they say anything.

mod events;
mod frames;
mod stated;

use std::time::SystemTime;

use serde_json::Value;

use super::error::ErrorFacts;
use crate::body::BYTE_ORDER_MARK;
use stated::{error_in, is_heartbeat, is_without_content};

/// The longest prefix of a response that is inspected.
pub const MAX_BYTES: usize = 64 << 10;

/// The format of a response's body, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Server-sent events.
    Events,
    /// One JSON text, or a list of them as they are generated: Gemini's streams without `alt=sse`.
    Json,
    /// A JSON text on each line.
    Lines,
    /// AWS's binary event stream.
    Frames,
    /// Anything else: read only where the status says that it is an error.
    Text,
}

/// The verdict on the start of a successful response.
#[derive(Debug, PartialEq)]
pub enum Start {
    /// Too little has arrived to decide.
    Undecided,
    /// The stream has begun with events that may still be followed by a failure.
    Opened,
    /// A real response.
    Good,
    /// An error returned with a 2xx status.
    Bad(ErrorFacts),
}

/// The elements of a stream that have arrived completely: the name of each event, if it has one, and its JSON.
struct Elements {
    all: Vec<Element>,
    /// Whether the stream said that it is over.
    is_over: bool,
}

/// One event, line, list element or frame.
struct Element {
    name: String,
    /// `None` if it is not JSON.
    value: Option<Value>,
    /// Whether the name alone says that it is an error.
    is_error: bool,
    /// Whether it only keeps the connection alive.
    is_heartbeat: bool,
}

impl BodyFormat {
    /// Returns the format by content type; `None` for one that cannot be read.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/event-stream" => Some(Self::Events),
            "application/json" | "application/problem+json" | "text/json" => Some(Self::Json),
            "application/x-ndjson" | "application/jsonl" | "application/json-lines" => Some(Self::Lines),
            "application/vnd.amazon.eventstream" => Some(Self::Frames),
            _ => None,
        }
    }

    /// Judges the bytes that have arrived so far; `ended` says that they are all. `openings` are the events after which
    /// a failure is still possible. A response that is longer than [`MAX_BYTES`] is good.
    #[must_use]
    pub fn judge(self, seen: &[u8], ended: bool, openings: &[&str], now: SystemTime) -> Start {
        if !ended && seen.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(seen) {
            return Start::Undecided;
        }
        let text = seen.strip_prefix(BYTE_ORDER_MARK).unwrap_or(seen);
        let elements = match self.as_it_begins(text) {
            Self::Json if first_byte(text) != Some(b'[') => return bounded(judge_json(text, ended, now), seen),
            Self::Json => events::list(text),
            Self::Events => events::server_sent(text, ended),
            Self::Lines => events::lines(text, ended),
            Self::Frames => frames::frames(seen),
            Self::Text => return Start::Good,
        };
        bounded(elements.judge(ended, openings, now), seen)
    }

    /// Returns the format by the first byte, where that is not what the content type says: some servers answer a
    /// request for a stream with a JSON text under the stream's type, or the other way round.
    fn as_it_begins(self, text: &[u8]) -> Self {
        match (self, first_byte(text)) {
            (Self::Events, Some(b'{' | b'[')) => Self::Json,
            (Self::Json, Some(b':' | b'd' | b'e' | b'i' | b'r')) => Self::Events,
            _ => self,
        }
    }
}

/// Returns the JSON of the first server-sent event that has some.
pub(super) fn first_event(body: &[u8]) -> Option<Value> {
    events::server_sent(body, true).all.into_iter().find_map(|element| element.value)
}

/// Ends the inspection of a long response.
fn bounded(judged: Start, seen: &[u8]) -> Start {
    match judged {
        Start::Undecided | Start::Opened if seen.len() >= MAX_BYTES => Start::Good,
        judged => judged,
    }
}

fn first_byte(text: &[u8]) -> Option<u8> {
    text.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Judges a JSON text by its first value. What is no JSON is not known to be an error.
fn judge_json(text: &[u8], ended: bool, now: SystemTime) -> Start {
    match serde_json::Deserializer::from_slice(text).into_iter::<Value>().next() {
        // A number or a word may go on with the next chunk.
        Some(Ok(value)) if ended || value.is_object() => error_in(&value, now).map_or(Start::Good, Start::Bad),
        Some(Err(error)) if ended || !error.is_eof() => Start::Good,
        None if ended => Start::Bad(ErrorFacts::default()),
        Some(_) | None => Start::Undecided,
    }
}

impl Elements {
    /// The first element that is an error or content decides. A stream that ends before it is empty.
    fn judge(&self, ended: bool, openings: &[&str], now: SystemTime) -> Start {
        let mut is_opened = false;
        for element in &self.all {
            let error = element.value.as_ref().and_then(|value| error_in(value, now));
            match error {
                Some(facts) => return Start::Bad(facts),
                None if element.is_error => return Start::Bad(element.facts(now)),
                None if element.is_heartbeat => {}
                None if element.is_opening(openings) => is_opened = true,
                None => return Start::Good,
            }
        }
        match (ended || self.is_over, is_opened) {
            (true, _) => Start::Bad(ErrorFacts::default()),
            (false, false) => Start::Undecided,
            (false, true) => Start::Opened,
        }
    }
}

impl Element {
    fn new(name: String, value: Option<Value>, is_error: bool) -> Self {
        let is_heartbeat = is_heartbeat(&name, value.as_ref());
        Self { name, value, is_error, is_heartbeat }
    }

    /// Returns the facts of an error that only its name shows to be one.
    fn facts(&self, now: SystemTime) -> ErrorFacts {
        let stated = self.value.as_ref().map(|value| ErrorFacts::of(value, now)).unwrap_or_default();
        stated.and_code(&self.name)
    }

    /// Returns whether nothing of the response has been said with it.
    fn is_opening(&self, openings: &[&str]) -> bool {
        let Some(value) = &self.value else { return openings.contains(&&*self.name) };
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        openings.contains(&kind) || openings.contains(&&*self.name) || is_without_content(value)
    }
}

#[cfg(test)]
mod tests;
