//! Requests sorted by an LLM: what it says decides, and whatever goes wrong with it is nobody's loss.

mod failures;

use std::time::Duration;

use serde_json::{Value, json};

use crate::check::admin;
use crate::rig::ask::{Ask, chat};
use crate::rig::client::{Answer, leave};
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::load::{Tally, load};
use crate::rig::provider::Provider;
use crate::rig::router::Settings;
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};
use model_router::admin::proto::{Classifier, ListClassifiersRequest};

pub(crate) const PROVIDERS: &str = r#"
providers:
  openai: { type: openai, models: [gpt-4o, gpt-4o-mini, o1-mini] }
endpoints:
  east: { provider: openai, url: "{{east}}/v1", api_key: { value: east-key } }
  west: { provider: openai, url: "{{west}}/v1", api_key: { value: west-key } }
"#;

const RULES: &str = "
        rules:
          - { name: Coding, context: Code related question, model: gpt-4o-mini, endpoint: west }
          - { name: Medical advice, context: Health, model: o1-mini, endpoint: west }
        default: { model: gpt-4o, endpoint: east }
";

/// A policy with the rules above; `more` goes to the declaration of the classifier.
fn policy(more: &str) -> String {
    let api = format!("{{{{triage}}}}/v1/chat/completions\", model: sorter, api_key: {{ value: triage-key }}{more}");
    format!(
        "{PROVIDERS}classifiers:\n  triage: {{ type: openai, url: \"{api} }}\n\
         apis:\n  - name: assistant\n    base_path: /v1\n    production:\n      intelligent:\n        classifier: triage{RULES}"
    )
}

async fn rig(topology: Topology, more: &str) -> Rig {
    Rig::start(topology, &policy(more), &["east", "west", "triage"]).await
}

/// Answers `Coding` to what is about code and `NONE` to everything else, as a good classifier would.
fn sorter() -> Script {
    Script::by(|request| {
        let asked = request.json()["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        Script::says(if asked.contains("Python") { "Coding" } else { "NONE" })
    })
}

/// The model that served, and what came of the classification.
fn served(answer: &Answer) -> (String, &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.model(), answer.header("x-model-router-classification"))
}

/// What the router knows of its only classifier.
async fn classifier(rig: &Rig) -> Classifier {
    let mut admin = admin(&rig.router).await;
    admin.list_classifiers(ListClassifiersRequest {}).await.expect("an answer").into_inner().classifiers.remove(0)
}

fn body(ask: Ask, body: &Value) -> Ask {
    ask.edit(|old| *old = body.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_requests_of_wso2s_example_go_where_they_should() {
    for (topology, mode) in [
        (Topology::Attach, BodyMode::Buffered),
        (Topology::Failover, BodyMode::Buffered),
        (Topology::Failover, BodyMode::FullDuplex),
    ] {
        let endpoints = ["east", "west", "triage"];
        let rig =
            Rig::start_edited(topology, &policy(""), &endpoints, Settings::default(), |text| mode.edit(text)).await;
        rig.provider("triage").answer(sorter());
        let coding = rig.send(chat("any").say("Write a Python function that adds two numbers")).await;
        assert_eq!(served(&coding), ("gpt-4o-mini".to_owned(), "matched"));
        assert_eq!(coding.provider(), "west");
        let other = rig.send(chat("any").say("Which river is the longest?")).await;
        assert_eq!(served(&other), ("gpt-4o".to_owned(), "none"));
        assert_eq!(other.provider(), "east");

        let asked = rig.provider("triage").last();
        assert_eq!((asked.header("authorization"), asked.path.as_str()), ("Bearer triage-key", "/v1/chat/completions"));
        let request = asked.json();
        assert_eq!((&request["model"], &request["temperature"]), (&json!("sorter"), &json!(0)));
        assert_eq!(request["messages"][1], json!({ "role": "user", "content": "\"Which river is the longest?\"" }));
        let answers = &request["response_format"]["json_schema"]["schema"]["properties"]["rule"]["enum"];
        assert_eq!(*answers, json!(["Coding", "Medical advice", "NONE"]));
        let decisions = rig.router.events("decision");
        let told: Vec<_> =
            decisions.iter().map(|line| (&line["fields"]["classification"], &line["fields"]["rule"])).collect();
        assert_eq!(told, [(&json!("matched"), &json!("Coding")), (&json!("none"), &Value::Null)]);
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_are_found_in_every_kind_of_request() {
    let rig = rig(Topology::Attach, "").await;
    rig.provider("triage").answer(sorter());
    let part = |text: &str| json!({ "type": "text", "text": text });
    let image = json!({ "type": "image_url", "image_url": { "url": "data:,Python" } });
    for (path, request, classification) in [
        (
            "/v1/chat/completions",
            json!({ "messages": [{ "role": "user", "content": [part("fix my"), image, part("Python")] }] }),
            "matched",
        ),
        (
            "/v1/chat/completions",
            json!({ "messages": [{ "content": "Python" }, { "content": [image] }] }),
            "content_missing",
        ),
        ("/v1/chat/completions", json!({ "messages": [] }), "content_missing"),
        ("/v1/chat/completions", json!({ "messages": [{ "role": "user", "content": "" }] }), "content_missing"),
        ("/v1/chat/completions", json!({ "messages": [{ "role": "user", "content": null }] }), "content_missing"),
        ("/v1/chat/completions", json!({}), "content_missing"),
        ("/v1/responses", json!({ "input": "Python" }), "matched"),
        (
            "/v1/responses",
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "Python?" }] }] }),
            "matched",
        ),
        ("/v1/completions", json!({ "prompt": "Python" }), "matched"),
    ] {
        rig.clear();
        let answer = rig.send(body(chat("any"), &request).path(path)).await;
        let model = if classification == "matched" { "gpt-4o-mini" } else { "gpt-4o" };
        assert_eq!(served(&answer), (model.to_owned(), classification), "{path} {request}");
        let expected = usize::from(classification != "content_missing");
        assert!(rig.provider("triage").hits() <= expected, "{request} was shown to the classifier");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_requests_at_once_cost_one_call() {
    for cache in ["", ", cache: 0s"] {
        let rig = rig(Topology::Attach, cache).await;
        rig.provider("triage").answer(Script::says("Coding").after(Duration::from_millis(1_500)));
        let answers = load(rig.envoy.addr(), 1_000, 1_000, |_| chat("any").say("the same words")).await;
        let tally = Tally::of(&answers);
        assert_eq!(
            tally.models.into_iter().collect::<Vec<_>>(),
            [("gpt-4o-mini".to_owned(), 1_000)],
            "{:?}",
            tally.errors
        );
        assert_eq!(rig.provider("triage").hits(), 1);
        let known = classifier(&rig).await;
        assert_eq!((known.calls, known.shared, known.verdicts["matched"]), (1, 999, 1_000));
        // Remembered, or not.
        rig.send(chat("any").say("the same words")).await;
        assert_eq!(rig.provider("triage").hits(), if cache.is_empty() { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_target_is_outdone_by_the_default_without_another_classification() {
    let rig = rig(Topology::Failover, ", cache: 0s").await;
    rig.provider("triage").answer(Script::says("Coding"));
    rig.provider("west").answer(Script::status(503));
    let answer = rig.send(chat("any")).await;
    assert_eq!(served(&answer), ("gpt-4o".to_owned(), "matched"));
    assert_eq!((rig.provider("triage").hits(), rig.hits()), (1, vec![1, 1, 1]));
    assert_eq!(answer.header("x-model-router-attempts"), "2");
    // Now it is suspended: the default at once, and the log says why.
    let answer = rig.send(chat("any")).await;
    assert_eq!((served(&answer).0.as_str(), answer.header("x-model-router-attempts")), ("gpt-4o", "1"));
    assert_eq!(rig.provider("west").hits(), 1);
    let last = rig.router.events("decision").pop().expect("a decision");
    assert!(last["fields"]["passed_over"].as_str().expect("a reason").starts_with("gpt-4o-mini@west: suspended"));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_the_question_along_and_nothing_is_held_against_the_classifier() {
    let rig = rig(Topology::Attach, ", suspend_after: 1").await;
    rig.provider("triage").answer(Script::Hang);
    let asked = eventually("the question", async || (rig.provider("triage").in_flight() == 1).then_some(()));
    leave(rig.envoy.addr(), chat("any"), asked).await;
    eventually("the question's end", async || (rig.provider("triage").in_flight() == 0).then_some(())).await;
    rig.provider("triage").answer(Script::says("Coding"));
    assert_eq!(served(&rig.send(chat("any")).await).1, "matched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_rules_forgets_decisions_and_any_other_keeps_them() {
    let rig = rig(Topology::Attach, "").await;
    rig.provider("triage").answer(Script::says("Coding"));
    let mut text = policy("");
    for (change, hits) in [
        ("decision_headers: true\n        rules:", 1),
        ("rules: # others\n          - { name: X, context: y, model: gpt-4o, endpoint: east }", 2),
    ] {
        rig.send(chat("any")).await;
        text = text.replacen("rules:", change, 1);
        let before = rig.router.events("policy applied").len();
        rig.router.write_policy(&rig.fill(&text));
        eventually("the change", async || (rig.router.events("policy applied").len() > before).then_some(())).await;
        assert_eq!(served(&rig.send(chat("any")).await).1, "matched");
        assert_eq!(rig.provider("triage").hits(), hits, "after {change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_rules_of_its_own_and_a_prompt_may_be_another() {
    let production = policy("");
    let (_, intelligent) = production.split_once("      intelligent:").expect("a policy");
    let sandbox = intelligent.replace("model: gpt-4o-mini", "model: o1-mini");
    let prompt = "\n        prompt: \"Pick one of {answers}: {rules}\"";
    let text = format!("{production}    sandbox:\n      intelligent:{prompt}{sandbox}")
        .replace("base_path", "sandbox_hosts: [sand.example.com]\n    base_path");
    let rig = Rig::start(Topology::Attach, &text, &["east", "west", "triage"]).await;
    rig.provider("triage").answer(Script::says("coding"));
    assert_eq!(served(&rig.send(chat("any")).await).0, "gpt-4o-mini");
    assert_eq!(served(&rig.send(chat("any").host("sand.example.com")).await).0, "o1-mini");
    let asked = rig.provider("triage").last().json();
    let rules = "- \"Coding\": Code related question\n- \"Medical advice\": Health";
    assert_eq!(asked["messages"][0]["content"], format!(r#"Pick one of "Coding", "Medical advice", "NONE": {rules}"#));
    assert_eq!(rig.provider("triage").hits(), 2, "decisions are shared within an environment only");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistral_and_azure_are_asked_as_they_want_to_be() {
    let asked = async |declaration: &str| -> (Value, String, String) {
        let triage = Provider::named("triage").await;
        triage.answer(Script::says("Coding"));
        let declaration = declaration.replace("URL", &format!("http://{}", triage.addr()));
        let usual = policy("");
        let text = usual.lines().map(|line| match line.strip_prefix("  triage: ") {
            Some(_) => format!("  triage: {declaration}\n"),
            None => format!("{line}\n"),
        });
        let rig = Rig::start(Topology::Attach, &text.collect::<String>(), &["east", "west"]).await;
        assert_eq!(served(&rig.send(chat("any")).await).1, "matched");
        let request = triage.last();
        (
            request.json(),
            request.path.clone(),
            format!("{}|{}", request.header("authorization"), request.header("api-key")),
        )
    };
    let (request, path, keys) =
        asked(r#"{ type: mistral, url: "URL/v1/chat/completions", model: ministral, api_key: { value: k } }"#).await;
    assert_eq!(
        (&request["model"], path.as_str(), keys.as_str()),
        (&json!("ministral"), "/v1/chat/completions", "Bearer k|")
    );
    let (request, path, keys) = asked(
        r#"{ type: azure_openai, url: "URL/openai/deployments/d/chat/completions?api-version=2024-10-21", api_key: { value: k }, answer: text, body: { remove: [temperature], rename: { max_tokens: max_completion_tokens }, set: { reasoning_effort: low } } }"#,
    )
    .await;
    assert_eq!((&request["model"], keys.as_str()), (&Value::Null, "|k"));
    assert_eq!(path, "/openai/deployments/d/chat/completions?api-version=2024-10-21");
    let mut keys: Vec<_> = request.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["max_completion_tokens", "messages", "reasoning_effort"]);
}
