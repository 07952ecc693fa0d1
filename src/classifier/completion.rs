//! A chat completion, as far as a classifier's answer is concerned.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// A classifier's answer.
#[derive(Clone, Default)]
pub(super) struct Reply {
    /// Its words; `None` if there are none: it refused, or called a tool.
    pub(super) text: Option<String>,
    /// The tokens of prompt and answer, where it reports them.
    pub(super) tokens: Option<(u64, u64)>,
}

impl fmt::Debug for Reply {
    /// Without its words, which may repeat the client's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

/// A chat completion, as far as it matters. Source: OpenAI's API reference; Mistral and Azure answer the same.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
}

/// Mistral's thinking models answer in parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    text: Option<String>,
}

/// Reads a chat completion; `None` if the body is none.
pub(super) fn reply(body: &[u8]) -> Option<Reply> {
    let completion: Completion = serde_json::from_slice(body).ok()?;
    let choice = completion.choices.into_iter().next()?;
    let text = choice.message.content.map(|content| match content {
        Content::Text(text) => text,
        Content::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
    });
    // No decision is lost for a server that counts in another way.
    let tokens = completion.usage.and_then(|usage| Some((count(&usage, "prompt")?, count(&usage, "completion")?)));
    Some(Reply { text, tokens })
}

/// Returns the tokens of a part of the call; a hostile number must not overflow a sum.
fn count(usage: &Value, part: &str) -> Option<u64> {
    usage[format!("{part}_tokens")].as_u64().filter(|count| u32::try_from(*count).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_however_the_server_counts_tokens() {
        for (usage, tokens) in [
            (r#"{"prompt_tokens":5,"completion_tokens":1}"#, Some((5, 1))),
            (r#"{"prompt_tokens":5,"completion_tokens":null}"#, None),
            (r#"{"prompt_tokens":5.5,"completion_tokens":18446744073709551615}"#, None),
            ("{}", None),
            ("[]", None),
            ("null", None),
        ] {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"Coding"}}}}],"usage":{usage}}}"#);
            let reply = reply(body.as_bytes()).expect("an answer");
            assert_eq!((reply.text.as_deref(), reply.tokens), (Some("Coding"), tokens), "{usage}");
        }
    }
}
