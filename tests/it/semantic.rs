//! Requests sorted by meaning: the nearest route decides, and whatever goes wrong with the vectors is nobody's loss.

mod evaluation;
mod failures;
mod local;
mod priming;
mod unsure;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::check::admin;
use crate::intelligent::PROVIDERS;
use crate::rig::ask::{chat, get};
use crate::rig::client::{Answer, send};
use crate::rig::envoy::{Topology, root};
use crate::rig::ext_proc::BodyMode;
use crate::rig::router::Settings;
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};
use model_router::admin::proto::{Classifier, ListClassifiersRequest, State};

const ROUTES: &str = "
        routes:
          - name: Coding
            utterances: [fix this python function, why does my loop never end, write a function that sorts a list]
            model: gpt-4o-mini
            endpoint: west
          - name: Cooking
            utterances: [how long do i boil an egg, what can i cook with rice, a recipe for tomato soup]
            model: o1-mini
            endpoint: west
        default: { model: gpt-4o, endpoint: east }
";

/// The threshold of most policies here: the words of so few utterances say too little for one of their own.
const THRESHOLD: &str = "        threshold: 0.3";

/// The numbers of a vector.
const DIMENSIONS: usize = 256;

/// Fits the route `Coding`, and one that fits none.
const CODING: &str = "why does this python function never end";
const OTHER: &str = "which river runs through vienna";

/// A policy with these routes; `more` goes to the declaration of the embedder, `keys` to the policy.
fn policy(more: &str, keys: &str, routes: &str) -> String {
    format!(
        "{PROVIDERS}embedders:\n  \
           vectors: {{ type: openai, url: \"{{{{vectors}}}}/v1/embeddings\", model: small, api_key: {{ value: vectors-key }}{more} }}\n\
         apis:\n  - name: assistant\n    base_path: /v1\n    production:\n      semantic:\n        embedder: vectors\n{keys}{routes}"
    )
}

async fn rig(topology: Topology, more: &str) -> Rig {
    let policy = policy(more, THRESHOLD, ROUTES);
    let rig = Rig::start(topology, &policy, &["east", "west", "vectors"]).await;
    rig.provider("vectors").answer(embedder());
    primed(&rig).await;
    rig
}

/// An embedder whose vectors count words, of which each has a place: texts with the same words are alike.
pub(crate) fn embedder() -> Script {
    Script::by(|request| Script::json(200, &embeddings(&request.json())))
}

fn embeddings(request: &Value) -> Value {
    let inputs = match &request["input"] {
        Value::String(text) => vec![text.as_str()],
        inputs => inputs.as_array().expect("texts").iter().filter_map(Value::as_str).collect(),
    };
    let item = |(index, text): (usize, &&str)| json!({ "index": index, "embedding": vector(text) });
    json!({ "data": inputs.iter().enumerate().map(item).collect::<Vec<_>>() })
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.001; DIMENSIONS];
    for word in text.split_whitespace() {
        let place =
            word.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % DIMENSIONS;
        vector[place] += 1.0;
    }
    vector
}

/// Waits until the vectors of the utterances are there.
pub(crate) async fn primed(rig: &Rig) {
    eventually("the vectors", async || (asked(rig).await.state() != State::Priming).then_some(())).await;
}

/// What the router knows of its embedder.
async fn asked(rig: &Rig) -> Classifier {
    let mut admin = admin(&rig.router).await;
    let known = admin.list_classifiers(ListClassifiersRequest {}).await.expect("an answer").into_inner().classifiers;
    known.into_iter().find(|it| it.kind == "embedder").expect("an embedder")
}

/// The model that served, and the result of the classification.
fn served(answer: &Answer) -> (String, &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.model(), answer.header("x-model-router-classification"))
}

/// The static model that `make` installs.
pub(crate) fn model() -> PathBuf {
    let directory = root().join("target/models/wordllama");
    assert!(directory.join("config.json").exists(), "the model is not there: run `make model`");
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_to_the_route_that_it_resembles_and_any_other_to_the_default() {
    for (topology, mode) in [
        (Topology::Attach, BodyMode::Buffered),
        (Topology::Failover, BodyMode::Buffered),
        (Topology::Failover, BodyMode::FullDuplex),
    ] {
        let (policy, endpoints) = (policy("", THRESHOLD, ROUTES), ["east", "west", "vectors"]);
        let rig = Rig::start_edited(topology, &policy, &endpoints, Settings::default(), |text| mode.edit(text)).await;
        rig.provider("vectors").answer(embedder());
        primed(&rig).await;
        let priming = rig.provider("vectors").last();
        assert_eq!(priming.json()["input"].as_array().map(Vec::len), Some(6), "all utterances in one call");
        assert_eq!((priming.path.as_str(), priming.header("authorization")), ("/v1/embeddings", "Bearer vectors-key"));

        let coding = rig.send(chat("any").say(CODING)).await;
        assert_eq!(served(&coding), ("gpt-4o-mini".to_owned(), "matched"));
        assert_eq!(coding.provider(), "west");
        assert!(coding.header("x-model-router-scores").starts_with("Coding 0."), "{:?}", coding.headers);
        assert_eq!(rig.provider("vectors").last().json(), json!({ "model": "small", "input": CODING }));
        let other = rig.send(chat("any").say(OTHER)).await;
        assert_eq!(served(&other), ("gpt-4o".to_owned(), "none"));
        assert_eq!(other.provider(), "east");

        let decisions = rig.router.events("decision");
        let fields = &decisions[0]["fields"];
        assert_eq!(
            (&fields["rule"], &fields["nearest"], &fields["second"]),
            (&json!("Coding"), &json!("Coding"), &json!("Cooking"))
        );
        let number = |name: &str| fields[name].as_f64().unwrap_or_else(|| panic!("no {name} in {fields}"));
        assert!(number("score") >= number("threshold") && number("score") > number("second_score"), "{fields}");
        let log = rig.router.log().join("\n");
        assert!(!log.contains("python") && !log.contains("vectors-key"), "the log holds words of a request, or a key");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_its_metrics_and_the_explanation_name_the_scores() {
    let rig = rig(Topology::Attach, "").await;
    let priming = asked(&rig).await.calls;
    rig.send(chat("any").say(CODING)).await;
    rig.send(chat("any").say(OTHER)).await;
    rig.send(chat("any").say(CODING)).await;
    let known = asked(&rig).await;
    assert_eq!((known.name.as_str(), known.calls, known.shared), ("vectors", priming + 2, 1));
    assert_eq!((known.verdicts["matched"], known.verdicts["none"]), (2, 1));
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    for series in [
        r#"model_router_embedder_verdicts_total{embedder="vectors",verdict="matched"} 2"#,
        r#"model_router_embedder_suspended{embedder="vectors"} 0"#,
        r#"model_router_routes_primed{api="assistant",environment="production"} 1"#,
        r#"model_router_embedder_seconds_count{embedder="vectors"} 2"#,
    ] {
        assert!(metrics.contains(series), "{series} is not in\n{metrics}");
    }
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n\r\n{}",
        json!({ "model": "any", "messages": [{ "role": "user", "content": CODING }] })
    );
    let explain = model_router::admin::proto::ExplainRequest { request: request.into(), ..Default::default() };
    let explained = admin(&rig.router).await.explain(explain).await.expect("an explanation").into_inner();
    let json: Value = serde_json::from_str(&explained.json).expect("JSON");
    let scores: Vec<_> =
        json["classification"]["scores"].as_array().expect("scores").iter().map(|it| &it["route"]).collect();
    assert_eq!(scores, ["Coding", "Cooking"]);
    assert!(explained.text.contains("nearest utterance"), "{}", explained.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_route_is_replaced_by_the_default_without_a_second_embedding() {
    let rig = rig(Topology::Failover, "").await;
    rig.provider("west").answer(Script::status(503));
    let calls = rig.provider("vectors").hits();
    let answer = rig.send(chat("any").say(CODING)).await;
    assert_eq!(served(&answer), ("gpt-4o".to_owned(), "matched"));
    assert_eq!((answer.provider(), answer.header("x-model-router-attempts")), ("east", "2"));
    assert_eq!(rig.provider("vectors").hits(), calls + 1);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_requests_at_once_are_one_call() {
    let rig = rig(Topology::Attach, "").await;
    rig.provider("vectors").answer(Script::by(|request| {
        Script::json(200, &embeddings(&request.json())).after(std::time::Duration::from_millis(300))
    }));
    let calls = rig.provider("vectors").hits();
    let answers = crate::rig::load::load(rig.envoy.addr(), 1_000, 200, |_| chat("any").say(CODING)).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    assert_eq!(rig.provider("vectors").hits(), calls + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_and_mistral_are_asked_in_their_own_words() {
    for (kind, more, header, key) in [
        ("azure_openai", "", "api-key", "dimensions"),
        ("mistral", ", model: small", "authorization", "output_dimension"),
    ] {
        let declared = format!(
            "type: {kind}, url: \"{{{{vectors}}}}/v1/embeddings\", dimensions: 256, api_key: {{ value: vectors-key }}{more}"
        );
        let openai = "type: openai, url: \"{{vectors}}/v1/embeddings\", model: small, api_key: { value: vectors-key }";
        let policy = policy("", THRESHOLD, ROUTES).replace(openai, &declared);
        let rig = Rig::start(Topology::Attach, &policy, &["east", "west", "vectors"]).await;
        rig.provider("vectors").answer(embedder());
        primed(&rig).await;
        assert_eq!(served(&rig.send(chat("any").say(CODING)).await).1, "matched");
        let asked = rig.provider("vectors").last();
        assert!(asked.header(header).contains("vectors-key"), "{kind}");
        assert_eq!(asked.json()[key], DIMENSIONS, "{kind}");
    }
}
