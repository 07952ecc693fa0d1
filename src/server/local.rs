//! A unix socket that wakes its thread only for what there is to read.
//!
//! Tokio's own asks to be told as well when there is room to write again, and of a unix socket the kernel tells that each
//! time Envoy has read an answer: the thread would wake up once more for every message (`make bench`, concurrency 1).
//! Tokio's ends of pipes ask for one thing each, and read and write whatever a descriptor stands for.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// After this many writes that found room, the kernel is no longer asked for it: where bodies queue, asking each time
/// costs more than to be woken once too often.
const CALM_WRITES: u32 = 256;

/// A connected unix socket.
#[derive(Debug)]
pub(super) struct Local {
    reads: pipe::Receiver,
    writes: UnixStream,
    /// The same socket, where there was no room to write not long ago.
    full: Option<pipe::Sender>,
    /// Writes that found room since.
    calm: u32,
}

impl Local {
    /// Takes a socket that does not block.
    ///
    /// # Errors
    /// It can't be watched.
    pub(super) fn new(writes: UnixStream) -> io::Result<Self> {
        let reads = pipe::Receiver::from_owned_fd_unchecked(OwnedFd::from(writes.try_clone()?))?;
        Ok(Self { reads, writes, full: None, calm: 0 })
    }

    /// Writes, at once or as soon as there is room.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(&UnixStream) -> io::Result<usize>,
        write_later: impl FnOnce(Pin<&mut pipe::Sender>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match write(&self.writes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.calm = 0,
            written => {
                self.calm += 1;
                if self.calm >= CALM_WRITES {
                    (self.full, self.calm) = (None, 0);
                }
                return Poll::Ready(written);
            }
        }
        let full = match &mut self.full {
            Some(full) => full,
            None => {
                let socket = OwnedFd::from(self.writes.try_clone()?);
                self.full.insert(pipe::Sender::from_owned_fd_unchecked(socket)?)
            }
        };
        write_later(Pin::new(full), context)
    }
}

impl AsyncRead for Local {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reads).poll_read(context, buffer)
    }
}

impl AsyncWrite for Local {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_room(context, |mut socket| socket.write(bytes), |full, context| full.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |mut socket: &UnixStream| socket.write_vectored(pieces);
        self.poll_room(context, write, |full, context| full.poll_write_vectored(context, pieces))
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
    async fn an_end_is_told_on_both_sides() {
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
