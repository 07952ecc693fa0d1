//! A bound listener: a TCP port, or a unix socket that only its owner can open.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, UnixListener};
use tracing::debug;

use super::connection::Socket;
use super::tls::Tls;
use crate::address::ListenAddress;

/// Whoever can open the socket can read provider keys out of the router's answers.
const SOCKET_MODE: u32 = 0o600;

/// The pause after a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    bound: Bound,
    tls: Option<Arc<Tls>>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Returns the next connection.
    pub(super) async fn accept(&self) -> Socket {
        loop {
            let accepted = match &self.bound {
                Bound::Tcp(listener) => {
                    listener.accept().await.and_then(|(stream, _)| stream.into_std().map(Socket::Tcp))
                }
                Bound::Unix(listener) => {
                    listener.accept().await.and_then(|(stream, _)| stream.into_std().map(Socket::Unix))
                }
            };
            match accepted {
                Ok(socket) => return socket,
                // Out of file descriptors, say: give those that are closing a moment.
                Err(error) => {
                    debug!(%error, "no connection accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    /// Returns the bytes with which its connections begin.
    pub(super) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }
}

impl Listener {
    /// Binds it, for clients with a certificate if `tls` is given, and gives the address that it then has.
    ///
    /// # Errors
    /// It is taken, or may not be bound.
    pub async fn bind(address: &ListenAddress, tls: Option<&Arc<Tls>>) -> io::Result<(Self, ListenAddress)> {
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let bound = ListenAddress::Tcp(listener.local_addr()?);
                Ok((Self { bound: Bound::Tcp(listener), tls: tls.map(Arc::clone) }, bound))
            }
            ListenAddress::Unix(path) => {
                refuse_if_served(path).await?;
                let listener = bind_unix(path)?;
                Ok((Self { bound: Bound::Unix(listener), tls: None }, address.clone()))
            }
        }
    }
}

/// Refuses a path at which something other than an unused socket exists: such a socket is a leftover and may be
/// replaced.
async fn refuse_if_served(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there"))
        }
        Ok(_) => match tokio::net::UnixStream::connect(path).await {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves this socket")),
            Err(_) => Ok(()),
        },
    }
}

/// Binds in a directory of our own and moves the socket into place, so that it is never open to others, not even
/// between being bound and being restricted.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected a file's path"))?;
    // In a container the process id is the same every time, and a directory that a kill left behind would be in the
    // way.
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let directory = path.with_file_name(format!(".model-router.{}.{nanos}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let temporary = directory.join(name);
    let bound = UnixListener::bind(&temporary).and_then(|listener| {
        fs::set_permissions(&temporary, fs::Permissions::from_mode(SOCKET_MODE))?;
        fs::rename(&temporary, path)?;
        Ok(listener)
    });
    let _ = fs::remove_file(&temporary);
    let _ = fs::remove_dir(&directory);
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_and_a_leftover_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let address = ListenAddress::Unix(directory.path().join("router.sock"));
        let (first, _) = Listener::bind(&address, None).await.expect("bound");
        let mode = fs::metadata(directory.path().join("router.sock")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Listener::bind(&address, None).await.expect_err("served").kind(), io::ErrorKind::AddrInUse);
        drop(first);
        Listener::bind(&address, None).await.expect("a leftover is replaced");
    }

    #[tokio::test]
    async fn a_file_is_not_replaced() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = Listener::bind(&ListenAddress::Unix(file.path().into()), None).await.expect_err("no socket");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
