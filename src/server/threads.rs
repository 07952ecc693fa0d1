//! Threads that serve connections, each on its own: what belongs to a connection never leaves its thread.
//!
//! Envoy has one connection for each of its workers, and all that happens on it is short. On a pool of threads a stream and
//! its connection wake each other up across processors, which costs more than the streams' own work (`make bench`).

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::server::Router as Routes;

use super::connection::{Socket, connections};
use super::{Listener, Tls, stop};

/// Connections that wait for their thread; Envoy opens few and keeps them.
const MAX_WAITING: usize = 256;

/// Serves the connections of a listener on so many threads, in turn.
///
/// # Errors
/// A thread could not be started, or serving failed on one.
pub(super) async fn serve(
    routes: Routes,
    listener: Listener,
    threads: usize,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let start = |number| Thread::start(number, routes.clone(), listener.tls(), stopped.clone());
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
        ended.await.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Serves the connections of a listener where it is called.
///
/// # Errors
/// Serving failed.
pub(super) async fn serve_here(routes: Routes, listener: Listener, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let (sockets, accepted) = mpsc::channel(MAX_WAITING);
    let tls = listener.tls();
    let accepting = async { while sockets.send(listener.accept().await).await.is_ok() {} };
    tokio::select! {
        served = serve_accepted(routes, accepted, tls, stopped.clone()) => served,
        () = accepting => Ok(()),
    }
}

struct Thread {
    sockets: mpsc::Sender<Socket>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Thread {
    fn start(number: usize, routes: Routes, tls: Option<Arc<Tls>>, stopped: watch::Receiver<bool>) -> io::Result<Self> {
        let (sockets, accepted) = mpsc::channel(MAX_WAITING);
        let (tell, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("streams-{number}")).spawn(move || {
            // Nobody listens any more where the drain timeout has passed.
            let _ = tell.send(runtime.block_on(serve_accepted(routes, accepted, tls, stopped)));
        })?;
        Ok(Self { sockets, ended })
    }
}

async fn serve_accepted(
    routes: Routes,
    accepted: mpsc::Receiver<Socket>,
    tls: Option<Arc<Tls>>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let served = routes.serve_with_incoming_shutdown(connections(accepted, tls), stop(stopped)).await;
    served.map_err(io::Error::other)
}
