//! A request of a test, built in one line.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

/// No test waits longer than this for an answer, unless it says so.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A request to be sent. Built by [`chat`] or [`get`] and the methods here.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    pub(super) timeout: Duration,
}

/// `POST /v1/chat/completions` for a model, with one message.
pub(crate) fn chat(model: &str) -> Ask {
    post("/v1/chat/completions").json(&json!({
        "model": model, "messages": [{ "role": "user", "content": "Say hello." }],
    }))
}

/// A `GET`.
pub(crate) fn get(path: &str) -> Ask {
    let (path, headers) = (path.to_owned(), Vec::new());
    Ask { method: Method::GET, path, headers, body: Bytes::new(), timeout: TIMEOUT }
}

/// A `POST` without a body as yet.
pub(crate) fn post(path: &str) -> Ask {
    get(path).method(Method::POST)
}

impl Ask {
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Changes the body of [`chat`].
    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let mut body = serde_json::from_slice(&self.body).expect("the body is JSON");
        edit(&mut body);
        self.body = body.to_string().into();
        self
    }

    /// Other words in the message of [`chat`].
    pub(crate) fn say(self, words: &str) -> Self {
        self.edit(|body| body["messages"][0]["content"] = words.into())
    }

    /// Asks for a stream of events.
    pub(crate) fn streamed(self) -> Self {
        self.edit(|body| body["stream"] = true.into())
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// For the wire.
    pub(super) fn into_request(self, addr: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(format!("http://{addr}{}", self.path));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).expect("a valid request")
    }
}
