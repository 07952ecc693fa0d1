//! What the router itself says to the clients of each vendor's API, and what it makes of each vendor's errors.

use serde_json::{Value, json};

use super::{AZURE, BASE, BEDROCK, Case, GEMINI, NAMES};
use crate::check::status_of;
use crate::rig::Rig;
use crate::rig::ask::{get, post};
use crate::rig::envoy::Topology;
use crate::rig::script::Script;

const ANTHROPIC: Case = Case { provider: "type: anthropic", asks: "/messages", ..BASE };

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_shape_of_the_vendors_errors() {
    for (case, kind, aws) in [
        (ANTHROPIC, "/error/type invalid_request_error /type error", ""),
        (GEMINI, "/error/status INVALID_ARGUMENT /error/code 400", ""),
        (BEDROCK, "/message", "ValidationException"),
        (AZURE, "/error/code invalid_body /error/type invalid_request_error", ""),
    ] {
        let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
        let answer = rig.send(post(&format!("/base{}", case.asks)).body("{")).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (400, aws), "{}", case.provider);
        let (body, words): (Value, Vec<_>) = (answer.json(), kind.split(' ').collect());
        for pair in words.chunks(2) {
            let found = body.pointer(pair[0]).unwrap_or_else(|| panic!("{} in {body}", pair[0]));
            let expected = pair.get(1).map_or_else(|| found.to_string(), |word| (*word).to_owned());
            assert_eq!(
                found.as_str().map_or_else(|| found.to_string(), str::to_owned).as_str(),
                expected.trim_matches('"')
            );
        }
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_pool_says_when_it_is_back_in_each_shape() {
    for (case, pointer, expected) in [
        (ANTHROPIC, "/error/type", "overloaded_error"),
        (GEMINI, "/error/status", "UNAVAILABLE"),
        (BEDROCK, "/message", "every target is suspended"),
    ] {
        let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
        rig.providers().for_each(|provider| provider.answer(Script::status_with(429, &[("retry-after", "60")])));
        assert_eq!(rig.send(case.ask()).await.status, 429);
        let answer = rig.send(case.ask()).await;
        assert_eq!(answer.status, 503, "{}", case.provider);
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| (55..=60).contains(&seconds)));
        let body = answer.json();
        assert!(body.pointer(pointer).and_then(Value::as_str).is_some_and(|text| text.starts_with(expected)), "{body}");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_the_vendors_own_shape() {
    let google = |id: &str| json!({ "name": format!("models/{id}"), "displayName": id });
    let anthropic =
        |id: &str| json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" });
    for (case, path, expected) in [
        (
            ANTHROPIC,
            "/base/models?limit=20",
            json!({ "data": [anthropic("one"), anthropic("two")], "has_more": false, "first_id": "one", "last_id": "two" }),
        ),
        (GEMINI, "/base/models", json!({ "models": [google("gemini-2.5-flash"), google("gemini-2.5-pro")] })),
    ] {
        let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
        let mut list = rig.send(get(path)).await.json();
        for model in list.get_mut("models").and_then(Value::as_array_mut).into_iter().flatten() {
            let methods = model.as_object_mut().and_then(|model| model.remove("supportedGenerationMethods"));
            assert!(methods.is_some_and(|methods| methods[0] == "generateContent"));
        }
        let mut one = rig.send(get(&format!("/base/models/{}", case.models[0]))).await.json();
        one.as_object_mut().unwrap().remove("supportedGenerationMethods");
        assert_eq!(Some(&one), expected.pointer("/data/0").or(expected.pointer("/models/0")));
        assert_eq!(rig.send(get("/base/models/unknown")).await.status, 404);
        assert_eq!((list, rig.hits()), (expected, vec![0, 0]));
        rig.check_clean().await;
    }
    let rig = Rig::start(Topology::Failover, &AZURE.policy(""), &NAMES).await;
    let list = rig.send(get("/base/v1/models")).await.json();
    assert_eq!(list["data"][0]["id"], "gpt-4o");
    assert_eq!(rig.send(get("/base/v1/models/gpt-4o")).await.json(), list["data"][0]);
    let rig = Rig::start(Topology::Failover, &BEDROCK.policy(""), &NAMES).await;
    assert_eq!(rig.send(get("/base/models")).await.header("x-amzn-errortype"), "ResourceNotFoundException");
}

/// The first endpoint answers this, the second one serves, and the first one is then in this state.
async fn check_suspends(case: &Case, answer: Script, state: &str) {
    let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
    rig.provider("east").answer(answer);
    let answer = rig.send(case.ask()).await;
    assert_eq!((answer.status, answer.provider()), (200, "west"), "{}: {}", case.provider, answer.text());
    assert_eq!(status_of(&rig.router, case.models[0], "east").await, state, "{}", case.provider);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_says_in_the_body_when_to_come_back() {
    let limited =
        json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{ "retryDelay": "90s" }] } });
    let rig = Rig::start(Topology::Failover, &GEMINI.policy(""), &NAMES).await;
    rig.providers().for_each(|provider| provider.answer(Script::json(429, &limited)));
    assert_eq!(rig.send(GEMINI.ask()).await.status, 429);
    let retry_after = rig.send(GEMINI.ask()).await.header("retry-after").parse::<u64>().unwrap();
    assert!((80..=90).contains(&retry_after), "{retry_after}");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vendors_way_to_refuse_a_key_is_known() {
    let google = json!({ "error": {
        "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }],
    } });
    check_suspends(&GEMINI, Script::json(400, &google), "suspended").await;
    let anthropic = json!({ "type": "error", "error": { "type": "authentication_error", "message": "m" } });
    check_suspends(&ANTHROPIC, Script::json(401, &anthropic), "suspended").await;
    let aws = Script::status_with(403, &[("x-amzn-errortype", "UnrecognizedClientException:http://internal/")]);
    check_suspends(&BEDROCK, aws, "suspended").await;
    let azure = json!({ "error": { "code": "DeploymentNotFound", "message": "m" } });
    check_suspends(&AZURE, Script::json(404, &azure), "suspended").await;
}
