//! A scripted LLM provider: an HTTP server in this process that records what it is asked and answers by [`Script`].

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;

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
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    addr: SocketAddr,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct Shared {
    name: String,
    script: Mutex<Script>,
    recorded: Mutex<Vec<Recorded>>,
    hits: AtomicUsize,
    in_flight: AtomicUsize,
    count_only: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Up: the task that takes connections and owns them.
    task: Option<JoinHandle<()>>,
    /// Down: the port is held but nobody listens, so that connections are refused and no one else gets the port.
    held: Option<TcpSocket>,
}

impl Provider {
    /// Starts a provider that serves everything.
    pub(crate) async fn start() -> Self {
        Self::named("provider").await
    }

    /// The same with a name, which its answers carry in `x-provider` and in the assistant's words.
    pub(crate) async fn named(name: &str) -> Self {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            script: Mutex::new(Script::ok()),
            recorded: Mutex::default(),
            hits: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            count_only: AtomicBool::new(false),
        });
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = socket.local_addr().expect("a bound socket has an address");
        let state = State {
            held: Some(socket),
            ..State::default()
        };
        let provider = Self {
            addr,
            shared,
            state: Mutex::new(state),
        };
        provider.up();
        provider
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// What it answers from now on.
    pub(crate) fn answer(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// The requests so far, in the order in which their bodies were complete.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.recorded).clone()
    }

    /// The newest request.
    pub(crate) fn last(&self) -> Recorded {
        lock(&self.shared.recorded)
            .last()
            .cloned()
            .unwrap_or_else(|| panic!("{} has had no request", self.name()))
    }

    /// How many requests have begun.
    pub(crate) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// How many requests are being served: a client that leaves lowers it.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        lock(&self.shared.recorded).clear();
        self.shared.hits.store(0, Ordering::SeqCst);
    }

    /// Whether requests are counted only, not kept: for load.
    pub(crate) fn count_only(&self, on: bool) {
        self.shared.count_only.store(on, Ordering::SeqCst);
    }

    /// Breaks all connections and refuses new ones.
    pub(crate) async fn down(&self) {
        let Some(task) = lock(&self.state).task.take() else {
            return;
        };
        task.abort();
        // Ends once the listener and its connections are closed.
        let _ = task.await;
        lock(&self.state).held = Some(bind(self.addr));
    }

    /// Takes connections again.
    pub(crate) fn up(&self) {
        let mut state = lock(&self.state);
        if let Some(socket) = state.held.take() {
            let listener = socket.listen(1024).expect("a bound socket can listen");
            state.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(task) = &lock(&self.state).task {
            task.abort();
        }
    }
}

/// An address that refuses connections for as long as this value lives.
pub(crate) struct Refused(TcpSocket);

impl Refused {
    /// Takes a free port and does not listen.
    pub(crate) fn new() -> Self {
        Self(bind(SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    /// The address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket has an address")
    }
}

fn bind(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket option");
    socket
        .bind(addr)
        .unwrap_or_else(|e| panic!("cannot bind {addr}: {e}"));
    socket
}

/// Connections belong to this task: they break when it is aborted.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // An error is a client that left or a script that says so.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
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
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
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
            let headers = [
                vec![("content-type".to_owned(), "application/json".to_owned())],
                headers,
            ]
            .concat();
            Ok(respond(&shared.name, status, &headers, full(body.into())))
        }
        Script::Raw {
            status,
            headers,
            body,
        } => Ok(respond(&shared.name, status, &headers, full(body))),
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
    let body = Limited::new(body, BODY_MAX_BYTES)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let at = Instant::now();
    let recorded = Recorded {
        method: parts.method,
        path,
        headers: parts.headers,
        body,
        at,
    };
    if !shared.count_only.load(Ordering::SeqCst) {
        let mut all = lock(&shared.recorded);
        if all.len() < RECORDED_MAX {
            all.push(recorded.clone());
        }
    }
    Ok(recorded)
}

fn complete(
    name: &str,
    request: &Recorded,
    completion: Completion,
    guard: InFlight,
) -> Response<Body> {
    let asked = request.json();
    let model = asked["model"].as_str().unwrap_or_default().to_owned();
    let content = completion
        .content
        .clone()
        .unwrap_or_else(|| format!("{name} answers with {model}"));
    let streamed = asked["stream"] == true;
    let kind = if streamed {
        "text/event-stream"
    } else {
        "application/json"
    };
    let headers = [
        vec![("content-type".to_owned(), kind.to_owned())],
        completion.headers.clone(),
    ]
    .concat();
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
                let _ = to_client
                    .send(Err(io::Error::other("the script says so")))
                    .await;
                return;
            }
            if n > 0 && !completion.gap.is_zero() {
                tokio::time::sleep(completion.gap).await;
            }
            if to_client
                .send(Ok(Frame::data(script::event(&model, &content))))
                .await
                .is_err()
            {
                return;
            }
        }
        let _ = to_client
            .send(Ok(Frame::data(Bytes::from_static(b"data: [DONE]\n\n"))))
            .await;
    });
    StreamBody::new(ReceiverStream::new(frames)).boxed_unsync()
}

fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn respond(name: &str, status: u16, headers: &[(String, String)], body: Body) -> Response<Body> {
    let mut response = Response::builder()
        .status(status)
        .header("x-provider", name);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(body)
        .expect("a script's status and headers are valid")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
