//! The scripted provider and the client: what the other tests rely on.

use std::fs;
use std::time::Duration;

use crate::rig::ask::chat;
use crate::rig::client::{self, Client};
use crate::rig::envoy::{self, Topology};
use crate::rig::load::{Tally, load};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings};
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

#[tokio::test]
async fn a_provider_echoes_the_model_and_records_the_request() {
    let provider = Provider::named("east").await;
    let answer = client::send(provider.addr(), chat("gpt-4o").header("x-test", "1")).await;
    assert_eq!((answer.status, answer.model().as_str(), answer.provider()), (200, "gpt-4o", "east"));
    let seen = provider.last();
    assert_eq!((seen.path.as_str(), seen.model().as_str()), ("/v1/chat/completions", "gpt-4o"));
    assert_eq!((seen.header("x-test"), provider.hits()), ("1", 1));
}

#[tokio::test]
async fn a_provider_follows_its_script() {
    let provider = Provider::start().await;
    provider.answer(Script::per_model([("bad", Script::status(429)), ("gone", Script::Reset)]));
    assert_eq!(client::send(provider.addr(), chat("good")).await.status, 200);
    assert_eq!(client::send(provider.addr(), chat("bad")).await.status, 429);
    assert!(Client::new().send(provider.addr(), chat("gone")).await.is_err());
    assert!(Client::http2().send(provider.addr(), chat("gone")).await.is_err());
    provider.answer(Script::by(|request| Script::says(&request.model())));
    let answer = client::send(provider.addr(), chat("echo")).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo");
}

#[tokio::test]
async fn a_provider_streams_events() {
    let provider = Provider::start().await;
    let gap = Duration::from_millis(20);
    provider.answer(Script::Ok(Completion { chunks: 3, gap, ..Completion::default() }));
    let events = client::stream(provider.addr(), chat("m").streamed()).await.events().await;
    let texts: Vec<_> = events.iter().map(|(_, event)| event.clone().unwrap()).collect();
    assert_eq!((texts.len(), texts[3].as_str()), (4, "[DONE]"));
    assert!(events[2].0 - events[0].0 >= gap, "the events came in one piece");
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error() {
    let provider = Provider::start().await;
    provider.answer(Script::Ok(Completion { cut_after: Some(2), ..Completion::default() }));
    let events = client::stream(provider.addr(), chat("m").streamed()).await.events().await;
    assert!(events.last().unwrap().1.is_err(), "{events:?}");
}

#[tokio::test]
async fn a_provider_that_is_down_refuses_and_comes_back() {
    let provider = Provider::start().await;
    provider.down().await;
    let error = Client::new().send(provider.addr(), chat("m")).await.unwrap_err();
    assert!(error.contains("refused"), "{error}");
    provider.up();
    assert_eq!(client::send(provider.addr(), chat("m")).await.status, 200);
}

#[tokio::test]
async fn a_provider_notices_a_client_that_leaves() {
    let provider = Provider::start().await;
    provider.answer(Script::Hang);
    let arrived = eventually("the request", async || (provider.in_flight() == 1).then_some(()));
    client::leave(provider.addr(), chat("m"), arrived).await;
    eventually("the client to be gone", async || (provider.in_flight() == 0).then_some(())).await;
}

#[tokio::test]
async fn load_sends_each_request_once() {
    let provider = Provider::start().await;
    let answers = load(provider.addr(), 500, 32, |i| chat(&format!("m{}", i % 2))).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.statuses, [(200, 500)].into());
    assert_eq!(tally.models, [("m0".to_owned(), 250), ("m1".to_owned(), 250)].into());
    assert_eq!(provider.hits(), 500);
}

fn pretender() -> Settings {
    let binary = envoy::root().join("tests/it/pretender.sh");
    Settings { binary: Some(binary), ..Settings::default() }
}

#[tokio::test]
async fn a_router_is_started_heard_and_stopped() {
    let mut router = Router::start_with("apis: []", pretender()).await;
    assert_eq!(router.admin().port(), 2);
    router.logged("its arguments", |line| line.contains("arguments")).await;
    let arguments = router.events("arguments")[0]["fields"]["all"].to_string();
    assert!(arguments.contains("serve --policy"), "{arguments}");
    assert_eq!(router.stop().await.code(), Some(7));
}

#[tokio::test]
async fn a_rig_knits_providers_router_and_envoy() {
    let policy = "{ east: '{{east}}/v1', west: '{{west}}/v1' }";
    let rig = Rig::start_with(Topology::Failover, policy, &["east", "west"], pretender()).await;
    let (east, west) = (rig.provider("east").addr(), rig.provider("west").addr());
    let filled = format!("{{ east: 'http://{east}/v1', west: 'http://{west}/v1' }}");
    assert_eq!(fs::read_to_string(rig.router.policy_file()).unwrap(), filled);
    assert_eq!(rig.envoy.stat("cluster.west.membership_total").await, 1);
    assert_eq!(rig.send(chat("m")).await.status, 503);
    assert_eq!(rig.hits(), [0, 0]);
}
