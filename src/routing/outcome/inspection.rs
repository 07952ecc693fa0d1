//! Looking at the start of a response: errors that look like success, and error codes that say more than a status.

use std::time::Duration;

use serde_json::Value;

use crate::routing::outcome::quota;

/// The longest prefix of a response that is inspected.
pub const MAX_BYTES: usize = 64 << 10;

/// The format of a response's body, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Server-sent events.
    Events,
    /// One JSON text.
    Json,
}

/// The verdict on the start of a successful response.
#[derive(Debug, PartialEq)]
pub enum Start {
    /// Too little has arrived to decide.
    Undecided,
    /// A real response.
    Good,
    /// An error returned with a 2xx status.
    Bad(ErrorFacts),
}

/// The facts that an error states; empty where it states none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Its code and its type, as providers spell them.
    pub codes: Vec<String>,
    /// Whether its message is about a request that is too large for the model's limits.
    pub too_large: bool,
    /// The wait that it asks for.
    pub wait: Option<Duration>,
}

impl BodyFormat {
    /// Returns the format by content type; `None` for one that cannot be read.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/event-stream" => Some(Self::Events),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Judges the bytes that have come so far; `ended` says that they are all. What is longer than [`MAX_BYTES`] is a
    /// response.
    #[must_use]
    pub fn judge(self, seen: &[u8], ended: bool) -> Start {
        let judged = match self {
            Self::Events => judge_events(seen, ended),
            Self::Json => judge_json(seen, ended),
        };
        if judged == Start::Undecided && seen.len() >= MAX_BYTES { Start::Good } else { judged }
    }
}

/// Judges by the first event that is not a comment. A stream that ends before it, or begins with its end, is empty.
fn judge_events(seen: &[u8], ended: bool) -> Start {
    let text = String::from_utf8_lossy(seen).replace("\r\n", "\n").replace('\r', "\n");
    let mut blocks: Vec<_> = text.split("\n\n").collect();
    let unfinished = blocks.pop().unwrap_or_default();
    if ended {
        blocks.push(unfinished);
    }
    for block in blocks {
        let field = |name: &str| {
            let values =
                block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start));
            values.collect::<Vec<_>>().join("\n")
        };
        let (event, data) = (field("event"), field("data"));
        if data.is_empty() {
            continue;
        }
        if data == "[DONE]" {
            return Start::Bad(ErrorFacts::default());
        }
        let error = serde_json::from_str(&data).ok().and_then(|value| error_in(&value));
        return match error {
            Some(facts) => Start::Bad(facts),
            None if event == "error" => Start::Bad(ErrorFacts::default()),
            None => Start::Good,
        };
    }
    if ended { Start::Bad(ErrorFacts::default()) } else { Start::Undecided }
}

fn judge_json(seen: &[u8], ended: bool) -> Start {
    match serde_json::from_slice(seen) {
        Ok(value) => error_in(&value).map_or(Start::Good, Start::Bad),
        Err(_) if ended && seen.iter().all(u8::is_ascii_whitespace) => Start::Bad(ErrorFacts::default()),
        Err(_) if ended => Start::Good,
        Err(_) => Start::Undecided,
    }
}

/// Returns the error of a JSON text: under `error`, or the text itself if its type says so.
fn error_in(value: &Value) -> Option<ErrorFacts> {
    let error = match value.get("error") {
        Some(Value::Null) | None if value.get("type").is_some_and(|kind| kind == "error") => value,
        Some(Value::Null) | None => return None,
        Some(error) => error,
    };
    Some(ErrorFacts::of(error))
}

impl ErrorFacts {
    /// Reads the body of a response whose status says that it is an error.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        // Google's streams, asked for as JSON, are a list.
        let value = value.get(0).unwrap_or(&value);
        Self::of(value.get("error").filter(|error| !error.is_null()).unwrap_or(value))
    }

    fn of(error: &Value) -> Self {
        let codes = ["code", "type", "status", "__type"].into_iter().filter_map(|key| match error.get(key)? {
            // AWS puts a namespace before a `#`.
            Value::String(code) => Some(code.rsplit('#').next().unwrap_or(code).to_owned()),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        });
        // Google's `google.rpc.ErrorInfo` and `RetryInfo`.
        let details = || error.get("details").and_then(Value::as_array).into_iter().flatten();
        let reasons = details().filter_map(|detail| Some(detail.get("reason")?.as_str()?.to_owned()));
        let wait = details().find_map(|detail| quota::duration(detail.get("retryDelay")?.as_str()?));
        let codes = codes.chain(reasons);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        Self { codes: codes.collect(), too_large: message.to_ascii_lowercase().starts_with("request too large"), wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(codes: &[&str]) -> Start {
        Start::Bad(ErrorFacts { codes: codes.iter().map(|&code| code.to_owned()).collect(), ..ErrorFacts::default() })
    }

    fn check(kind: BodyFormat, text: &str, ended: bool, expected: &Start) {
        assert_eq!(kind.judge(text.as_bytes(), ended), *expected, "{text:?}");
    }

    #[test]
    fn the_first_real_event_decides() {
        for (text, expected) in [
            ("", Start::Undecided),
            (": keep-alive\n\n", Start::Undecided),
            ("data: {\"choices\":[]}\n", Start::Undecided),
            ("data: {\"choices\":[]}\n\n", Start::Good),
            (": hi\r\n\r\ndata:{\"choices\":[]}\r\n\r\ndata: {\"error\":1}\r\n\r\n", Start::Good),
            (
                "data: {\"error\":{\"code\":\"overloaded\",\"type\":\"server_error\"}}\n\n",
                bad(&["overloaded", "server_error"]),
            ),
            (
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
                bad(&["overloaded_error"]),
            ),
            ("event: error\ndata: oops\n\n", bad(&[])),
            ("data: {\"error\":null,\"choices\":[]}\n\n", Start::Good),
            ("data: [DONE]\n\n", bad(&[])),
            ("data: not json\n\n", Start::Good),
        ] {
            check(BodyFormat::Events, text, false, &expected);
        }
    }

    #[test]
    fn a_stream_that_ends_before_its_first_event_is_empty() {
        check(BodyFormat::Events, "", true, &bad(&[]));
        check(BodyFormat::Events, ": only comments\n\n", true, &bad(&[]));
        check(BodyFormat::Events, "data: {\"choices\":[]}", true, &Start::Good);
    }

    #[test]
    fn a_json_answer_is_judged_once_it_is_whole() {
        for (text, ended, expected) in [
            ("{\"choices\"", false, Start::Undecided),
            ("{\"choices\":[]}", false, Start::Good),
            ("{\"error\":{\"code\":429}}", false, bad(&["429"])),
            ("", true, bad(&[])),
            ("{broken", true, Start::Good),
        ] {
            check(BodyFormat::Json, text, ended, &expected);
        }
    }

    #[test]
    fn what_is_long_is_an_answer() {
        check(BodyFormat::Json, &"x".repeat(MAX_BYTES), false, &Start::Good);
        check(BodyFormat::Events, &": c\n".repeat(MAX_BYTES), false, &Start::Good);
    }

    #[test]
    fn an_error_body_is_read_in_each_shape() {
        for (body, codes, too_large) in [
            (
                r#"{"error":{"message":"m","type":"t","code":"insufficient_quota"}}"#,
                &["insufficient_quota", "t"][..],
                false,
            ),
            (
                r#"{"object":"error","message":"m","type":"invalid_model","code":1500}"#,
                &["1500", "invalid_model"],
                false,
            ),
            (
                r#"{"error":{"message":"Request too large for gpt","code":"rate_limit_exceeded"}}"#,
                &["rate_limit_exceeded"],
                true,
            ),
            (
                r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                &["400", "INVALID_ARGUMENT", "API_KEY_INVALID"],
                false,
            ),
            (r#"[{"error":{"status":"UNAVAILABLE"}}]"#, &["UNAVAILABLE"], false),
            (r#"{"type":"error","error":{"type":"overloaded_error"}}"#, &["overloaded_error"], false),
            (r#"{"__type":"com.amazon.coral.service#ThrottlingException"}"#, &["ThrottlingException"], false),
            ("<html>", &[], false),
            ("[]", &[], false),
        ] {
            let codes = codes.iter().map(|&code| code.to_owned()).collect();
            let expected = ErrorFacts { codes, too_large, wait: None };
            assert_eq!(ErrorFacts::read(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn google_says_how_long_to_wait_in_the_body() {
        let body = r#"{"error":{"code":429,"details":[{"@type":"x"},{"retryDelay":"34.5s"},{"retryDelay":"1s"}]}}"#;
        assert_eq!(ErrorFacts::read(body.as_bytes()).wait, Some(Duration::from_millis(34_500)));
        let body = r#"{"error":{"details":[{"retryDelay":"soon"},{"retryDelay":7}]}}"#;
        assert_eq!(ErrorFacts::read(body.as_bytes()).wait, None);
    }
}
