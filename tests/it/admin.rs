//! Who may use the admin listener, and the page on it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::{chat, get};
use crate::rig::authority::Authority;
use crate::rig::client::{Client, send};
use crate::rig::envoy::Topology;
use crate::rig::router::{Router, Settings, binary};
use crate::rig::script::Script;

const ENTRIES: &str = "    failover:
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west } ]
";
const LONELY: &str = "    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }";
const TOKEN: &str = "correct-horse-battery-staple";
const PAGE: [&str; 4] = ["/", "/page.css", "/page.js", "/status.json"];

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_what_is_out_and_what_was_decided() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &["east", "west"]).await;
    rig.provider("east").answer(Script::status(503));
    assert_eq!(rig.send(chat("gpt-4o").say("a secret of the client's")).await.status, 200);
    rig.router.write_policy("apis: nonsense");
    rig.router.logged("the refusal", |line| line.contains("policy refused")).await;
    let answer = send(rig.router.admin(), get("/status.json")).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let state = answer.json();
    let east = &state["targets"][0];
    assert_eq!((&east["endpoint"], &east["state"], &east["failed"]), (&"east".into(), &"suspended".into(), &1.into()));
    assert!(east["remaining_seconds"].as_f64().is_some_and(|left| left > 0.0), "{east}");
    let told = |decision: &Value| (decision["model"].clone(), decision["attempt"].clone(), decision["status"].clone());
    assert_eq!(told(&state["decisions"][0]), ("gpt-4o-mini".into(), 2.into(), 200.into()));
    assert_eq!(told(&state["decisions"][1]), ("gpt-4o".into(), 1.into(), 503.into()));
    assert_eq!(state["decisions"][0]["reason"], "after gpt-4o@east: failed");
    assert!(state["refused"]["report"].as_str().is_some_and(|report| report.contains("nonsense")), "{state}");
    for kept in ["key-east", "key-west", "a secret of the client's"] {
        assert!(!answer.text().contains(kept), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_files_that_run_nothing_from_elsewhere() {
    let router = router(&[]).await;
    for path in PAGE {
        let answer = send(router.admin(), get(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none';"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let page = send(router.admin(), get("/")).await.text();
    assert!(!page.contains("://") && !page.contains("style=") && !page.contains("javascript:"), "{page}");
    assert_eq!(page.matches("<script").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_under_a_foreign_name_is_refused() {
    let router = router(&["--admin-host", "router.example.com"]).await;
    for path in PAGE.into_iter().chain(["/metrics"]) {
        for (host, status) in [
            ("evil.example.com", 421),
            ("127.0.0.1.evil.example.com", 421),
            ("localhost:18001", 200),
            ("[::1]:18001", 200),
            ("router.example.com", 200),
        ] {
            let answer = send(router.admin(), get(path).host(host)).await;
            assert_eq!(answer.status, status, "{path} under {host}: {}", answer.text());
            assert_eq!(answer.text().contains("--admin-host"), status == 421);
        }
    }
    for path in ["/healthz", "/readyz"] {
        let answer = send(router.admin(), get(path).host("pod.example.com")).await;
        assert_eq!(answer.status, 200, "{path} is for probes, whatever they call the router");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_only_health_is_told_without_it() {
    let (_directory, token) = token_file();
    let router = router(&["--admin-token-file", &token]).await;
    let bearer = |token: &str| ("authorization".to_owned(), format!("Bearer {token}"));
    for path in ["/", "/status.json", "/metrics"] {
        for (header, status) in
            [(None, 401), (Some(bearer("wrong-horse-battery-staple")), 401), (Some(bearer(TOKEN)), 200)]
        {
            let ask = header.into_iter().fold(get(path), |ask, (name, value)| ask.header(&name, &value));
            assert_eq!(send(router.admin(), ask).await.status, status, "{path}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(router.admin(), get(path)).await.status, 200, "{path}");
    }
    let admin = router.admin().to_string();
    let refused = cli(&["status", "--admin", &admin]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("--admin-token-file"), "{refused:?}");
    assert!(cli(&["status", "--admin", &admin, "--admin-token-file", &token]).status.success());
    assert!(cli(&["health", "--admin", &admin]).status.success(), "health needs none");
    assert!(!router.log().join("\n").contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_for_metrics_serves_them_and_probes_and_nothing_else() {
    let (_directory, token) = token_file();
    let mut router = router(&["--metrics-listen", "127.0.0.1:0", "--admin-token-file", &token]).await;
    let serving = router.logged("its address", |line| line.contains("metrics_listen")).await;
    let serving: Value = serde_json::from_str(&serving).unwrap();
    let metrics = serving["fields"]["metrics_listen"].as_str().and_then(|text| text.parse().ok()).unwrap();
    let scraped = send(metrics, get("/metrics")).await;
    assert_eq!(scraped.status, 200, "without the token");
    assert!(scraped.header("content-type").starts_with("application/openmetrics-text"));
    let text = scraped.text();
    let build = format!("model_router_build_info{{version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let lines = [&build, "process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "];
    for line in lines.into_iter().chain(["process_max_fds ", "process_start_time_seconds ", "# EOF"]) {
        assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
    }
    assert_eq!(send(metrics, get("/metrics").host("evil.example.com")).await.status, 421);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(metrics, get(path).host("pod.example.com")).await.status, 200, "{path}");
    }
    for path in PAGE.into_iter().chain(["/metrics/", "/model_router.admin.v1.Admin/GetStatus"]) {
        assert_eq!(send(metrics, get(path)).await.status, 404, "{path}");
    }
    let status = cli(&["status", "--admin", &metrics.to_string(), "--admin-token-file", &token]);
    assert!(!status.status.success(), "no gRPC: {status:?}");
    assert!(router.stop().await.success());
}

#[test]
fn a_listener_for_metrics_that_cannot_be_bound_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    fs::write(&policy, production(LONELY).replace("{{east}}", "http://127.0.0.1:1")).unwrap();
    let (policy, nowhere) = (policy.display().to_string(), format!("unix:{}/no/such.sock", directory.path().display()));
    let start = ["serve", "--policy", &policy, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let refused = cli(&[&start[..], &["--metrics-listen", &nowhere]].concat());
    assert!(!refused.status.success() && text(&refused.stderr).contains("--metrics-listen"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_need_tls_and_the_token() {
    let (directory, token) = token_file();
    let authority = Authority::new("ours");
    let signed = authority.sign("router", "localhost");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("router.pem", &signed.certificate), file("router.key", &signed.key));
    let ca = file("ca.pem", authority.certificate());
    let tls = ["--admin-tls-certificate", &certificate, "--admin-tls-key", &key];
    let policy = file("policy.yaml", &production(LONELY).replace("{{east}}", "http://127.0.0.1:1"));
    let start = ["serve", "--policy", &policy, "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"];
    for arguments in [&[][..], &tls[..], &["--admin-token-file", &token], &["--insecure-plaintext"]] {
        let refused = cli(&[&start[..], arguments].concat());
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(text(&refused.stderr).contains("--admin-tls-certificate"), "{arguments:?}: {}", text(&refused.stderr));
    }

    let exposed = [&["--admin-listen", "0.0.0.0:0", "--admin-token-file", &token], &tls[..]].concat();
    let router = router(&exposed).await;
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], router.admin().port()));
    assert!(Client::new().send(here, get("/healthz")).await.is_err(), "no plaintext");
    let admin = format!("https://localhost:{}", here.port());
    let status = ["status", "--admin", &admin];
    for (arguments, why) in [
        (&[][..], "--admin-ca"),
        (&["--admin-ca", &ca][..], "--admin-token-file"),
        (&["--admin-token-file", &token][..], "--admin-ca"),
    ] {
        let refused = cli(&[&status[..], arguments].concat());
        assert!(!refused.status.success() && text(&refused.stderr).contains(why), "{arguments:?}: {refused:?}");
    }
    let right = cli(&[&status[..], &["--admin-ca", &ca, "--admin-token-file", &token]].concat());
    assert!(right.status.success() && text(&right.stdout).contains("gpt-4o"), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_a_policy_would_change_before_it_goes_live() {
    let weighted = "    weighted_round_robin: { targets: [ { model: gpt-4o, endpoint: east, weight: 5 }, { model: o1-mini, endpoint: west, weight: 3 } ] }";
    let rig = Rig::start(Topology::Failover, &production(weighted), &["east", "west"]).await;
    let admin = rig.router.admin().to_string();
    let live = fs::read_to_string(rig.router.policy_file()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let check = |policy: &str, arguments: &[&str]| {
        let file = directory.path().join("policy.yaml");
        fs::write(&file, policy).unwrap();
        let told = cli(&[&["check", file.to_str().unwrap(), "--against", &admin], arguments].concat());
        assert!(told.status.success(), "{}", text(&told.stderr));
        let all = text(&told.stdout);
        assert!(!all.contains("key-") && !all.contains("another-key"), "{all}");
        all
    };
    assert!(check(&live, &[]).contains("nothing would change"));

    let next = live.replace("weight: 5", "weight: 7, body: {}").replace(", body: {}", "");
    let next = next
        .replace("{ model: o1-mini, endpoint: west, weight: 3 }", "{ model: gpt-4o-mini, endpoint: west, weight: 3 }");
    let next = next
        .replace("key-west", "another-key")
        .replace("weighted_round_robin: {", "weighted_round_robin: { suspend: 5s,");
    let told = check(&next, &[]);
    for line in [
        "~ chat/production target gpt-4o@east: weight 5 -> weight 7",
        "- chat/production target o1-mini@west",
        "+ chat/production target gpt-4o-mini@west: weight 3",
        "~ chat/production suspend: 30s -> 5s",
    ] {
        assert!(told.lines().any(|it| it == line), "{line} is not in\n{told}");
    }
    let resets = told.lines().find(|line| line.starts_with("~ endpoint west credential: ")).expect("the new key");
    assert!(resets.ends_with("; what is known of it is forgotten"), "{resets}");
    assert!(!told.contains("endpoint east"), "{told}");
    let json: Value = serde_json::from_str(&check(&next, &["--output", "json"])).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(5), "{json:#}");

    // A key that is not here is not compared.
    let lacking = live.replace("api_key: { value: key-west }", "api_key: { env: NOT_SET_ANYWHERE }");
    assert_ne!(lacking, live);
    assert!(check(&lacking, &[]).contains("? endpoint west credential: not here"));
    rig.router.logged("nothing", |line| line.contains("serving")).await;
}

async fn router(arguments: &[&str]) -> Router {
    let args = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let policy = production(LONELY).replace("{{east}}", "http://127.0.0.1:1");
    Router::start_with(&policy, Settings { args, ..Settings::default() }).await
}

fn token_file() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let path = Path::display(&token).to_string();
    (directory, path)
}

fn cli(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
