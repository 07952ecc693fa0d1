//! The attach topology: a failing target is suspended, and the next request goes elsewhere.

use crate::check::{check_error, production, status_of};
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

const TWO_IN_TURN: &str = "
    round_robin:
      suspend: 1s
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west }
";

async fn rig() -> Rig {
    Rig::start(Topology::Attach, &production(TWO_IN_TURN), &["east", "west"]).await
}

/// Sends requests until the target has had one more; gives how many clients saw an error.
async fn errors_until_hit(rig: &Rig, endpoint: &str) -> usize {
    let before = rig.provider(endpoint).hits();
    let mut errors = 0;
    eventually("a request to the target", async || {
        let failed = rig.send(chat("any")).await.status != 200;
        errors += usize::from(failed);
        (rig.provider(endpoint).hits() > before).then_some(())
    })
    .await;
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_target_costs_three_answers_and_then_one_per_probe() {
    let rig = rig().await;
    rig.provider("west").answer(Script::status(503));
    for _ in 0..3 {
        assert_eq!(errors_until_hit(&rig, "west").await, 1);
    }
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "suspended");
    let east = rig.provider("east").hits();
    for _ in 0..20 {
        assert_eq!(rig.send(chat("any")).await.status, 200);
        if status_of(&rig.router, "o1-mini", "west").await != "suspended" {
            break;
        }
    }
    assert!(rig.provider("east").hits() > east);
    assert_eq!(rig.provider("west").hits(), 3);

    assert_eq!(errors_until_hit(&rig, "west").await, 1, "the probe");
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "suspended");
    rig.provider("west").answer(Script::ok());
    assert_eq!(errors_until_hit(&rig, "west").await, 0, "the next probe");
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "ready");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_suspends_at_once() {
    let rig = rig().await;
    rig.provider("west").down().await;
    assert_eq!(rig.send(chat("any")).await.status, 200);
    check_error(&rig.send(chat("any")).await, 503, "service_unavailable");
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "suspended");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_suspends_the_endpoint() {
    let rig = rig().await;
    rig.provider("west").answer(Script::status(401));
    rig.send(chat("any")).await;
    assert_eq!(rig.send(chat("any")).await.status, 401);
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "suspended");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_router_nothing_is_forwarded() {
    let mut rig = rig().await;
    rig.router.kill();
    let answer = rig.send(chat("any").header("x-model-router-cluster", "west")).await;
    assert_eq!((answer.status / 100, rig.hits()), (5, vec![0, 0]));
    assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
}
