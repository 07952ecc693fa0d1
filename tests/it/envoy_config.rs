//! Envoy's configuration for a policy, as `model-router envoy-config` prints it.

mod attached; // On a listener that serves other things.
mod followed; // Clusters that the router keeps up to date.
mod host;
mod merged; // What `--merge` makes of files that exist.
mod socket; // What the host's websocket upstream does.
mod tls; // Certificates of providers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::rig::envoy::{bootstrap_of_clusters, root, validate};
use crate::rig::router::binary;

const TOPOLOGIES: [&str; 2] = ["attach", "failover"];

/// Signed by Envoy.
const BEDROCK: &str = "  aws: { provider: aws, url: 'https://bedrock-runtime.us-east-1.amazonaws.com', auth: { aws_sigv4: { region: us-east-1 } } }\n";

fn run(policy: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("envoy-config").arg("--policy").arg(policy).args(arguments).output().expect("it runs")
}

/// What is printed for a policy.
#[track_caller]
fn printed(policy: &Path, arguments: &[&str]) -> String {
    let output = run(policy, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("envoy/policies")).expect("there are examples");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[track_caller]
fn check_valid(what: &str, config: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file").into_temp_path().with_extension("yaml");
    fs::write(&file, config).expect("writable");
    let output = validate(&file);
    let _ = fs::remove_file(&file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("eprecated"), "{what}: {said}\n{config}");
}

#[test]
fn envoy_accepts_every_output_for_every_example() {
    let examples = examples();
    assert!(examples.len() >= 5);
    for policy in &examples {
        let clusters = printed(policy, &["--output", "clusters"]);
        check_valid(&format!("{} clusters", policy.display()), &bootstrap_of_clusters(&clusters));
        for topology in TOPOLOGIES {
            let what = format!("{} {topology}", policy.display());
            check_valid(&what, &printed(policy, &["--topology", topology]));
            let fragment = printed(policy, &["--topology", topology, "--output", "fragment"]);
            check_valid(&format!("{what} fragment"), &host::with(&fragment, host::NOBODY));
            let merged = merged::merged(policy, &host::without(host::NOBODY), &["--topology", topology]);
            check_valid(&format!("{what} merged"), &merged);
        }
    }
}

#[test]
fn envoy_accepts_every_kind_of_cluster_and_address() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    let urls =
        ["https://a.test/v1", "http://b.test:8000", "https://127.0.0.1:8443", "http://[::1]:11434", "http://10.0.0.1"];
    let endpoints: Vec<_> = urls
        .iter()
        .enumerate()
        .map(|(n, url)| {
            format!("  e{n}: {{ provider: p, url: '{url}' }}\n  'x:{n}': {{ provider: p, url: '{url}' }}\n")
        })
        .collect();
    let targets: Vec<_> =
        (0..urls.len()).map(|n| format!("{{ model: m, endpoint: e{n} }}, {{ model: m, endpoint: 'x:{n}' }}")).collect();
    let text = format!(
        "providers:\n  p: {{ type: openai, models: [m] }}\n  aws: {{ type: aws_bedrock, models: [m] }}\nendpoints:\n{}{BEDROCK}apis: [ {{ name: a, base_path: /v1.0, hosts: ['*.a.test'], \
         production: {{ round_robin: {{ targets: [ {} ] }} }} }},
         {{ name: b, base_path: /aws, production: {{ round_robin: {{ targets: [ {{ model: m, endpoint: aws }} ] }} }} }} ]\n",
        endpoints.concat(),
        targets.join(", ")
    );
    fs::write(policy.path(), text).unwrap();
    let more =
        ["--router", "unix:/run/model-router/router.sock", "--listen", "[::]:10000", "--admin", "127.0.0.1:9902"];
    for topology in TOPOLOGIES {
        check_valid(topology, &printed(policy.path(), &[&["--topology", topology], &more[..]].concat()));
        let file = ["--topology", topology, "--output", "fragment", "--clusters-file", "envoy/clusters.yaml"];
        check_valid("with a file", &host::with(&printed(policy.path(), &file), host::NOBODY));
    }
    check_valid("clusters", &bootstrap_of_clusters(&printed(policy.path(), &["--output", "clusters"])));
}

#[test]
fn what_cannot_be_printed_is_told_with_what_would_be_right() {
    let told = |policy: &Path, arguments: &[&str]| {
        let output = run(policy, arguments);
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let good = root().join("envoy/policies/round-robin.yaml");
    let bad = root().join("tests/policies/invalid/five-at-once.yaml");
    assert!(told(&bad, &[]).contains("five-at-once.yaml:5:22: error: the duration `30` has no unit"));
    assert!(
        told(&good, &["--output", "fragment", "--listen", "127.0.0.1:1"])
            .contains("--listen is for `--output bootstrap`")
    );
    assert!(told(&good, &["--output", "clusters", "--clusters-file", "x"]).contains("on stdout"));
    assert!(told(&good, &["--router", "nowhere"]).contains("expected `ADDRESS:PORT` or `unix:PATH`"));
}

#[test]
fn a_directory_gets_what_envoy_starts_from_without_a_policy() {
    let directory = tempfile::tempdir().unwrap();
    let into = |path: &Path| Command::new(binary()).args(["envoy-config", "--into"]).arg(path).output().unwrap();
    let clusters = directory.path().join("clusters.yaml");
    for _ in 0..2 {
        let output = into(directory.path());
        assert!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let envoy = fs::read_to_string(directory.path().join("envoy.yaml")).unwrap();
        check_valid("into a directory", &envoy);
        assert!(envoy.contains(&format!("path: {}\n", clusters.display())), "{envoy}");
    }
    assert!(fs::read_to_string(&clusters).unwrap().ends_with("\nresources: []\n"));
    fs::write(&clusters, "the router's").unwrap();
    assert!(into(directory.path()).status.success());
    assert_eq!(fs::read_to_string(&clusters).unwrap(), "the router's", "it is not replaced");
    let output = into(Path::new("/no/such/directory"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("--into: ") && told.contains("/no/such/directory"), "{told}");
}
