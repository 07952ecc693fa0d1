//! The provider: reads the body, answers half a KiB, keeps the connection. At other ports it answers with events, or
//! late.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use crate::cell::Answers;

/// Events of a streamed answer, before the last.
const EVENTS: usize = 20;

/// How late a late answer is.
pub(crate) const DELAY: Duration = Duration::from_secs(25);

/// Connections that wait to be accepted: thousands come at once, and what finds no room waits for a second.
const BACKLOG: u32 = 8_192;

/// Serves until the process is ended; prints the addresses first, in the order of [`Answers`].
pub(crate) async fn serve() -> Result<(), String> {
    let [whole, events, late] = [listen().await?, listen().await?, listen().await?];
    println!("{} {} {}", whole.1, events.1, late.1);
    tokio::join!(accept(whole.0, Answers::Whole), accept(events.0, Answers::Events), accept(late.0, Answers::Late));
    Ok(())
}

async fn listen() -> Result<(TcpListener, SocketAddr), String> {
    let listen = |socket: TcpSocket| {
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        socket.listen(BACKLOG)
    };
    let listener = TcpSocket::new_v4().and_then(listen).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

async fn accept(listener: TcpListener, answers: Answers) {
    let answer = completion();
    while let Ok((connection, _)) = listener.accept().await {
        let _ = connection.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| respond(request, answer.clone(), answers));
        tokio::spawn(async move {
            // Envoy closes connections as it likes.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

/// Half a KiB, with an answer in it that a classifier could have given.
fn completion() -> Bytes {
    let message = json!({ "role": "assistant", "content": "Coding" });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop", "logprobs": null });
    let usage = json!({ "prompt_tokens": 200, "completion_tokens": 5, "total_tokens": 205 });
    let mut answer = json!({
        "id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o",
        "choices": [choice], "usage": usage, "padding": "",
    });
    let missing = 512 - answer.to_string().len();
    answer["padding"] = "x".repeat(missing).into();
    answer.to_string().into()
}

async fn respond(
    request: Request<Incoming>,
    answer: Bytes,
    answers: Answers,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let mut body = request.into_body();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        frame?;
    }
    if answers == Answers::Late {
        tokio::time::sleep(DELAY).await;
    }
    let events = answers == Answers::Events;
    let kind = if events { "text/event-stream" } else { "application/json" };
    let body = if events {
        let event = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n");
        let done = Bytes::from_static(b"data: [DONE]\n\n");
        let frames = std::iter::repeat_n(event, EVENTS).chain([done]).map(|event| Ok(Frame::data(event)));
        StreamBody::new(tokio_stream::iter(frames)).boxed_unsync()
    } else {
        Full::new(answer).boxed_unsync()
    };
    Ok(Response::builder().header("content-type", kind).body(body).expect("a valid answer"))
}
