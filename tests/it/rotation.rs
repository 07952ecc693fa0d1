//! Secrets in files, changed while the router runs: each is in use within two seconds, the policy file untouched.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::check::production;
use crate::rig::ask::{Ask, chat, get};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::router::{Router, Settings};
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

/// From the change of a file to its use, at the default `--reload-interval`.
const IN_USE: Duration = Duration::from_secs(2);

const TOKEN: &str = "correct-horse-battery-staple";
const NEW_TOKEN: &str = "another-horse-another-staple";

const POLICY: &str = r#"
providers: { openai: { type: openai, models: [gpt-4o, gpt-4o-mini] } }
endpoints:
  east: { provider: openai, url: "{{east}}/v1", api_key: { file: EAST } }
classifiers:
  triage: { type: openai, url: "{{triage}}/v1/chat/completions", model: sorter, api_key: { file: TRIAGE } }
apis:
  - name: assistant
    base_path: /v1
    production:
      intelligent:
        classifier: triage
        rules: [{ name: Coding, context: Code related question, model: gpt-4o-mini, endpoint: east }]
        default: { model: gpt-4o, endpoint: east }
"#;

fn key_file(directory: &TempDir, name: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, format!("old-{name}\n")).unwrap();
    path
}

/// Sends different requests, which no cache answers, until `provider` is shown `credential`.
async fn check_in_use(rig: &Rig, provider: &str, credential: &str) {
    let changed = Instant::now();
    let mut number = 0;
    eventually("the new key", async || {
        number += 1;
        let question = json!([{ "role": "user", "content": format!("question {number}") }]);
        let ask = chat("any").edit(|body| body["messages"] = question.clone());
        assert_eq!(rig.send(ask).await.status, 200);
        (rig.provider(provider).last().header("authorization") == credential).then_some(())
    })
    .await;
    assert!(changed.elapsed() < IN_USE, "{:?}", changed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_file_of_an_endpoint_or_a_classifier_is_in_use_within_two_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let [east, triage] = ["east", "triage"].map(|name| key_file(&directory, name));
    let policy = POLICY.replace("EAST", &east.display().to_string()).replace("TRIAGE", &triage.display().to_string());
    let rig = Rig::start(Topology::Failover, &policy, &["east", "triage"]).await;
    rig.provider("triage").answer(Script::by(|_| Script::says("NONE")));
    for (provider, file) in [("triage", &triage), ("east", &east)] {
        check_in_use(&rig, provider, &format!("Bearer old-{provider}")).await;
        fs::write(file, format!("new-{provider}\n")).unwrap();
        check_in_use(&rig, provider, &format!("Bearer new-{provider}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_admin_token_is_asked_for_within_two_seconds_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, TOKEN).unwrap();
    let args = vec!["--admin-token-file".to_owned(), Path::display(&file).to_string()];
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }")
        .replace("{{east}}", "http://127.0.0.1:1");
    let router = Router::start_with(&policy, Settings { args, ..Settings::default() }).await;
    let with = |token: &str| -> Ask { get("/metrics").header("authorization", &format!("Bearer {token}")) };
    assert_eq!(send(router.admin(), with(TOKEN)).await.status, 200);

    fs::write(&file, NEW_TOKEN).unwrap();
    let changed = Instant::now();
    eventually("the new token", async || (send(router.admin(), with(NEW_TOKEN)).await.status == 200).then_some(()))
        .await;
    assert!(changed.elapsed() < IN_USE, "{:?}", changed.elapsed());
    assert_eq!(send(router.admin(), with(TOKEN)).await.status, 401, "the old one is worth nothing");

    fs::write(&file, "short").unwrap();
    router.logged("the refused token", |line| line.contains("admin token refused")).await;
    assert_eq!(send(router.admin(), with(NEW_TOKEN)).await.status, 200, "the last good one stays");
}
