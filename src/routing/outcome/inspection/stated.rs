//! What a JSON text of a successful response states: nothing yet, content, an error, or that a filter left it empty.

use std::time::SystemTime;

use serde_json::Value;

use crate::routing::outcome::error::ErrorFacts;

/// Names, types and texts of events that only keep the connection alive, in every dialect.
const HEARTBEATS: [&str; 5] = ["ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"];

/// Members of a response that is one, whatever else it has.
const CONTENTS: [&str; 8] = ["choices", "candidates", "output", "content", "data", "result", "results", "embeddings"];

/// Returns whether an event only keeps the connection alive: its name, its type or its text says so, or it has nothing.
pub(super) fn is_heartbeat(name: &str, value: Option<&Value>) -> bool {
    let is_named = |text: &str| HEARTBEATS.iter().any(|known| known.eq_ignore_ascii_case(text));
    let kind = value.and_then(|value| value.get("type").unwrap_or(value).as_str()).unwrap_or_default();
    is_named(name) || is_named(kind) || value.is_some_and(is_empty)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns whether a chunk of a chat completion or of Gemini's has nothing in it yet: the role alone, a text of no
/// characters, or what a filter says of the prompt.
pub(super) fn is_without_content(value: &Value) -> bool {
    match (value.get("choices"), value.get("candidates")) {
        // The last chunk has the usage and no choices.
        (Some(Value::Array(choices)), _) if choices.is_empty() => value.get("usage").is_none_or(Value::is_null),
        (Some(Value::Array(choices)), _) => choices.iter().all(says_nothing),
        (_, Some(Value::Array(candidates))) => candidates.iter().all(has_nothing),
        (None, None) => value.get("usageMetadata").is_some(),
        _ => false,
    }
}

fn says_nothing(choice: &Value) -> bool {
    let delta = choice.get("delta").and_then(Value::as_object);
    let is_open = choice.get("finish_reason").is_none_or(Value::is_null);
    is_open && delta.is_some_and(|delta| delta.iter().all(|(key, value)| key == "role" || is_empty(value)))
}

fn has_nothing(candidate: &Value) -> bool {
    let is_open = candidate.get("finishReason").is_none_or(Value::is_null);
    let parts = candidate.get("content").and_then(|content| content.get("parts")).and_then(Value::as_array);
    let is_blank = |part: &Value| part.as_object().is_some_and(|part| part.iter().all(|(_, value)| is_empty(value)));
    is_open && parts.is_none_or(|parts| parts.iter().all(is_blank))
}

/// Returns the error that a JSON text of a successful response states.
pub(super) fn error_in(mut value: &Value, now: SystemTime) -> Option<ErrorFacts> {
    while let Some(first) = value.get(0) {
        value = first;
    }
    match (is_error(value), blocked(value)) {
        (true, _) => Some(ErrorFacts::of(value, now)),
        (false, Some(reason)) => Some(ErrorFacts::of_code(reason).and_code(FILTER)),
        (false, None) => None,
    }
}

fn is_error(value: &Value) -> bool {
    let states = |value: &Value, key: &str| value.get(key).is_some_and(is_stated);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let choice = value.get("choices").and_then(|choices| choices.get(0)).unwrap_or(&Value::Null);
    let base = value.get("base_resp").and_then(|base| base.get("status_code")).and_then(Value::as_i64);
    states(value, "error")
        || (!CONTENTS.iter().any(|key| states(value, key)) && is_bare_error(value))
        || states(choice, "error")
        || value.get("x_groq").is_some_and(|groq| states(groq, "error"))
        || matches!(text("type"), "error" | "response.failed")
        || text("object") == "error"
        || (text("object") == "response" && text("status") == "failed")
        || choice.get("finish_reason").and_then(Value::as_str) == Some("error")
        || base.is_some_and(|status| status != 0)
        || value.get("success") == Some(&Value::Bool(false))
}

/// Returns whether a JSON text without content is an error: of Baidu, Cloudflare, DashScope or AWS, of what follows
/// GraphQL, or with an error that states nothing.
fn is_bare_error(value: &Value) -> bool {
    let states = |key: &str| value.get(key).is_some_and(is_stated);
    let has_message = ["message", "msg", "error_msg"].iter().any(|key| value.get(key).is_some_and(Value::is_string));
    let is_success = |code: &Value| match code {
        Value::String(text) => matches!(&*text.to_ascii_lowercase(), "ok" | "success" | "200"),
        code => code.as_u64().is_some_and(|code| (200..300).contains(&code)),
    };
    let has_code = value.get("code").is_some_and(|code| is_stated(code) && !is_success(code));
    let has_error = value.get("error").is_some_and(|error| error.is_object() || error.is_array());
    let is_failed = value.get("status").and_then(Value::as_str).is_some_and(|it| matches!(it, "error" | "failed"));
    has_error
        || is_failed
        || (has_code && has_message)
        || ["error_code", "errors", "errorMessage"].into_iter().any(states)
}

fn is_stated(value: &Value) -> bool {
    !is_empty(value) && *value != Value::Bool(false) && value.as_f64() != Some(0.0)
}

/// The code of a response that a filter left empty, beside the vendor's own reason.
const FILTER: &str = "content_filter";

/// Returns the reason for which a content filter left the response empty. Sources: Gemini's `BlockReason` and
/// `FinishReason`; `finish_reason` of chat completions; `incomplete_details` of OpenAI's Responses API; the stop reasons
/// of Anthropic and Bedrock.
fn blocked(value: &Value) -> Option<&str> {
    let first = |list: &str| value.get(list).and_then(|list| list.get(0));
    if let Some(reason) = value.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")) {
        return reason.as_str().filter(|_| first("candidates").is_none());
    }
    if let Some(candidate) = first("candidates").filter(|candidate| candidate.get("content").is_none_or(has_no_part)) {
        let reason = candidate.get("finishReason").and_then(Value::as_str)?;
        return FILTERED.contains(&reason).then_some(reason);
    }
    let stopped = [Some(value), value.get("delta")].into_iter().flatten();
    let mut stopped = stopped.filter_map(|stop| stop.get("stop_reason").or(stop.get("stopReason"))?.as_str());
    if let Some(reason) = stopped.find(|reason| REFUSED.contains(reason)) {
        return Some(reason);
    }
    let response = value.get("response").unwrap_or(value);
    let reason = response.get("incomplete_details").and_then(|details| details.get("reason"));
    if reason.and_then(Value::as_str) == Some(FILTER) && response.get("output").is_none_or(is_empty) {
        return Some(FILTER);
    }
    let choice = first("choices").filter(|choice| choice.get("finish_reason").is_some())?;
    let said = choice.get("message").or(choice.get("delta")).and_then(|message| message.get("content"));
    let is_filtered = choice.get("finish_reason").and_then(Value::as_str) == Some(FILTER);
    (is_filtered && said.and_then(Value::as_str).is_none_or(str::is_empty)).then_some(FILTER)
}

/// Gemini's reasons for a candidate that a filter stopped.
const FILTERED: [&str; 10] = [
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "RECITATION",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "LANGUAGE",
];

/// Reasons of Anthropic and Bedrock for which a model or a guardrail did not answer.
const REFUSED: [&str; 3] = ["refusal", "guardrail_intervened", "content_filtered"];

fn has_no_part(content: &Value) -> bool {
    content.get("parts").and_then(Value::as_array).is_none_or(Vec::is_empty)
}
