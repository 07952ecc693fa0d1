//! WSO2's own configuration, loaded as it is or imported, through real Envoy.

use std::fs;

use crate::check::status_of;
use crate::rig::ask::{Ask, chat};
use crate::rig::envoy::Topology;
use crate::rig::router::{Settings, binary};
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

const PATH: &str = "/helpdesk-llm/2.0/chat/completions";
const PRODUCTION: &str = "default.gw.example.com";
const SANDBOX: &str = "default.sandbox.gw.example.com";

/// The resources of WSO2's how-to, with the hosts of scripted providers.
async fn rig(topology: Topology, suspend_s: u64) -> Rig {
    let mut text = fs::read_to_string("tests/import/apk/how-to.yaml").expect("readable");
    for name in ["east", "west"] {
        let service = format!("{{ host: \"{{{{llm-{name}.host}}}}\", port: {{{{llm-{name}.port}}}} }}");
        text = text.replace(&format!("{{ host: {name}.example.com, port: 443 }}"), &service);
    }
    let text = text
        .replace("protocol: https", "protocol: http")
        .replace("onQuotaExceedSuspendDuration: 60", &format!("onQuotaExceedSuspendDuration: {suspend_s}"));
    Rig::start(topology, &text, &["llm-east", "llm-west"]).await
}

fn ask(host: &str) -> Ask {
    chat("whatever").path(PATH).host(host)
}

/// The models that served so many requests, one after the other.
async fn served(rig: &Rig, host: &str, requests: usize) -> Vec<String> {
    let mut models = Vec::new();
    for _ in 0..requests {
        let answer = rig.send(ask(host)).await;
        models.push(if answer.status == 200 { answer.model() } else { answer.status.to_string() });
    }
    models
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resources_of_the_how_to_route_as_they_are() {
    let rig = rig(Topology::Failover, 60).await;
    let turns = ["gpt-4o", "o1-mini", "gpt-4o-mini"];
    for (host, east) in [(PRODUCTION, &["gpt-4o", "gpt-4o-mini"][..]), (SANDBOX, &["o1-mini"])] {
        rig.clear();
        assert_eq!(served(&rig, host, 6).await, [turns, turns].concat(), "{host}");
        for name in ["east", "west"] {
            let provider = rig.provider(&format!("llm-{name}"));
            for request in provider.requests() {
                assert_eq!(request.header("authorization"), format!("Bearer hunter-{name}"));
                assert_eq!(request.path, "/v1/chat/completions");
                assert_eq!(east.contains(&&*request.model()), name == "east", "{}", request.model());
            }
        }
        assert_eq!(rig.hits().iter().sum::<usize>(), 6);
    }
    assert_eq!(rig.send(chat("gpt-4o").path("/helpdesk-llm/2.0/embeddings").host(PRODUCTION)).await.status, 404);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_suspends_for_its_duration_and_other_failures_do_not() {
    let rig = rig(Topology::Attach, 2).await;
    let limited = |status| Script::per_model([("o1-mini", Script::status(status))]);
    rig.provider("llm-west").answer(limited(500));
    let failing = ["gpt-4o", "500", "gpt-4o-mini"];
    assert_eq!(served(&rig, PRODUCTION, 9).await, [failing, failing, failing].concat());
    assert_eq!(status_of(&rig.router, "o1-mini", "llm-west").await, "ready");

    rig.provider("llm-west").answer(limited(429));
    assert_eq!(served(&rig, PRODUCTION, 2).await, ["gpt-4o", "429"]);
    assert_eq!(served(&rig, PRODUCTION, 4).await, ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini", "gpt-4o"]);
    assert_eq!(status_of(&rig.router, "o1-mini", "llm-west").await, "suspended");

    rig.provider("llm-west").answer(Script::ok());
    let due = async || (status_of(&rig.router, "o1-mini", "llm-west").await == "probe_due").then_some(());
    eventually("the end of the suspension", due).await;
    let mut back = served(&rig, PRODUCTION, 6).await;
    back.sort_unstable();
    assert_eq!(back, ["gpt-4o", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini", "o1-mini", "o1-mini"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_goes_unnoticed_with_failover_and_lasts_as_long_as_it_says() {
    let rig = rig(Topology::Failover, 60).await;
    rig.provider("llm-west").answer(Script::per_model([("o1-mini", Script::status(429))]));
    assert_eq!(served(&rig, PRODUCTION, 1).await, ["gpt-4o"]);
    // The first of these is the turn of `o1-mini`.
    assert_eq!(served(&rig, PRODUCTION, 4).await, ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o", "gpt-4o-mini"]);
    assert_eq!(rig.provider("llm-west").hits(), 1, "one request learned of it");
    let suspended = rig.router.events("target suspended");
    assert_eq!(suspended.iter().map(|line| &line["fields"]["suspended_ms"]).collect::<Vec<_>>(), [60_000]);
}

/// Runs `model-router import` on a file or directory.
pub(crate) fn imported(format: &str, path: &str) -> String {
    let output = std::process::Command::new(binary()).args(["import", format, path, "--inline-secrets"]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_intelligent_routing_of_api_manager_sorts_as_it_did_there() {
    let mut policy = imported("apim", "tests/import/apim/intelligent").replace("https://api.openai.com", "{{triage}}");
    for name in ["east", "west"] {
        policy = policy.replace(&format!("https://{name}.example.com"), &format!("{{{{{name}}}}}"));
    }
    let settings = Settings { env: vec![("WEST_KEY".to_owned(), "hunter-west".to_owned())], ..Settings::default() };
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west", "triage"], settings).await;
    rig.provider("triage").answer(Script::by(|request| {
        let asked = request.json()["messages"][1]["content"].to_string();
        Script::says(if asked.contains("Python") { "coding" } else { "NONE" })
    }));
    for (words, model, provider) in [
        ("Write a Python function that adds two numbers", "gpt-4o-mini", "west"),
        ("Which river is the longest?", "gpt-4o", "east"),
    ] {
        let answer = rig.send(chat("whatever").say(words).path("/helpdesk/1.0/chat/completions")).await;
        assert_eq!((answer.model().as_str(), answer.provider()), (model, provider), "{}", answer.text());
        let served = rig.provider(provider).last();
        assert_eq!(served.header("authorization"), format!("Bearer hunter-{provider}"));
    }
    let asked = rig.provider("triage").last();
    assert_eq!(asked.header("authorization"), "Bearer hunter-classifier");
    assert!(asked.json()["messages"][0]["content"].to_string().contains("the user's own too"));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_semantic_routing_of_api_manager_goes_by_the_nearest_route() {
    let mut policy = imported("apim", "tests/import/apim/semantic").replace("https://api.openai.com", "{{vectors}}");
    for name in ["east", "west"] {
        policy = policy.replace(&format!("https://{name}.example.com"), &format!("{{{{{name}}}}}"));
    }
    let settings = Settings { env: vec![("WEST_KEY".to_owned(), "hunter-west".to_owned())], ..Settings::default() };
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west", "vectors"], settings).await;
    rig.provider("vectors").answer(crate::semantic::embedder());
    crate::semantic::primed(&rig).await;
    for (words, model, provider) in [
        ("fix this python function", "gpt-4o-mini", "west"),
        ("how long do i boil an egg", "gpt-4o-mini", "east"),
        ("which river is the longest", "gpt-4o", "east"),
    ] {
        let answer = rig.send(chat("whatever").say(words).path("/helpdesk/1.0/chat/completions")).await;
        assert_eq!((answer.model().as_str(), answer.provider()), (model, provider), "{}", answer.text());
    }
    assert_eq!(rig.provider("vectors").last().header("authorization"), "Bearer hunter-embedder");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failover_of_api_manager_serves_the_same_request() {
    let mut policy = imported("apim", "tests/import/apim/failover")
        .replace("https://primary.example.com", "{{helpdesk-production}}");
    for name in ["east", "west"] {
        policy = policy.replace(&format!("https://{name}.example.com"), &format!("{{{{{name}}}}}"));
    }
    let settings = Settings { env: vec![("WEST_KEY".to_owned(), "hunter-west".to_owned())], ..Settings::default() };
    let endpoints = ["east", "west", "helpdesk-production"];
    let rig = Rig::start_with(Topology::Failover, &policy, &endpoints, settings).await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(Script::status(503));
    let answer = rig.send(chat("gpt-4o").path("/helpdesk/1.0/chat/completions")).await;
    assert_eq!((answer.status, answer.model().as_str(), rig.hits()), (200, "gpt-4o-mini", vec![1, 1, 1]));
    assert!(rig.provider("helpdesk-production").last().path.ends_with("?key=hunter-primary"));
    rig.check_clean().await;
}
