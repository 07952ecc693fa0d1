//! Every way in which a classifier can fail has a name, and costs no more than its timeout.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;
use crate::rig::provider::Refused;

/// What the shapes below may take; the breaker stays out of it.
const MORE: &str = ", timeout: 700ms, cache: 0s, suspend: 0s";
const TIMEOUT_MS: u64 = 700;

fn raw(status: u16, body: impl Into<Vec<u8>>) -> Script {
    Script::Raw { status, headers: Vec::new(), body: body.into().into() }
}

fn message(message: &Value) -> Script {
    Script::json(200, &json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] }))
}

/// Every shape of a reply with what must come of it.
fn shapes() -> Vec<(&'static str, Script, &'static str)> {
    let call = json!([{ "id": "c", "type": "function", "function": { "name": "Coding", "arguments": "{}" } }]);
    let redirect = vec![("location".to_owned(), "http://127.0.0.1:9/".to_owned())];
    vec![
        ("the name", Script::says("Coding"), "matched"),
        ("a full stop", Script::says("Coding."), "matched"),
        ("quotes and another case", Script::says("\"coding\""), "matched"),
        ("markdown", Script::says("**Coding**"), "matched"),
        ("JSON", Script::says(r#"{"rule":"Coding"}"#), "matched"),
        ("JSON in a fence", Script::says("```json\n{\"rule\": \"Coding\"}\n```"), "matched"),
        ("a sentence", Script::says("The request fits the rule Coding best."), "matched"),
        ("thoughts first", Script::says("<think>Medical advice? No.</think>\nCoding"), "matched"),
        ("parts", message(&json!({ "content": [{ "type": "text", "text": "Coding" }] })), "matched"),
        ("white space around", Script::says("\n\n  coding \n"), "matched"),
        ("none", Script::says("NONE"), "none"),
        ("none in a sentence", Script::says("None of the rules fits."), "none"),
        ("JSON with none", Script::says(r#"{"rule":"NONE"}"#), "none"),
        ("two names", Script::says("Coding or Medical advice"), "unparsable"),
        ("a name that is not declared", Script::says("Cooking"), "unparsable"),
        ("a refusal in words", Script::says("I'm sorry, I can't help with that."), "unparsable"),
        ("a refusal", message(&json!({ "content": null, "refusal": "No." })), "unparsable"),
        ("no words", Script::says(""), "unparsable"),
        ("null", message(&json!({ "content": null })), "unparsable"),
        ("a tool call", message(&json!({ "content": null, "tool_calls": call })), "unparsable"),
        ("10 000 tokens", Script::says(&format!("Coding {}", "word ".repeat(10_000))), "unparsable"),
        ("100 KB", Script::says(&"Coding ".repeat(15_000)), "error"),
        ("invalid UTF-8", raw(200, b"{\"choices\":[{\"message\":{\"content\":\"\xff\xfe\"}}]}".to_vec()), "error"),
        ("no JSON", raw(200, "Coding"), "error"),
        ("no choices", raw(200, r#"{"choices":[]}"#), "error"),
        ("nothing at all", raw(200, ""), "error"),
        ("201", raw(201, r#"{"choices":[{"message":{"content":"Coding"}}]}"#), "error"),
        ("204", raw(204, ""), "error"),
        ("302", Script::Raw { status: 302, headers: redirect, body: "".into() }, "error"),
        ("401", Script::status(401), "error"),
        ("429", Script::status_with(429, &[("retry-after", "60")]), "error"),
        ("500", Script::status(500), "error"),
        ("the connection broken", Script::Reset, "error"),
        ("slow", Script::says("Coding").after(Duration::from_secs(5)), "timeout"),
        ("never", Script::Hang, "timeout"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_a_reply_has_its_documented_outcome() {
    let rig = rig(Topology::Attach, MORE).await;
    let shapes = shapes();
    for (name, script, classification) in &shapes {
        rig.provider("triage").answer(script.clone());
        let answer = rig.send(chat("any").say("a secret wish")).await;
        let model = if *classification == "matched" { "gpt-4o-mini" } else { "gpt-4o" };
        assert_eq!(served(&answer), (model.to_owned(), *classification), "{name}");
    }
    in_time(&rig, shapes.len());
    assert_eq!(rig.provider("triage").hits(), shapes.len(), "one call each, and no redirect followed");
    let log = rig.router.log().join("\n");
    for secret in ["secret wish", "triage-key", "can't help", "Cooking"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
    let errors: Vec<_> = rig
        .router
        .events("decision")
        .into_iter()
        .filter_map(|line| line["fields"]["classifier_error"].as_str().map(str::to_owned))
        .collect();
    assert!(
        errors.contains(&"status 401".to_owned()) && errors.iter().all(|error| !error.contains("http://")),
        "{errors:?}"
    );
    rig.check_clean().await;
}

/// No request waited longer for its classification than it had to.
fn in_time(rig: &Rig, n: usize) {
    let waits: Vec<_> =
        rig.router.events("decision").iter().filter_map(|line| line["fields"]["classifier_ms"].as_u64()).collect();
    assert_eq!(waits.len(), n);
    let longest = waits.iter().max().copied().unwrap_or_default();
    println!("{n} classifications, the longest wait {longest} ms of {TIMEOUT_MS} ms");
    assert!(longest <= TIMEOUT_MS + 200, "waited {longest} ms of {TIMEOUT_MS}");
}

/// A server that answers one byte every 100 ms.
async fn dripping() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\": [{\"message\": {}}]}";
                for byte in answer.iter().cycle().take(200) {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
    });
    addr
}

/// A TLS server whose certificate nobody has vouched for.
async fn self_signed() -> SocketAddr {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = certified.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.into()], key);
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config.expect("a configuration")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_that_cannot_be_reached_is_an_error_or_a_timeout() {
    let plain = Provider::named("plain").await;
    let refused = Refused::new();
    for (name, url, classification) in [
        ("closed port", format!("http://{}", refused.addr()), "error"),
        ("unknown host", "http://nothing.invalid".to_owned(), "error"),
        ("plaintext where TLS is expected", format!("https://{}", plain.addr()), "error"),
        ("a certificate of nobody", format!("https://{}", self_signed().await), "error"),
        ("a drip", format!("http://{}", dripping().await), "timeout"),
    ] {
        let text = policy(MORE).replace("{{triage}}", &url);
        let rig = Rig::start(Topology::Attach, &text, &["east", "west"]).await;
        let answer = rig.send(chat("any")).await;
        assert_eq!(served(&answer), ("gpt-4o".to_owned(), classification), "{name}");
        in_time(&rig, 1);
    }
    assert_eq!(plain.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_that_is_down_is_asked_a_few_times_and_costs_nobody_an_answer() {
    let rig = rig(Topology::Attach, ", suspend_after: 5, suspend: 2s").await;
    rig.provider("triage").answer(Script::status(500));
    let answers = load(rig.envoy.addr(), 2_000, 16, |i| chat("any").say(&format!("question {i}"))).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.models.into_iter().collect::<Vec<_>>(), [("gpt-4o".to_owned(), 2_000)], "{:?}", tally.errors);
    let (hits, known) = (rig.provider("triage").hits(), classifier(&rig).await);
    let (errors, open) = (known.verdicts["error"], known.verdicts["breaker_open"]);
    println!("2000 requests, {hits} calls, {errors} errors, {open} not asked");
    // Those in flight when the fifth failed, and a probe at the end of each suspension that the load outlasted.
    assert!((5..=5 + 16 + 10).contains(&hits), "{hits} calls");
    assert_eq!((errors + open, known.calls), (2_000, hits as u64));

    rig.provider("triage").answer(Script::says("Coding"));
    eventually("the classifier's return", async || (served(&rig.send(chat("any")).await).1 == "matched").then_some(()))
        .await;
    assert_eq!(rig.router.events("classifier restored").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_questions_than_may_be_asked_at_once_go_to_the_default() {
    let rig = rig(Topology::Attach, ", concurrency: 1").await;
    rig.provider("triage").answer(Script::says("Coding").after(Duration::from_secs(2)));
    let addr = rig.envoy.addr();
    let first = tokio::spawn(async move { crate::rig::client::send(addr, chat("any").say("first")).await });
    eventually("the first question", async || (rig.provider("triage").in_flight() == 1).then_some(())).await;
    assert_eq!(served(&rig.send(chat("any").say("second")).await), ("gpt-4o".to_owned(), "over_capacity"));
    assert_eq!(served(&first.await.expect("no panic")), ("gpt-4o-mini".to_owned(), "matched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_where_the_policy_says_so() {
    let rig = rig(Topology::Attach, ", retries: 2, cache: 0s").await;
    for (statuses, classification, calls) in
        [(&[500, 503, 200][..], "matched", 3), (&[401, 200], "error", 1), (&[500, 500, 500, 200], "error", 3)]
    {
        rig.clear();
        let left = std::sync::Mutex::new(statuses.iter().copied().collect::<std::collections::VecDeque<u16>>());
        rig.provider("triage").answer(Script::by(move |_| match left.lock().unwrap().pop_front() {
            Some(200) | None => Script::says("Coding"),
            Some(status) => Script::status(status),
        }));
        assert_eq!(served(&rig.send(chat("any")).await).1, classification, "{statuses:?}");
        assert_eq!(rig.provider("triage").hits(), calls, "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_the_classifier_refuses_keep_nobody_else_from_being_classified() {
    let rig = rig(Topology::Attach, ", suspend_after: 1").await;
    for (status, next) in [(400, "matched"), (413, "matched"), (422, "matched"), (401, "breaker_open")] {
        rig.provider("triage").answer(Script::by(move |request| {
            let refused =
                request.json()["messages"][1]["content"].as_str().is_some_and(|text| text.contains("filtered"));
            if refused { Script::status(status) } else { Script::says("Coding") }
        }));
        assert_eq!(served(&rig.send(chat("any").say(&format!("filtered {status}"))).await).1, "error", "{status}");
        assert_eq!(served(&rig.send(chat("any").say(&format!("after {status}"))).await).1, next, "{status}");
    }
}
