//! What an error states, in every shape that vendors use: its codes, its message and the wait that it asks for.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{inspection, wait, words};
use crate::body::BYTE_ORDER_MARK;

/// The longest message that is kept: the part that says what is wrong comes first.
const MAX_MESSAGE_CHARS: usize = 4_096;

/// The most codes that are kept.
const MAX_CODES: usize = 16;

/// The facts that an error states; empty where it states none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Its codes, types and reasons, as the vendor spells them.
    pub codes: Vec<String>,
    /// Its message, in lower case.
    pub message: String,
    /// The part of the message that can't be the client's, who must not get a key suspended by what he writes.
    pub own_words: String,
    /// Whether it names a parameter of the request, other than the model, as what is wrong.
    pub names_parameter: bool,
    /// The wait that it asks for.
    pub wait: Option<Duration>,
}

/// Members that hold a code or a type.
const CODES: [&str; 9] =
    ["code", "type", "status", "__type", "error_type", "errorCode", "error_code", "Code", "reason"];

/// Members that hold a message.
const MESSAGES: [&str; 9] =
    ["message", "msg", "detail", "faultstring", "Message", "errorMessage", "title", "error_description", "error_msg"];

/// Members that hold a wait in seconds, or an instant.
const WAITS: [&str; 4] = ["retry_after", "retry_after_seconds", "resets_in_seconds", "resets_at"];

impl ErrorFacts {
    /// Creates the facts of an error of which only a code is known.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        let mut facts = Self::default();
        facts.push(code);
        facts
    }

    /// Creates the facts of an error whose codes and message, in lower case, were read one by one.
    #[must_use]
    pub fn stated(codes: &[String], message: &str) -> Self {
        let mut facts = Self { message: message.to_owned(), own_words: words::own(message), ..Self::default() };
        codes.iter().for_each(|code| facts.push(code));
        facts
    }

    /// Returns the same with one more code.
    pub(super) fn and_code(mut self, code: &str) -> Self {
        self.push(code);
        self
    }

    /// Reads the body of a response whose status says that it is an error. `now` is for messages that name an instant.
    #[must_use]
    pub fn read(body: &[u8], now: SystemTime) -> Self {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        // Something may follow it: other lines, or what a proxy appended.
        let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
        let value = match first {
            Some(Ok(value)) if value.is_object() || value.is_array() => Some(value),
            _ => inspection::first_event(body),
        };
        match value {
            Some(value) => Self::of(&value, now),
            None => {
                let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_CHARS)]);
                Self { message: text.to_lowercase(), ..Self::default() }.with_wait(now)
            }
        }
    }

    /// Reads a whole JSON text that is an error.
    pub(super) fn of(mut value: &Value, now: SystemTime) -> Self {
        // Google's streams, asked for as JSON, are a list.
        while let Some(first) = value.get(0) {
            value = first;
        }
        let mut facts = Self::default();
        facts.collect(value, now);
        // MiniMax's numbers are other vendors' numbers too.
        if let Some(base) = value.get("base_resp") {
            let code = base.get("status_code").map(Value::to_string).unwrap_or_default();
            facts.push(&format!("base_resp.{code}"));
            facts.say(base.get("status_msg").and_then(Value::as_str).unwrap_or_default());
        }
        if let Some(Value::String(error)) = value.get("error") {
            facts.push_if_code(error);
        }
        for key in ["error", "errors", "detail", "fault", "response", "output", "x_groq"] {
            facts.collect_within(value.get(key).unwrap_or(&Value::Null), now);
        }
        if let Some(choice) = value.get("choices").and_then(|choices| choices.get(0)) {
            facts.collect_within(choice.get("error").unwrap_or(&Value::Null), now);
        }
        facts.with_wait(now)
    }

    /// Returns the code that says most of what is wrong, if there is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let mut codes = self.codes.iter().map(String::as_str).filter(|code| is_code(code));
        let first = codes.clone().next();
        codes.find(|code| code.parse::<u16>().is_err() && *code != "error").or(first)
    }

    /// Returns the status that an error gives as its code, for one that comes without a status of its own.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.codes.iter().find_map(|code| code.parse().ok().filter(|status| (400..600).contains(status)))
    }

    fn collect_within(&mut self, value: &Value, now: SystemTime) {
        match value {
            Value::String(text) => self.say(text),
            Value::Array(list) => list.iter().take(4).for_each(|value| self.collect_within(value, now)),
            Value::Object(_) => {
                self.collect(value, now);
                if let Some(list) = value.get("errors") {
                    self.collect_within(list, now);
                }
                for key in ["error", "innererror", "inner_error", "metadata", "detail", "details"] {
                    match value.get(key) {
                        Some(inner @ Value::Object(_)) => self.collect(inner, now),
                        Some(Value::String(text)) if key == "error" => self.say(text),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes what one object states itself.
    fn collect(&mut self, value: &Value, now: SystemTime) {
        for key in CODES {
            match value.get(key) {
                // AWS puts a namespace before a `#`.
                Some(Value::String(code)) => self.push(code.rsplit('#').next().unwrap_or(code)),
                Some(Value::Number(code)) => self.push(&code.to_string()),
                _ => {}
            }
        }
        for key in MESSAGES {
            if let Some(Value::String(text)) = value.get(key) {
                self.say(text);
            }
        }
        if let Some(Value::String(parameter)) = value.get("param") {
            self.names_parameter |= !matches!(&*parameter.to_ascii_lowercase(), "" | "model" | "none");
        }
        // OpenRouter repeats the response of the vendor behind it, or its own headers.
        if let Some(Value::String(raw)) = value.get("raw") {
            self.say(raw);
        }
        let waits = WAITS.iter().filter_map(|key| value.get(key));
        for stated in waits.chain(value.get("headers").and_then(|headers| headers.get("X-RateLimit-Reset"))) {
            let text = stated.as_str().map_or_else(|| stated.to_string(), str::to_owned);
            self.wait = self.wait.or_else(|| wait::until(&text, now));
        }
        // Google's `google.rpc.ErrorInfo` and `RetryInfo`.
        for detail in value.get("details").and_then(Value::as_array).into_iter().flatten().take(MAX_CODES) {
            if let Some(reason) = detail.get("reason").and_then(Value::as_str) {
                self.push(reason);
            }
            let delay = detail.get("retryDelay").and_then(Value::as_str).and_then(wait::duration);
            self.wait = self.wait.or(delay);
        }
    }

    /// Takes a code where others have a message.
    fn push_if_code(&mut self, text: &str) {
        if text.contains('_') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.push(text);
        }
    }

    fn push(&mut self, code: &str) {
        if self.codes.len() < MAX_CODES && !code.is_empty() && !self.codes.iter().any(|known| known == code) {
            self.codes.push(code.chars().take(100).collect());
        }
    }

    fn say(&mut self, text: &str) {
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        let room = MAX_MESSAGE_CHARS.saturating_sub(self.message.len());
        self.message.extend(text.chars().take(room).flat_map(char::to_lowercase));
    }

    fn with_wait(self, now: SystemTime) -> Self {
        let wait = self.wait.or_else(|| wait::in_message(&self.message, now));
        Self { wait, own_words: words::own(&self.message), ..self }
    }
}

/// Returns whether a text is a code and not words, which could repeat a prompt.
fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> ErrorFacts {
        ErrorFacts::read(body.as_bytes(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn an_error_body_is_read_in_each_shape() {
        for (body, codes, message) in [
            (r#"{"error":{"message":"M","type":"t","code":"c"}}"#, &["c", "t"][..], "m"),
            (r#"{"object":"error","message":"m","type":"t","code":1500}"#, &["1500", "t"], "m"),
            (
                r#"{"error":{"code":400,"message":"m","status":"S","details":[{"reason":"R"}]}}"#,
                &["400", "S", "R"],
                "m",
            ),
            (r#"[{"error":{"status":"UNAVAILABLE"}}]"#, &["UNAVAILABLE"], ""),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, &["error", "t"], "m"),
            (r#"{"__type":"com.amazon.coral.service#ThrottlingException"}"#, &["ThrottlingException"], ""),
            (r#"{"error":"model not found"}"#, &[], "model not found"),
            (r#"{"error":"too long","error_type":"validation"}"#, &["validation"], "too long"),
            (r#"{"detail":"m"}"#, &[], "m\nm"),
            (r#"{"detail":[{"msg":"m","type":"t"}]}"#, &["t"], "m"),
            (r#"{"errors":[{"code":5007,"message":"No such model"}],"success":false}"#, &["5007"], "no such model"),
            (r#"{"base_resp":{"status_code":1008,"status_msg":"m"}}"#, &["base_resp.1008"], "m"),
            (r#"{"type":"response.failed","response":{"error":{"code":"c"}}}"#, &["response.failed", "c"], ""),
            (r#"{"choices":[{"error":{"code":502,"message":"m"}}]}"#, &["502"], "m"),
            (r#"{"error":{"code":"content_filter","innererror":{"code":"R"}}}"#, &["content_filter", "R"], ""),
            (r#"{"error":{"code":429,"metadata":{"raw":"Upstream"}}}"#, &["429"], "upstream"),
            (r#"{"error":{"code":"c"}} and more"#, &["c"], ""),
            (r#"[[{"error":{"status":"S"}}]]"#, &["S"], ""),
            (r#"{"error":"invalid_api_key"}"#, &["invalid_api_key"], "invalid_api_key"),
            ("id:1\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"c\",\"message\":\"m\"}\n\n", &["c"], "m"),
            ("\u{feff}{\"code\":\"c\"}", &["c"], ""),
            ("404 page not found", &[], "404 page not found"),
            ("<html>Bad Gateway", &[], "<html>bad gateway"),
            ("[]", &[], ""),
            ("7", &[], "7"),
        ] {
            let facts = read(body);
            assert_eq!(
                (&facts.codes[..], &*facts.message),
                (&codes.iter().map(|&c| c.to_owned()).collect::<Vec<_>>()[..], message),
                "{body}"
            );
        }
    }

    #[test]
    fn google_states_the_wait_in_the_body() {
        let body = r#"{"error":{"code":429,"details":[{"@type":"x"},{"retryDelay":"34.5s"},{"retryDelay":"1s"}]}}"#;
        assert_eq!(read(body).wait, Some(Duration::from_millis(34_500)));
        assert_eq!(read(r#"{"error":{"details":[{"retryDelay":"soon"},{"retryDelay":7}]}}"#).wait, None);
    }

    #[test]
    fn a_wait_may_be_a_member() {
        for (body, seconds) in [
            (r#"{"error":{"resets_in_seconds":30,"resets_at":9}}"#, 30),
            (r#"{"error":{"resets_at":40}}"#, 40),
            (r#"{"retry_after":"7"}"#, 7),
            (r#"{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1000000000000"}}}}"#, 1_000_000_000),
        ] {
            assert_eq!(read(body).wait, Some(Duration::from_secs(seconds)), "{body}");
        }
    }

    #[test]
    fn a_parameter_of_the_request_may_be_what_is_wrong() {
        for (body, expected) in [
            (r#"{"error":{"param":"input"}}"#, true),
            (r#"{"error":{"param":"model"}}"#, false),
            (r#"{"error":{"param":"None"}}"#, false),
            (r#"{"error":{"param":null}}"#, false),
        ] {
            assert_eq!(read(body).names_parameter, expected, "{body}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let facts = read(&format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(10_000)));
        assert!(facts.message.chars().count() <= MAX_MESSAGE_CHARS);
    }
}
