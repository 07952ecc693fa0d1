//! Policy files: the shipped ones load, and each mistake under `tests/policies/invalid` is reported as expected.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use model_router::config::{self, Compiled, MissingSecrets, Problems, Secrets};
use model_router::health::Registry;

fn secrets(missing: MissingSecrets) -> Secrets {
    let variables = [("OPENAI_EAST_KEY", "east"), ("OPENAI_WEST_KEY", "west")];
    Secrets::new(variables.map(|(name, value)| (OsString::from(name), OsString::from(value))), missing)
}

fn read(path: &Path) -> Result<Compiled, Problems> {
    config::read(path, &secrets(MissingSecrets::Refuse), &Registry::default(), 1).result
}

fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "{directory} has policy files");
    files
}

#[test]
fn shipped_policies_load_without_a_problem() {
    for path in yaml_files("envoy/policies") {
        let compiled = read(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(compiled.warnings.to_string(), "", "{}", path.display());
    }
}

/// `BLESS=1` writes the reports down instead; look at what changed before it is committed.
#[test]
fn mistakes_are_reported_as_expected() {
    let directory = "tests/policies/invalid";
    for path in yaml_files(directory) {
        let problems = read(&path).expect_err("has an error");
        let report = format!("{problems}\n").replace(&format!("{directory}/"), "");
        let expected = path.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, report).expect("writable");
            continue;
        }
        assert_eq!(report, fs::read_to_string(&expected).expect("a report beside the file"), "{}", path.display());
    }
}
