//! Documents of WSO2 API Platform, loaded as they are or imported, through real Envoy.

use std::process::Command;

use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::router::{Settings, binary};
use crate::rig::script::Script;
use crate::wso2::imported;

fn env(pairs: &[(&str, &str)]) -> Settings {
    let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings { env, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_round_robin_fails_over_and_suspends() {
    let policy = imported("api-platform", "tests/import/platform/round-robin.yaml")
        .replace("https://east.example.com", "{{east}}")
        .replace("https://west.example.com", "{{west}}");
    let settings = env(&[("WEST_KEY_AUTHORIZATION", "hunter-west")]);
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west"], settings).await;
    rig.provider("east").answer(Script::per_model([("gpt-4o", Script::status(500))]));
    let ask = || chat("whatever").path("/helpdesk/v2.0/chat/completions").host("llm.example.com");
    let mut served = Vec::new();
    for _ in 0..6 {
        let answer = rig.send(ask()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        served.push(answer.model());
    }
    for model in ["gpt-4o-mini", "mistral-small-latest"] {
        assert!(served.iter().filter(|served| *served == model).count() >= 2, "{served:?}");
    }
    let asked = |model: &str| rig.provider("east").requests().iter().filter(|it| it.model() == model).count();
    assert_eq!(asked("gpt-4o"), 1, "its first failure suspends it");
    assert_eq!(rig.provider("east").last().header("authorization"), "Bearer hunter-east");
    assert_eq!(rig.provider("west").last().header("authorization"), "Bearer hunter-west");
    assert_eq!(rig.provider("west").last().path, "/v1/chat/completions");

    let embedded = chat("whatever").path("/helpdesk/v2.0/embeddings").host("llm.example.com");
    assert_eq!(rig.send(embedded).await.model(), "text-embedding-3-small");
    assert_eq!(rig.send(ask().host("other.example.com")).await.status, 404);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_themselves_route_by_meaning_with_an_embedder_of_the_policys_own() {
    let documents = std::fs::read_to_string("tests/import/platform/semantic/documents.yaml").expect("readable");
    let documents = documents
        .replace("https://east.example.com", "{{east}}")
        .replace("https://west.example.com", "{{west}}")
        .replace("            defaultModel:", "            embeddingProvider: OPENAI\n            embeddingEndpoint: {{vectors}}/v1/embeddings\n            embeddingModel: small\n            apiKey: hunter-embedder\n            defaultModel:");
    routes_by_meaning(&documents).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_semantic_policy_routes_by_meaning_and_falls_back_to_its_default() {
    let policy = imported("api-platform", "tests/import/platform/semantic")
        .replace("https://east.example.com", "{{east}}")
        .replace("https://west.example.com", "{{west}}")
        .replace("https://api.openai.com", "{{vectors}}");
    routes_by_meaning(&policy).await;
}

async fn routes_by_meaning(policy: &str) {
    let providers = ["east", "west", "vectors"];
    let rig = Rig::start_with(Topology::Failover, policy, &providers, Settings::default()).await;
    rig.provider("vectors").answer(crate::semantic::embedder());
    crate::semantic::primed(&rig).await;
    let ask = |words: &str| chat("whatever").say(words).path("/kitchen/chat/completions");
    for (words, model, provider) in [
        ("fix this python function", "gpt-4o-mini", "west"),
        ("how long do i boil an egg", "gpt-4o-mini", "east"),
        ("which river is the longest", "gpt-4o", "east"),
    ] {
        let answer = rig.send(ask(words)).await;
        assert_eq!((answer.model().as_str(), answer.provider()), (model, provider), "{}", answer.text());
    }
    assert_eq!(rig.provider("vectors").last().header("authorization"), "Bearer hunter-embedder");

    rig.provider("west").answer(Script::status(503));
    let answer = rig.send(ask("fix this python function")).await;
    assert_eq!((answer.status, answer.model().as_str(), answer.provider()), (200, "gpt-4o", "east"));
    rig.check_clean().await;
}

#[test]
fn what_the_import_prints_passes_a_strict_check_and_so_do_the_documents_it_was_made_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, documents) = (directory.path().join("policy.yaml"), "tests/import/platform/provider.yaml");
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).env("GEMINI_ACCOUNT_KEY", "hunter-gemini").output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        output.stdout
    };
    std::fs::write(&path, run(&["import", "api-platform", documents])).expect("writable");
    run(&["check", "--strict", path.to_str().expect("text")]);
    run(&["check", "--strict", documents]);
}

#[test]
fn a_format_is_recognised_and_said() {
    for (path, found) in [
        ("tests/import/apk/how-to.yaml", "found resources of WSO2 APK\n"),
        ("tests/import/apk/conf.yaml", "found resources of WSO2 APK\n"),
        ("tests/import/apim/intelligent", "found documents of WSO2 API Manager\n"),
        ("tests/import/platform/semantic", "found documents of WSO2 API Platform\n"),
    ] {
        let output = Command::new(binary()).args(["import", "auto", path]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.starts_with(found), "{path}: {said}");
    }
}
