//! Policies tried out before they take traffic: `explain` and `evaluate`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::provider::Provider;
use crate::rig::router::binary;
use crate::rig::script::Script;

const DIRECTORY: &str = "tests/explain";

/// A classifier that knows code by the word Python, and the policy that asks it.
async fn classifier() -> (Provider, TempDir) {
    let triage = Provider::named("triage").await;
    triage.answer(Script::by(|request| {
        let asked = request.json()["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        Script::says(if asked.contains("Python") { "Coding." } else { r#"{"rule":"NONE"}"# })
    }));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let policy = fs::read_to_string(format!("{DIRECTORY}/policy.yaml")).expect("readable");
    let policy = policy.replace("{{triage}}", &format!("http://{}", triage.addr()));
    fs::write(directory.path().join("policy.yaml"), policy).expect("writable");
    (triage, directory)
}

async fn run(command: &str, policy: &Path, arguments: &[&str]) -> Output {
    let mut run = Command::new(binary());
    run.arg(command).arg("--policy").arg(policy).args(arguments).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || run.output().expect("the router's binary runs")).await.expect("no panic")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What is not the same in every run.
fn settled(explained: &str, triage: &Provider) -> String {
    let explained = explained.replace(&triage.addr().to_string(), "TRIAGE");
    let lines = explained.lines().map(|line| match (line.starts_with("verdict"), line.find(" in ")) {
        (true, Some(at)) => format!("{} in N ms{}\n", &line[..at], line.split_once(" ms").map_or("", |(_, rest)| rest)),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn requests() -> Vec<PathBuf> {
    let files = fs::read_dir(DIRECTORY).expect("there are requests").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "http")).collect();
    files.sort();
    files
}

/// `BLESS=1` writes the explanations down instead; look at what changed before it is committed.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_kind_are_explained_as_expected() {
    let (triage, directory) = classifier().await;
    let policy = directory.path().join("policy.yaml");
    assert!(requests().len() >= 8);
    for request in requests() {
        let output = run("explain", &policy, &["--request", request.to_str().expect("UTF-8")]).await;
        assert!(output.status.success(), "{}: {}", request.display(), text(&output.stderr));
        let explained = settled(&text(&output.stdout), &triage);
        let expected = request.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &explained).expect("writable");
        }
        assert_eq!(explained, fs::read_to_string(&expected).unwrap_or_default(), "{}", request.display());
        for key in ["key-of-", "of-the-client"] {
            assert!(!explained.contains(key), "{} shows a credential:\n{explained}", request.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_for_programs_has_the_same_and_asks_nobody_if_told_so() {
    let (triage, directory) = classifier().await;
    let policy = directory.path().join("policy.yaml");
    let request = format!("{DIRECTORY}/4-intelligent-matched.http");
    let output = run("explain", &policy, &["--request", &request, "--output", "json", "--no-call"]).await;
    let explained: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(triage.hits(), 0);
    assert_eq!(explained["classification"]["verdict"], "not_asked");
    assert_eq!(explained["classification"]["prompt"]["messages"][1]["role"], "user");
    assert_eq!(explained["candidates"], json!([{ "model": "gpt-4o", "endpoint": "east", "fate": "taken" }]));
    assert_eq!(explained["outcome"], json!({ "sent": { "cluster": "east" } }));
    let request = format!("{DIRECTORY}/1-round-robin.http");
    let output =
        run("explain", &policy, &["--request", &request, "--output", "json", "--environment", "sandbox"]).await;
    let explained: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        explained["route"],
        json!({ "api": "turns", "environment": "sandbox", "policy": "weighted_round_robin" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_told() {
    let (_triage, directory) = classifier().await;
    let policy = directory.path().join("policy.yaml");
    for (request, message) in [
        ("hello", "expected a request such as"),
        ("POST / HTTP/1.1\nno-colon\n\n", "expected a request such as"),
        ("", "the headers have no end"),
    ] {
        let file = directory.path().join("request.http");
        fs::write(&file, request).expect("writable");
        let output = run("explain", &policy, &["--request", file.to_str().expect("UTF-8")]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(message), "{request:?}: {}", text(&output.stderr));
    }
}

/// 60 prompts, of which the classifier gets six wrong.
fn cases() -> String {
    let case = |number: usize| match number {
        3 | 23 => json!({ "content": format!("number {number}: a question about Java"), "rule": "coding" }),
        13 => json!({ "request": { "input": format!("number {number}: Perl") }, "rule": "Coding" }),
        33 | 43 | 53 => {
            json!({ "content": format!("number {number}: are Pythons, like the Python regius, dangerous?") })
        }
        _ if number.is_multiple_of(2) => {
            json!({ "content": format!("number {number}: a Python question"), "rule": "Coding" })
        }
        _ => json!({ "content": format!("number {number}: the weather"), "rule": "NONE" }),
    };
    (1..=60).map(|number| format!("{}\n", case(number))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_names_the_misses_and_its_status_says_whether_they_are_too_many() {
    let (triage, directory) = classifier().await;
    let (policy, file) = (directory.path().join("policy.yaml"), directory.path().join("cases.jsonl"));
    fs::write(&file, cases()).expect("writable");
    let arguments = ["--api", "assistant", "--cases", file.to_str().expect("UTF-8"), "--min-accuracy"];
    let output = run("evaluate", &policy, &[&arguments[..], &["0.9"]].concat()).await;
    let report = text(&output.stdout);
    println!("{report}");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(report.starts_with("60 cases, 54 right: 90.0 %\n"), "{report}");
    let misses: Vec<_> = report.lines().filter_map(|line| line.strip_prefix("line ")?.split_once(':')).collect();
    assert_eq!(misses.iter().map(|(line, _)| *line).collect::<Vec<_>>(), ["3", "13", "23", "33", "43", "53"]);
    assert!(misses[0].1.starts_with(" expected Coding, got NONE"), "{}", misses[0].1);
    assert!(report.contains("tokens: 60 of prompts, 60 of answers"), "{report}");
    assert_eq!(triage.hits(), 60);

    let output = run("evaluate", &policy, &[&arguments[..], &["0.95", "--output", "json"]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("less than 95.0 %"), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        report["confusion"],
        json!({ "Coding": { "Coding": 30, "NONE": 3 }, "NONE": { "Coding": 3, "NONE": 24 } })
    );
    assert_eq!(triage.hits(), 120, "an evaluation remembers nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_counts_no_failure_as_right_and_makes_none_itself() {
    let (triage, directory) = classifier().await;
    triage.answer(Script::by(|request| {
        let asked = request.json()["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        if asked.contains("lost") {
            Script::status(400)
        } else {
            Script::says("error").after(Duration::from_millis(50))
        }
    }));
    let (policy, file) = (directory.path().join("policy.yaml"), directory.path().join("cases.jsonl"));
    let text = fs::read_to_string(&policy).expect("readable");
    // One call at a time, and a rule that is named like a failure.
    let text = text.replace("name: Coding", "name: error").replace("  triage:\n", "  triage:\n    concurrency: 1\n");
    fs::write(&policy, text).expect("writable");
    let mut cases: Vec<_> =
        (0..8).map(|number| json!({ "content": format!("case {number}"), "rule": "error" })).collect();
    cases.push(json!({ "content": "lost", "rule": "error" }));
    cases.extend((0..9).map(|_| json!({ "request": {}, "rule": "error" })));
    fs::write(&file, cases.iter().map(|case| format!("{case}\n")).collect::<String>()).expect("writable");
    let arguments = ["--api", "assistant", "--cases", file.to_str().expect("UTF-8"), "--output", "json"];
    let output = run("evaluate", &policy, &arguments).await;
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["confusion"], json!({ "error": { "error": 8, "(error)": 1, "(content_missing)": 9 } }));
    assert_eq!((&report["right"], triage.hits()), (&json!(8), 9));
    assert!(report["latency"]["p50_ms"].as_u64().is_some_and(|p50| p50 >= 50), "{}", report["latency"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_asks_about_each_case_however_many_have_failed() {
    let (triage, directory) = classifier().await;
    let (policy, file) = (directory.path().join("policy.yaml"), directory.path().join("cases.jsonl"));
    fs::write(&file, cases()).expect("writable");
    triage.answer(Script::by(|request| {
        let asked = request.json()["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        if asked.contains("weather") { Script::status(429) } else { Script::says("Coding") }
    }));
    let output = run("evaluate", &policy, &["--api", "assistant", "--cases", file.to_str().expect("UTF-8")]).await;
    let report = text(&output.stdout);
    assert!(report.contains("(error)") && !report.contains("breaker_open"), "{report}");
    assert_eq!(triage.hits(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_of_what_is_not_there_is_told() {
    let (_triage, directory) = classifier().await;
    let (policy, file) = (directory.path().join("policy.yaml"), directory.path().join("cases.jsonl"));
    for (api, cases, message) in [
        ("assistants", "{\"content\": \"x\"}", "there is no API `assistants`; there are `turns`"),
        ("turns", "{\"content\": \"x\"}", "the API `turns` is `round_robin` in production"),
        ("assistant", "", "there are no cases; expected"),
        (
            "assistant",
            "\n{\"content\": \"x\", \"rule\": \"Cooking\"}",
            "line 2: there is no rule `Cooking`; there are `Coding` and `NONE`",
        ),
        ("assistant", "{\"contents\": \"x\"}", "line 1: unknown field `contents`"),
        ("assistant", "{\"content\": \"x\", \"request\": {}}", "line 1: expected `{\"content\""),
    ] {
        fs::write(&file, cases).expect("writable");
        let output = run("evaluate", &policy, &["--api", api, "--cases", file.to_str().expect("UTF-8")]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(message), "{api} {cases}: {}", text(&output.stderr));
    }
}
