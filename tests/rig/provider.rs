//! A scripted LLM provider: an HTTP server in this process that records what it is asked and answers by [`Script`].

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::script::Script;
pub(crate) use super::serve::Recorded;
use super::serve::{Shared, answer, lock};

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    addr: SocketAddr,
    shared: Arc<Shared>,
    state: Mutex<State>,
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
        Self::at(name, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address of its own.
    pub(crate) async fn at(name: &str, addr: SocketAddr) -> Self {
        let shared = Arc::new(Shared::new(name));
        let socket = bind(addr);
        let addr = socket.local_addr().expect("a bound socket has an address");
        let state = State { held: Some(socket), ..State::default() };
        let provider = Self { addr, shared, state: Mutex::new(state) };
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
        lock(&self.shared.recorded).last().cloned().unwrap_or_else(|| panic!("{} has had no request", self.name()))
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
    socket.bind(addr).unwrap_or_else(|e| panic!("cannot bind {addr}: {e}"));
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
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
