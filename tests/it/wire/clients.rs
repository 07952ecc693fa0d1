//! Clients that are slow, odd or gone.

use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MODES, check_nothing_is_left, rig};
use crate::check::check_error;
use crate::rig::Rig;
use crate::rig::client::Answer;
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::upload::{Framing, Http, Upload, upload};

const BODY: &str = r#"{"model":"any","messages":[]}"#;
const EDITED: &str = r#"{"model":"gpt-4o","messages":[]}"#;
const HTTP: [Http; 2] = [Http::One, Http::Two];
const FRAMING: [Framing; 2] = [Framing::Length, Framing::Chunked];

async fn send(rig: &Rig, upload: Upload) -> Answer {
    upload.send(rig.envoy.addr()).await.unwrap()
}

/// A connection whose bytes the test writes itself.
async fn connect(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.envoy.addr()).await.unwrap()
}

fn head(more: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
    )
}

/// What comes, until this is in it or the connection ends.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(end) {
        let read = tokio::time::timeout(crate::rig::SOON, stream.read_buf(&mut text)).await;
        if read.expect("an answer soon").unwrap_or_default() == 0 {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        let mut stream = connect(&rig).await;
        stream.write_all(head("expect: 100-continue\r\n", BODY.len()).as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(BODY.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(rig.provider("one").last().body, EDITED);
        assert_eq!(rig.provider("one").last().header("expect"), "");
        check_nothing_is_left(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_uploads_arrive_whole() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        let clients = HTTP.into_iter().flat_map(|http| FRAMING.map(|framing| (http, framing)));
        let slow = clients.map(|(http, framing)| {
            let upload = upload(BODY).by(http, framing).slowly(10, Duration::from_secs(2));
            tokio::spawn(upload.send(rig.envoy.addr()))
        });
        for answer in slow.collect::<Vec<_>>() {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.took >= Duration::from_secs(2));
        }
        assert!(rig.provider("one").requests().iter().all(|request| request.body == EDITED));
        check_nothing_is_left(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_half_leaves_nothing_behind() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        let mut stream = connect(&rig).await;
        stream.write_all((head("", BODY.len()) + BODY).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // Envoy takes the end of a client's half for the end of the client, so there may be no answer.
        let answer = read_until(&mut stream, "\0").await;
        println!("{mode:?}: {:?}", answer.lines().next());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        check_nothing_is_left(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_mid_upload_leaves_nothing_behind() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        for reset in [false, true] {
            let mut stream = connect(&rig).await;
            stream.write_all((head("", 10 << 20) + BODY).as_bytes()).await.unwrap();
            begun(&rig).await;
            if reset {
                stream.set_zero_linger().unwrap();
            }
            drop(stream);
            check_nothing_is_left(&rig).await;
        }
        for framing in FRAMING {
            let slow = upload(BODY).by(Http::Two, framing).slowly(10, Duration::from_secs(60));
            let slow = tokio::spawn(slow.send(rig.envoy.addr()));
            begun(&rig).await;
            slow.abort();
            let _ = slow.await;
            check_nothing_is_left(&rig).await;
        }
        assert_eq!(rig.hits(), [0, 0]);
        assert_eq!(send(&rig, upload(BODY)).await.status, 200);
    }
}

/// One more stream to the router is open.
async fn begun(rig: &Rig) {
    crate::rig::eventually("the request at the router", async || {
        let stats = rig.envoy.stats("http.attempt.ext_proc.streams_").await;
        let stat =
            |name: &str| stats.get(&format!("http.attempt.ext_proc.streams_{name}")).copied().unwrap_or_default();
        (stat("started") > stat("closed")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_body_is_refused_however_it_says_so() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        for (http, framing) in HTTP.into_iter().flat_map(|http| FRAMING.map(|framing| (http, framing))) {
            check_error(&send(&rig, upload("").by(http, framing)).await, 400, "invalid_body");
        }
        let bare = rig.send(crate::rig::ask::post("/v1/chat/completions")).await;
        check_error(&bare, 400, "invalid_body");
        assert_eq!(rig.hits(), [0, 0]);
        check_nothing_is_left(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_answered_by_its_path() {
    for mode in MODES {
        let rig = rig(Topology::Failover, mode).await;
        for (http, framing) in HTTP.into_iter().flat_map(|http| FRAMING.map(|framing| (http, framing))) {
            let get = |path| upload(BODY).by(http, framing).method(Method::GET).path(path);
            assert_eq!(send(&rig, get("/v1/models")).await.status, 200);
            check_error(&send(&rig, get("/v1/chat/completions")).await, 404, "unknown_operation");
        }
        assert_eq!(rig.hits(), [0, 0]);
        check_nothing_is_left(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_do_not_disturb_a_body() {
    for mode in MODES {
        for topology in [Topology::Attach, Topology::Failover] {
            let rig = rig(topology, mode).await;
            let big = format!(r#"{{"x":"{}","model":"any"}}"#, "a".repeat(2 << 20));
            for body in [BODY, &big] {
                for http in HTTP {
                    for (path, provider) in [("/v1/chat/completions", "one"), ("/h2/v1/chat/completions", "two")] {
                        let upload = upload(body.to_owned()).by(http, Framing::Chunked).path(path);
                        let answer = send(&rig, upload.trailer("x-checksum", "1")).await;
                        assert_eq!(answer.status, 200, "{mode:?} {http:?}: {}", answer.text());
                        let expected = body.replace("any", "gpt-4o");
                        assert!(rig.provider(provider).last().body == expected);
                    }
                }
            }
            check_nothing_is_left(&rig).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_with_trailers_is_refused() {
    for mode in MODES {
        let rig = rig(Topology::Attach, mode).await;
        for http in HTTP {
            let upload = upload("").by(http, Framing::Chunked).trailer("x-checksum", "1");
            let answer = send(&rig, upload).await;
            match (mode, http) {
                // Envoy drops an HTTP/1.1 trailer, but takes an HTTP/2 one for a body that need not be shown to us.
                (BodyMode::Buffered, Http::Two) => check_error(&answer, 503, "service_unavailable"),
                _ => check_error(&answer, 400, "invalid_body"),
            }
        }
        assert_eq!(rig.hits(), [0, 0]);
        check_nothing_is_left(&rig).await;
    }
}
