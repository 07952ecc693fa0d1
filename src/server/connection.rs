//! A connection of either kind, on the thread that serves it.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::Tls;
use super::local::Local;

/// Handshakes at once, and connections that wait to be served.
const MAX_OPENING: usize = 256;

/// A connection that belongs to no thread yet.
#[derive(Debug)]
pub(super) enum Socket {
    /// At an address and port.
    Tcp(std::net::TcpStream),
    /// At a path.
    Unix(std::os::unix::net::UnixStream),
}

/// Bytes in and out.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection that can be served.
pub(super) type Connection = Box<dyn Io>;

impl Connected for Connection {
    /// The peer does not matter: whoever can connect is allowed to.
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Returns the connections of sockets, each with what came beside it; where there is TLS, of those whose clients have
/// shown what they must. A slow or wrong client holds up nobody.
pub(super) fn connections<T: Send + 'static>(
    mut sockets: mpsc::Receiver<(Socket, T)>,
    tls: Option<Arc<Tls>>,
) -> ReceiverStream<(Connection, T)> {
    let (opened, connections) = mpsc::channel(MAX_OPENING);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_OPENING));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let socket = tokio::select! {
                () = opened.closed() => return,
                socket = sockets.recv() => socket,
            };
            let Some((socket, beside)) = socket else { return };
            let (tls, opened) = (tls.clone(), opened.clone());
            tokio::spawn(async move {
                if let Some(connection) = socket.open(tls).await {
                    // An error means that the server has stopped.
                    let _ = opened.send((connection, beside)).await;
                }
                drop(place);
            });
        }
    });
    ReceiverStream::new(connections)
}

impl Socket {
    /// `None`: why it could not be opened is in the log.
    async fn open(self, tls: Option<Arc<Tls>>) -> Option<Connection> {
        let opened = match self {
            Self::Unix(stream) => Local::new(stream).map(|stream| Box::new(stream) as Connection),
            Self::Tcp(stream) => match (TcpStream::from_std(stream), tls) {
                (Ok(stream), Some(tls)) => return secured(stream, &tls).await,
                (stream, _) => stream.map(|stream| Box::new(without_delay(stream)) as Connection),
            },
        };
        opened.inspect_err(|problem| warn!(%problem, "a connection could not be opened")).ok()
    }
}

async fn secured(stream: TcpStream, tls: &Tls) -> Option<Connection> {
    let peer = stream.peer_addr();
    match tls.handshake(without_delay(stream)).await {
        Ok(stream) => Some(Box::new(stream)),
        Err(problem) => {
            let peer = peer.map_or_else(|_| "gone".to_owned(), |peer| peer.to_string());
            warn!(peer, %problem, "TLS handshake failed");
            None
        }
    }
}

/// Answers are small and awaited: none may wait for another.
fn without_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    stream
}
