//! `evaluate` on semantic policies: accuracy, thresholds compared, thresholds fitted.

use std::fs;
use std::process::{Command, Output};

use super::*;
use crate::rig::provider::Provider;

const CASES: &str = r#"{"content": "fix this python loop", "rule": "Coding"}
{"content": "write a function that sorts", "rule": "Coding"}
{"content": "what can i cook with an egg", "rule": "Cooking"}
{"content": "a recipe for rice soup", "rule": "Cooking"}
{"content": "which river runs through vienna"}
{"content": "who painted the last supper"}
"#;

async fn evaluate(more: &[&str]) -> Output {
    let vectors = Provider::named("vectors").await;
    vectors.answer(embedder());
    let directory = tempfile::tempdir().unwrap();
    let (policy_file, cases) = (directory.path().join("policy.yaml"), directory.path().join("cases.jsonl"));
    let policy = policy("", "", ROUTES).replace("{{vectors}}", &format!("http://{}", vectors.addr()));
    fs::write(&policy_file, policy.replace("{{east}}", "http://127.0.0.1:9").replace("{{west}}", "http://127.0.0.1:9"))
        .unwrap();
    fs::write(&cases, CASES).unwrap();
    let mut command = Command::new(crate::rig::router::binary());
    command.args(["evaluate", "--api", "assistant"]).args(more);
    command.arg("--policy").arg(policy_file).arg("--cases").arg(cases);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluate_compares_thresholds_on_the_same_scores() {
    let output = evaluate(&["--output", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(report["cases"], 6);
    let rows = report["thresholds"].as_array().expect("thresholds");
    let row =
        |rule: &str| rows.iter().find(|row| row["rule"] == rule).unwrap_or_else(|| panic!("no {rule} in {rows:?}"));
    assert_eq!(row("no threshold")["right_route"], 1.0);
    assert_eq!(row("no threshold")["none_found"], 0.0);
    assert_eq!(row("the policy's thresholds")["right"], report["accuracy"]);
    let wsos = rows.iter().find(|row| row["rule"] == "largest cosine alone").expect("their rule");
    assert!(wsos["none_found"] == 1.0 && wsos["false_none"].as_f64() > Some(0.7), "{wsos}");
    let text = String::from_utf8(evaluate(&[]).await.stdout).unwrap();
    for words in ["false none", "largest cosine alone", "auto, quantile 0.09", "latency: half within"] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fit_prints_a_threshold_to_paste() {
    let output = evaluate(&["--fit"]).await;
    let yaml = String::from_utf8(output.stdout).unwrap();
    assert!(yaml.contains("# after: 100.0 % right, 0.0 % false none, 100.0 % of none found"), "{yaml}");
    let threshold = yaml.lines().find_map(|line| line.strip_prefix("threshold: ")).expect("a threshold");
    assert!((0.05..0.95).contains(&threshold.parse::<f32>().unwrap()), "{yaml}");
}
