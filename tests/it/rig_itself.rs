//! The scripted provider and the client: what the other tests rely on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::rig::ask::chat;
use crate::rig::client::{self, Client};
use crate::rig::eventually;
use crate::rig::load::{Tally, load};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings};
use crate::rig::script::{Completion, Script};

#[tokio::test]
async fn a_provider_echoes_the_model_and_records_the_request() {
    let provider = Provider::named("east").await;
    let answer = client::send(provider.addr(), chat("gpt-4o").header("x-test", "1")).await;
    assert_eq!(
        (answer.status, answer.model().as_str(), answer.provider()),
        (200, "gpt-4o", "east")
    );
    let seen = provider.last();
    assert_eq!(
        (seen.path.as_str(), seen.model().as_str()),
        ("/v1/chat/completions", "gpt-4o")
    );
    assert_eq!((seen.header("x-test"), provider.hits()), ("1", 1));
}

#[tokio::test]
async fn a_provider_follows_its_script() {
    let provider = Provider::start().await;
    provider.answer(Script::per_model([
        ("bad", Script::status(429)),
        ("gone", Script::Reset),
    ]));
    assert_eq!(
        client::send(provider.addr(), chat("good")).await.status,
        200
    );
    assert_eq!(client::send(provider.addr(), chat("bad")).await.status, 429);
    assert!(
        Client::new()
            .send(provider.addr(), chat("gone"))
            .await
            .is_err()
    );
    assert!(
        Client::http2()
            .send(provider.addr(), chat("gone"))
            .await
            .is_err()
    );
    provider.answer(Script::by(|request| Script::says(&request.model())));
    let answer = client::send(provider.addr(), chat("echo")).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo");
}

#[tokio::test]
async fn a_provider_streams_events() {
    let provider = Provider::start().await;
    let gap = Duration::from_millis(20);
    provider.answer(Script::Ok(Completion {
        chunks: 3,
        gap,
        ..Completion::default()
    }));
    let events = client::stream(provider.addr(), chat("m").streamed())
        .await
        .events()
        .await;
    let texts: Vec<_> = events
        .iter()
        .map(|(_, event)| event.clone().unwrap())
        .collect();
    assert_eq!((texts.len(), texts[3].as_str()), (4, "[DONE]"));
    assert!(
        events[2].0 - events[0].0 >= gap,
        "the events came in one piece"
    );
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error() {
    let provider = Provider::start().await;
    provider.answer(Script::Ok(Completion {
        cut_after: Some(2),
        ..Completion::default()
    }));
    let events = client::stream(provider.addr(), chat("m").streamed())
        .await
        .events()
        .await;
    assert!(events.last().unwrap().1.is_err(), "{events:?}");
}

#[tokio::test]
async fn a_provider_that_is_down_refuses_and_comes_back() {
    let provider = Provider::start().await;
    provider.down().await;
    let error = Client::new()
        .send(provider.addr(), chat("m"))
        .await
        .unwrap_err();
    assert!(error.contains("refused"), "{error}");
    provider.up();
    assert_eq!(client::send(provider.addr(), chat("m")).await.status, 200);
}

#[tokio::test]
async fn a_provider_notices_a_client_that_leaves() {
    let provider = Provider::start().await;
    provider.answer(Script::Hang);
    let arrived = eventually("the request", async || {
        (provider.in_flight() == 1).then_some(())
    });
    client::leave(provider.addr(), chat("m"), arrived).await;
    eventually("the client to be gone", async || {
        (provider.in_flight() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn load_sends_each_request_once() {
    let provider = Provider::start().await;
    let answers = load(provider.addr(), 500, 32, |i| chat(&format!("m{}", i % 2))).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.statuses, [(200, 500)].into());
    assert_eq!(
        tally.models,
        [("m0".to_owned(), 250), ("m1".to_owned(), 250)].into()
    );
    assert_eq!(provider.hits(), 500);
}

/// Keeps the contract of `model-router serve` as far as the rig relies on it.
const PRETENDER: &str = r#"#!/bin/sh
trap 'exit 7' TERM
echo 'not JSON' >&2
echo '{"fields":{"message":"serving","listen":"127.0.0.1:5001","admin_listen":"127.0.0.1:5002"}}' >&2
echo "{\"fields\":{\"message\":\"arguments\",\"all\":\"$*\"}}" >&2
while :; do sleep 0.05; done
"#;

#[tokio::test]
async fn a_router_is_started_heard_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("pretender");
    fs::write(&binary, PRETENDER).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).unwrap();
    let settings = Settings {
        binary: Some(binary),
        ..Settings::default()
    };
    let mut router = Router::start_with("apis: []", settings).await;
    assert_eq!(router.admin().port(), 5002);
    router
        .logged("its arguments", |line| line.contains("arguments"))
        .await;
    let arguments = router.events("arguments")[0]["fields"]["all"].to_string();
    assert!(arguments.contains("serve --policy"), "{arguments}");
    assert_eq!(
        fs::read_to_string(router.policy_file()).unwrap(),
        "apis: []"
    );
    assert_eq!(router.stop().await.code(), Some(7));
}
