//! Threads that serve connections, each on its own: what belongs to a connection never leaves its thread.
//!
//! Envoy has one connection for each of its workers, and all that happens on it is short. On a pool of threads a stream
//! and its connection wake each other up across processors, which costs more than the streams' own work (`make bench`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::StreamExt;
use tonic::transport::server::Router as Routes;
use tracing::debug;

use super::Bounds;
use super::connection::{Socket, connections};
use super::{CONNECTION_WINDOW_BYTES, KEEPALIVE, Listener, STREAM_WINDOW_BYTES, Tls, stop};
use crate::envoy::ext_proc::EnvoyService;

/// Connections that wait for their thread; Envoy opens few and keeps them.
const MAX_WAITING: usize = 256;

/// Assigns each connection of Envoy's listener to the least loaded of `threads` threads, and allows `max_streams`
/// concurrent streams on each connection.
///
/// # Errors
/// A thread could not be started.
pub(super) async fn serve(
    service: EnvoyService,
    listener: Listener,
    bounds: Bounds,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let Bounds { threads, max_streams, .. } = bounds;
    let serving = Serving { service, tls: listener.tls(), max_streams, stopped: stopped.clone() };
    // A thread that has drained may still serve the classifiers' connections, which requests on others need.
    let (hold, held) = watch::channel(());
    let start = |number| Thread::start(number, serving.clone(), held.clone());
    let threads: Vec<_> = (0..threads.max(1)).map(start).collect::<io::Result<_>>()?;
    let accepting = async {
        loop {
            let socket = listener.accept().await;
            let Some(thread) = threads.iter().min_by_key(|thread| thread.load.least_first()) else { return };
            // An error means that the thread has failed, which it reports below.
            if thread.sockets.send((socket, thread.load.more())).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop(stopped) => {}
    }
    drop(listener);
    let (sockets, ended): (Vec<_>, Vec<_>) = threads.into_iter().map(|thread| (thread.sockets, thread.ended)).unzip();
    drop(sockets);
    for ended in ended {
        ended.await.map_err(io::Error::other)?;
    }
    drop(hold);
    Ok(())
}

/// Serves the connections of another listener where it is called.
///
/// # Errors
/// Serving failed.
pub(super) async fn serve_here(routes: Routes, listener: Listener, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let (sockets, accepted) = mpsc::channel(MAX_WAITING);
    let connections = connections(accepted, listener.tls()).map(|(connection, ())| Ok::<_, io::Error>(connection));
    let accepting = async { while sockets.send((listener.accept().await, ())).await.is_ok() {} };
    tokio::select! {
        served = routes.serve_with_incoming_shutdown(connections, stop(stopped)) => served.map_err(io::Error::other),
        () = accepting => Ok(()),
    }
}

struct Thread {
    sockets: mpsc::Sender<(Socket, Open)>,
    load: Arc<Load>,
    ended: oneshot::Receiver<()>,
}

/// What a thread has to do. Envoy's workers have a connection each, and its health check has one: that must not put two
/// workers on one thread while another has the health check alone.
#[derive(Debug, Default)]
struct Load {
    connections: AtomicUsize,
    /// Streams that it has begun.
    streams: AtomicU64,
}

/// A connection from when it is given to its thread until it ends.
#[derive(Debug)]
struct Open(Arc<Load>);

impl Load {
    fn least_first(&self) -> (usize, u64) {
        (self.connections.load(Ordering::Relaxed), self.streams.load(Ordering::Relaxed))
    }

    fn more(self: &Arc<Self>) -> Open {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Thread {
    fn start(number: usize, serving: Serving, mut held: watch::Receiver<()>) -> io::Result<Self> {
        let (sockets, accepted) = mpsc::channel(MAX_WAITING);
        let (tell, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("streams-{number}")).spawn(move || {
            runtime.block_on(async {
                serving.serve(accepted).await;
                // Nobody listens any more where the drain timeout has passed.
                let _ = tell.send(());
                // An error: all have drained.
                let _ = held.changed().await;
            });
        })?;
        Ok(Self { sockets, load: Arc::default(), ended })
    }
}

/// The way in which a thread serves its connections.
#[derive(Clone)]
struct Serving {
    service: EnvoyService,
    tls: Option<Arc<Tls>>,
    max_streams: u32,
    stopped: watch::Receiver<bool>,
}

impl Serving {
    /// Until the service is to stop and all streams have ended.
    async fn serve(self, accepted: mpsc::Receiver<(Socket, Open)>) {
        let http2 = self.http2();
        let mut connections = connections(accepted, self.tls);
        let open = GracefulShutdown::new();
        let serving = async {
            while let Some((connection, its)) = connections.next().await {
                let service = Counted { service: self.service.clone(), its };
                let served = open.watch(http2.serve_connection(TokioIo::new(connection), service));
                tokio::spawn(async move {
                    if let Err(error) = served.await {
                        debug!(%error, "a connection has failed");
                    }
                });
            }
        };
        tokio::select! {
            () = serving => {}
            () = stop(self.stopped) => {}
        }
        drop(connections);
        open.shutdown().await;
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            // Envoy would read it with every answer, and nobody else does.
            .auto_date_header(false)
            .max_concurrent_streams(self.max_streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(KEEPALIVE);
        http2
    }
}

/// The service on one connection, whose thread counts what it is asked.
#[derive(Debug)]
struct Counted {
    service: EnvoyService,
    its: Open,
}

impl Service<Request<Incoming>> for Counted {
    type Response = <EnvoyService as Service<Request<Incoming>>>::Response;
    type Error = <EnvoyService as Service<Request<Incoming>>>::Error;
    type Future = <EnvoyService as Service<Request<Incoming>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.its.0.streams.fetch_add(1, Ordering::Relaxed);
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_does_not_put_two_workers_on_one_thread() {
        let threads: [Arc<Load>; 2] = Default::default();
        let give = || {
            let (at, load) = threads.iter().enumerate().min_by_key(|(_, load)| load.least_first()).expect("two");
            (at, load.more())
        };
        // A worker of an Envoy that has gone.
        threads[0].streams.fetch_add(9_000, Ordering::Relaxed);
        let (health_check, worker) = (give(), give());
        assert_eq!([health_check.0, worker.0], [1, 0], "one each, though neither is served yet");
        threads[1].streams.fetch_add(3, Ordering::Relaxed);
        assert_eq!(give().0, 1, "beside the health check");
        drop(worker);
        assert_eq!(give().0, 0, "where none is left");
    }
}
