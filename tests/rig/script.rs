//! What a scripted provider answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::serve::Recorded;

/// What a provider does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Serves it: a chat completion of the model that was asked for, as events if the request says `"stream": true`.
    Ok(Completion),
    /// Refuses it with this status, these headers and an error body in OpenAI's shape.
    Status(u16, Vec<(String, String)>),
    /// Answers exactly this.
    Raw { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// Answers 200 with this content type at once, then these pieces, each after its pause.
    Pieces { content_type: String, pieces: Vec<(Duration, Bytes)> },
    /// Never answers.
    Hang,
    /// Closes the connection before an answer.
    Reset,
    /// Waits, then does something else.
    After(Duration, Box<Script>),
    /// One script for each model; a model that is not named is served.
    PerModel(HashMap<String, Script>),
    /// Decides by the request. A script that this returns may not decide again.
    By(Decide),
}

/// A function that chooses a script.
#[derive(Clone)]
pub(crate) struct Decide(Arc<dyn Fn(&Recorded) -> Script + Send + Sync>);

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decide")
    }
}

/// A successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    /// The assistant's words. `None`: a sentence that names provider and model.
    pub(crate) content: Option<String>,
    /// Headers beside the usual ones.
    pub(crate) headers: Vec<(String, String)>,
    /// Events of a streamed answer, before `[DONE]`.
    pub(crate) chunks: usize,
    /// Between the headers and the first event.
    pub(crate) before_first: Duration,
    /// Between one event and the next.
    pub(crate) gap: Duration,
    /// Break the connection after so many events.
    pub(crate) cut_after: Option<usize>,
}

impl Default for Completion {
    fn default() -> Self {
        Self {
            content: None,
            headers: Vec::new(),
            chunks: 4,
            before_first: Duration::ZERO,
            gap: Duration::ZERO,
            cut_after: None,
        }
    }
}

impl Script {
    /// Serves every request.
    pub(crate) fn ok() -> Self {
        Self::Ok(Completion::default())
    }

    /// Serves every request and adds headers to the answers.
    pub(crate) fn ok_with(headers: &[(&str, &str)]) -> Self {
        Self::Ok(Completion { headers: owned(headers), ..Completion::default() })
    }

    /// Serves every request with these words, as a classifier does.
    pub(crate) fn says(content: &str) -> Self {
        Self::Ok(Completion { content: Some(content.to_owned()), ..Completion::default() })
    }

    /// Refuses every request.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, Vec::new())
    }

    /// Refuses every request and adds headers to the answers.
    pub(crate) fn status_with(status: u16, headers: &[(&str, &str)]) -> Self {
        Self::Status(status, owned(headers))
    }

    /// Answers a JSON value.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = owned(&[("content-type", "application/json")]);
        Self::Raw { status, headers, body: body.to_string().into() }
    }

    /// Answers in pieces, each after a pause in milliseconds.
    pub(crate) fn pieces(content_type: &str, pieces: &[(u64, &str)]) -> Self {
        let piece =
            |&(pause, text): &(u64, &str)| (Duration::from_millis(pause), Bytes::copy_from_slice(text.as_bytes()));
        Self::Pieces { content_type: content_type.to_owned(), pieces: pieces.iter().map(piece).collect() }
    }

    /// Waits before each answer.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }

    /// One script for each model.
    pub(crate) fn per_model<const N: usize>(scripts: [(&str, Script); N]) -> Self {
        Self::PerModel(scripts.into_iter().map(|(model, script)| (model.to_owned(), script)).collect())
    }

    /// Decides by the request.
    pub(crate) fn by(decide: impl Fn(&Recorded) -> Script + Send + Sync + 'static) -> Self {
        Self::By(Decide(Arc::new(decide)))
    }

    /// Follows the branches to what is done, and how long to wait before.
    pub(super) fn resolve(&self, request: &Recorded) -> (Duration, Script) {
        match self {
            Self::After(delay, then) => {
                let (more, script) = then.resolve(request);
                (*delay + more, script)
            }
            Self::PerModel(scripts) => match scripts.get(&request.model()) {
                Some(script) => script.resolve(request),
                None => (Duration::ZERO, Self::ok()),
            },
            Self::By(Decide(decide)) => match decide(request) {
                Self::By(_) => panic!("a script that decides returned another one that decides"),
                script => script.resolve(request),
            },
            script => (Duration::ZERO, script.clone()),
        }
    }
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A chat completion.
pub(super) fn completion(model: &str, content: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    })
}

/// One event of a streamed chat completion, as it goes over the wire.
pub(super) fn event(model: &str, content: &str) -> Bytes {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
        "choices": [{ "index": 0, "delta": { "content": content }, "finish_reason": null }],
    });
    format!("data: {chunk}\n\n").into()
}

/// The error body of a refusal.
pub(super) fn refusal(provider: &str, status: u16) -> Value {
    json!({ "error": {
        "message": format!("{provider} refuses with {status}"), "type": "scripted", "code": status.to_string(),
        "param": null,
    } })
}
