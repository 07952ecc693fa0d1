//! Identity: a policy is another one as soon as one of its secrets is, whichever kind of secret it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const POLICY: &str = r#"
providers: { openai: { type: openai, models: [gpt, mini] } }
endpoints:
  east: { provider: openai, url: "https://east.example/v1", api_key: { env: EAST } }
  files: { provider: openai, url: "https://files.example/v1", api_key: { env: FILES } }
classifiers:
  triage: { type: openai, url: "https://triage.example/v1/chat/completions", model: mini, api_key: { env: TRIAGE } }
embedders:
  vectors: { type: openai, url: "https://vectors.example/v1/embeddings", model: mini, api_key: { env: VECTORS } }
apis:
- name: chat
  production:
    intelligent:
      classifier: triage
      stateful_endpoint: files
      rules: [{ name: Coding, context: Code, model: mini, endpoint: east }]
      default: { model: gpt, endpoint: east }
  sandbox:
    semantic:
      embedder: vectors
      routes: [{ name: Coding, utterances: [fix this loop, why does it crash], model: mini, endpoint: east }]
      default: { model: gpt, endpoint: east }
"#;

/// Every place of a policy file that refers to a secret, as the schema names it, with a variable of [`POLICY`] there.
const KINDS: [(&str, &[&str]); 3] =
    [("Endpoint.api_key", &["EAST", "FILES"]), ("Classifier.api_key", &["TRIAGE"]), ("Embedder.api_key", &["VECTORS"])];

fn snapshot(rotated: Option<&str>) -> Snapshot {
    let value = |name: &str| if rotated == Some(name) { "new" } else { "old" };
    let variables = KINDS.iter().flat_map(|(_, names)| *names).map(|name| ((*name).into(), value(name).into()));
    let secrets = Secrets::new(variables, MissingSecrets::Refuse);
    let loaded = parse_text(POLICY.as_bytes()).expect("valid");
    compile(loaded, &secrets, &Registry::default(), 1, &mut Vec::new()).expect("valid").snapshot
}

#[test]
fn a_rotated_secret_of_any_kind_makes_another_policy() {
    let first = snapshot(None);
    assert!(first.is_same(&snapshot(None)));
    for name in KINDS.iter().flat_map(|(_, names)| *names) {
        assert!(!first.is_same(&snapshot(Some(name))), "{name}");
    }
}

#[test]
fn every_kind_of_secret_has_a_test() {
    let schema: Value = serde_json::from_str(&schema()).expect("JSON");
    let definitions = schema["$defs"].as_object().expect("definitions");
    let refers = |value: &Value| value.to_string().contains("#/$defs/ApiKey\"");
    let kinds: BTreeSet<_> = definitions
        .iter()
        .filter(|(definition, _)| *definition != "ApiKey")
        .flat_map(|(definition, schema)| {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.filter(|(_, value)| refers(value)).map(move |(key, _)| format!("{definition}.{key}"))
        })
        .collect();
    assert_eq!(
        kinds,
        KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect(),
        "add the new kind to KINDS and POLICY"
    );
    let elsewhere = definitions.iter().filter(|(_, schema)| refers(schema) && schema.get("properties").is_none());
    assert_eq!(elsewhere.count(), 0, "a secret outside a map's keys is not seen by this test");
}
