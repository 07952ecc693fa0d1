//! Insertions, and what is refused.

use super::*;
use crate::envoy::config::Topology;
use crate::policy_file;
use crate::routing::registry::Registry;

const HEAD: &str = "\
# an Envoy of ours
static_resources:
  listeners:
  - name: clients
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: x
";
const ROUTES: &str = "          route_config:
            virtual_hosts:
            - name: shop
              domains: ['*']
              routes:
              # of the shop
              - match: { prefix: / }
                route: { cluster: shop }
";
const FILTERS: &str = "          http_filters:
          - name: jwt
          # must be the last
          - name: envoy.filters.http.router
";
const CLUSTERS: &str = "  clusters:
  - name: shop # ours
    connect_timeout: 1s
  # the end
";

fn host() -> String {
    [HEAD, ROUTES, FILTERS, CLUSTERS].concat()
}

fn snapshot(hosts: &str) -> Snapshot {
    let policy = crate::envoy::config::tests::policy(&[("east", "url: 'https://a.test/v1'")]);
    let policy = policy.replace("base_path: /v1,", &format!("base_path: /v1, {hosts}"));
    policy_file::read_bytes("test.yaml", policy.as_bytes(), &Registry::default()).expect("a policy").snapshot
}

fn merged_into(text: &str, target: &Target, hosts: &str, topology: Topology) -> Result<Merged, String> {
    merge(text, target, &snapshot(hosts), &Settings { topology, ..Settings::default() })
}

/// The merged text of the attach topology, with nothing chosen.
fn attached(text: &str) -> Result<Merged, String> {
    merged_into(text, &Target { file: "e.yaml".to_owned(), ..Target::default() }, "", Topology::Attach)
}

#[test]
fn lines_are_only_added_and_only_once() {
    for topology in [Topology::Attach, Topology::Failover] {
        let target = Target::default();
        for text in [host(), host().replace('\n', "\r\n")] {
            let merged = merged_into(&text, &target, "", topology).expect("merged");
            let mut rest = merged.text.lines();
            for line in text.lines() {
                assert!(rest.any(|there| there == line), "{topology:?}: {line} is gone or moved");
            }
            assert_eq!(text.contains("\r\n"), merged.text.matches('\n').count() == merged.text.matches("\r\n").count());
            let added = merged.diff.lines().filter(|line| line.starts_with('+')).count();
            assert_eq!(merged.text.lines().count(), text.lines().count() + added);
            assert_eq!(merged.place, "listener clients, virtual host shop");
            let again = merged_into(&merged.text, &target, "", topology).expect("merged");
            assert_eq!((again.text == merged.text, &*again.diff), (true, ""), "{topology:?}");
        }
    }
}

#[test]
fn each_block_goes_to_its_place() {
    let text = attached(&host()).expect("merged").text;
    let order = |parts: &[&str]| {
        let mut from = 0;
        for part in parts {
            let found = text[from..].find(part);
            from += found.unwrap_or_else(|| panic!("{part} is not after those before it:\n{text}"));
        }
    };
    order(&["              routes:\n", "cluster_header: x-model-router-cluster", "# of the shop\n", "cluster: shop"]);
    order(&[
        "- name: jwt\n",
        "\n          - name: model-router\n",
        "# must be the last\n          - name: envoy.filters",
    ]);
    order(&[
        "\n          early_header_mutation_extensions:\n          - name",
        "\n          access_log:\n",
        "\n          - name",
    ]);
    order(&["- name: shop # ours\n", "\n  - name: model-router\n", "\n  - name: east\n", "  # the end\n"]);
    assert!(!text.contains(": *") && !text.contains(": &"), "each block is complete by itself:\n{text}");
}

#[test]
fn the_diff_applies() {
    let (text, merged) = (host(), attached(&host()).expect("merged"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("envoy.yaml");
    std::fs::write(&file, text).expect("writable");
    let diff = directory.path().join("diff");
    std::fs::write(&diff, format!("--- envoy.yaml\n+++ envoy.yaml\n{}", merged.diff)).expect("writable");
    let mut patch = std::process::Command::new("git");
    let output =
        patch.args(["apply", "--unsafe-paths"]).arg(&diff).current_dir(directory.path()).output().expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), merged.text);
}

#[test]
fn the_policys_hosts_choose_the_virtual_hosts() {
    let one = |name: &str, domains: &str| {
        format!(
            "            - name: {name}\n              domains: {domains}\n              routes:\n              - match: {{ prefix: / }}\n"
        )
    };
    let hosts = [one("llm", "[llm.test]"), one("below", "['*.test']"), one("all", "['*']")].concat();
    let text = host().replace(ROUTES, &format!("          route_config:\n            virtual_hosts:\n{hosts}"));
    let place = |hosts: &str| {
        merged_into(&text, &Target::default(), hosts, Topology::Failover)
            .map(|merged| merged.place.replace("listener clients, virtual host ", ""))
    };
    assert_eq!(place("hosts: [llm.test],").as_deref(), Ok("llm"));
    assert_eq!(place("hosts: [a.test, LLM.test],").as_deref(), Ok("below, llm"));
    assert_eq!(place("hosts: ['*.test'],").as_deref(), Ok("llm, below"));
    assert_eq!(place("hosts: [elsewhere.example],").as_deref(), Ok("all"));
    assert!(place("").expect_err("any host").contains("virtual hosts: llm, below, all; choose with --virtual-host"));
    let lonely = text.replace("['*']", "[other.example]");
    let problem = merged_into(&lonely, &Target::default(), "hosts: [elsewhere.example],", Topology::Attach);
    assert!(problem.expect_err("nobody serves it").contains("no virtual host serves `elsewhere.example`"));
    let target = Target { virtual_hosts: vec!["all".to_owned()], ..Target::default() };
    assert!(merged_into(&text, &target, "", Topology::Failover).is_ok_and(|merged| merged.place.ends_with(" all")));
}

#[test]
fn a_virtual_host_for_all_hosts_is_made_where_none_is() {
    let text = host().replace("['*']", "[llm.test]");
    let merged = merged_into(&text, &Target::default(), "hosts: [llm.test],", Topology::Attach).expect("merged").text;
    assert_eq!(merged.matches("- name: model-router-chosen\n").count(), 1, "{merged}");
    assert_eq!(merged.matches("cluster_header:").count(), 2, "{merged}");
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let second = HEAD.replace("clients", "others").split_once("  listeners:\n").expect("a list").1.to_owned();
    let rest = [ROUTES, FILTERS].concat();
    for (text, told) in [
        (host().replace(ROUTES, "          rds: { }\n"), "e.yaml:9:11: the routes of this http_connection_manager are not in this file"),
        (host().replace(FILTERS, ""), "there is no `http_filters` here"),
        (host().replace("envoy.filters.http.router", "other"), "e.yaml:20:11: no filter here is `envoy.filters.http.router`"),
        (host().replace("http_filters:", "http_filters: &filters"), "`http_filters` has an anchor or is an alias"),
        (host().replace("  - name: clients\n", "  - &l\n    name: clients\n"), "has an anchor, an alias, brackets or braces"),
        (host().replace(CLUSTERS, "  clusters: [{ name: shop }]\n"), "`clusters` is no list with an item a line"),
        (host().replace(CLUSTERS, "  clusters:\n  - name: model-router\n"), "`model-router` is here already"),
        ([HEAD, &rest, &second, &rest, CLUSTERS].concat(), "e.yaml:4:3: several listeners have an http_connection_manager: `clients`, `others`; choose one with --listener"),
        (host().replace("HttpConnectionManager", "Other"), "no listener has an http_connection_manager here"),
        (host().replace("              - match: { prefix: / }\n                route: { cluster: shop }\n", "              - match: { prefix: /a }\n                route: { cluster_header: x-model-router-cluster }\n"), "a route to the router is here already"),
        ("{ static_resources: { } }".to_owned(), "1:1: the file is written in braces"),
        ("a: [".to_owned(), "e.yaml:"),
        ("a: 1\n".to_owned(), "e.yaml:1:1: there is no `static_resources` here"),
    ] {
        let problem = attached(&text).expect_err(told);
        assert!(problem.contains(told), "{problem} instead of {told}");
    }
}

#[test]
fn a_listener_is_chosen_by_its_name() {
    let second = HEAD.replace("clients", "others").split_once("  listeners:\n").expect("a list").1.to_owned();
    let rest = [ROUTES, FILTERS].concat();
    let text = [HEAD, &rest, &second, &rest, CLUSTERS].concat();
    let target = |name: &str| Target { listener: Some(name.to_owned()), ..Target::default() };
    let merged = merged_into(&text, &target("others"), "", Topology::Attach).expect("merged");
    let (before, after) = merged.text.split_once("- name: others\n").expect("both are there");
    assert!(!before.contains("cluster_header:") && after.contains("cluster_header:"));
    let problem = merged_into(&text, &target("nobody"), "", Topology::Attach).expect_err("there is none");
    assert!(problem.contains("no listener named `nobody`"), "{problem}");
}
