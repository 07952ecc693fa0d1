//! The failover topology: a client notices nothing of a target that fails.

use std::time::Duration;

use serde_json::Value;

use crate::check::{check_error, production, status_of};
use crate::rig::ask::chat;
use crate::rig::client::{leave, stream};
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::load::{Tally, load};
use crate::rig::router::Settings;
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

const CONCURRENCY: usize = 16;

async fn rig_with(limits: &str, endpoints: &[&str]) -> Rig {
    let models = ["gpt-4o", "o1-mini", "gpt-4o-mini"];
    let targets: Vec<_> =
        endpoints.iter().zip(models).map(|(name, model)| format!("{{ model: {model}, endpoint: {name} }}")).collect();
    let policy = format!("    round_robin: {{ {limits} targets: [ {} ] }}", targets.join(", "));
    Rig::start(Topology::Failover, &production(&policy), endpoints).await
}

async fn rig() -> Rig {
    rig_with("suspend: 1s,", &["east", "west"]).await
}

/// The decisions for a target, those of probes apart.
fn decisions(rig: &Rig, endpoint: &str) -> (usize, usize) {
    let decisions = rig.router.events("decision");
    let of_target = decisions.iter().map(|line| &line["fields"]).filter(|fields| fields["endpoint"] == endpoint);
    let (probes, others): (Vec<_>, Vec<&Value>) = of_target.partition(|fields| fields["probe"] == true);
    (others.len(), probes.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_costs_no_client_an_answer_and_is_hit_once_per_probe() {
    let rig = rig().await;
    rig.provider("west").answer(Script::status(503));
    let answers = load(rig.envoy.addr(), 2_000, CONCURRENCY, |_| chat("any")).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.statuses.into_iter().collect::<Vec<_>>(), [(200, 2_000)], "{:?}", tally.errors);
    assert_eq!(tally.providers.into_iter().collect::<Vec<_>>(), [("east".to_owned(), 2_000)]);

    eventually("the suspension's end", async || {
        (status_of(&rig.router, "o1-mini", "west").await == "probe_due").then_some(())
    })
    .await;
    load(rig.envoy.addr(), 100, CONCURRENCY, |_| chat("any")).await;
    let (others, probes) = decisions(&rig, "west");
    assert!(others <= CONCURRENCY, "{others} requests before the suspension");
    assert!(probes >= 1);
    assert_eq!(rig.provider("west").hits(), others + probes);
    let passed_over = rig
        .router
        .events("decision")
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .iter()
        .filter(|line| line.contains("o1-mini@west: suspended for"))
        .count();
    assert!(passed_over > 100, "the decisions say why: {passed_over}");
    println!("hits on the failing target: {others} in flight at first, {probes} probes, 2100 requests");

    rig.provider("west").answer(Script::ok());
    eventually("the target's return", async || {
        rig.send(chat("any")).await;
        (status_of(&rig.router, "o1-mini", "west").await == "ready").then_some(())
    })
    .await;
}

/// Two targets that change a body in different ways.
const UNLIKE: &str = "
    round_robin:
      request_timeout: 500ms
      targets:
        - { model: gpt-4o, endpoint: east, body: { set: { seed: 1 }, remove: [top_p] } }
        - { model: o1-mini, endpoint: west, body: { remove: [temperature] } }
";

/// The first target fails like this, and the second one's answer reaches the client, in both body modes. The second
/// attempt has nothing of the first.
async fn check_fails_over(script: Option<Script>) {
    for mode in [BodyMode::Buffered, BodyMode::FullDuplex] {
        let edit = |text| mode.edit(text);
        let settings = Settings::default();
        let rig = Rig::start_edited(Topology::Failover, &production(UNLIKE), &["east", "west"], settings, edit).await;
        match &script {
            Some(script) => rig.provider("east").answer(script.clone()),
            None => rig.provider("east").down().await,
        }
        let body = r#"{"temperature":0.5, "model":"any", "top_p":1e0}"#;
        let answer = rig.send(chat("any").path("/v1/chat/completions?a=b").body(body)).await;
        assert_eq!((answer.status, answer.provider(), answer.model()), (200, "west", "o1-mini".to_owned()), "{mode:?}");
        let request = rig.provider("west").last();
        assert_eq!(request.body, r#"{ "model":"o1-mini", "top_p":1e0}"#);
        assert_eq!(request.header("authorization"), "Bearer key-west");
        assert_eq!(request.path, "/up/v1/chat/completions?a=b");
        assert_eq!(request.header("host"), rig.provider("west").addr().to_string());
        assert!(!format!("{:?}", request.headers).contains("east"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_provider_are_failed_over() {
    for status in [401, 403, 404, 408, 429, 500, 502, 503, 504] {
        check_fails_over(Some(Script::status(status))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_reset_connections_are_failed_over() {
    check_fails_over(None).await;
    check_fails_over(Some(Script::Reset)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_envoy_does_not_know_is_failed_over_and_suspends_its_target() {
    let policy = production(
        "    round_robin: { targets: [ { model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west } ] }",
    );
    let policy = policy.replace("{ value: key-east }", "{ value: key-east }, cluster: nowhere");
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west"]).await;
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_in_time_is_failed_over() {
    let rig = rig_with("request_timeout: 300ms,", &["east", "west"]).await;
    rig.provider("east").answer(Script::Hang);
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_own_fault_is_returned_as_it_is() {
    let rig = rig().await;
    let body = r#"{"error": {"message":"no such parameter",  "code":1}}"#;
    let error: Value = serde_json::from_str(body).unwrap();
    rig.provider("east").answer(Script::json(400, &error));
    let answer = rig.send(chat("any")).await;
    assert_eq!((answer.status, answer.json(), rig.hits()), (400, error, vec![1, 0]));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_attempt_fails_the_client_gets_the_last_answer() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(Script::status_with(429, &[("retry-after", "7")]));
    let answer = rig.send(chat("any")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    assert_eq!(answer.header("x-model-router-retry"), "");
    assert_eq!(rig.hits(), [1, 1]);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_request_suspends_nothing() {
    let rig = rig().await;
    rig.providers().for_each(|provider| provider.answer(Script::status(500)));
    assert_eq!(rig.send(chat("any")).await.status, 500);
    rig.providers().for_each(|provider| provider.answer(Script::ok()));
    for (model, endpoint) in [("gpt-4o", "east"), ("o1-mini", "west")] {
        assert_eq!(status_of(&rig.router, model, endpoint).await, "ready");
    }
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_bounded() {
    let rig = rig_with("attempts: 2,", &["east", "middle", "west"]).await;
    rig.providers().for_each(|provider| provider.answer(Script::status(500)));
    assert_eq!(rig.send(chat("any")).await.status, 500);
    assert_eq!(rig.hits().iter().sum::<usize>(), 2);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_target_suspended_the_answer_says_when_to_come_back() {
    let rig = rig_with("suspend: 30s,", &["east", "west"]).await;
    rig.provider("east").answer(Script::status_with(429, &[("retry-after", "60")]));
    rig.provider("west").answer(Script::status_with(429, &[("retry-after", "9")]));
    assert_eq!(rig.send(chat("any")).await.status, 429);
    let answer = rig.send(chat("any")).await;
    check_error(&answer, 503, "all_targets_suspended");
    let retry_after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=9).contains(&retry_after), "{retry_after}");
    assert_eq!(rig.hits(), [1, 1]);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_whose_first_target_fails_are_all_answered_by_the_second() {
    for script in [Script::status(429), Script::status(500), Script::Reset, Script::Hang] {
        let rig = rig_with("suspend: 0s, request_timeout: 1s,", &["east", "west"]).await;
        rig.provider("east").answer(script.clone());
        let answers = load(rig.envoy.addr(), 200, 200, |_| chat("any")).await;
        let tally = Tally::of(&answers);
        let providers: Vec<_> = tally.providers.into_iter().collect();
        assert_eq!(providers, [("west".to_owned(), 200)], "{script:?}: {:?}", tally.errors);
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_fails_over_whole() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    let body = format!(r#"{{"model":"any","x":"{}"}}"#, "a".repeat(5 << 20));
    let answer = rig.send(chat("any").body(body.clone())).await;
    assert_eq!(answer.provider(), "west");
    assert_eq!(rig.provider("west").last().body, body.replace(r#""any""#, r#""o1-mini""#));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_over_while_the_policy_is_swapped_keeps_the_one_it_began_with() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503).after(Duration::from_millis(1_500)));
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { crate::rig::client::send(addr, chat("any")).await });
    eventually("the first attempt", async || (rig.hits()[0] == 1).then_some(())).await;
    let policy = production("    round_robin: { targets: [ { model: gpt-4o-mini, endpoint: east } ] }");
    rig.router.write_policy(&rig.fill(&policy));
    rig.router.logged("the swap", |line| line.contains("policy applied")).await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.model(), answer.provider()), ("o1-mini".to_owned(), "west"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one_after_a_failover() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    let gap = Duration::from_millis(150);
    rig.provider("west").answer(Script::Ok(Completion { gap, ..Completion::default() }));
    let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
    let data: Vec<_> = events.iter().map(|(_, event)| event.as_deref().unwrap()).collect();
    assert_eq!(data.last(), Some(&"[DONE]"));
    // Had something held them back, they would have come at once.
    assert!(events[2].0 - events[0].0 >= gap, "{events:?}");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_waiting_requests_survive_the_routers_death() {
    let mut rig = rig().await;
    let completion = Completion { chunks: 6, gap: Duration::from_millis(200), ..Completion::default() };
    rig.providers().for_each(|provider| provider.answer(Script::Ok(completion.clone())));
    let streaming = stream(rig.envoy.addr(), chat("any").streamed()).await;
    let thinking = Script::ok().after(Duration::from_millis(700));
    rig.providers().for_each(|provider| provider.answer(thinking.clone()));
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { crate::rig::client::send(addr, chat("any")).await });
    eventually("the provider to think", async || (rig.hits().iter().sum::<usize>() == 2).then_some(())).await;
    rig.router.kill();
    let events = streaming.events().await;
    assert_eq!(events.last().unwrap().1.as_deref(), Ok("[DONE]"));
    assert_eq!(waiting.await.unwrap().status, 200);
    check_error(&rig.send(chat("any")).await, 503, "service_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_whose_client_leaves_is_followed_by_another() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(429));
    rig.send(chat("any")).await;
    rig.send(chat("any")).await;
    assert_eq!(rig.hits(), [1, 2]);
    eventually("the suspension's end", async || {
        (status_of(&rig.router, "gpt-4o", "east").await == "probe_due").then_some(())
    })
    .await;
    rig.provider("east").answer(Script::Hang);
    let probing = async {
        eventually("the probe", async || (rig.provider("east").in_flight() == 1).then_some(())).await;
        assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "probing");
    };
    leave(rig.envoy.addr(), chat("any"), probing).await;
    eventually("the probe's end", async || {
        (status_of(&rig.router, "gpt-4o", "east").await == "probe_due").then_some(())
    })
    .await;
    rig.provider("east").answer(Script::ok());
    eventually("the target's return", async || {
        rig.send(chat("any")).await;
        (status_of(&rig.router, "gpt-4o", "east").await == "ready").then_some(())
    })
    .await;
    assert_eq!(rig.provider("east").requests().len(), 3);
    rig.check_clean().await;
}
