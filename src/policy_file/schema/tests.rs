use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::document::problem::Report;
use crate::document::yaml;

const DIRECTORY: &str = "envoy/policies";
const FILE: &str = "envoy/policies/policy.schema.json";

fn json_of(text: &str) -> Value {
    let mut report = Report::default();
    let file = report.add_file("", Path::new(""), text);
    let node = yaml::parse(text, file, &mut report).expect("YAML");
    serde_json::from_str(&node.json().expect("JSON")).expect("JSON")
}

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(DIRECTORY).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files
}

/// `BLESS=1` writes the schema down.
#[test]
fn the_schema_beside_the_examples_is_up_to_date() {
    if std::env::var_os("BLESS").is_some() {
        fs::write(FILE, schema()).expect("writable");
    }
    assert_eq!(fs::read_to_string(FILE).expect("a schema"), schema(), "BLESS=1 cargo test schema");
}

#[test]
fn every_example_names_the_schema_and_is_valid() {
    let validator = jsonschema::validator_for(&json_of(&schema())).expect("a schema");
    for path in examples() {
        let text = fs::read_to_string(&path).expect("readable");
        let first = text.lines().next();
        assert_eq!(first, Some("# yaml-language-server: $schema=policy.schema.json"), "{}", path.display());
        let errors: Vec<_> = validator.iter_errors(&json_of(&text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn what_the_schema_can_know_to_be_wrong_is_invalid() {
    let validator = jsonschema::validator_for(&json_of(&schema())).expect("a schema");
    let target = json!({ "model": "m", "endpoint": "e" });
    let api = |policy: Value| json!({ "apis": [{ "name": "a", "production": policy }] });
    let valid = api(json!({ "round_robin": { "suspend": "1m 30s", "targets": [target] } }));
    assert!(validator.is_valid(&valid));
    let turns = json!({ "targets": [target] });
    let entry = |entry: Value| api(json!({ "by_model": { "entries": [entry] } }));
    assert!(validator.is_valid(&entry(json!({ "models": ["fast"], "round_robin": turns }))));
    for invalid in [
        entry(json!({ "models": ["fast"] })),
        entry(json!({ "models": [], "round_robin": turns })),
        entry(json!({ "models": ["fast"], "round_robin": turns, "weighted_round_robin": turns })),
        json!([]),
        json!({ "api": [] }),
        json!({ "providers": { "p": { "type": "openia", "models": ["m"] } } }),
        json!({ "providers": { "p": { "type": "openai" } } }),
        json!({ "endpoints": { "e": { "provider": "p", "url": "api.openai.com/v1" } } }),
        json!({ "endpoints": { "e": { "provider": "p", "url": "https://a", "api_key": "sk-1" } } }),
        json!({ "endpoints": { "e": { "provider": "p", "url": "https://a", "api_key": { "env": "A", "file": "b" } } } }),
        json!({ "defaults": { "suspend": 30 } }),
        json!({ "defaults": { "suspend": "30" } }),
        json!({ "defaults": { "attempts": 0 } }),
        json!({ "unmatched": "allow" }),
        json!({ "apis": [{ "production": { "round_robin": { "targets": [target] } } }] }),
        json!({ "apis": [{ "name": "a", "base_path": "v1" }] }),
        json!({ "apis": [{ "name": "a", "operations": ["chat"] }] }),
        api(json!({ "round_robin": { "targets": [] } })),
        api(json!({ "random": { "targets": [target] } })),
        api(json!({ "round_robin": { "targets": [{ "model": "m", "endpoint": "e", "weight": -1 }] } })),
        api(json!({ "round_robin": { "targets": [{ "model": "m", "endpoint": "e", "body": { "drop": ["a"] } }] } })),
    ] {
        assert!(!validator.is_valid(&invalid), "{invalid}");
    }
}
