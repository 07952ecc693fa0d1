//! The client of tests and demo: one request, many at a time, a stream of events, or one that leaves.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// No test waits longer than this for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A larger answer is an error.
const ANSWER_MAX_BYTES: usize = 64 << 20;

/// A request to be sent. Built by [`chat`] or [`get`] and the methods here.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    timeout: Duration,
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
    Ask {
        method: Method::GET,
        path,
        headers,
        body: Bytes::new(),
        timeout: TIMEOUT,
    }
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
        self.body(body.to_string())
            .header("content-type", "application/json")
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

    fn into_request(self, addr: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("http://{addr}{}", self.path));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).expect("a valid request")
    }
}

/// An answer, complete.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Answer {
    /// The body; fails the test if it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON: {e}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The model that answered, or nothing.
    pub(crate) fn model(&self) -> String {
        serde_json::from_slice::<Value>(&self.body).unwrap_or_default()["model"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The scripted provider that answered, or nothing.
    pub(crate) fn provider(&self) -> &str {
        self.header("x-provider")
    }
}

/// A client with a pool of connections.
#[derive(Clone)]
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    /// Speaks HTTP/1.1.
    pub(crate) fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build(connector()))
    }

    /// Speaks HTTP/2 without TLS.
    pub(crate) fn http2() -> Self {
        Self(
            legacy::Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build(connector()),
        )
    }

    /// Sends a request and reads the whole answer. The error says what went wrong, causes included.
    pub(crate) async fn send(&self, addr: SocketAddr, ask: Ask) -> Result<Answer, String> {
        let began = Instant::now();
        let timeout = ask.timeout;
        let exchange = async {
            let (parts, body) = self
                .0
                .request(ask.into_request(addr))
                .await
                .map_err(|e| chain(&e))?
                .into_parts();
            let body = Limited::new(body, ANSWER_MAX_BYTES)
                .collect()
                .await
                .map_err(|e| chain(&*e))?
                .to_bytes();
            Ok(Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body,
                took: began.elapsed(),
            })
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {timeout:?}")))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Sends one request over a connection of its own; fails the test if no answer comes.
pub(crate) async fn send(addr: SocketAddr, ask: Ask) -> Answer {
    Client::new()
        .send(addr, ask)
        .await
        .unwrap_or_else(|e| panic!("no answer from {addr}: {e}"))
}

/// Sends `n` requests, `concurrency` at a time, each as soon as one before it is answered. In the order of their numbers.
pub(crate) async fn load(
    addr: SocketAddr,
    n: usize,
    concurrency: usize,
    ask: impl Fn(usize) -> Ask + Send + Sync + 'static,
) -> Vec<Result<Answer, String>> {
    let (client, next, ask) = (Client::new(), Arc::new(AtomicUsize::new(0)), Arc::new(ask));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, ask) = (client.clone(), Arc::clone(&next), Arc::clone(&ask));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let i = next.fetch_add(1, Ordering::SeqCst);
                    if i >= n {
                        return answers;
                    }
                    answers.push((i, client.send(addr, ask(i)).await));
                }
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(n);
    for worker in workers {
        answers.extend(worker.await.expect("a worker does not panic"));
    }
    answers.sort_by_key(|(i, _)| *i);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// What came of many requests.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) statuses: BTreeMap<u16, usize>,
    pub(crate) models: BTreeMap<String, usize>,
    pub(crate) providers: BTreeMap<String, usize>,
    pub(crate) errors: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts answers by status, by model and by provider, and failures by their text.
    pub(crate) fn of<'a>(answers: impl IntoIterator<Item = &'a Result<Answer, String>>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            match answer {
                Ok(answer) => tally.add(answer),
                Err(e) => *tally.errors.entry(e.clone()).or_default() += 1,
            }
        }
        tally
    }

    fn add(&mut self, answer: &Answer) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if answer.status == 200 {
            *self.models.entry(answer.model()).or_default() += 1;
            *self
                .providers
                .entry(answer.provider().to_owned())
                .or_default() += 1;
        }
    }
}

/// An answer that is read as it comes.
pub(crate) struct Streaming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    /// Its connections break when it is dropped.
    _client: Client,
}

impl Streaming {
    /// The next piece, `None` at the end, an error if the stream was cut.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            let frame = tokio::time::timeout(TIMEOUT, self.body.frame()).await;
            match frame.unwrap_or_else(|_| panic!("no piece in {TIMEOUT:?}"))? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(e) => return Some(Err(chain(&e))),
            }
        }
    }

    /// All events that are left, each with the instant at which it came. The last is an error if the stream was cut.
    pub(crate) async fn events(mut self) -> Vec<(Instant, Result<String, String>)> {
        let (mut events, mut rest) = (Vec::new(), String::new());
        while let Some(piece) = self.piece().await {
            let at = Instant::now();
            match piece {
                Ok(bytes) => rest.push_str(&String::from_utf8_lossy(&bytes)),
                Err(e) => events.push((at, Err(e))),
            }
            while let Some((event, tail)) = rest.split_once("\n\n") {
                events.push((at, Ok(event.trim_start_matches("data: ").to_owned())));
                rest = tail.to_owned();
            }
        }
        events
    }
}

/// Sends a request and returns as soon as the headers of the answer are there.
pub(crate) async fn stream(addr: SocketAddr, ask: Ask) -> Streaming {
    let (client, timeout) = (Client::new(), ask.timeout);
    let answer = tokio::time::timeout(timeout, client.0.request(ask.into_request(addr))).await;
    let answer: Response<Incoming> = answer
        .unwrap_or_else(|_| panic!("no headers in {timeout:?}"))
        .unwrap_or_else(|e| panic!("no answer from {addr}: {}", chain(&e)));
    let (parts, body) = answer.into_parts();
    Streaming {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        _client: client,
    }
}

/// Sends a request and breaks the connection when `until` is done. Fails the test if an answer comes before.
pub(crate) async fn leave(addr: SocketAddr, ask: Ask, until: impl Future<Output = ()>) {
    tokio::select! {
        () = until => {}
        answer = send(addr, ask) => panic!("answered before the client left: {answer:?}"),
    }
}
