//! Every way in which an embedder can fail has a name, and costs no more than its timeout.

use std::time::Duration;

use super::*;
use crate::rig::load::load;

/// What the shapes below may take; the breaker stays out of it.
const MORE: &str = ", timeout: 700ms, cache: 0s, suspend: 0s";
const TIMEOUT_MS: u64 = 700;

fn item(embedding: &Value) -> Script {
    Script::json(200, &json!({ "data": [{ "index": 0, "embedding": embedding }] }))
}

/// Every shape of a reply with its outcome.
fn shapes() -> Vec<(&'static str, Script, &'static str)> {
    let redirect = vec![("location".to_owned(), "http://127.0.0.1:9/".to_owned())];
    let raw = |status, body: &str| Script::Raw { status, headers: Vec::new(), body: body.to_owned().into() };
    vec![
        ("a vector", embedder(), "matched"),
        ("without index", Script::json(200, &json!({ "data": [{ "embedding": vector(CODING) }] })), "matched"),
        ("other dimensions", item(&json!([1.0, 2.0])), "error"),
        ("no items", Script::json(200, &json!({ "data": [] })), "error"),
        ("two items", Script::json(200, &embeddings(&json!({ "input": ["a", "b"] }))), "error"),
        ("NaN", raw(200, &format!("{{\"data\":[{{\"embedding\":[NaN{}]}}]}}", ",1".repeat(DIMENSIONS - 1))), "error"),
        ("null", item(&json!(vec![Value::Null; DIMENSIONS])), "error"),
        ("too large a number", item(&json!(vec![1e300; DIMENSIONS])), "error"),
        ("zeros", item(&json!(vec![0.0; DIMENSIONS])), "error"),
        ("base64", item(&json!("AAAA")), "error"),
        ("a wrong index", Script::json(200, &json!({ "data": [{ "index": 5, "embedding": vector("a") }] })), "error"),
        ("no JSON", raw(200, "vector"), "error"),
        ("nothing", raw(200, ""), "error"),
        ("1 MB", raw(200, &" ".repeat(1 << 20)), "error"),
        ("302", Script::Raw { status: 302, headers: redirect, body: "".into() }, "error"),
        ("400", Script::status(400), "error"),
        ("401", Script::status(401), "error"),
        ("429", Script::status_with(429, &[("retry-after", "60")]), "error"),
        ("500", Script::status(500), "error"),
        ("the connection broken", Script::Reset, "error"),
        ("slow", embedder_after(Duration::from_secs(5)), "timeout"),
        ("never", Script::Hang, "timeout"),
    ]
}

fn embedder_after(pause: Duration) -> Script {
    Script::by(move |request| Script::json(200, &embeddings(&request.json())).after(pause))
}

/// No request waited longer for its scores than it had to.
fn in_time(rig: &Rig) {
    let waits: Vec<_> =
        rig.router.events("decision").iter().filter_map(|line| line["fields"]["classifier_ms"].as_u64()).collect();
    let longest = waits.iter().max().copied().unwrap_or_default();
    println!("{} requests, the longest wait {longest} ms of {TIMEOUT_MS} ms", waits.len());
    assert!(longest <= TIMEOUT_MS + 200, "waited {longest} ms of {TIMEOUT_MS}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_an_embedders_reply_has_its_documented_outcome() {
    let rig = rig(Topology::Attach, MORE).await;
    for (name, script, classification) in shapes() {
        rig.provider("vectors").answer(script);
        let answer = rig.send(chat("any").say(CODING)).await;
        let model = if classification == "matched" { "gpt-4o-mini" } else { "gpt-4o" };
        assert_eq!(served(&answer), (model.to_owned(), classification), "{name}");
    }
    in_time(&rig);
    let log = rig.router.log().join("\n");
    assert!(!log.contains("python") && !log.contains("vectors-key"), "the log holds words of a request, or a key");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedder_that_drips_or_is_gone_costs_no_more_than_its_timeout() {
    let rig = rig(Topology::Attach, MORE).await;
    rig.provider("vectors").answer(Script::pieces("application/json", &[(100, " "); 100]));
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await), ("gpt-4o".to_owned(), "timeout"));
    rig.provider("vectors").down().await;
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await), ("gpt-4o".to_owned(), "error"));
    in_time(&rig);
    rig.provider("vectors").up();
    rig.provider("vectors").answer(embedder());
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await), ("gpt-4o-mini".to_owned(), "matched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedder_that_is_down_is_asked_as_often_as_its_breaker_allows() {
    let rig = rig(Topology::Attach, ", cache: 0s, suspend_after: 5, suspend: 60s").await;
    rig.provider("vectors").answer(Script::status(500));
    let calls = rig.provider("vectors").hits();
    let answers = load(rig.envoy.addr(), 2_000, 16, |i| chat("any").say(&format!("{CODING} {i}"))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|it| it.status == 200 && it.model() == "gpt-4o")));
    let asked = rig.provider("vectors").hits() - calls;
    println!("2000 requests, {asked} calls of an embedder that is down");
    assert!(asked <= 5 + 16, "{asked} calls");
    let known = super::asked(&rig).await;
    assert_eq!(known.state(), State::Suspended);
    assert!(known.verdicts["breaker_open"] >= 1_950, "{:?}", known.verdicts);
    rig.router.logged("the suspension", |line| line.contains("embedder suspended")).await;
}
