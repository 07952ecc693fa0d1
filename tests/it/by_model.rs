//! The model that is asked for is a name of the policy file's, and has a policy of its own.

use std::process::Command;

use model_router::admin::proto::ListClassifiersRequest;
use serde_json::json;

use crate::check::{admin, check_error, production, status_of};
use crate::rig::Rig;
use crate::rig::ask::{chat, get};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::router::binary;
use crate::rig::script::Script;

const BY_MODEL: &str = "
    by_model:
      suspend: 600s
      entries:
        - models: [fast, \"gpt-4o-*\"]
          round_robin:
            suspend_after: 1
            targets:
              - { model: gpt-4o-mini, endpoint: east }
              - { model: o1-mini, endpoint: west }
        - models: [smart, \"team/large\"]
          failover:
            primary: { model: gpt-4o, endpoint: east }
            fallbacks: [{ model: gpt-4o, endpoint: west }]
";

async fn rig(topology: Topology) -> Rig {
    Rig::start(topology, &production(BY_MODEL), &["east", "west"]).await
}

/// Returns who serves requests for this model, and as which model it is asked.
async fn served(rig: &Rig, model: &str, requests: usize) -> Vec<(String, String)> {
    let mut served = Vec::new();
    for _ in 0..requests {
        let answer = rig.send(chat(model)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        served.push((answer.provider().to_owned(), answer.model()));
    }
    served
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|&(provider, model)| (provider.to_owned(), model.to_owned())).collect()
}

const FAST: [(&str, &str); 2] = [("east", "gpt-4o-mini"), ("west", "o1-mini")];

#[tokio::test(flavor = "multi_thread")]
async fn each_model_that_is_asked_for_has_its_policy_in_both_topologies() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = rig(topology).await;
        // Entries take turns of their own, and the names of one entry share them.
        assert_eq!(served(&rig, "fast", 3).await, pairs(&[FAST[0], FAST[1], FAST[0]]));
        assert_eq!(served(&rig, "smart", 2).await, pairs(&[("east", "gpt-4o"); 2]));
        assert_eq!(served(&rig, "gpt-4o-2024-08-06", 1).await, pairs(&[FAST[1]]));
        assert_eq!(served(&rig, "team/large", 1).await, pairs(&[("east", "gpt-4o")]));
        let refused = rig.send(chat("gpt-4o")).await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (404, &json!("model_not_found")));
        let message = "there is no model `gpt-4o`; there are `fast`, `smart`, `team/large`, `gpt-4o-*`";
        assert_eq!(refused.json()["error"]["message"], message);
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_models_has_the_names_that_can_be_asked_for() {
    let rig = rig(Topology::Attach).await;
    let list = rig.send(get("/v1/models")).await.json();
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["fast", "smart", "team/large"]);
    for (name, status) in [("team/large", 200), ("gpt-4o-any", 200), ("gpt-4o", 404)] {
        assert_eq!(rig.send(get(&format!("/v1/models/{name}"))).await.status, status, "{name}");
    }
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_target_is_replaced_within_its_entry_and_suspended_for_all() {
    let rig = rig(Topology::Failover).await;
    rig.provider("east").answer(Script::status(503));
    assert_eq!(served(&rig, "fast", 3).await, pairs(&[FAST[1]; 3]));
    assert_eq!(status_of(&rig.router, "gpt-4o-mini", "east").await, "suspended");
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "ready", "another model there");
    assert_eq!(served(&rig, "smart", 2).await, pairs(&[("west", "gpt-4o"); 2]));
    assert_eq!(rig.provider("east").hits(), 2, "one request of each entry");
    rig.provider("west").answer(Script::status(429));
    rig.send(chat("smart")).await;
    check_error(&rig.send(chat("smart")).await, 503, "all_targets_suspended");

    let decisions = rig.router.events("decision");
    let policies: Vec<_> = decisions.iter().map(|line| line["fields"]["policy"].as_str().unwrap()).collect();
    assert!(policies.contains(&"by_model/round_robin") && policies.contains(&"by_model/failover"), "{policies:?}");
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    let counted =
        "model_router_requests_total{api=\"chat\",environment=\"production\",policy=\"by_model/round_robin\"} 3\n";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_the_entry_and_check_tells_what_changes_in_it() {
    let rig = rig(Topology::Attach).await;
    let admin = rig.router.admin().to_string();
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], file: &str, text: &str| {
        let path = directory.path().join(file);
        std::fs::write(&path, text).unwrap();
        let output = Command::new(binary()).args(arguments).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let request = "POST /v1/chat/completions HTTP/1.1\ncontent-type: application/json\n\n{\"model\":\"gpt-4o-x\"}";
    let told = run(&["explain", "--against", &admin, "--request"], "request.http", request);
    assert!(told.contains("API         chat, production: by_model/round_robin, entry fast\n"), "{told}");
    assert!(told.contains("gpt-4o-mini@east: taken\n") && told.contains("o1-mini@west: if those"), "{told}");

    let live = std::fs::read_to_string(rig.router.policy_file()).unwrap();
    assert!(run(&["check", "--against", &admin], "same.yaml", &live).contains("nothing would change"));
    let next = live.replace("suspend_after: 1", "suspend_after: 2").replace("[smart, ", "[smart, new, ");
    let told = run(&["check", "--against", &admin], "next.yaml", &next);
    for line in [
        "~ chat/production entry fast, gpt-4o-* suspend_after: 1 -> 2",
        "+ chat/production entry smart, new, team/large policy: failover",
        "- chat/production entry smart, team/large policy",
    ] {
        assert!(told.lines().any(|it| it == line), "{line} is not in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_may_sort_its_requests_by_an_llm_and_no_other_request_asks_it() {
    let triage = "classifiers: { triage: { type: openai, url: '{{triage}}/v1/chat/completions', model: m } }\n";
    let rig = Rig::start(
        Topology::Failover,
        &(triage.to_owned()
            + &production(
                "
    by_model:
      entries:
        - models: [auto]
          intelligent:
            classifier: triage
            rules: [{ name: Coding, context: code, model: o1-mini, endpoint: west }]
            default: { model: gpt-4o, endpoint: east }
        - models: [fast]
          round_robin: { targets: [{ model: gpt-4o-mini, endpoint: east }] }
      other_models: { model: gpt-4o, endpoint: west }
",
            )),
        &["east", "west", "triage"],
    )
    .await;
    rig.provider("triage").answer(Script::says("Coding"));
    assert_eq!(served(&rig, "fast", 1).await, pairs(&[("east", "gpt-4o-mini")]));
    assert_eq!(served(&rig, "any other", 1).await, pairs(&[("west", "gpt-4o")]));
    assert_eq!(rig.provider("triage").hits(), 0);
    assert_eq!(served(&rig, "auto", 1).await, pairs(&[("west", "o1-mini")]));
    assert_eq!(rig.provider("triage").hits(), 1);
    let asked = ListClassifiersRequest {};
    let classifiers = admin(&rig.router).await.list_classifiers(asked).await.unwrap().into_inner().classifiers;
    assert_eq!(classifiers[0].used_by, ["chat/production"]);
    rig.check_clean().await;
}
