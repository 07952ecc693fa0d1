//! Threads that serve connections, each on its own: what belongs to a connection never leaves its thread.
//!
//! Envoy has one connection for each of its workers, and all that happens on it is short. On a pool of threads a stream and
//! its connection wake each other up across processors, which costs more than the streams' own work (`make bench`).

use std::io;
use std::sync::Arc;
use std::thread;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::StreamExt;
use tonic::transport::server::Router as Routes;
use tracing::debug;

use super::connection::{Socket, connections};
use super::{CONNECTION_WINDOW_BYTES, KEEPALIVE, Listener, STREAM_WINDOW_BYTES, Tls, stop};
use crate::ext_proc::EnvoyService;

/// Connections that wait for their thread; Envoy opens few and keeps them.
const MAX_WAITING: usize = 256;

/// Serves the connections of Envoy's listener on so many threads, in turn; on each connection so many streams at once.
///
/// # Errors
/// A thread could not be started.
pub(super) async fn serve(
    service: EnvoyService,
    listener: Listener,
    (threads, max_streams): (usize, u32),
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let serving = Serving { service, tls: listener.tls(), max_streams, stopped: stopped.clone() };
    let start = |number| Thread::start(number, serving.clone());
    let threads: Vec<_> = (0..threads.max(1)).map(start).collect::<io::Result<_>>()?;
    let accepting = async {
        for thread in threads.iter().cycle() {
            // An error means that the thread has failed, which it tells below.
            if thread.sockets.send(listener.accept().await).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop(stopped) => {}
    }
    drop(listener);
    for Thread { sockets, ended } in threads {
        drop(sockets);
        ended.await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Serves the connections of another listener where it is called.
///
/// # Errors
/// Serving failed.
pub(super) async fn serve_here(routes: Routes, listener: Listener, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let (sockets, accepted) = mpsc::channel(MAX_WAITING);
    let connections = connections(accepted, listener.tls());
    let accepting = async { while sockets.send(listener.accept().await).await.is_ok() {} };
    tokio::select! {
        served = routes.serve_with_incoming_shutdown(connections, stop(stopped)) => served.map_err(io::Error::other),
        () = accepting => Ok(()),
    }
}

struct Thread {
    sockets: mpsc::Sender<Socket>,
    ended: oneshot::Receiver<()>,
}

impl Thread {
    fn start(number: usize, serving: Serving) -> io::Result<Self> {
        let (sockets, accepted) = mpsc::channel(MAX_WAITING);
        let (tell, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("streams-{number}")).spawn(move || {
            runtime.block_on(serving.serve(accepted));
            // Nobody listens any more where the drain timeout has passed.
            let _ = tell.send(());
        })?;
        Ok(Self { sockets, ended })
    }
}

/// How a thread serves its connections.
#[derive(Clone)]
struct Serving {
    service: EnvoyService,
    tls: Option<Arc<Tls>>,
    max_streams: u32,
    stopped: watch::Receiver<bool>,
}

impl Serving {
    /// Until the service is to stop and all streams have ended.
    async fn serve(self, accepted: mpsc::Receiver<Socket>) {
        let http2 = self.http2();
        let mut connections = connections(accepted, self.tls);
        let open = GracefulShutdown::new();
        let serving = async {
            while let Some(Ok(connection)) = connections.next().await {
                let served = open.watch(http2.serve_connection(TokioIo::new(connection), self.service.clone()));
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
            .max_concurrent_streams(self.max_streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(KEEPALIVE);
        http2
    }
}
