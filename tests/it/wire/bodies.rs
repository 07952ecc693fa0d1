//! Bodies of every size, framed in every way: intact, or refused in words.

use http::Version;
use serde_json::json;

use super::{check_nothing_is_left, rig};
use crate::check::check_error;
use crate::rig::Rig;
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::provider::Recorded;
use crate::rig::script::Script;
use crate::rig::upload::{Framing, Http, upload};

const MIB: usize = 1 << 20;
const SIZES: [usize; 4] = [1_000, MIB - 1, MIB, MIB + 1];
const LARGE: usize = 20_000_000;

const CLIENTS: [(Http, Framing); 4] = [
    (Http::One, Framing::Length),
    (Http::One, Framing::Chunked),
    (Http::Two, Framing::Length),
    (Http::Two, Framing::Chunked),
];

/// An object of exactly so many bytes for a model. No two of its blocks are the same, so that one that is lost, doubled
/// or moved is noticed.
fn body(model: &str, bytes: usize) -> String {
    let (head, tail) = (r#"{"x":""#, format!(r#"","model":"{model}"}}"#));
    let block = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(100);
    let mut body = String::with_capacity(bytes + block.len() + 8);
    body.push_str(head);
    for n in 0.. {
        if body.len() >= bytes {
            break;
        }
        body.push_str(&format!("{n:08}{block}"));
    }
    body.truncate(bytes - tail.len());
    body + &tail
}

/// Exactly one way to tell the body's end, and that one is right.
#[track_caller]
fn check_framing(request: &Recorded) {
    let lengths: Vec<_> = request.headers.get_all("content-length").iter().collect();
    let encodings: Vec<_> = request.headers.get_all("transfer-encoding").iter().collect();
    match (&lengths[..], &encodings[..]) {
        ([length], []) => assert_eq!(*length, &request.body.len().to_string()),
        ([], [chunked]) if request.version == Version::HTTP_11 => assert_eq!(*chunked, "chunked"),
        ([], []) => assert_eq!(request.version, Version::HTTP_2),
        _ => panic!("{:?} {:?}", request.version, request.headers),
    }
}

async fn check_arrives(rig: &Rig, bytes: usize, provider: &str, (http, framing): (Http, Framing)) {
    let what = format!("{bytes} bytes, {http:?}, {framing:?}, to `{provider}`");
    let path = if provider == "one" { "/v1/chat/completions" } else { "/h2/v1/chat/completions" };
    let answer = upload(body("old-m", bytes)).by(http, framing).path(path).send(rig.envoy.addr()).await;
    assert_eq!(answer.as_ref().map(|answer| answer.status), Ok(200), "{what}: {answer:?}");
    let request = rig.provider(provider).last();
    assert!(request.body == body("gpt-4o", bytes + 1), "{what}: {} bytes came", request.body.len());
    check_framing(&request);
    rig.clear();
}

async fn check_bodies(topology: Topology, mode: BodyMode) {
    let rig = rig(topology, mode).await;
    // Reading a body of 20 MB to answer it takes longer than sending it.
    rig.providers().for_each(|provider| provider.answer(Script::json(200, &json!({}))));
    for client in CLIENTS {
        for bytes in SIZES {
            check_arrives(&rig, bytes, "one", client).await;
            check_arrives(&rig, bytes, "two", client).await;
        }
        let provider = if client.0 == Http::One { "one" } else { "two" };
        check_arrives(&rig, LARGE, provider, client).await;
    }
    check_nothing_is_left(&rig).await;
}

/// Above the router's bound, and above Envoy's.
async fn check_too_large(topology: Topology, mode: BodyMode) {
    let rig = rig(topology, mode).await;
    for (bytes, by_envoy) in [(26_300_000, false), (40_000_000, mode == BodyMode::Buffered)] {
        for client @ (http, framing) in CLIENTS {
            let answer = upload(body("any", bytes)).by(http, framing).send(rig.envoy.addr()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{bytes} bytes, {client:?}: {error}"));
            let code = if by_envoy && framing == Framing::Chunked { "request_too_large" } else { "body_too_large" };
            check_error(&answer, 413, code);
        }
    }
    assert_eq!(rig.hits(), [0, 0]);
    check_nothing_is_left(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_intact_through_attach_buffered() {
    check_bodies(Topology::Attach, BodyMode::Buffered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_intact_through_attach_full_duplex() {
    check_bodies(Topology::Attach, BodyMode::FullDuplex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_intact_through_failover_buffered() {
    check_bodies(Topology::Failover, BodyMode::Buffered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_intact_through_failover_full_duplex() {
    check_bodies(Topology::Failover, BodyMode::FullDuplex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_above_the_bounds_are_refused_in_words_through_attach() {
    check_too_large(Topology::Attach, BodyMode::Buffered).await;
    check_too_large(Topology::Attach, BodyMode::FullDuplex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_above_the_bounds_are_refused_in_words_through_failover() {
    check_too_large(Topology::Failover, BodyMode::Buffered).await;
    check_too_large(Topology::Failover, BodyMode::FullDuplex).await;
}
