//! The start of a successful response: errors that look like success, and streams that fail before they say anything.

mod events;
mod frames;

use std::time::SystemTime;

use serde_json::Value;

use super::error::ErrorFacts;

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
        let elements = match self {
            Self::Json if !is_list(seen) => return bounded(judge_json(seen, ended, now), seen),
            Self::Json => events::list(seen),
            Self::Events => events::server_sent(seen, ended),
            Self::Lines => events::lines(seen, ended),
            Self::Frames => frames::frames(seen),
        };
        bounded(elements.judge(ended, openings, now), seen)
    }
}

/// Ends the inspection of a long response.
fn bounded(judged: Start, seen: &[u8]) -> Start {
    match judged {
        Start::Undecided | Start::Opened if seen.len() >= MAX_BYTES => Start::Good,
        judged => judged,
    }
}

fn is_list(seen: &[u8]) -> bool {
    seen.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

fn judge_json(seen: &[u8], ended: bool, now: SystemTime) -> Start {
    match serde_json::from_slice(seen) {
        Ok(value) => error_in(&value, now).map_or(Start::Good, Start::Bad),
        Err(_) if ended && seen.iter().all(u8::is_ascii_whitespace) => Start::Bad(ErrorFacts::default()),
        Err(_) if ended => Start::Good,
        Err(_) => Start::Undecided,
    }
}

impl Elements {
    /// The first element that is an error or content decides. A stream that ends before it is empty.
    fn judge(&self, ended: bool, openings: &[&str], now: SystemTime) -> Start {
        for element in &self.all {
            let error = element.value.as_ref().and_then(|value| error_in(value, now));
            match error {
                Some(facts) => return Start::Bad(facts),
                None if element.is_error => return Start::Bad(element.facts(now)),
                None if element.is_opening(openings) => {}
                None => return Start::Good,
            }
        }
        match (ended || self.is_over, self.all.is_empty()) {
            (true, _) => Start::Bad(ErrorFacts::default()),
            (false, true) => Start::Undecided,
            (false, false) => Start::Opened,
        }
    }
}

impl Element {
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

/// Returns whether a chunk of a chat completion or of Gemini's has nothing in it yet: the role alone, or what a filter
/// says of the prompt.
fn is_without_content(value: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let says_nothing = |choice: &Value| {
        let delta = choice.get("delta").and_then(Value::as_object);
        let is_open = choice.get("finish_reason").is_none_or(Value::is_null);
        is_open && delta.is_some_and(|delta| delta.iter().all(|(key, value)| key == "role" || is_empty(value)))
    };
    match (value.get("choices"), value.get("candidates")) {
        (Some(Value::Array(choices)), _) => {
            value.get("usage").is_none_or(Value::is_null) && choices.iter().all(says_nothing)
        }
        (None, None) => value.get("usageMetadata").is_some(),
        _ => false,
    }
}

/// Returns the error that a JSON text of a successful response states.
fn error_in(value: &Value, now: SystemTime) -> Option<ErrorFacts> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let choice = value.get("choices").and_then(|choices| choices.get(0));
    let is_failed = |value: &Value| value.get("status").and_then(Value::as_str) == Some("failed");
    let base = value.get("base_resp").and_then(|base| base.get("status_code")).and_then(Value::as_i64);
    let is_error = value.get("error").is_some_and(is_stated)
        || matches!(text("type"), "error" | "response.failed")
        || text("object") == "error"
        || (text("object") == "response" && is_failed(value))
        || choice.is_some_and(|choice| choice.get("error").is_some_and(is_stated))
        || choice.is_some_and(|choice| choice.get("finish_reason").and_then(Value::as_str) == Some("error"))
        || base.is_some_and(|status| status != 0)
        || value.get("success") == Some(&Value::Bool(false));
    match (is_error, blocked(value)) {
        (true, _) => Some(ErrorFacts::of(value, now)),
        (false, Some(reason)) => Some(ErrorFacts::of_code(reason)),
        (false, None) => None,
    }
}

fn is_stated(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// Returns the reason for which a content filter left the response empty. Sources: Gemini's `BlockReason` and
/// `FinishReason`; Azure's `finish_reason`; the stop reasons of Anthropic and Bedrock.
fn blocked(value: &Value) -> Option<&str> {
    let first = |list: &str| value.get(list).and_then(|list| list.get(0));
    if let Some(reason) = value.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")) {
        return reason.as_str().filter(|_| first("candidates").is_none());
    }
    if let Some(candidate) = first("candidates").filter(|candidate| candidate.get("content").is_none_or(has_no_part)) {
        let reason = candidate.get("finishReason").and_then(Value::as_str)?;
        return FILTERED.contains(&reason).then_some(reason);
    }
    let stopped = value.get("stop_reason").or(value.get("stopReason")).and_then(Value::as_str);
    if let Some(reason) = stopped.filter(|reason| REFUSED.contains(reason)) {
        return Some(reason);
    }
    let choice = first("choices").filter(|choice| choice.get("finish_reason").is_some())?;
    let said = choice.get("message").or(choice.get("delta")).and_then(|message| message.get("content"));
    let is_filtered = choice.get("finish_reason").and_then(Value::as_str) == Some("content_filter");
    (is_filtered && said.and_then(Value::as_str).is_none_or(str::is_empty)).then_some("content_filter")
}

/// Gemini's reasons for a candidate that a filter stopped.
const FILTERED: [&str; 7] =
    ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY", "MODEL_ARMOR"];

/// Reasons of Anthropic and Bedrock for which a model or a guardrail did not answer.
const REFUSED: [&str; 3] = ["refusal", "guardrail_intervened", "content_filtered"];

fn has_no_part(content: &Value) -> bool {
    content.get("parts").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
