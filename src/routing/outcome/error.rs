//! What an error states, in every shape that vendors use: its codes, its message and the wait that it asks for.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::wait;

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
    /// The message without what it quotes: a vendor may quote the client, who must not get a key suspended by that.
    pub own_words: String,
    /// The wait that it asks for.
    pub wait: Option<Duration>,
}

/// Members that hold a code or a type.
const CODES: [&str; 9] =
    ["code", "type", "status", "__type", "error_type", "errorCode", "error_code", "Code", "reason"];

/// Members that hold a message.
const MESSAGES: [&str; 8] =
    ["message", "msg", "detail", "faultstring", "Message", "errorMessage", "title", "error_description"];

impl ErrorFacts {
    /// Creates the facts of an error of which only a code is known.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        let mut facts = Self::default();
        facts.push(code);
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
        match serde_json::from_slice::<Value>(body) {
            // Google's streams, asked for as JSON, are a list.
            Ok(value) => Self::of(value.get(0).unwrap_or(&value), now),
            Err(_) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_CHARS)]);
                Self { message: text.to_lowercase(), ..Self::default() }.with_wait(now)
            }
        }
    }

    /// Reads a whole JSON text that is an error.
    pub(super) fn of(value: &Value, now: SystemTime) -> Self {
        let mut facts = Self::default();
        facts.collect(value);
        // MiniMax's numbers are other vendors' numbers too.
        if let Some(base) = value.get("base_resp") {
            let code = base.get("status_code").map(Value::to_string).unwrap_or_default();
            facts.push(&format!("base_resp.{code}"));
            facts.say(base.get("status_msg").and_then(Value::as_str).unwrap_or_default());
        }
        for key in ["error", "errors", "detail", "fault", "response", "output"] {
            facts.collect_within(value.get(key).unwrap_or(&Value::Null));
        }
        if let Some(choice) = value.get("choices").and_then(|choices| choices.get(0)) {
            facts.collect_within(choice.get("error").unwrap_or(&Value::Null));
        }
        facts.with_wait(now)
    }

    /// Returns the status that an error gives as its code, for one that comes without a status of its own.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.codes.iter().find_map(|code| code.parse().ok().filter(|status| (400..600).contains(status)))
    }

    fn collect_within(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.say(text),
            Value::Array(list) => list.iter().take(4).for_each(|value| self.collect_within(value)),
            Value::Object(_) => {
                self.collect(value);
                if let Some(list) = value.get("errors") {
                    self.collect_within(list);
                }
                for key in ["error", "innererror", "inner_error", "metadata", "detail", "details"] {
                    if let Some(inner) = value.get(key).filter(|inner| inner.is_object()) {
                        self.collect(inner);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes what one object states itself.
    fn collect(&mut self, value: &Value) {
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
        // OpenRouter repeats the response of the vendor behind it.
        if let Some(Value::String(raw)) = value.get("raw") {
            self.say(raw);
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
        Self { wait, own_words: without_quotations(&self.message), ..self }
    }
}

/// Returns a text without its quotations. An apostrophe within a word begins none, and an open one ends with the text.
fn without_quotations(text: &str) -> String {
    let (mut own, mut open, mut before) = (String::with_capacity(text.len()), None, ' ');
    for character in text.chars() {
        match open {
            Some(quote) if character == quote => open = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"' | '`') && !before.is_alphanumeric() => open = Some(character),
            None => own.push(character),
        }
        before = character;
    }
    own
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
            ("<html>Bad Gateway", &[], "<html>bad gateway"),
            ("[]", &[], ""),
            ("7", &[], ""),
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
    fn what_a_message_quotes_is_not_its_own() {
        for (message, own) in [
            ("your credit balance is too low", "your credit balance is too low"),
            ("unknown parameter: 'credit balance is too low'.", "unknown parameter: ."),
            ("you don't have any credits, isn't it", "you don't have any credits, isn't it"),
            ("the model `one` does not exist", "the model  does not exist"),
            ("got \"a 'b\" and c", "got  and c"),
            ("an open 'one", "an open "),
        ] {
            assert_eq!(without_quotations(message), own, "{message}");
        }
    }

    #[test]
    fn google_states_the_wait_in_the_body() {
        let body = r#"{"error":{"code":429,"details":[{"@type":"x"},{"retryDelay":"34.5s"},{"retryDelay":"1s"}]}}"#;
        assert_eq!(read(body).wait, Some(Duration::from_millis(34_500)));
        assert_eq!(read(r#"{"error":{"details":[{"retryDelay":"soon"},{"retryDelay":7}]}}"#).wait, None);
    }

    #[test]
    fn what_is_long_is_cut() {
        let facts = read(&format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(10_000)));
        assert!(facts.message.chars().count() <= MAX_MESSAGE_CHARS);
    }
}
