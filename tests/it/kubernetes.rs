//! The manifests for Kubernetes, and what the chart renders, say what the router and Envoy take. (`make test-kubernetes`
//! checks them against its schemas, and renders the chart.)

use std::fs;
use std::path::Path;
use std::process::Command;

use model_router::policy_file;
use model_router::routing::registry::Registry;

use crate::check::production;
use crate::rig::ask::chat;
use crate::rig::authority::Authority;
use crate::rig::client::send;
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{Envoy, Topology, root};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};

const MANIFESTS: [&str; 2] = ["sidecar", "shared"];
/// The name in the shared router's certificate.
const NAME: &str = "model-router.default.svc";
const TLS: &str = "/run/secrets/tls";
const FILTER: &str = "grpc_service: { envoy_grpc: { cluster_name: model-router } }";

fn manifest(name: &str) -> String {
    fs::read_to_string(root().join(format!("envoy/kubernetes/{name}.yaml"))).unwrap()
}

/// The lines below the first one that is this key, without their indentation, up to the next that is not below it.
fn below(text: &str, key: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != key).skip(1).peekable();
    let column = lines.peek().map_or(0, |line| line.len() - line.trim_start().len());
    let below = lines.take_while(|line| line.is_empty() || line.len() - line.trim_start().len() >= column);
    below.map(|line| format!("{}\n", line.get(column..).unwrap_or_default())).collect()
}

/// The arguments of every container that runs the router.
fn arguments(text: &str) -> Vec<Vec<String>> {
    let inline = text.split("args: [").skip(1).filter_map(|rest| rest.split_once(']')).map(|(list, _)| list.to_owned());
    let list = below(text, "args:");
    let list = list
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line))
        .collect::<Vec<_>>()
        .join(",")
        .replace("- ", "");
    let split = |list: String| -> Vec<String> {
        let items = list.split(',').map(|item| item.trim().trim_matches('"').to_owned());
        items.filter(|item| !item.is_empty()).collect()
    };
    let all = inline.chain([list]).map(split);
    all.filter(|arguments| arguments.first().is_some_and(|first| !first.starts_with('-'))).collect()
}

#[test]
fn policies_in_the_manifests_load_without_a_problem() {
    for name in MANIFESTS {
        let policy = below(&manifest(name), "policy.yaml: |");
        let read = policy_file::read_bytes(name, policy.as_bytes(), &Registry::default());
        let compiled = read.unwrap_or_else(|problems| panic!("{name}: {}", problems.explained()));
        assert_eq!(compiled.warnings.to_string(), "", "{name}");
        assert_eq!(compiled.snapshot.endpoints().count(), 2, "{name}");
    }
}

#[test]
fn the_router_takes_the_arguments_in_the_manifests() {
    let taken = |arguments: &[String]| Command::new(binary()).args(arguments).arg("--help").output().unwrap();
    for (name, subcommands) in [("sidecar", &["envoy-config", "serve"][..]), ("shared", &["serve"])] {
        let all = arguments(&manifest(name));
        assert_eq!(all.iter().map(|arguments| &*arguments[0]).collect::<Vec<_>>(), subcommands, "{name}");
        for arguments in all {
            let output = taken(&arguments);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(!taken(&["serve".to_owned(), "--no-such-flag".to_owned()]).status.success(), "--help hides no mistake");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sidecar_serves_as_its_manifest_says() {
    let (text, provider) = (manifest("sidecar"), Provider::named("openai").await);
    let (run, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, keys_at) = (run.path().display().to_string(), keys.path().display().to_string());
    for name in ["openai-east", "openai-west"] {
        fs::write(keys.path().join(name), format!("key-of-{name}\n")).unwrap();
    }
    let all = arguments(&text);
    let [envoy_config, serve] = &all[..] else { panic!("two containers") };
    let here = |argument: &String| argument.replace("/run/model-router", &run).replace("0.0.0.0:10000", "127.0.0.1:0");
    let here = |argument: &String| here(argument).replace("0.0.0.0:9464", "127.0.0.1:0");
    let output = Command::new(binary()).args(envoy_config.iter().map(here)).args(["--admin", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let policy =
        below(&text, "policy.yaml: |").replace("https://api.openai.com", &format!("http://{}", provider.addr()));
    let policy = policy.replace("/run/secrets/model-router", &keys_at);
    let settings = Settings {
        listen: format!("unix:{run}/router.sock"),
        args: serve[1..].iter().map(here).collect(),
        ..Settings::default()
    };
    let router = Router::start_with(&policy, settings).await;
    let envoy = Envoy::run(&fs::read_to_string(Path::new(&run).join("envoy.yaml")).unwrap()).await;
    for key in ["key-of-openai-east", "key-of-openai-west"] {
        assert_eq!(send(envoy.addr(), chat("any")).await.status, 200);
        assert_eq!(provider.last().header("authorization"), format!("Bearer {key}"));
    }
    drop(router);
}

/// What the chart renders with a set of values, as `make test-kubernetes` has stored it.
fn rendered() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("tests/kubernetes/rendered")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_router_takes_what_the_chart_renders() {
    let all = rendered();
    assert_eq!(all.len(), 4);
    for (name, text) in all {
        let arguments: Vec<_> = arguments(&text).into_iter().filter(|arguments| arguments.len() > 3).collect();
        let subcommands: Vec<_> = arguments.iter().map(|arguments| &*arguments[0]).collect();
        let expected = if name.contains("sidecar") { &["envoy-config", "serve"][..] } else { &["serve"] };
        assert_eq!(subcommands, expected, "{name}");
        for arguments in arguments {
            let output = Command::new(binary()).args(&arguments).arg("--help").output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            let is_serve = arguments[0] == "serve";
            assert!(!is_serve || arguments.windows(2).any(|pair| pair == ["--metrics-listen", "0.0.0.0:9464"]));
            let is_exposed = arguments.contains(&"0.0.0.0:18000".to_owned());
            assert_eq!(is_exposed, arguments.contains(&"--tls-client-ca".to_owned()), "{name}: mutual TLS");
        }
        let policy = below(&text, "policy.yaml: |");
        if !name.contains("existing") {
            let read = policy_file::read_bytes(&name, policy.as_bytes(), &Registry::default());
            assert_eq!(read.unwrap_or_else(|problems| panic!("{problems}")).snapshot.endpoints().count(), 2, "{name}");
        }
    }
}

#[test]
fn what_is_scraped_and_probed_is_the_listener_for_metrics() {
    let monitor = manifest("podmonitor");
    assert!(
        monitor.contains("\n    - port: metrics\n") && monitor.contains("replacement: model-router }"),
        "{monitor}"
    );
    let alerts = fs::read_to_string(root().join("envoy/alerts.yaml")).unwrap();
    assert!(alerts.contains("up{job=\"model-router\"}"), "the job of the alert rules");
    for (name, app) in [("sidecar", "llm-gateway"), ("shared", "model-router")] {
        let text = manifest(name);
        assert!(text.contains("{ name: metrics, containerPort: 9464 }"), "{name}");
        assert_eq!(text.matches("httpGet: { path: /readyz, port: metrics }").count(), 2, "{name}");
        assert_eq!(text.matches("httpGet: { path: /healthz, port: metrics }").count(), 1, "{name}");
        assert!(text.contains(&format!("labels: {{ app.kubernetes.io/name: {app} }}\n    spec:")), "{name}");
        assert!(below(&monitor, "matchExpressions:").contains(app), "{name}");
        let listen = |all: &String| all == "--metrics-listen=0.0.0.0:9464" || all == "0.0.0.0:9464";
        assert_eq!(arguments(&text).concat().iter().filter(|all| listen(all)).count(), 1, "{name}");
    }
}

/// The cluster of Envoy's that stands in a comment of `shared.yaml`, and the filter's addition.
fn envoys_side() -> (String, String) {
    let text = manifest("shared");
    let (_, rest) = text.split_once("# In the place of Envoy's cluster `model-router`:\n").unwrap();
    let (cluster, rest) = rest.split_once("# and in the filter").unwrap();
    let bare = |line: &str| line.strip_prefix("# ").unwrap_or_default().to_owned();
    let cluster = cluster.lines().map(|line| format!("  {}\n", bare(line))).collect();
    (cluster, bare(rest.trim_end().lines().last().unwrap()).trim().to_owned())
}

fn write_certificates(directory: &Path) {
    let authority = Authority::new("ours");
    let signed = authority.sign("router", NAME);
    for (name, text) in
        [("tls.crt", &*signed.certificate), ("tls.key", &*signed.key), ("ca.crt", authority.certificate())]
    {
        fs::write(directory.join(name), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_router_is_reached_as_its_manifest_says() {
    let (directory, provider) = (tempfile::tempdir().unwrap(), Provider::named("east").await);
    write_certificates(directory.path());
    let tls = directory.path().display().to_string();
    let [serve] = &arguments(&manifest("shared"))[..] else { panic!("one container") };
    let flags = serve.iter().filter(|argument| argument.starts_with("--tls-"));
    let args: Vec<_> = flags.map(|argument| argument.replace(TLS, &tls)).collect();
    assert_eq!(args.len(), 3);
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    let policy = policy.replace("{{east}}", &format!("http://{}", provider.addr()));
    let router = Router::start_with(&policy, Settings { args, ..Settings::default() }).await;

    let address = router.address().to_string();
    let port = address.rsplit(':').next().unwrap();
    let (cluster, metadata) = envoys_side();
    let place = format!("address: {NAME}, port_value: 18000");
    assert!(cluster.contains(&place));
    let cluster = cluster.replace(&place, &format!("address: 127.0.0.1, port_value: {port}")).replace(TLS, &tls);
    let edit = |text: String| {
        let begin = text.rfind("  - name: model-router\n").unwrap();
        let end = begin + text[begin..].find("  # -- end of COPY --").unwrap();
        let text = format!("{}{cluster}{}", &text[..begin], &text[end..]);
        assert!(text.contains(FILTER));
        text.replace(FILTER, &format!("{} , {metadata} }}", FILTER.strip_suffix('}').unwrap()))
    };
    let clusters = [Cluster::plain("east", provider.addr())];
    let envoy = Envoy::start_edited(Topology::Failover, &router.address(), &clusters, edit).await;
    assert_eq!(send(envoy.addr(), chat("any")).await.status, 200);
    assert_eq!(provider.hits(), 1);
}
