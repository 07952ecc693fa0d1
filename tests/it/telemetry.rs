//! What the router tells of its work: metrics, decisions in Envoy's log, health over HTTP.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::production;
use crate::rig::ask::{chat, get, post};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::load::load;
use crate::rig::router::Router;
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

const ENTRIES: &str = "    failover:
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west }, { model: o1-mini, endpoint: middle } ]
";

async fn rig() -> Rig {
    Rig::start(Topology::Failover, &production(ENTRIES), &["east", "west", "middle"]).await
}

/// Every series with its value.
async fn series(router: &Router) -> BTreeMap<String, f64> {
    let answer = send(router.admin(), get("/metrics")).await;
    assert_eq!(
        (answer.status, answer.header("content-type").split(';').next()),
        (200, Some("application/openmetrics-text"))
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_no_client_makes_series() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    for _ in 0..3 {
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    }
    assert_eq!(rig.send(chat("unknown")).await.status, 404);
    let seen = series(&rig.router).await;
    let api = r#"api="chat",environment="production",policy="failover""#;
    for (name, value) in [
        (format!("model_router_requests_total{{{api}}}"), 3.0),
        (format!("model_router_attempts_total{{{api},model=\"gpt-4o\",endpoint=\"east\",outcome=\"failed\"}}"), 1.0),
        (format!("model_router_attempts_total{{{api},model=\"gpt-4o-mini\",endpoint=\"west\",outcome=\"served\"}}"), 3.0),
        (r#"model_router_failovers_total{from_model="gpt-4o",from_endpoint="east",to_model="gpt-4o-mini",to_endpoint="west",reason="failed"}"#.to_owned(), 1.0),
        (r#"model_router_target_suspended{model="gpt-4o",endpoint="east"}"#.to_owned(), 1.0),
        (r#"model_router_target_suspensions_total{model="gpt-4o",endpoint="east"}"#.to_owned(), 1.0),
        (r#"model_router_refusals_total{code="model_not_found"}"#.to_owned(), 1.0),
        (r#"model_router_answer_seconds_count{model="gpt-4o-mini",endpoint="west"}"#.to_owned(), 3.0),
        ("model_router_decision_seconds_count".to_owned(), 4.0),
        ("model_router_policy_version".to_owned(), 1.0),
        ("model_router_open_requests".to_owned(), 0.0),
        ("model_router_held_body_bytes".to_owned(), 0.0),
    ] {
        assert_eq!(seen.get(&name), Some(&value), "{name} in {seen:#?}");
    }

    no_series_from(&rig, 2_000, 2_000).await;
}

/// Invented models, paths, hosts and ids leave no trace in the number of series.
async fn no_series_from(rig: &Rig, requests: usize, names: usize) {
    send(rig.envoy.addr(), post("/nowhere")).await;
    assert_eq!(rig.send(chat("unknown")).await.status, 404);
    let before: Vec<_> = series(&rig.router).await.into_keys().collect();
    let answers = load(rig.envoy.addr(), requests, 16, move |i| match i % 3 {
        0 => chat(&format!("model-{}", i % names)),
        1 => post(&format!("/path-{}", i % names)).host(&format!("host-{i}.test")),
        _ => chat("gpt-4o").header("x-request-id", &format!("id-{i}")),
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), requests);
    let after: Vec<_> = series(&rig.router).await.into_keys().collect();
    assert_eq!(after, before);
    println!("{} series before and after {requests} requests with {names} invented models and paths", after.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test --test it -- --ignored a_hundred_thousand"]
async fn a_hundred_thousand_requests_with_invented_names_make_no_series() {
    let rig = rig().await;
    rig.providers().for_each(|provider| provider.count_only(true));
    assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    no_series_from(&rig, 100_000, 10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_changes_and_probes_are_counted() {
    let policy = production(&ENTRIES.replace("failover:\n", "failover:\n      suspend: 100ms\n"));
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west", "middle"]).await;
    rig.provider("east").answer(Script::status(503));
    assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    rig.provider("east").answer(Script::ok());
    let probes = r#"model_router_target_probes_total{model="gpt-4o",endpoint="east"}"#;
    eventually("a probe", async || {
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
        (series(&rig.router).await.get(probes) == Some(&1.0)).then_some(())
    })
    .await;
    let good = std::fs::read_to_string(rig.router.policy_file()).unwrap();
    for (text, refusals) in [("apis: nonsense", 1.0), (&*good, 1.0), ("apis: {", 2.0)] {
        rig.router.write_policy(text);
        eventually("the count", async || {
            (series(&rig.router).await["model_router_policy_refusals_total"] == refusals).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_of_envoys_log_tells_the_attempts_of_a_request_their_targets_and_reasons() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(Script::status_with(429, &[("retry-after", "30")]));
    assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    let told = |lines: &[Value]| -> Vec<String> {
        let field = |line: &Value, name: &str| line["decision"][name].as_str().unwrap_or("-").to_owned();
        let line = |line: &Value| {
            ["attempt", "model", "endpoint", "status", "outcome", "reason"].map(|name| match name {
                "status" => line["status"].to_string(),
                name => field(line, name),
            })
        };
        lines.iter().map(|it| line(it).join(" ")).collect()
    };
    let lines = rig.envoy.access_log_lines("attempt", 3).await;
    assert_eq!(
        told(&lines),
        [
            "1 gpt-4o east 503 failed -",
            "2 gpt-4o-mini west 429 rate_limited after gpt-4o@east: failed",
            "3 o1-mini middle 200 served after gpt-4o-mini@west: rate_limited",
        ]
    );
    assert!(lines.iter().all(|line| line["decision"]["api"] == "chat"
        && line["decision"]["policy"] == "failover"
        && line["request_id"] == lines[0]["request_id"]));
    // The next request is told why it went elsewhere.
    rig.provider("middle").answer(Script::ok());
    assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    let lines = rig.envoy.access_log_lines("attempt", 4).await;
    let reason = lines[3]["decision"]["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("gpt-4o@east: suspended for") && reason.contains("gpt-4o-mini@west: suspended"),
        "{reason}"
    );
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_name_stays_a_text_in_envoys_log() {
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    let rig = Rig::start(Topology::Failover, &policy, &["east"]).await;
    let named = "x\",\"api\":\"other\"}}\n{\"log\":\"attempt\",\"decision\":\"\u{0}";
    assert_eq!(rig.send(chat(named)).await.status, 200);
    let lines = rig.envoy.access_log_lines("attempt", 1).await;
    let told = ["requested", "model", "api", "outcome"].map(|name| &lines[0]["decision"][name]);
    assert_eq!((told, lines.len()), ([named, "gpt-4o", "chat", "served"].map(Value::from).each_ref(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_over_http_and_readiness_ends_with_the_signal_to_stop() {
    let rig = rig().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(rig.router.admin(), get(path)).await.status, 200, "{path}");
    }
    assert_eq!(send(rig.router.admin(), get("/nothing")).await.status, 404);
}

/// A web page can send HTTP/1.1 to loopback, under a name of its own; what changes something is not to be had so.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_is_not_reached_over_http_1() {
    let rig = rig().await;
    // SuspendRequest { endpoint: "east", duration: 600 s } in a gRPC frame.
    let message = [&[0x0a, 4][..], b"east", &[0x1a, 3, 0x08, 0xd8, 0x04]].concat();
    let frame = [&[0, 0, 0, 0, u8::try_from(message.len()).expect("short")][..], &message].concat();
    let ask = post("/model_router.admin.v1.Admin/Suspend").header("content-type", "application/grpc").body(frame);
    let suspended =
        async || series(&rig.router).await[r#"model_router_target_suspended{model="gpt-4o",endpoint="east"}"#];
    let answer = send(rig.router.admin(), ask.clone().host("evil.test")).await;
    assert_eq!((answer.status, suspended().await), (404, 0.0), "{}", answer.text());
    let client = crate::rig::client::Client::http2();
    client.send(rig.router.admin(), ask).await.expect("an answer");
    assert_eq!(suspended().await, 1.0, "the same over HTTP/2 is a suspension");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_stops_is_alive_and_not_ready() {
    let mut rig = rig().await;
    rig.provider("east").answer(Script::Hang);
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { send(addr, chat("gpt-4o")).await });
    eventually("a request under way", async || (rig.provider("east").in_flight() == 1).then_some(())).await;
    let admin = rig.router.admin();
    // The connection that is open is kept until its requests are through.
    let client = crate::rig::client::Client::new();
    client.send(admin, get("/readyz")).await.expect("an answer");
    rig.router.process().signal("TERM");
    eventually("the end of readiness", async || match client.send(admin, get("/readyz")).await {
        Ok(answer) => (answer.status == 503).then_some(()),
        Err(_) => Some(()), // nobody listens any more, which a probe takes for the same
    })
    .await;
    waiting.abort();
}

/// The names in the rules' expressions are those of real series.
#[tokio::test(flavor = "multi_thread")]
async fn alert_rules_parse_and_speak_of_metrics_that_there_are() {
    let text = std::fs::read_to_string("envoy/alerts.yaml").expect("readable");
    let mut parser = saphyr_parser::Parser::new_from_str(&text);
    assert!(parser.all(|event| event.is_ok()), "no YAML");
    let expressions: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(expressions.len() >= 5);
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    rig.send(chat("gpt-4o")).await;
    rig.send(chat("unknown")).await;
    let answer = send(rig.router.admin(), get("/metrics")).await.text();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for expression in expressions {
        let names = expression.split(|character| !is_name(character)).filter(|word| word.starts_with("model_router_"));
        for name in names {
            let family = name.strip_suffix("_total").or(name.strip_suffix("_bucket")).unwrap_or(name);
            assert!(answer.contains(&format!("# TYPE {family} ")), "{name} is no metric:\n{answer}");
        }
    }
}

pub(crate) async fn command(rig: &Rig, arguments: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(crate::rig::router::binary());
    command.args(arguments).args(["--admin", &rig.router.admin().to_string()]);
    let output = command.output().await.expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_decisions_are_told_with_their_reasons_and_answers() {
    let rig = rig().await;
    rig.provider("east").answer(Script::status(503));
    assert_eq!(rig.send(chat("gpt-4o").say("a secret wish")).await.status, 200);
    let (_, table) = command(&rig, &["decisions"]).await;
    assert!(table.contains("503 failed, next one asked") && table.contains("first choice"), "{table}");
    let (_, json) = command(&rig, &["decisions", "--output", "json", "--limit", "2"]).await;
    let decisions: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    let told = decisions
        .iter()
        .map(|it| (it["attempt"].as_u64(), it["model"].as_str(), it["status"].as_u64(), it["goes_on"].as_bool()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(Some(2), Some("gpt-4o-mini"), Some(200), Some(false)), (Some(1), Some("gpt-4o"), Some(503), Some(true))]
    );
    for secret in ["secret wish", "key-of-", "key-east"] {
        assert!(!table.contains(secret) && !json.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_or_an_endpoint_is_taken_out_and_brought_back_by_hand() {
    let rig = rig().await;
    for (arguments, told, model) in [
        (
            &["suspend", "east", "--model", "gpt-4o", "--for", "1h", "--reason", "maintenance"][..],
            "gpt-4o at east is suspended for 1h",
            "gpt-4o-mini",
        ),
        (&["suspend", "west"], "west is suspended for 10m", "o1-mini"),
        (&["resume", "east"], "east is back", "gpt-4o"),
        (&["suspend", "east"], "east is suspended for 10m", "o1-mini"),
        (&["resume", "west", "--model", "gpt-4o-mini"], "gpt-4o-mini at west is not back", "o1-mini"),
        (&["resume", "west"], "west is back", "gpt-4o-mini"),
    ] {
        let (success, text) = command(&rig, arguments).await;
        assert!(success && text.starts_with(told), "{text}");
        assert_eq!(rig.send(chat("gpt-4o")).await.model(), model, "after {arguments:?}");
    }
    assert_eq!(rig.router.events("target suspended by hand")[0]["fields"]["reason"], "maintenance");
    for (arguments, told) in [
        (&["suspend", "nowhere"][..], "no target of the live policy is at the endpoint `nowhere`"),
        (&["resume", "east", "--model", "gpt-5"], "the live policy has no target `gpt-5` at `east`"),
        (&["suspend", "east", "--for", "2days"], "at most 24 hours"),
        (&["suspend", "east", "--for", "0s"], "more than nothing"),
    ] {
        let (success, text) = command(&rig, arguments).await;
        assert!(!success && text.contains(told), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifiers_calls_are_timed_and_shared_ones_are_not() {
    let rules = "rules: [ { name: A, context: b, model: o1-mini, endpoint: west } ], default: { model: gpt-4o, endpoint: east }";
    let triage = r#"{ type: openai, url: "{{triage}}/v1/chat/completions", model: m, cache: 1m }"#;
    let policy = production(&format!("    intelligent: {{ classifier: triage, {rules} }}"));
    let policy = format!("classifiers: {{ triage: {triage} }}\n{policy}");
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west", "triage"]).await;
    rig.provider("triage").answer(Script::says("A"));
    for _ in 0..3 {
        assert_eq!(rig.send(chat("any")).await.provider(), "west");
    }
    let seen = series(&rig.router).await;
    for (name, value) in [
        (r#"model_router_classifier_seconds_count{classifier="triage"}"#, 1.0),
        (r#"model_router_classifier_calls_total{classifier="triage"}"#, 1.0),
        (r#"model_router_classifier_shared_total{classifier="triage"}"#, 2.0),
        (r#"model_router_classifications_total{classifier="triage",verdict="matched"}"#, 3.0),
    ] {
        assert_eq!(seen.get(name), Some(&value), "{name} in {seen:#?}");
    }
}
