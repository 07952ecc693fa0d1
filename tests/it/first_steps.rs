//! What a newcomer meets: lists of models, ids of requests, and refusals that say what was meant.

use model_router::admin::proto::ExplainRequest;
use serde_json::json;

use crate::check::{admin, production};
use crate::operator::ENTRIES;
use crate::rig::Rig;
use crate::rig::ask::{chat, get, post};
use crate::rig::envoy::Topology;

const NAMES: [&str; 3] = ["east", "west", "middle"];

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_only_a_fallback_is_in_no_list_of_those_that_can_be_asked_for() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &NAMES).await;
    let model = json!({ "id": "gpt-4o", "object": "model", "created": 0, "owned_by": "openai" });
    assert_eq!(rig.send(get("/v1/models")).await.json(), json!({ "object": "list", "data": [model] }));
    let refused = rig.send(chat("o1-mini")).await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json()["error"]["message"], "there is no model `o1-mini`; there are `gpt-4o`");
    let found = rig.send(get("/v1/models/gpt-4o")).await;
    assert_eq!((found.status, found.json()), (200, model));
    let unknown = rig.send(get("/v1/models/o1-mini")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &"model_not_found".into()));
    assert_eq!(rig.hits(), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_another_target_serves_all_other_models_it_is_listed_too() {
    let others = format!("{ENTRIES}      other_models: {{ model: o1-mini, endpoint: middle }}\n");
    let rig = Rig::start(Topology::Failover, &production(&others), &NAMES).await;
    let list = rig.send(get("/v1/models")).await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["gpt-4o", "o1-mini"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_found_by_a_name_with_slashes() {
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }")
        .replace("models: [gpt-4o", "models: [\"meta/llama 3\"")
        .replace("model: gpt-4o,", "model: \"meta/llama 3\",");
    let rig = Rig::start(Topology::Failover, &policy, &["east"]).await;
    for path in ["/v1/models/meta/llama%203", "/v1/models/meta/llama%203?x=1"] {
        let found = rig.send(get(path)).await;
        assert_eq!((found.status, &found.json()["id"]), (200, &"meta/llama 3".into()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_id_of_its_request_and_no_providers() {
    const ID: &str = "x-model-router-request-id";
    let policy = production(ENTRIES).replace("failover:\n", "failover:\n        decision_headers: false\n");
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = Rig::start(topology, &policy, &NAMES).await;
        rig.provider("east").answer(crate::rig::script::Script::ok_with(&[(ID, "the-providers-own")]));
        let served = rig.send(chat("gpt-4o")).await;
        assert_eq!((served.status, served.header("x-model-router-model")), (200, ""));
        let refused = rig.send(chat("unknown")).await;
        let listed = rig.send(get("/v1/models")).await;
        let nowhere = rig.send(get("/favicon.ico")).await;
        let ids: Vec<_> = [&served, &refused, &listed, &nowhere].map(|it| it.header(ID).to_owned()).into();
        assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
        let logged: Vec<_> = rig.envoy.access_log_lines("clients", 4).await;
        assert!(ids.iter().all(|id| logged.iter().any(|line| line["request_id"] == **id)), "{ids:?} {logged:?}");
        assert_eq!(served.headers.get_all(ID).iter().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_nearly_an_operation_is_refused_with_the_operation() {
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }")
        .replace("base_path: /v1", "base_path: /openai/v1");
    let rig = Rig::start(Topology::Failover, &policy, &["east"]).await;
    let meant = "did you mean `POST /openai/v1/chat/completions`?";
    for ask in [
        post("/openai/chat/completions"),
        post("/v1/chat/completions"),
        post("/openai/v1/chat/completion"),
        post("/openai/v1/v1/chat/completions"),
        get("/openai/v1/chat/completions"),
    ] {
        let refused = rig.send(ask).await;
        assert!(refused.status == 404 && refused.text().contains(meant), "{}", refused.text());
    }
    let refused = rig.send(get("/favicon.ico")).await;
    assert!(refused.status == 404 && !refused.text().contains("did you mean"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_names_the_api_of_what_the_router_answers_itself() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &NAMES).await;
    let mut api = admin(&rig.router).await;
    for (path, expected) in
        [("/v1/models", "chat, production\n"), ("/v1/nothing", "chat, production\n"), ("/else", "none\n")]
    {
        let request = format!("GET {path} HTTP/1.1\r\nhost: llm.test\r\n\r\n").into();
        let told = api.explain(ExplainRequest { request, ..ExplainRequest::default() }).await.unwrap().into_inner();
        assert!(told.text.contains(&format!("API         {expected}")), "{}", told.text);
    }
}
