//! Golden files: the policy and the report that each input yields. `BLESS=1` writes them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::policy_file::{Compiled, MissingSecrets, Secrets};
use crate::routing::registry::Registry;

/// Every file or directory of `tests/import/FORMAT` that is no golden file itself.
fn inputs(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there").map(|entry| entry.expect("readable").path());
    let is_input = |path: &PathBuf| {
        path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml" || extension == "json")
    };
    let mut inputs: Vec<_> = entries.filter(is_input).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{directory} has inputs");
    inputs
}

#[track_caller]
fn golden(path: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, found).expect("writable");
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
    assert_eq!(found, expected, "{}", path.display());
}

fn reported(problems: &Problems, directory: &str) -> String {
    let report = anstream::adapter::strip_str(&format!("{}\n", problems.explained())).to_string();
    report.replace(&format!("{directory}/"), "")
}

/// The policy and the report beside it; `.policy` and `.report`, which are no policy files to a directory.
#[track_caller]
fn becomes(format: Format, directory: &str) {
    for path in inputs(directory) {
        let imported =
            import(Some(format), std::slice::from_ref(&path), false).unwrap_or_else(|problems| panic!("{problems}"));
        let report = reported(&imported.warnings, directory);
        assert!(!report.contains("hunter") && !imported.policy.contains("hunter"), "{report}{}", imported.policy);
        golden(&path.with_extension("policy"), &imported.policy.replace(&format!("{directory}/"), ""));
        golden(&path.with_extension("report"), &report);
    }
}

#[track_caller]
fn refused(format: Format, directory: &str) {
    for path in inputs(directory) {
        let problems = import(Some(format), std::slice::from_ref(&path), false).expect_err("has an error");
        let report = reported(&problems, directory);
        assert!(!report.contains("hunter") && !problems.to_string().contains("hunter"), "{report}");
        golden(&path.with_extension("report"), &report);
    }
}

#[test]
fn apk_resources_become_policies() {
    becomes(Format::Apk, "tests/import/apk");
}

#[test]
fn malformed_apk_resources_are_reported_as_expected() {
    refused(Format::Apk, "tests/import/apk-invalid");
}

#[test]
fn documents_of_api_manager_become_policies() {
    becomes(Format::Apim, "tests/import/apim");
}

#[test]
fn malformed_documents_of_api_manager_are_reported_as_expected() {
    refused(Format::Apim, "tests/import/apim-invalid");
}

#[test]
fn documents_of_api_platform_become_policies() {
    becomes(Format::ApiPlatform, "tests/import/platform");
}

#[test]
fn malformed_documents_of_api_platform_are_reported_as_expected() {
    refused(Format::ApiPlatform, "tests/import/platform-invalid");
}

#[test]
fn a_large_document_is_imported_in_a_moment() {
    let one = |index: usize| {
        format!(
            "---\napiVersion: gateway.api-platform.wso2.com/v1\nkind: LlmProvider\nmetadata: {{ name: account-{index} }}\nspec:\n  \
             template: openai\n  context: /account-{index}\n  upstream: {{ url: \"https://account-{index}.example.com/v1\" }}\n  \
             policies:\n    - {{ name: model-round-robin, version: v1, paths: [{{ path: /*, methods: [POST], params: {{ models: [{{ \
             model: m }}] }} }}] }}\n"
        )
    };
    let text: String = (0..1_000).map(one).collect();
    let mut report = Report::default();
    let file = report.add_file("large", Path::new(""), &text);
    let documents = yaml::documents(&text, file, |_| true, &mut report).expect("YAML");
    let draft = platform::translate(&documents, true, &mut report);
    assert_eq!((draft.apis.len(), draft.endpoints.len()), (1_000, 1_000));
}

#[test]
fn documents_of_api_platform_use_an_embedder_of_a_policy_file_beside_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let documents = fs::read_to_string("tests/import/platform/semantic/documents.yaml").expect("readable");
    fs::write(directory.path().join("documents.yaml"), documents).expect("writable");
    let own =
        "embedders: { embedding-provider: { type: openai, url: \"https://v.example.com/v1/embeddings\", model: m } }\n";
    fs::write(directory.path().join("own.yaml"), own).expect("writable");
    let api = compiled(directory.path(), &[]).snapshot.apis.iter().next().map(|api| api.name.to_string());
    assert_eq!(api.as_deref(), Some("kitchen"));
}

#[test]
fn an_import_prints_the_same_bytes_each_time_and_they_are_a_policy() {
    for (format, directory) in [
        (Format::Apk, "tests/import/apk"),
        (Format::Apim, "tests/import/apim"),
        (Format::ApiPlatform, "tests/import/platform"),
    ] {
        for path in inputs(directory) {
            let policy = || import(Some(format), std::slice::from_ref(&path), false).expect("valid").policy;
            let first = policy();
            assert_eq!(first, policy(), "{}", path.display());
            let compiled = policy_file::read_bytes("policy.yaml", first.as_bytes(), &Registry::default());
            compiled.unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        }
    }
}

fn compiled(path: &Path, variables: &[(&str, &str)]) -> Compiled {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let secrets = Secrets::new(variables, MissingSecrets::Refuse);
    let read = policy_file::read(&[path.to_owned()], &secrets, &Registry::default(), 1);
    read.result.unwrap_or_else(|problems| panic!("{problems}"))
}

proptest! {
    /// Whatever breaks in another gateway's documents: there is a policy or a report.
    #[test]
    fn mangled_documents_never_panic(at in 0..10_000_usize, cut in 0..60_usize, put in "[-:\\[\\]{}&*!|>'\"%#,? \\n\\ta-c0-9./]{0,8}") {
        for text in [
            include_str!("../../../tests/import/apk/everything.yaml"),
            include_str!("../../../tests/import/apim/round-robin/api.yaml"),
            include_str!("../../../tests/import/apim/failover/api.yaml"),
            include_str!("../../../tests/import/apim/semantic/api.yaml"),
            include_str!("../../../tests/import/apim/intelligent/deployment.toml"),
            include_str!("../../../tests/import/platform/weighted.yaml"),
            include_str!("../../../tests/import/platform/semantic/documents.yaml"),
            include_str!("../../../tests/import/platform/rest-api.yaml"),
        ] {
            let start = at % text.len();
            let end = (start + cut).min(text.len());
            let mangled = format!("{}{put}{}", &text[..start], &text[end..]);
            let mut report = Report::default();
            let file = report.add_file("mangled", Path::new(""), &mangled);
            if text.contains("[apim.ai]") {
                settings::read(&mangled, file, &mut report);
                continue;
            }
            let documents = yaml::documents(&mangled, file, |_| true, &mut report).unwrap_or_default();
            let draft = if text.contains("api-platform") {
                platform::translate(&documents, true, &mut report)
            } else if text.contains("kind:") {
                apk::translate(&documents, &mut report)
            } else {
                apim::translate(&documents, &mut report)
            };
            print::print(&draft, true);
        }
    }
}

/// Everything that a policy was compiled to, credentials included.
fn whole(compiled: &Compiled) -> String {
    let mut whole = String::new();
    for api in compiled.snapshot.apis.iter() {
        whole += &format!("{api:#?}\n");
        for policy in api.production.iter().chain(&api.sandbox) {
            for target in policy.targets.iter() {
                whole += &match &target.endpoint.credential {
                    crate::routing::endpoint::Credential::Header(name, secret) => {
                        format!("{name}: {}\n", secret.expose())
                    }
                    crate::routing::endpoint::Credential::Query(name, secret) => {
                        format!("{name}={}\n", secret.expose())
                    }
                    other => format!("{other:?}\n"),
                };
            }
        }
    }
    whole
}

#[test]
fn manifests_and_the_imported_file_give_the_same_policy() {
    for (format, path, variables) in [
        (
            Format::Apk,
            "tests/import/apk/how-to.yaml",
            &[("LLM_EAST_KEY_APIKEY", "hunter-east"), ("LLM_WEST_KEY_APIKEY", "hunter-west")][..],
        ),
        (
            Format::Apk,
            "tests/import/apk/everything.yaml",
            &[("KEYS_LARGE", "hunter-large"), ("KEYS_SMALL", "me:hunter-small")],
        ),
        (
            Format::Apk,
            "tests/import/apk/conf.yaml",
            &[("LLM_EAST_KEY_APIKEY", "hunter-east"), ("LLM_WEST_KEY_PASSWORD", "me:hunter-west")],
        ),
        (
            Format::ApiPlatform,
            "tests/import/platform/round-robin.yaml",
            &[("EAST_KEY", "hunter-east"), ("WEST_KEY_AUTHORIZATION", "hunter-west")],
        ),
        (Format::ApiPlatform, "tests/import/platform/provider.yaml", &[("GEMINI_ACCOUNT_KEY", "hunter-gemini")]),
    ] {
        let manifests = whole(&compiled(Path::new(path), variables));
        assert!(manifests.contains("hunter-"), "{manifests}");
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("policy.yaml");
        for (inline_secrets, variables) in [(false, variables), (true, variables)] {
            let imported = import(Some(format), &[path.into()], inline_secrets).expect("valid");
            fs::write(&file, imported.policy).expect("writable");
            assert_eq!(whole(&compiled(&file, variables)), manifests, "{path}, inline secrets: {inline_secrets}");
        }
    }
}

#[test]
fn secrets_of_manifests_are_inline_without_a_warning_and_printed_only_when_asked_for() {
    let path = Path::new("tests/import/apk/how-to.yaml");
    let warnings = compiled(path, &[]).warnings.to_string();
    assert!(!warnings.contains("a key in the policy file"), "{warnings}");
    let imported = import(Some(Format::Apk), &[path.to_owned()], true).expect("valid");
    assert!(imported.policy.contains("{ value: hunter-east }"), "{}", imported.policy);
}

#[test]
fn manifests_stand_beside_policy_files_and_in_several_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = fs::read_to_string("tests/import/apk/how-to.yaml").expect("readable");
    for (index, document) in text.split("\n---\n").enumerate() {
        fs::write(directory.path().join(format!("{index}.yaml")), document).expect("writable");
    }
    fs::write(directory.path().join("own.yaml"), "defaults: { attempts: 2 }\n").expect("writable");
    let compiled = compiled(directory.path(), &[]);
    let api = compiled.snapshot.apis.iter().next().expect("an API");
    let limits = api.production.as_ref().expect("a policy").limits;
    assert_eq!((&*api.name, limits.attempts.get(), limits.suspend.as_secs()), ("helpdesk-llm", 2, 0));
    assert_eq!(limits.quota_suspend.map(|suspend| suspend.as_secs()), Some(60));
}
