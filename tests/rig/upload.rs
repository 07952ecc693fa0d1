//! A request whose body is sent as the test says: in pieces, slowly, framed in either way, with trailers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use super::client::Answer;

/// How large the pieces are in which a body is handed to the connection.
const PIECE_BYTES: usize = 64 << 10;
/// No test waits longer than this for an answer.
const TIMEOUT: Duration = Duration::from_secs(120);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By a `content-length`.
    Length,
    /// By the last chunk (HTTP/1.1), or the end of the stream (HTTP/2).
    Chunked,
}

/// A request to be sent over a connection of its own. Built by [`upload`] and the methods here.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    http: Http,
    framing: Framing,
    method: Method,
    path: String,
    body: Bytes,
    piece_bytes: usize,
    pause: Duration,
    trailers: HeaderMap,
}

/// `POST /v1/chat/completions` with this body.
pub(crate) fn upload(body: impl Into<Bytes>) -> Upload {
    Upload {
        http: Http::One,
        framing: Framing::Length,
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        body: body.into(),
        piece_bytes: PIECE_BYTES,
        pause: Duration::ZERO,
        trailers: HeaderMap::new(),
    }
}

impl Upload {
    pub(crate) fn by(mut self, http: Http, framing: Framing) -> Self {
        (self.http, self.framing) = (http, framing);
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// In so many pieces, the whole taking at least this time.
    pub(crate) fn slowly(mut self, pieces: usize, whole: Duration) -> Self {
        self.piece_bytes = self.body.len().div_ceil(pieces).max(1);
        self.pause = whole / u32::try_from(pieces).expect("few pieces");
        self
    }

    pub(crate) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Sends it and reads the whole answer. The error says what went wrong.
    pub(crate) async fn send(self, addr: SocketAddr) -> Result<Answer, String> {
        let began = Instant::now();
        let answered = async {
            let (parts, body) = self.answered(addr).await?.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, took: began.elapsed() })
        };
        tokio::time::timeout(TIMEOUT, answered).await.unwrap_or_else(|_| Err(format!("no answer in {TIMEOUT:?}")))
    }

    async fn answered(self, addr: SocketAddr) -> Result<Response<Incoming>, String> {
        let stream = TcpStream::connect(addr).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (http, request) = (self.http, self.into_request(addr));
        // The connection goes on until the answer is read, or broken off when the client that holds it is dropped.
        match http {
            Http::One => {
                let (mut sender, connection) =
                    http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(|e| e.to_string())
            }
            Http::Two => {
                let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
                let (mut sender, connection) = handshake.map_err(|e| e.to_string())?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(|e| e.to_string())
            }
        }
    }

    fn into_request(self, addr: SocketAddr) -> Request<Body> {
        let target = match self.http {
            Http::One => self.path.clone(),
            Http::Two => format!("http://{addr}{}", self.path),
        };
        let mut request =
            Request::builder().method(&self.method).uri(target).header("content-type", "application/json");
        if self.http == Http::One {
            request = request.header("host", addr.to_string());
        }
        if self.framing == Framing::Length {
            request = request.header("content-length", self.body.len());
        }
        for name in self.trailers.keys() {
            request = request.header("trailer", name.as_str());
        }
        request.body(self.into_body()).expect("a valid request")
    }

    fn into_body(self) -> Body {
        let Self { body, piece_bytes, pause, trailers, .. } = self;
        let pieces = body.len().div_ceil(piece_bytes);
        let piece = move |n: usize| body.slice(n * piece_bytes..body.len().min((n + 1) * piece_bytes));
        let data = (0..pieces).map(move |n| Frame::data(piece(n)));
        let trailers = (!trailers.is_empty()).then_some(trailers).map(Frame::trailers);
        let frames = tokio_stream::iter(data.chain(trailers)).then(move |frame| async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Ok(frame)
        });
        BodyExt::boxed_unsync(StreamBody::new(frames))
    }
}
