//! Policy files: the shipped ones load, and each mistake under `tests/policies/invalid` is reported as expected.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use model_router::policy_file::{self, Compiled, MissingSecrets, Problems, Secrets};
use model_router::routing::registry::Registry;
use serde_json::Value;

use crate::rig::router::binary;

fn secrets(missing: MissingSecrets) -> Secrets {
    let examples = [
        "ANTHROPIC_KEY",
        "AZURE_FOUNDRY_KEY",
        "AZURE_FRANCE_KEY",
        "AZURE_SWEDEN_KEY",
        "BEDROCK_EAST_KEY",
        "GEMINI_KEY",
        "GEMINI_OTHER_KEY",
        "OPENAI_EAST_KEY",
        "OPENAI_WEST_KEY",
        "TRIAGE_KEY",
        "EMBEDDINGS_KEY",
    ];
    let variables = examples.map(|name| (name, "key")).into_iter().chain([("EMPTY_KEY", "")]);
    Secrets::new(variables.map(|(name, value)| (OsString::from(name), OsString::from(value))), missing)
}

fn read(path: &Path) -> Result<Compiled, Problems> {
    policy_file::read(&[path.to_owned()], &secrets(MissingSecrets::Refuse), &Registry::default(), 1).result
}

/// What a directory has that a policy can be read from: files, or directories of them.
fn policies(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    let is_policy = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        path.is_dir() || (["yaml", "json"].contains(&extension) && !path.ends_with("policy.schema.json"))
    };
    paths.retain(is_policy);
    paths.sort();
    assert!(!paths.is_empty(), "{directory} has policies");
    paths
}

#[test]
fn shipped_policies_load_without_a_problem() {
    for path in policies("envoy/policies") {
        let compiled = read(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(compiled.warnings.to_string(), "", "{}", path.display());
    }
}

/// The README and the pages below `docs/`, those in folders included.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    let mut directories = vec![PathBuf::from("docs")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the directory is there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Every block of YAML in the README and in the docs is a policy, unless it is marked as a fragment.
#[test]
fn policies_in_the_docs_load_without_a_problem() {
    let mut count = 0;
    for page in pages() {
        let (name, text) = (page.display().to_string(), fs::read_to_string(&page).expect("readable"));
        for block in text.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()) {
            let read = policy_file::read_bytes(&name, block.as_bytes(), &Registry::default());
            let compiled = read.unwrap_or_else(|problems| panic!("{}", problems.explained()));
            assert_eq!(compiled.warnings.to_string(), "", "{name}");
            count += 1;
        }
    }
    assert!(count > 1, "the README and the policy file's page have one each");
}

/// `BLESS=1` writes the reports down instead; look at what changed before it is committed.
#[test]
fn mistakes_are_reported_as_expected() {
    let directory = "tests/policies/invalid";
    for path in policies(directory) {
        let problems = read(&path).expect_err("has an error");
        let report = anstream::adapter::strip_str(&format!("{}\n", problems.explained())).to_string();
        let report = report.replace(&format!("{directory}/"), "");
        assert!(!report.contains("hunter"), "{report}");
        let expected = path.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, report).expect("writable");
            continue;
        }
        assert_eq!(report, fs::read_to_string(&expected).expect("a report beside the file"), "{}", path.display());
    }
}

/// The secrets of these files begin with `hunter`; neither form of `check`'s output, nor the log's, has one.
#[test]
fn no_form_of_a_report_shows_a_secret() {
    for path in policies("tests/policies/invalid") {
        for arguments in [&["--output", "json"][..], &["--strict"]] {
            let output = check(&path, arguments);
            let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
            assert!(!out.contains("hunter") && !err.contains("hunter"), "{out}{err}");
        }
        assert!(!read(&path).expect_err("has an error").to_string().contains("hunter"));
    }
}

fn check(path: &Path, arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(binary()).arg("check").arg(path).args(arguments).output().expect("it runs")
}

#[test]
fn check_is_plain_in_a_pipe_and_json_for_programs() {
    let path = Path::new("tests/policies/invalid/five-at-once.yaml");
    let text = String::from_utf8(check(path, &[]).stdout).expect("text");
    assert!(text.contains("\n  5 | defaults: { suspend: 30 }\n    |                      ^^\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");

    let output = check(path, &["--output", "json"]);
    let problems: Vec<Value> = serde_json::from_slice(&output.stdout).expect("one array");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(problems.len(), 5);
    let expected = serde_json::json!({
        "file": path, "line": 5, "column": 22, "severity": "error",
        "message": "the duration `30` has no unit", "help": "write `30s` for seconds",
    });
    assert_eq!(problems[1], expected);
    let summary = String::from_utf8(output.stderr).expect("text");
    assert_eq!(summary, format!("model-router: {} can't be used\n", path.display()));
}

#[test]
fn check_takes_several_files_as_one_policy() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let text = fs::read_to_string("envoy/policies/round-robin.yaml").expect("readable");
    let (platform, apis) = text.split_once("apis:").expect("APIs");
    fs::write(at("platform.yaml"), platform).expect("writable");
    fs::write(at("chat.yml"), format!("apis:{apis}")).expect("writable");
    fs::write(at(".hidden.yaml"), "apis: 7").expect("writable");
    fs::write(at("notes.txt"), "apis: 7").expect("writable");
    for paths in [vec![at("")], vec![at("chat.yml"), at("platform.yaml")]] {
        let mut command = std::process::Command::new(binary());
        let output = command.arg("check").args(paths).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.ends_with(": good (1 API)\n"), "{text}");
    }
    let alone = check(&at("chat.yml"), &[]);
    let text = String::from_utf8(alone.stdout).expect("text");
    assert!(text.contains("keys `providers` and `endpoints` are missing"), "{text}");
}
