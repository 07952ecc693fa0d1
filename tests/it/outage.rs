//! Outages at scale: the failover policy, several routers, a router's death, and what an outage costs upstream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::check::{check_error, production, status_of};
use crate::rig::ask::chat;
use crate::rig::client::{Client, stream};
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{Envoy, RouterAddr, Topology};
use crate::rig::load::{Tally, load};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings};
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

const ENTRIES: &str = "
    failover:
      suspend: 1s
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west } ]
        - primary: { model: o1-mini, endpoint: west }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west } ]
";

const TWO_IN_TURN: &str = "
    round_robin:
      suspend: 1s
      targets: [ { model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west } ]
";

#[tokio::test(flavor = "multi_thread")]
async fn the_model_asked_for_names_its_primary_and_its_fallbacks() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &["east", "west"]).await;
    for (asked, served) in [("gpt-4o", "gpt-4o"), ("o1-mini", "o1-mini"), ("gpt-4o", "gpt-4o")] {
        assert_eq!(rig.send(chat(asked)).await.model(), served);
    }
    rig.provider("east").answer(Script::status(503));
    let answer = rig.send(chat("gpt-4o")).await;
    assert_eq!((answer.model(), answer.provider()), ("gpt-4o-mini".to_owned(), "west"));
    for (header, value) in
        [("x-model-router-model", "gpt-4o-mini"), ("x-model-router-endpoint", "west"), ("x-model-router-attempts", "2")]
    {
        assert_eq!(answer.header(header), value);
    }
    rig.provider("east").answer(Script::ok());
    eventually("the primary's return", async || (rig.send(chat("gpt-4o")).await.model() == "gpt-4o").then_some(()))
        .await;
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_models_are_refused_or_served_as_the_policy_says() {
    for (other, served) in [
        ("", None),
        ("      other_models: refuse\n", None),
        ("      other_models: west\n", Some("gpt-4o-mini")),
        ("      other_models: { model: o1-mini, endpoint: east }\n", Some("o1-mini")),
    ] {
        let rig = Rig::start(Topology::Failover, &production(&format!("{ENTRIES}{other}")), &["east", "west"]).await;
        let answer = rig.send(chat("gpt-4o-mini")).await;
        match served {
            Some(model) => assert_eq!(answer.model(), model, "{other}"),
            None => {
                assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!("model_not_found")));
                let message = answer.json()["error"]["message"].to_string();
                assert!(message.contains("`gpt-4o`") && message.contains("`o1-mini`"), "{message}");
            }
        }
    }
}

/// One of two targets is down in this way: 2 000 requests at concurrency 16, and no client notices.
async fn check_unnoticed(name: &str, script: Option<Script>) {
    let policy = TWO_IN_TURN.replace("suspend: 1s", "suspend: 30s\n      request_timeout: 500ms");
    let rig = Rig::start(Topology::Failover, &production(&policy), &["east", "west"]).await;
    match script {
        Some(script) => rig.provider("west").answer(script),
        None => rig.provider("west").down().await,
    }
    let answers = load(rig.envoy.addr(), 2_000, 16, |_| chat("any")).await;
    let tally = Tally::of(&answers);
    assert_eq!(
        tally.providers.into_iter().collect::<Vec<_>>(),
        [("east".to_owned(), 2_000)],
        "{name}: {:?}",
        tally.errors
    );
    let tried = rig.router.events("decision").iter().filter(|line| line["fields"]["endpoint"] == "west").count();
    assert!(tried <= 16, "{name}: {tried} attempts, more than were in flight");
    println!("{name}: 2000 requests, 0 failures, {tried} attempts at the target that is down");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_failure_costs_a_client_its_answer() {
    for status in [401, 403, 404, 429, 500, 503] {
        check_unnoticed(&status.to_string(), Some(Script::status(status))).await;
    }
    check_unnoticed("refused", None).await;
    check_unnoticed("reset", Some(Script::Reset)).await;
    check_unnoticed("no answer in time", Some(Script::Hang)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_request_does_not_harm_those_after_it() {
    for status in [500, 403, 404] {
        let rig = Rig::start(Topology::Failover, &production(TWO_IN_TURN), &["east", "west"]).await;
        rig.providers().for_each(|provider| {
            provider.answer(Script::by(move |request| match request.json()["messages"][0]["content"] == "poison" {
                true => Script::status(status),
                false => Script::ok(),
            }));
        });
        assert_eq!(rig.send(chat("any").say("poison")).await.status, status);
        let answers = load(rig.envoy.addr(), 100, 4, |_| chat("any")).await;
        assert_eq!(Tally::of(&answers).statuses.get(&200), Some(&100));
        assert_eq!(rig.router.events("target suspended").len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_does_not_multiply_the_load_beyond_the_budget() {
    let policy = TWO_IN_TURN.replace("suspend: 1s", "suspend: 0s\n      retry_budget_percent: 20");
    let rig = Rig::start(Topology::Failover, &production(&policy), &["east", "west"]).await;
    rig.providers().for_each(|provider| {
        provider.count_only(true);
        provider.answer(Script::status(503));
    });
    let answers = load(rig.envoy.addr(), 5_000, 16, |_| chat("any")).await;
    assert_eq!(Tally::of(&answers).statuses.get(&503), Some(&5_000));
    let attempts: usize = rig.hits().iter().sum();
    println!("5000 requests, {attempts} attempts: the budget allows 500 + 20 %");
    assert!((6_000..=6_500).contains(&attempts), "{attempts}");
    rig.providers().for_each(|provider| provider.answer(Script::ok()));
    assert_eq!(rig.send(chat("any")).await.status, 200, "back with the first request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routers_death_costs_no_stream_and_no_answer_that_is_under_way() {
    let mut rig = Rig::start(Topology::Failover, &production(TWO_IN_TURN), &["east", "west"]).await;
    let slow = Completion { chunks: 8, gap: Duration::from_millis(250), ..Completion::default() };
    rig.providers().for_each(|provider| provider.answer(Script::Ok(slow.clone())));
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(stream(rig.envoy.addr(), chat("any").streamed()).await);
    }
    let thinking = Script::ok().after(Duration::from_secs(2));
    rig.providers().for_each(|provider| provider.answer(thinking.clone()));
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(load(addr, 100, 100, |_| chat("any")));
    eventually("the providers to think", async || (rig.hits().iter().sum::<usize>() == 200).then_some(())).await;
    rig.router.kill();
    for stream in streams {
        assert_eq!(stream.events().await.last().unwrap().1.as_deref(), Ok("[DONE]"));
    }
    assert_eq!(Tally::of(&waiting.await.unwrap()).statuses.get(&200), Some(&100));
    check_error(&rig.send(chat("any")).await, 503, "service_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_routers_behind_one_envoy_are_rolled_without_a_failed_request() {
    let providers = [Provider::named("east").await, Provider::named("west").await];
    providers.iter().for_each(|provider| provider.count_only(true));
    let policy = providers.iter().fold(production(TWO_IN_TURN), |text, provider| {
        text.replace(&format!("{{{{{}}}}}", provider.name()), &format!("http://{}", provider.addr()))
    });
    let mut routers = [Router::start(&policy).await, Router::start(&policy).await];
    let clusters: Vec<_> = providers.iter().map(|provider| Cluster::plain(provider.name(), provider.addr())).collect();
    let envoy = Envoy::start_edited(Topology::Failover, &routers[0].address(), &clusters, |text| {
        with_second_router(&text, &routers[0].address(), &routers[1].address())
    })
    .await;
    let rolled = AtomicBool::new(false);
    let rolling = async {
        for router in [0, 1].repeat(5) {
            let RouterAddr::Tcp(listen) = routers[router].address() else { panic!("TCP") };
            assert_eq!(routers[router].stop().await.code(), Some(0));
            tokio::time::sleep(AWAY).await;
            let settings = Settings { listen: listen.to_string(), ..Settings::default() };
            routers[router] = Router::start_with(&policy, settings).await;
            // The next one goes when this one has its share again: a rollout waits for readiness. Envoy's too: a
            // failure of before is told to its main thread, which may take a router out after it has served again.
            let served = || routers[router].log().iter().filter(|line| line.contains("\"decision\"")).count();
            eventually("its share", async || (served() > 20).then_some(())).await;
            let ejected = async || envoy.stat("cluster.model-router.outlier_detection.ejections_active").await;
            eventually("Envoy to see both", async || (ejected().await == 0).then_some(())).await;
        }
        rolled.store(true, Ordering::Relaxed);
    };
    let loading = async {
        let mut sent = 0;
        while sent < 10_000 || !rolled.load(Ordering::Relaxed) {
            let answers = load(envoy.addr(), 500, 16, |_| chat("any")).await;
            sent += answers.len();
            let tally = Tally::of(&answers);
            assert_eq!(tally.statuses.get(&200), Some(&500), "after {sent}: {tally:?}");
            assert!(sent < 100_000, "the routers should have been rolled by now");
        }
        println!("{sent} requests, 10 restarts, 0 failed");
    };
    tokio::join!(rolling, loading);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attempts_of_a_request_reach_the_same_of_several_routers() {
    let providers = [Provider::named("east").await, Provider::named("west").await];
    let policy = TWO_IN_TURN.replace("suspend: 1s", "suspend: 0s");
    let policy = providers.iter().fold(production(&policy), |text, provider| {
        text.replace(&format!("{{{{{}}}}}", provider.name()), &format!("http://{}", provider.addr()))
    });
    let mut routers = [Router::start(&policy).await, Router::start(&policy).await];
    let clusters: Vec<_> = providers.iter().map(|provider| Cluster::plain(provider.name(), provider.addr())).collect();
    let envoy = Envoy::start_edited(Topology::Failover, &routers[0].address(), &clusters, |text| {
        with_second_router(&text, &routers[0].address(), &routers[1].address())
    })
    .await;
    providers[0].answer(Script::status(503));
    let answers = load(envoy.addr(), 400, 16, |_| chat("any")).await;
    assert_eq!(Tally::of(&answers).providers.get("west"), Some(&400), "{:?}", Tally::of(&answers));
    let second =
        |router: &Router| router.events("decision").iter().filter(|line| line["fields"]["attempt"] == 2).count();
    let failed = |router: &Router| router.events("attempt failed").len();
    for router in &routers {
        assert!(failed(router) > 20, "both have a share");
        assert_eq!(second(router), failed(router), "each failed attempt is followed by the second at the same router");
    }

    // A router dies: its requests go to the other one, which chooses afresh.
    providers[0].answer(Script::ok());
    routers[1].kill();
    let answers = load(envoy.addr(), 200, 8, |_| chat("any")).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.statuses.get(&200), Some(&200), "{tally:?}");
}

/// Longer than all attempts of a request take: what its router's absence costs is up to what Envoy knows.
const AWAY: Duration = Duration::from_millis(500);

const SEVERAL: &str = "    type: STATIC
    lb_policy: RING_HASH
    outlier_detection: { consecutive_5xx: 1, consecutive_gateway_failure: 1, base_ejection_time: 1s, max_ejection_percent: 50 }
    common_lb_config: { update_merge_window: 0s }
";

/// As the comments of the shipped file say.
fn with_second_router(text: &str, first: &RouterAddr, second: &RouterAddr) -> String {
    let (RouterAddr::Tcp(first), RouterAddr::Tcp(second)) = (first, second) else { panic!("TCP") };
    let grpc = "grpc_service: { envoy_grpc: { cluster_name: model-router } }";
    let hashed = "grpc_service: { envoy_grpc: { cluster_name: model-router }, initial_metadata: [{ key: x-affinity, value: \"%REQ(x-model-router-stream)%\" }] }";
    let at = text.rfind("  - name: model-router\n").expect("the router's cluster");
    let (before, cluster) = text.split_at(at);
    let address = format!("socket_address: {{ address: {}, port_value: {} }}", first.ip(), first.port());
    let both = format!(
        "{address}\n        - endpoint:\n            address:\n              socket_address: {{ address: {}, port_value: {} }}",
        second.ip(),
        second.port()
    );
    let cluster = cluster.replacen("    type: STATIC\n", SEVERAL, 1);
    let hash = "        hash_policy: [{ header: { header_name: x-affinity } }]\n        explicit_http_config:";
    let cluster = cluster.replacen(&address, &both, 1).replacen("        explicit_http_config:", hash, 1);
    assert!(
        before.contains(grpc) && cluster.contains("x-affinity") && cluster.contains(&both),
        "the shipped file has changed"
    );
    format!("{}{cluster}", before.replace(grpc, hashed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_what_it_knew_and_learns_it_again() {
    let rig = Rig::start(Topology::Failover, &production(TWO_IN_TURN), &["east", "west"]).await;
    rig.provider("west").answer(Script::status(429));
    load(rig.envoy.addr(), 10, 1, |_| chat("any")).await;
    assert_eq!(status_of(&rig.router, "o1-mini", "west").await, "suspended");
    let again = Router::start(&rig.fill(&production(TWO_IN_TURN))).await;
    assert_eq!(status_of(&again, "o1-mini", "west").await, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_500_requests_a_second_an_outage_stays_within_the_budget_and_ends_with_the_first_probe() {
    for (suspend, most) in [("0s", 2_500 + 500 + 500), ("1s", 2_500)] {
        let options = format!("suspend: {suspend}\n      retry_budget_percent: 20");
        let policy = production(&TWO_IN_TURN.replace("suspend: 1s", &options));
        let rig = Rig::start(Topology::Failover, &policy, &["east", "west"]).await;
        rig.providers().for_each(|provider| provider.answer(Script::status(503)));
        let (client, addr) = (Client::new(), rig.envoy.addr());
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        let mut requests = Vec::new();
        for _ in 0..2_500 {
            ticks.tick().await;
            let client = client.clone();
            requests
                .push(tokio::spawn(async move { client.send(addr, chat("any")).await.map(|answer| answer.status) }));
        }
        for request in requests {
            assert_eq!(request.await.unwrap(), Ok(503));
        }
        let attempts: usize = rig.hits().iter().sum();
        assert!(attempts <= most, "{attempts} attempts");
        rig.providers().for_each(|provider| provider.answer(Script::ok()));
        let returned = Instant::now();
        eventually("an answer", async || (rig.send(chat("any")).await.status == 200).then_some(())).await;
        let per_request = attempts as f64 / 2_500.0;
        println!("suspend {suspend}: {per_request:.2} attempts per request, back after {:?}", returned.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_killed_and_started_again_serves_and_learns_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("router.sock").display());
    let settings = Settings { listen, ..Settings::default() };
    let policy = production(&TWO_IN_TURN.replace("suspend: 1s", "suspend: 60s"));
    let mut rig = Rig::start_with(Topology::Failover, &policy, &["east", "west"], settings.clone()).await;
    rig.provider("west").answer(Script::status(503));
    load(rig.envoy.addr(), 20, 2, |_| chat("any")).await;
    rig.router.kill();
    let killed = Instant::now();
    let again = Router::start_with(&rig.fill(&policy), settings).await;
    eventually("an answer", async || (rig.send(chat("any")).await.status == 200).then_some(())).await;
    let back = killed.elapsed();
    rig.clear();
    let answers = load(rig.envoy.addr(), 200, 4, |_| chat("any")).await;
    assert_eq!(Tally::of(&answers).statuses.get(&200), Some(&200));
    let hits = rig.provider("west").hits();
    assert!(hits <= 4, "{hits}");
    assert_eq!(status_of(&again, "o1-mini", "west").await, "suspended");
    println!(
        "serving {back:?} after kill -9; the failing target suspended again after {hits} attempts, no client error"
    );
}
