//! How a scripted provider serves one request: record it, look up the script, answer.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::remote;
use super::script::{self, Completion, Script};

/// Requests kept with their bodies; later ones are only counted.
const RECORDED_MAX: usize = 20_000;
/// A larger body is an error of the test.
const BODY_MAX_BYTES: usize = 64 << 20;
/// Longest that [`Script::Hang`] holds a request.
const HANG_MAX: Duration = Duration::from_secs(600);

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One request as the provider got it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// As HTTP/2 tells it; nothing with HTTP/1.1.
    pub(crate) scheme: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Recorded {
    /// The body's `model`, or nothing.
    pub(crate) fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    /// The body, or `null` if it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a provider knows and does, shared with its connections.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) script: Mutex<Script>,
    pub(super) recorded: Mutex<Vec<Recorded>>,
    pub(super) hits: AtomicUsize,
    pub(super) in_flight: AtomicUsize,
    pub(super) count_only: AtomicBool,
}

impl Shared {
    /// Serves everything, and has seen nothing yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            script: Mutex::new(Script::ok()),
            recorded: Mutex::default(),
            hits: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            count_only: AtomicBool::new(false),
        }
    }
}

/// Counts a request as in flight until it is dropped.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn new(shared: Arc<Shared>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An error makes hyper close the connection without an answer.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    if request.uri().path() == remote::PATH {
        let body = whole(request.into_body()).await?;
        let (status, text) = remote::obey(&shared, &body);
        return Ok(respond(&shared.name, status, &[], full(text.into())));
    }
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let guard = InFlight::new(Arc::clone(&shared));
    let request = record(&shared, request).await?;
    let (delay, script) = lock(&shared.script).clone().resolve(&request);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match script {
        Script::Ok(completion) => Ok(complete(&shared.name, &request, completion, guard)),
        Script::Status(status, headers) => {
            let body = script::refusal(&shared.name, status).to_string();
            let headers = [vec![("content-type".to_owned(), "application/json".to_owned())], headers].concat();
            Ok(respond(&shared.name, status, &headers, full(body.into())))
        }
        Script::Raw { status, headers, body } => Ok(respond(&shared.name, status, &headers, full(body))),
        Script::Pieces { content_type, pieces } => {
            Ok(respond(&shared.name, 200, &[("content-type".to_owned(), content_type)], in_pieces(pieces, guard)))
        }
        Script::Hang => {
            tokio::time::sleep(HANG_MAX).await;
            Err(io::Error::other("hung long enough"))
        }
        Script::Reset => Err(io::Error::other("the script says so")),
        Script::After(..) | Script::PerModel(_) | Script::By(_) => unreachable!("resolved above"),
    }
}

async fn record(shared: &Shared, request: Request<Incoming>) -> Result<Recorded, io::Error> {
    let (parts, body) = request.into_parts();
    let body = whole(body).await?;
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let scheme = parts.uri.scheme_str().unwrap_or_default().to_owned();
    let (method, version, headers, at) = (parts.method, parts.version, parts.headers, Instant::now());
    let recorded = Recorded { method, path, scheme, version, headers, body, at };
    if !shared.count_only.load(Ordering::SeqCst) {
        let mut all = lock(&shared.recorded);
        if all.len() < RECORDED_MAX {
            all.push(recorded.clone());
        }
    }
    Ok(recorded)
}

async fn whole(body: Incoming) -> Result<Bytes, io::Error> {
    Ok(Limited::new(body, BODY_MAX_BYTES).collect().await.map_err(io::Error::other)?.to_bytes())
}

fn complete(name: &str, request: &Recorded, completion: Completion, guard: InFlight) -> Response<Body> {
    let asked = request.json();
    let model = asked["model"].as_str().unwrap_or_default().to_owned();
    let content = completion.content.clone().unwrap_or_else(|| format!("{name} answers with {model}"));
    let streamed = asked["stream"] == true;
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    let headers = [vec![("content-type".to_owned(), kind.to_owned())], completion.headers.clone()].concat();
    let body = if streamed {
        events(model, content, completion, guard)
    } else {
        full(script::completion(&model, &content).to_string().into())
    };
    respond(name, 200, &headers, body)
}

/// The events of a streamed answer. The guard lives until the last one is written or the client has left.
fn events(model: String, content: String, completion: Completion, guard: InFlight) -> Body {
    let (to_client, frames) = mpsc::channel(1);
    tokio::spawn(async move {
        let _guard = guard;
        for n in 0..completion.chunks {
            if completion.cut_after == Some(n) {
                let _ = to_client.send(Err(io::Error::other("the script says so"))).await;
                return;
            }
            if n == 0 && !completion.before_first.is_zero() {
                tokio::time::sleep(completion.before_first).await;
            }
            if n > 0 && !completion.gap.is_zero() {
                tokio::time::sleep(completion.gap).await;
            }
            if to_client.send(Ok(Frame::data(script::event(&model, &content)))).await.is_err() {
                return;
            }
        }
        let _ = to_client.send(Ok(Frame::data(Bytes::from_static(b"data: [DONE]\n\n")))).await;
    });
    StreamBody::new(ReceiverStream::new(frames)).boxed_unsync()
}

/// Pieces of a body, each after its pause.
fn in_pieces(pieces: Vec<(Duration, Bytes)>, guard: InFlight) -> Body {
    let (to_client, frames) = mpsc::channel(1);
    tokio::spawn(async move {
        let _guard = guard;
        for (pause, piece) in pieces {
            tokio::time::sleep(pause).await;
            if to_client.send(Ok(Frame::data(piece))).await.is_err() {
                return;
            }
        }
    });
    StreamBody::new(ReceiverStream::new(frames)).boxed_unsync()
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn respond(name: &str, status: u16, headers: &[(String, String)], body: Body) -> Response<Body> {
    let mut response = Response::builder().status(status).header("x-provider", name);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).expect("a script's status and headers are valid")
}

/// A lock that a failed test elsewhere has not broken.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
