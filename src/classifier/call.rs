//! One call of a classifier over HTTP: bounded in time and length, to the URL of the policy file and nowhere else.

use std::fmt;
use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// A longer answer is none.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Connections kept open for the next call.
const MAX_IDLE_CONNECTIONS: usize = 64;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// It took too long.
    Timeout,
    /// It may go better at once.
    Temporary(String),
    /// It will not.
    Permanent(String),
    /// It is this content that the classifier would not take; others may go well.
    Refused(String),
}

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

/// Returns a client for one URL. It follows no redirect and reads no proxy from the environment: a prompt goes where
/// the policy file says.
///
/// # Errors
/// The certificates of the system can't be read.
pub(super) fn client(url: &Url) -> Result<Client, String> {
    static PROVIDER: Once = Once::new();
    // Whoever else has installed one has installed what TLS needs.
    PROVIDER.call_once(|| drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default()));
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("model-router/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
    // Where there is no TLS there need be no certificates.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| chain(&error))
}

/// Sends one request and reads the answer.
pub(super) async fn call(
    client: &Client,
    url: &Url,
    credential: Option<(&'static str, &str)>,
    body: Vec<u8>,
    time_limit: Duration,
) -> Result<Reply, CallError> {
    let mut request = client.post(url.clone()).header("content-type", "application/json").body(body);
    if let Some((name, value)) = credential {
        let mut value = http::HeaderValue::from_str(value).map_err(|_| CallError::Permanent("the key".into()))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let answer = tokio::time::timeout(time_limit, read(request)).await;
    answer.unwrap_or(Err(CallError::Timeout))
}

async fn read(request: reqwest::RequestBuilder) -> Result<Reply, CallError> {
    let lost = |error: reqwest::Error| CallError::Temporary(chain(&error.without_url()));
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(of_status(status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::Permanent(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    reply(&body).ok_or_else(|| CallError::Permanent("an answer that is no chat completion".into()))
}

fn of_status(status: StatusCode) -> CallError {
    let text = format!("status {}", status.as_u16());
    match status {
        // Azure's content filter answers 400. Were it a failure, one client's words could keep everybody from being
        // classified.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            CallError::Refused(text)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT => {
            CallError::Temporary(text)
        }
        _ if status.is_server_error() => CallError::Temporary(text),
        _ => CallError::Permanent(text),
    }
}

/// Returns an error with its causes: the outermost says nothing. It never holds a body, and the URL has been taken out.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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

fn reply(body: &[u8]) -> Option<Reply> {
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
