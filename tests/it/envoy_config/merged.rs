//! `envoy-config --merge`: what it makes of files that exist, and what it refuses. That a merged file serves as one to
//! which a person has copied the blocks is in `attached.rs`.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::{TOPOLOGIES, check_valid, host, run};
use crate::rig::envoy::root;

/// Merges into a file with this text; the virtual host is the one for models where the policy does not tell.
fn merge(policy: &Path, text: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    fs::write(&file, text).unwrap();
    let output = run(policy, &[&["--merge", &file.display().to_string()], arguments].concat());
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the file itself is left alone");
    output
}

/// The merged file.
#[track_caller]
pub(super) fn merged(policy: &Path, text: &str, arguments: &[&str]) -> String {
    let output = merge(policy, text, &[&["--virtual-host", "llm"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn policy() -> std::path::PathBuf {
    root().join("envoy/policies/round-robin.yaml")
}

#[test]
fn the_diff_is_on_stderr_and_a_second_merge_adds_nothing() {
    for topology in TOPOLOGIES {
        let arguments = ["--virtual-host", "llm", "--topology", topology];
        let output = merge(&policy(), &host::without(host::NOBODY), &arguments);
        let (text, diff) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let lines: Vec<_> = diff.lines().collect();
        assert!(lines[0].starts_with("--- ") && lines[1].ends_with(": listener clients, virtual host llm"), "{diff}");
        let added = lines[2..].iter().filter(|line| line.starts_with('+'));
        assert!(
            added.clone().count() > 100 && added.clone().any(|line| line.ends_with("- name: openai-east")),
            "{diff}"
        );
        let again = merge(&policy(), &text, &arguments);
        assert!(String::from_utf8_lossy(&again.stderr).starts_with("nothing to add to "), "{again:?}");
        assert_eq!(String::from_utf8_lossy(&again.stdout), text);
    }
}

#[test]
fn clusters_may_stay_in_a_file_of_their_own() {
    let file = ["--clusters-file", "envoy/clusters.yaml"];
    for topology in TOPOLOGIES {
        let text = merged(&policy(), &host::without(host::NOBODY), &[&file[..], &["--topology", topology]].concat());
        assert!(text.contains("path: envoy/clusters.yaml\n") && !text.contains("- name: openai-east"), "{text}");
        check_valid("with a file", &text);
    }
}

#[test]
fn a_file_with_another_route_to_the_router_is_refused() {
    let text = fs::read_to_string(root().join("envoy/failover.yaml")).unwrap();
    let output = merge(&policy(), &text, &["--clusters-file", "envoy/clusters.yaml"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("a route to the router is here already"), "{told}");
}

#[test]
fn refusals_name_the_file_the_line_and_the_way_out() {
    for (from, to, told) in [
        (
            "  - name: clients\n",
            "  - &clients\n    name: clients\n",
            ": the way to this http_connection_manager has an anchor",
        ),
        ("            http_filters:\n", "            filters:\n", ": there is no `http_filters` here"),
        ("            route_config:\n", "            rds:\n", "(`rds`); add the route where they are"),
        ("  - name: other\n", "  - name: model-router\n", ": `model-router` is here already"),
    ] {
        let text = host::without(host::NOBODY).replacen(from, to, 1);
        let output = merge(&policy(), &text, &["--topology", "attach", "--virtual-host", "llm"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
        assert!(said.contains("/envoy.yaml:") && said.contains(told), "{said} instead of {told}");
    }
    let any_host = merge(&policy(), &host::without(host::NOBODY), &[]);
    let said = String::from_utf8(any_host.stderr).unwrap();
    assert!(said.contains("there are several virtual hosts: llm, shop; choose with --virtual-host"), "{said}");
    let missing = run(&policy(), &["--merge", "no/such/envoy.yaml"]);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("--merge no/such/envoy.yaml: No such file"));
    let alone = run(&policy(), &["--listener", "clients"]);
    assert_eq!(alone.status.code(), Some(2), "--listener is for --merge");
}
