//! Whatever the router tells, and wherever, no prompt and no credential is in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model_router::admin::proto::{GetOutlineRequest, ListDecisionsRequest, ListTargetsRequest};
use serde_json::json;

use crate::check::{admin, production};
use crate::rig::Rig;
use crate::rig::ask::{chat, get};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::router::Settings;
use crate::rig::script::Script;
use crate::telemetry::command;
use crate::traces::{Collector, traced};

/// The words of clients and providers, and every credential that is used below.
const PROMPT: &str = "a wish that nobody else may read";
const ANSWER: &str = "an answer that nobody else may read";
const TOKEN: &str = "token-of-the-operator-0123456789";
const SECRETS: [&str; 10] = [
    PROMPT,
    ANSWER,
    TOKEN,
    "key-east",
    "key-west",
    "key-of-triage",
    "bearer-of-the-client",
    "parameter-of-the-client",
    "cookie-of-the-client",
    "key-with-a-mistake",
];

/// Everything is on, and the log tells as much as it can.
async fn rig(collector: &Collector, token_file: &std::path::Path) -> Rig {
    let rules = "rules: [ { name: A, context: b, model: o1-mini, endpoint: west } ], default: { model: gpt-4o, endpoint: east }";
    let triage =
        r#"{ type: openai, url: "{{triage}}/v1/chat/completions", model: m, api_key: { value: key-of-triage } }"#;
    let policy = production(&format!("    intelligent: {{ classifier: triage, {rules} }}"));
    let policy = format!("classifiers: {{ triage: {triage} }}\n{policy}");
    let args = ["--log", "trace", "--admin-token-file", token_file.to_str().unwrap(), "--otlp-endpoint"];
    let mut args = args.map(str::to_owned).to_vec();
    args.push(format!("http://{}", collector.start().await));
    let settings = Settings { args, ..Settings::default() };
    Rig::start_with(Topology::Failover, &policy, &["east", "west", "triage"], settings).await
}

/// Served, failed over, refused, and ended by a client; with credentials wherever a client could put one.
async fn drive(rig: &Rig) {
    let ask = |model: &str| {
        let ask = traced(chat(model).say(PROMPT)).path("/v1/chat/completions?key=parameter-of-the-client&a=b");
        ask.header("authorization", "Bearer bearer-of-the-client").header("cookie", "id=cookie-of-the-client")
    };
    rig.provider("triage").answer(Script::says("A"));
    rig.provider("west").answer(Script::says(ANSWER));
    assert_eq!(rig.send(ask("any")).await.status, 200);
    rig.provider("west").answer(Script::json(503, &json!({ "error": { "message": PROMPT, "code": ANSWER } })));
    assert_eq!(rig.send(ask("any")).await.status, 200);
    rig.provider("triage").answer(Script::json(500, &json!({ "error": { "message": ANSWER } })));
    assert_eq!(rig.send(ask("any").say(&format!("{PROMPT}!"))).await.status, 200);
    for ask in [
        ask("any").body(format!("{{\"{PROMPT}\"")),
        ask("any").path("/elsewhere?key=parameter-of-the-client"),
        ask("any").header("content-encoding", "zstd"),
    ] {
        assert!(rig.send(ask).await.status >= 400);
    }
    let policy = std::fs::read_to_string(rig.router.policy_file()).unwrap();
    rig.router.write_policy(&policy.replace("{ value: key-east }", "{ value: key-with-a-mistake, [ }"));
    rig.router.logged("the refusal", |line| line.contains("policy refused")).await;
}

/// What each outlet tells.
async fn told(rig: &Rig, collector: &Collector, token_file: &str) -> BTreeMap<&'static str, String> {
    let mut told = BTreeMap::new();
    for path in ["/", "/page.js", "/status.json", "/metrics"] {
        let ask = get(path).header("authorization", &format!("Bearer {TOKEN}"));
        let answer = send(rig.router.admin(), ask).await;
        assert_eq!(answer.status, 200, "{path}");
        told.insert(path, answer.text());
    }
    let proof = ["--admin-token-file", token_file];
    for (name, arguments) in [
        ("status", &["status"][..]),
        ("status json", &["status", "--output", "json"]),
        ("targets", &["targets", "--output", "json"]),
        ("decisions", &["decisions"]),
        ("decisions json", &["decisions", "--output", "json", "--limit", "1000"]),
        ("suspend", &["suspend", "east", "--output", "json"]),
    ] {
        let (success, text) = command(rig, &[arguments, &proof].concat()).await;
        assert!(success, "{text}");
        told.insert(name, text);
    }
    let spans = collector.spans_once(4).await;
    told.insert("spans", format!("{spans:?}"));
    told.insert("log", rig.router.log().join("\n"));
    told.insert("access log", format!("{:?}{}", rig.envoy.access_log(), rig.envoy.log()));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn no_outlet_tells_a_prompt_or_a_credential() {
    let (collector, directory) = (Collector::default(), tempfile::tempdir().unwrap());
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let rig = rig(&collector, &token_file).await;
    drive(&rig).await;
    let told = told(&rig, &collector, token_file.to_str().unwrap()).await;
    let mut sizes = String::new();
    for (outlet, text) in &told {
        assert!(text.len() > 100, "{outlet} tells something: {text}");
        for secret in SECRETS {
            let place =
                text.find(secret).map(|at| text[at.saturating_sub(300)..].chars().take(600).collect::<String>());
            assert_eq!(place, None, "{outlet} tells {secret}");
        }
        let _ = write!(sizes, "{outlet} {}, ", text.len());
    }
    println!("none of {} secrets in these bytes: {sizes}", SECRETS.len());
    // What is told at all: each of the three decisions, and what came of them.
    assert!(
        told["decisions"].contains("matched: A") && told["decisions"].contains("503 failed"),
        "{}",
        told["decisions"]
    );
}

/// The gRPC API as it is on the wire, without the commands that print a part of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_tells_no_credential() {
    let rig = Rig::start(Topology::Failover, &production(crate::operator::ENTRIES), &["east", "west", "middle"]).await;
    assert_eq!(rig.send(chat("gpt-4o").say(PROMPT)).await.status, 200);
    let mut api = admin(&rig.router).await;
    let decisions = api.list_decisions(ListDecisionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(decisions.decisions.len(), 1);
    let targets = api.list_targets(ListTargetsRequest {}).await.unwrap();
    let outline = api.get_outline(GetOutlineRequest {}).await.unwrap();
    let all = format!("{decisions:?}{targets:?}{outline:?}");
    assert!(SECRETS.iter().all(|secret| !all.contains(secret)), "{all}");
}
