//! A websocket's upstream that sends back what it gets, and a client that compares bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const REQUEST: &str = "GET /socket?a=1 HTTP/1.1\r\nhost: shop.test\r\nx-request-id: 7\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncookie: a=b\r\n\r\n";
/// The key's answer is the example of RFC 6455, section 1.3.
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Runs until it is dropped.
pub(super) struct Echo {
    pub(super) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Echo {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, heads) = (listener.local_addr().unwrap().port(), Arc::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&heads)));
        Self { port, heads, task }
    }

    /// The requests so far, which are forgotten.
    pub(super) fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, heads: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let heads = Arc::clone(&heads);
        tokio::spawn(async move {
            let head = read_head(&mut stream).await;
            heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
            stream.write_all(SWITCHED.as_bytes()).await.unwrap();
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A frame from a client with this opcode; its mask is all zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u64::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x80 | opcode, 0x80 | 127], &length[..], &[0; 4], payload].concat()
}

/// What comes back for a text, a ping, a large binary message and a close, after the head, which is without the time.
pub(super) async fn talk(addr: SocketAddr) -> String {
    let frames = [frame(1, b"hello"), frame(9, b"?"), frame(2, &[0xA5; 200_000]), frame(8, &[])];
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    for sent in &frames {
        stream.write_all(sent).await.unwrap();
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert!(back == *sent, "a frame comes back as it was");
    }
    head.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}
