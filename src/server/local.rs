//! A unix socket that wakes its thread only when there is something to read.
//!
//! Tokio's own also registers for readiness to write, and for a unix socket the kernel reports that each time Envoy has
//! read a message: the thread would wake up once more for every message (`make bench`, concurrency 1). Here each
//! direction registers for its own readiness, and writing only while there is no room.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The number of writes that found room after which the kernel is no longer asked for it: where bodies queue, asking
/// each time costs more than to be woken once too often.
const CALM_WRITES: u32 = 256;

/// A connected unix socket.
#[derive(Debug)]
pub(super) struct Local {
    reads: AsyncFd<UnixStream>,
    writes: UnixStream,
    /// The same socket, registered for readiness to write, where there was no room not long ago.
    full: Option<AsyncFd<UnixStream>>,
    /// The writes that have found room since.
    calm: u32,
}

impl Local {
    /// Takes a socket that does not block.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub(super) fn new(writes: UnixStream) -> io::Result<Self> {
        let reads = watch(writes.try_clone()?, Interest::READABLE)?;
        Ok(Self { reads, writes, full: None, calm: 0 })
    }

    /// Writes at once, or as soon as there is room.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match write(&self.writes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.calm = 0,
            written => {
                self.calm += 1;
                if self.calm >= CALM_WRITES {
                    self.full = None;
                    self.calm = 0;
                }
                return Poll::Ready(written);
            }
        }
        let full = match &mut self.full {
            Some(full) => full,
            None => self.full.insert(watch(self.writes.try_clone()?, Interest::WRITABLE)?),
        };
        loop {
            let mut room = ready!(full.poll_write_ready(context))?;
            if let Ok(written) = room.try_io(|socket| write(socket.get_ref())) {
                return Poll::Ready(written);
            }
        }
    }
}

/// Registers a socket for one kind of readiness.
///
/// Tokio deprecates the safe function because a type may return another descriptor later, or close it. A `UnixStream`
/// owns its descriptor and does neither; the function in its place is `unsafe`, which this crate forbids.
#[allow(deprecated)]
fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsyncRead for Local {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut readable = ready!(self.reads.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            let room = unfilled.len();
            let Ok(read) = readable.try_io(|socket| socket.get_ref().read(unfilled)) else { continue };
            let length = read?;
            if (1..room).contains(&length) {
                // A read that does not fill the buffer has emptied the socket, as epoll(7) says of stream sockets: that
                // saves the read that would find nothing.
                readable.clear_ready();
            }
            buffer.advance(length);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Local {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_room(context, |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_room(context, |mut socket| socket.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // nothing is held back
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.writes.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Local, Local) {
        let (one, other) = UnixStream::pair().expect("a pair");
        let local = |socket: UnixStream| {
            socket.set_nonblocking(true).expect("a socket");
            Local::new(socket).expect("it can be watched")
        };
        (local(one), local(other))
    }

    #[tokio::test]
    async fn what_finds_no_room_is_written_when_there_is_some() {
        let (mut ours, mut theirs) = pair();
        let sent: Vec<_> = (0..4_u32 << 18).flat_map(u32::to_le_bytes).collect();
        let mut read = vec![0; sent.len()];
        let (written, got) = tokio::join!(ours.write_all(&sent), theirs.read_exact(&mut read));
        assert!(written.is_ok() && got.is_ok() && read == sent && ours.full.is_some());
        for _ in 0..CALM_WRITES {
            ours.write_all(b"x").await.expect("room");
            theirs.read_exact(&mut read[..1]).await.expect("a byte");
        }
        assert!(ours.full.is_none(), "calm again");
    }

    #[tokio::test]
    async fn an_end_is_seen_on_both_sides() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"last").await.expect("room");
        ours.shutdown().await.expect("open");
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.expect("the end");
        assert_eq!(read, b"last");
        drop(theirs);
        assert_eq!(ours.write(b"x").await.expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    }
}
