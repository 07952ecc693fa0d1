//! What is written for a policy.

use super::*;
use crate::policy_file;
use crate::routing::registry::Registry;

/// A policy with one API of these endpoints, each with the rest of what is said of it.
pub(super) fn policy(endpoints: &[(&str, &str)]) -> String {
    let declared = endpoints.iter().map(|(name, rest)| format!("  {name}: {{ provider: p, {rest} }}\n"));
    let targets = endpoints.iter().map(|(name, _)| format!("{{ model: m, endpoint: {name} }}"));
    format!(
        "providers: {{ p: {{ type: openai, models: [m] }} }}\nendpoints:\n{}apis:\n  - {{ name: a, base_path: /v1, \
         production: {{ round_robin: {{ targets: [{}] }} }} }}\n",
        declared.collect::<String>(),
        targets.collect::<Vec<_>>().join(", ")
    )
}

fn snapshot(endpoints: &[(&str, &str)]) -> Snapshot {
    policy_file::read_bytes("test.yaml", policy(endpoints).as_bytes(), &Registry::default()).expect("a policy").snapshot
}

fn written(endpoints: &[(&str, &str)]) -> String {
    clusters(&snapshot(endpoints), Path::new("/ca.pem")).expect("no conflict")
}

#[test]
fn a_cluster_follows_its_url() {
    for (url, parts) in [
        (
            "https://llm.example.com/v1",
            &[
                "all_addresses_in_single_endpoint: true",
                "hostname: llm.example.com\n",
                "address: llm.example.com, port_value: 443",
                "auto_host_sni",
                "auto_config",
                "filename: /ca.pem",
            ][..],
        ),
        (
            "http://vllm:8000",
            &["cluster_type: &replicas_dns", "address: vllm, port_value: 8000", "http_protocol_options: {}"],
        ),
        ("http://127.0.0.1:80", &["STATIC", "address: 127.0.0.1, port_value: 80", "http_protocol_options: {}"]),
        (
            "https://[::1]:8443",
            &[
                "STATIC",
                "address: \"::1\", port_value: 8443",
                "san_type: IP_ADDRESS, matcher: { exact: \"::1\" }",
                "auto_config",
            ],
        ),
    ] {
        let text = written(&[("e", &format!("url: '{url}'"))]);
        for part in parts {
            assert!(text.contains(part), "{url}: {part}\n{text}");
        }
        assert_eq!(text.contains("transport_socket"), url.starts_with("https"), "{url}");
    }
}

#[test]
fn endpoints_at_one_place_may_share_a_cluster() {
    let text =
        written(&[("a", "url: 'https://x.test/v1', cluster: c"), ("b", "url: 'https://x.test:443/v2', cluster: c")]);
    assert_eq!(text.matches("@type\": type.googleapis.com/envoy.config.cluster").count(), 1);
}

#[test]
fn envoy_signs_where_an_endpoint_says_so() {
    let signed = "url: 'https://x.test', auth: { aws_sigv4: { region: us-east-1 } }";
    let text = written(&[("a", "url: 'https://x.test'"), ("b", signed)]);
    let (plain, signed) = text.split_once("name: b\n").expect("two clusters");
    assert!(!plain.contains("aws_request_signing"));
    let filters: Vec<_> = signed.matches("    - name: envoy.filters.http.").collect();
    assert_eq!(filters.len(), 2, "{signed}");
    for part in ["service_name: bedrock\n", "region: us-east-1\n", "auto_config:", "transport_socket: *provider_tls"] {
        assert!(signed.contains(part), "{part}\n{signed}");
    }
}

#[test]
fn what_cannot_be_written_is_told_at_once() {
    let policy = snapshot(&[
        ("a", "url: 'https://x.test/v1', cluster: c"),
        ("b", "url: 'http://x.test/v1', cluster: c"),
        ("attempt", "url: 'https://x.test/v1'"),
        ("d", "url: 'https://x.test/v1', auth: { aws_sigv4: { region: eu-west-1 } }, cluster: e"),
        ("e", "url: 'https://x.test/v1'"),
    ]);
    let conflicts = clusters(&policy, Path::new(CA_FILE)).expect_err("conflicts").to_string();
    let expected = [
        "endpoint `attempt`: the cluster `attempt` is one of model-router's own",
        "endpoints `a` (https://x.test:443) and `b` (http://x.test:80) share the cluster `c`",
        "endpoints `d` and `e` share the cluster `e`, where Envoy signs all requests alike or none",
    ];
    assert_eq!(conflicts.lines().count(), expected.len(), "{conflicts}");
    assert!(conflicts.lines().zip(expected).all(|(line, begin)| line.starts_with(begin)), "{conflicts}");
}

/// `BLESS=1` writes the file down instead; look at what changed before it is committed.
#[test]
fn the_shipped_clusters_are_those_of_an_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = std::fs::read(root.join("envoy/policies/round-robin.yaml")).expect("readable");
    let policy = policy_file::read_bytes("round-robin.yaml", &policy, &Registry::default()).expect("a policy").snapshot;
    let (text, path) = (clusters(&policy, Path::new(CA_FILE)).expect("no conflict"), root.join("envoy/clusters.yaml"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("writable");
    }
    assert_eq!(text, std::fs::read_to_string(path).expect("readable"));
}

#[test]
fn a_whole_configuration_has_its_clusters_unless_there_is_a_file_for_them() {
    let policy = snapshot(&[("e", "url: 'https://x.test/v1'")]);
    for topology in [Topology::Attach, Topology::Failover] {
        let whole = bootstrap(&policy, &Settings { topology, ..Settings::default() }).expect("no conflict");
        assert!(whole.contains("\n  - name: e\n") && !whole.contains("cds_config:"), "{whole}");
        let clusters_file = Some("/run/envoy/clusters.yaml".into());
        let whole =
            bootstrap(&policy, &Settings { topology, clusters_file, ..Settings::default() }).expect("no conflict");
        assert!(!whole.contains("x.test") && whole.contains("path: /run/envoy/clusters.yaml\n"), "{whole}");
    }
}

#[test]
fn a_fragments_route_takes_the_policys_paths_only() {
    let apis = |apis: &str| {
        let text = format!(
            "providers: {{ p: {{ type: openai, models: [m] }} }}\nendpoints: {{ e: {{ provider: p, url: 'http://a' }} }}\napis:\n{apis}"
        );
        let policy =
            policy_file::read_bytes("test.yaml", text.as_bytes(), &Registry::default()).expect("a policy").snapshot;
        fragment(&policy, &Settings::default()).expect("no conflict")
    };
    let api = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, {more}, production: {{ round_robin: {{ targets: [{{ model: m, endpoint: e }}] }} }} }}\n"
        )
    };
    for (text, expected) in [
        (api("a", "base_path: /v1"), "- match: { path_separated_prefix: /v1 } #"),
        (api("a", "base_path: /"), "- match: { prefix: / } #"),
        (
            api("a", "base_path: /v1.0") + &api("b", "base_path: /it's"),
            "- match: { safe_regex: { regex: '(/it''s|/v1\\.0)(/.*)?' } } #",
        ),
        (
            api("a", "base_path: /v1, hosts: [b.test, '*.a.test']"),
            "# The policy is for these hosts: *.a.test, b.test\n",
        ),
    ] {
        assert!(apis(&text).contains(expected), "{expected}\n{}", apis(&text));
    }
}
