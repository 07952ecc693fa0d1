//! The client of tests and demo: one request, a stream of events, or one that leaves.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::ask::Ask;

/// No test waits longer than this for a piece of a stream.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// A larger answer is an error.
const ANSWER_MAX_BYTES: usize = 64 << 20;

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
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON: {e}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The model that answered, or nothing.
    pub(crate) fn model(&self) -> String {
        serde_json::from_slice::<Value>(&self.body).unwrap_or_default()["model"].as_str().unwrap_or_default().to_owned()
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
        Self(legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector()))
    }

    /// Sends a request and reads the whole answer. The error says what went wrong, causes included.
    pub(crate) async fn send(&self, addr: SocketAddr, ask: Ask) -> Result<Answer, String> {
        let began = Instant::now();
        let timeout = ask.timeout;
        let exchange = async {
            let (parts, body) = self.0.request(ask.into_request(addr)).await.map_err(|e| chain(&e))?.into_parts();
            let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await.map_err(|e| chain(&*e))?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, took: began.elapsed() })
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(format!("no answer in {timeout:?}")))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Sends one request over a connection of its own; fails the test if no answer comes.
pub(crate) async fn send(addr: SocketAddr, ask: Ask) -> Answer {
    Client::new().send(addr, ask).await.unwrap_or_else(|e| panic!("no answer from {addr}: {e}"))
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
            let frame = tokio::time::timeout(PIECE_TIMEOUT, self.body.frame()).await;
            match frame.unwrap_or_else(|_| panic!("no piece in {PIECE_TIMEOUT:?}"))? {
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
    Streaming { status: parts.status.as_u16(), headers: parts.headers, body, _client: client }
}

/// Sends a request and breaks the connection when `until` is done. Fails the test if an answer comes before.
pub(crate) async fn leave(addr: SocketAddr, ask: Ask, until: impl Future<Output = ()>) {
    tokio::select! {
        () = until => {}
        answer = send(addr, ask) => panic!("answered before the client left: {answer:?}"),
    }
}
