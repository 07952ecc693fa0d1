//! The vendors' own Python clients with only their base URL changed: `make test-clients`.

mod vendors;

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::rig::Rig;
use crate::rig::ask::post;
use crate::rig::client::send;
use crate::rig::envoy::{Envoy, Topology};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, binary};
use crate::rig::script::Script;
use vendors::{VENDORS, Vendor};

/// The interpreter that has the clients; `make test-clients` says which.
const PYTHON: &str = "MODEL_ROUTER_CLIENTS_PYTHON";

async fn rig() -> Rig {
    let (mut providers, mut endpoints, mut apis) = (String::new(), String::new(), String::new());
    for Vendor { name, kind, base_path, url_path, models: [first, second], .. } in VENDORS {
        providers += &format!("  {name}: {{ type: {kind}, models: [\"{first}\", \"{second}\"] }}\n");
        endpoints += &format!(
            "  {name}: {{ provider: {name}, url: \"{{{{{name}}}}}{url_path}\", api_key: {{ value: key-of-{name} }} }}\n"
        );
        apis += &format!(
            "  - name: {name}\n    base_path: {base_path}\n    production:\n      failover:\n        entries:\n          \
             - primary: {{ model: \"{first}\", endpoint: {name} }}\n            fallbacks: [ {{ model: \"{second}\", endpoint: {name} }} ]\n"
        );
    }
    let policy = format!("providers:\n{providers}endpoints:\n{endpoints}apis:\n{apis}");
    let names: Vec<_> = VENDORS.iter().map(|vendor| vendor.name).collect();
    Rig::start(Topology::Failover, &policy, &names).await
}

/// What a program that calls the vendor's client sees.
async fn call(rig: &Rig, vendor: &Vendor, way: &str, model: &str) -> Value {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| panic!("set {PYTHON}, or run make test-clients"));
    let mut command = Command::new(python);
    command.args(["tests/clients/call.py", vendor.name, &format!("http://{}", rig.envoy.addr()), way, model]);
    // No proxy and no credentials of the machine's.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
    let output = command.stdin(Stdio::null()).output().await.expect("python runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn text_of<'v>(seen: &'v Value, vendor: &Vendor, way: &str) -> &'v str {
    seen["text"].as_str().unwrap_or_else(|| panic!("{} {way}: {seen}", vendor.name))
}

/// The client raised this, with this status.
fn raised(seen: &Value, kind: &str, status: u64, vendor: &Vendor) {
    let kinds: Vec<_> = seen["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(kinds.contains(&kind) && seen["status"] == status, "{}: expected {kind} {status}, saw {seen}", vendor.name);
    println!("{:10} {status} {}: {}", vendor.name, kinds[0], seen["message"].as_str().unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the vendors' clients: run by `make test-clients`"]
async fn official_clients_work_and_see_errors_as_their_own_exceptions() {
    let rig = rig().await;
    for vendor in VENDORS {
        let provider = rig.provider(vendor.name);
        let primary = vendor.models[0];
        provider.answer(Script::by(|request| vendor.serve(request, "Hello.")));
        for way in ["plain", "stream"] {
            let seen = call(&rig, vendor, way, primary).await;
            assert_eq!(text_of(&seen, vendor, way), "Hello.", "{} {way}", vendor.name);
            let sent = provider.last();
            assert!(!format!("{:?}{}", sent.headers, sent.path).contains("of-the-client"), "{sent:?}");
            assert!(
                format!("{:?}{}", sent.headers, sent.path).contains(&format!("key-of-{}", vendor.name)),
                "{sent:?}"
            );
        }
        // In flight: the primary fails, and the client notices nothing.
        provider.answer(Script::by(|request| {
            let (asked, fallback) = (format!("{}{}", request.path, request.model()), vendor.models[1]);
            let serves = asked.contains(fallback) || asked.contains(&fallback.replace(':', "%3A"));
            if serves { vendor.serve(request, "Hello.") } else { Script::status(500) }
        }));
        for way in ["plain", "stream"] {
            assert_eq!(text_of(&call(&rig, vendor, way, primary).await, vendor, way), "Hello.", "failover");
        }
        provider.answer(vendor.refuse(400));
        raised(&call(&rig, vendor, "plain", primary).await, vendor.bad_request, 400, vendor);
        raised(&call(&rig, vendor, "stream", "unknown").await, vendor.not_found, 404, vendor);
        provider.answer(vendor.refuse(429));
        raised(&call(&rig, vendor, "plain", primary).await, vendor.rate_limited, 429, vendor);
        // Now both are suspended: the answer is the router's own.
        let hits = provider.hits();
        for way in ["plain", "stream"] {
            let seen = call(&rig, vendor, way, primary).await;
            raised(&seen, vendor.unavailable, 503, vendor);
            assert!(seen["message"].as_str().expect("a message").contains("every target is suspended"), "{seen}");
        }
        assert_eq!(provider.hits(), hits);
    }
    rig.check_clean().await;
}

/// The cluster that `envoy-config` prints, with a key for Envoy that goes nowhere else.
fn with_key(config: &str) -> String {
    let (before, after) = config.split_once("region: us-east-1\n").expect("a cluster that signs");
    let indent = before.rsplit_once('\n').map_or("", |(_, indent)| indent);
    let inline = "{ inline_credential: { access_key_id: KEYID, secret_access_key: key-of-envoy } }";
    format!("{before}region: us-east-1\n{indent}credential_provider: {inline}\n{after}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs botocore: run by `make test-clients`"]
async fn requests_that_official_clients_would_sign_are_signed_by_envoy_as_aws_expects() {
    let provider = Provider::named("aws").await;
    let model = "us.anthropic.claude-sonnet-4-20250514-v1:0";
    let target = format!("{{ model: \"{model}\", endpoint: aws }}");
    let policy = format!(
        "providers: {{ aws: {{ type: aws_bedrock, models: [\"{model}\"] }} }}\n\
         endpoints: {{ aws: {{ provider: aws, url: \"http://{}\", auth: {{ aws_sigv4: {{ region: us-east-1 }} }} }} }}\n\
         apis: [ {{ name: bedrock, production: {{ round_robin: {{ targets: [ {target} ] }} }} }} ]\n",
        provider.addr()
    );
    let router = Router::start(&policy).await;
    let file = router.policy_file();
    let address = router.address().to_string();
    for topology in ["attach", "failover"] {
        let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--router", &address, "--topology", topology];
        let config = Command::new(binary()).arg("envoy-config").arg("--policy").arg(&file).args(ports).output().await;
        let config = String::from_utf8(config.expect("it runs").stdout).expect("text");
        let envoy = Envoy::run(&with_key(&config)).await;
        for operation in ["converse", "invoke", "converse-stream", "invoke-with-response-stream"] {
            let body = r#"{"messages":[{"role":"user","content":[{"text":"é \"quoted\""}]}]}"#;
            let ask =
                post(&format!("/model/any/{operation}?a=b%20c")).body(body).header("content-type", "application/json");
            assert_eq!(send(envoy.addr(), ask.header("authorization", "of-the-client")).await.status, 200);
            let signed = verify(&provider).await;
            let path = format!("/model/{}/{operation}", model.replace(':', "%253A")); // encoded twice, as AWS has it
            assert_eq!(signed, json!({ "service": "bedrock", "region": "us-east-1", "path": path }), "{topology}");
            println!("{topology} {operation}: signed as botocore would");
        }
    }
}

/// Has botocore sign the provider's last request again.
async fn verify(provider: &Provider) -> Value {
    let last = provider.last();
    let headers: Vec<_> = last.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let request = json!({
        "method": last.method.as_str(), "host": last.header("host"), "path": last.path, "headers": headers,
        "body": String::from_utf8_lossy(&last.body), "access_key": "KEYID", "secret_key": "key-of-envoy",
    });
    let mut python = Command::new(std::env::var_os(PYTHON).expect("run make test-clients"));
    let piped = python.arg("tests/clients/verify_sigv4.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = piped.expect("python runs");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(request.to_string().as_bytes()).await.expect("python reads");
    drop(stdin);
    let output = python.wait_with_output().await.expect("python ends");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not signed as botocore would: {request}"))
}

/// What a program in Python makes of this text, as JSON.
async fn python(program: &str, text: &str) -> Value {
    let mut python = Command::new(std::env::var_os(PYTHON).expect("run make test-clients"));
    let piped = python.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = piped.expect("python runs");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).await.expect("python reads");
    drop(stdin);
    let output = python.wait_with_output().await.expect("python ends");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not read:\n{text}"))
}

/// Prometheus' own parser of what it is to read.
const PARSE_METRICS: &str = "import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
print(json.dumps({'families': len(families), 'samples': sum(len(family.samples) for family in families)}))";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Python clients: make test-clients"]
async fn metrics_are_read_by_the_parser_of_official_clients() {
    let rig = rig().await;
    for vendor in VENDORS {
        call(&rig, vendor, "plain", vendor.models[0]).await;
    }
    let metrics = send(rig.router.admin(), crate::rig::ask::get("/metrics")).await.text();
    let read = python(PARSE_METRICS, &metrics).await;
    println!("{} families, {} samples", read["families"], read["samples"]);
    let samples = metrics.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read["samples"], samples);
}

/// A parser of PromQL, which shares nothing with ours.
const PARSE_PROMQL: &str = "import json, sys, promql_parser
print(json.dumps([type(promql_parser.parse(line)).__name__ for line in sys.stdin.read().splitlines()]))";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Python clients: make test-clients"]
async fn alert_rules_are_read_by_a_parser_beside_the_official_clients() {
    let rules = std::fs::read_to_string("envoy/alerts.yaml").expect("readable");
    let expressions: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    let read = python(PARSE_PROMQL, &expressions.join("\n")).await;
    println!("{} alert rules: {read}", expressions.len());
    assert_eq!(read, json!(vec!["BinaryExpr"; expressions.len()]));
}
