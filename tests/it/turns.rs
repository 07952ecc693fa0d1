//! Who gets which share of the requests, counted through real Envoy.

use serde_json::json;

use crate::check::{check_share, production, status_of};
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::load::load;
use crate::rig::router::binary;
use crate::rig::script::Script;

const CONCURRENCY: usize = 32;

/// Three models over two endpoints in turn.
const ROUND_ROBIN: &str = "
    round_robin:
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west }
        - { model: gpt-4o-mini, endpoint: east }
";

const WEIGHTED: &str = "
    weighted_round_robin:
      targets:
        - { model: gpt-4o, endpoint: east, weight: 5 }
        - { model: o1-mini, endpoint: west, weight: 3 }
        - { model: gpt-4o-mini, endpoint: east, weight: 2 }
";

async fn rig(policy: &str) -> Rig {
    let rig = Rig::start(Topology::Failover, &production(policy), &["east", "west"]).await;
    rig.providers().for_each(|provider| provider.count_only(true));
    rig
}

/// So many requests are answered by these models, so often.
async fn check(rig: &Rig, requests: usize, shares: &[(&str, usize)]) {
    let answers = load(rig.envoy.addr(), requests, CONCURRENCY, |_| chat("whatever")).await;
    check_share(&answers, shares);
}

/// The endpoint answers 429 for ten minutes, of which one request learns.
async fn suspend(rig: &Rig, endpoint: &str, model: &str) {
    let limited = Script::status_with(429, &[("retry-after", "600")]);
    rig.provider(endpoint).answer(Script::per_model([(model, limited)]));
    for _ in 0..20 {
        if status_of(&rig.router, model, endpoint).await == "suspended" {
            return;
        }
        assert_eq!(rig.send(chat("whatever")).await.status, 200);
    }
    panic!("`{model}` was not suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_targets_in_turn_get_a_third_each_to_the_request() {
    let rig = rig(ROUND_ROBIN).await;
    check(&rig, 9_000, &[("gpt-4o", 3_000), ("o1-mini", 3_000), ("gpt-4o-mini", 3_000)]).await;
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_exact_over_ten_thousand_requests() {
    let rig = rig(WEIGHTED).await;
    check(&rig, 10_000, &[("gpt-4o", 5_000), ("o1-mini", 3_000), ("gpt-4o-mini", 2_000)]).await;
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_three_suspended_the_others_are_exactly_even() {
    let rig = rig(ROUND_ROBIN).await;
    suspend(&rig, "west", "o1-mini").await;
    check(&rig, 3_000, &[("gpt-4o", 1_500), ("gpt-4o-mini", 1_500)]).await;
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_three_suspended_the_others_keep_their_proportion_exactly() {
    let rig = rig(WEIGHTED).await;
    suspend(&rig, "west", "o1-mini").await;
    // What was sent while suspending may have left the cycle of the other two anywhere; whole cycles are exact from
    // there.
    check(&rig, 7_000, &[("gpt-4o", 5_000), ("gpt-4o-mini", 2_000)]).await;
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_and_sandbox_have_turns_of_their_own() {
    let policy = "
providers: { openai: { type: openai, models: [p1, p2, s1, s2] } }
endpoints:
  east: { provider: openai, url: '{{east}}/v1', api_key: { value: key-east } }
apis:
  - name: chat
    base_path: /v1
    sandbox_hosts: [sandbox.test]
    production: { round_robin: { targets: [ { model: p1, endpoint: east }, { model: p2, endpoint: east } ] } }
    sandbox: { round_robin: { targets: [ { model: s1, endpoint: east }, { model: s2, endpoint: east } ] } }
";
    let rig = Rig::start(Topology::Failover, policy, &["east"]).await;
    let mut models = Vec::new();
    for host in ["live.test", "sandbox.test", "sandbox.test", "live.test", "live.test", "sandbox.test"] {
        models.push(rig.send(chat("whatever").host(host)).await.model());
    }
    assert_eq!(json!(models), json!(["p1", "s1", "s2", "p2", "p1", "s1"]));
    rig.check_clean().await;
}

/// Two that take turns, and two more that are paid for only where neither of these can serve.
const GROUPS: &str = "
    round_robin:
      suspend: 600s
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: gpt-4o, endpoint: west }
        - { model: gpt-4o-mini, endpoint: east, priority: 1 }
        - { model: o1-mini, endpoint: west, priority: 1 }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_later_group_serves_only_what_the_earlier_one_cannot_in_both_topologies() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = Rig::start(topology, &production(GROUPS), &["east", "west"]).await;
        rig.providers().for_each(|provider| provider.count_only(true));
        check(&rig, 400, &[("gpt-4o", 400)]).await;
        let admin = rig.router.admin().to_string();
        let told = |arguments: &[&str]| {
            let run = std::process::Command::new(binary()).args(arguments).args(["--admin", &admin]).output().unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        };
        told(&["suspend", "east", "--model", "gpt-4o", "--for", "10m"]);
        check(&rig, 400, &[("gpt-4o", 400)]).await;
        told(&["suspend", "west", "--model", "gpt-4o", "--for", "10m"]);
        check(&rig, 400, &[("gpt-4o-mini", 200), ("o1-mini", 200)]).await;
        told(&["resume", "east", "--model", "gpt-4o"]);
        check(&rig, 400, &[("gpt-4o", 400)]).await;
        rig.check_clean().await;
    }
}
