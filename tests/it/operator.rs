//! What an operator asks a running router on the command line, and how much of it the log keeps.

use std::collections::BTreeSet;

use model_router::admin::proto::ExplainRequest;
use serde_json::Value;

use crate::check::production;
use crate::rig::ask::{chat, get};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::router::{Settings, binary};
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};
use crate::telemetry::command;

pub(crate) const ENTRIES: &str = "    failover:
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west }, { model: o1-mini, endpoint: middle } ]
";

async fn rig(arguments: &[&str]) -> Rig {
    let args = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let settings = Settings { args, ..Settings::default() };
    Rig::start_with(Topology::Failover, &production(ENTRIES), &["east", "west", "middle"], settings).await
}

async fn asked(rig: &Rig, arguments: &[&str]) -> String {
    let (success, text) = command(rig, arguments).await;
    assert!(success, "{arguments:?}: {text}");
    text
}

async fn json(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let text = asked(rig, &[arguments, &["--output", "json"]].concat()).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("an array was expected: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_told_with_state_end_and_counts() {
    let rig = rig(&[]).await;
    rig.provider("east").answer(Script::status_with(429, &[("retry-after", "60")]));
    for _ in 0..2 {
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    }
    let table = asked(&rig, &["targets"]).await;
    assert_eq!(table.lines().filter(|line| line.contains("chat/production")).count(), 3, "{table}");
    let out = asked(&rig, &["targets", "--not-ready"]).await;
    let lines: Vec<_> = out.lines().filter(|line| line.contains("chat/production")).collect();
    let [line] = &lines[..] else { panic!("{out}") };
    assert!(line.contains("suspended") && line.contains("gpt-4o ") && line.contains('Z'), "{line}");

    let targets = json(&rig, &["targets"]).await;
    let told = |it: &Value| {
        (it["endpoint"].as_str().unwrap().to_owned(), it["state"].as_str().unwrap().to_owned(), it["served"].as_u64())
    };
    let expected = [("east", "suspended", 0), ("middle", "ready", 0), ("west", "ready", 2)];
    let expected = expected.map(|(endpoint, state, served)| (endpoint.to_owned(), state.to_owned(), Some(served)));
    assert_eq!(targets.iter().map(told).collect::<Vec<_>>(), expected);
    let left = targets[0]["remaining_ms"].as_u64().unwrap();
    assert!((50_000..=60_000).contains(&left) && targets[0]["until"].is_string(), "{}", targets[0]);
    assert_eq!(targets[1]["until"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_or_brought_back_is_told_as_json() {
    let rig = rig(&[]).await;
    let out = json(&rig, &["suspend", "east", "--for", "1h"]).await;
    assert_eq!((out.len(), &out[0]["endpoint"], &out[0]["state"]), (1, &"east".into(), &"suspended".into()));
    assert!(out[0]["remaining_ms"].as_u64().unwrap() > 3_500_000, "{}", out[0]);
    let back = json(&rig, &["resume", "east", "--model", "gpt-4o"]).await;
    assert_eq!(back[0]["state"], "suspended", "its endpoint is out still");
    let back = json(&rig, &["resume", "east"]).await;
    assert_eq!(back[0]["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_or_names_nothing_is_told_as_that() {
    let rig = rig(&[]).await;
    assert_eq!(asked(&rig, &["resume", "west"]).await, "west was not suspended\n");
    asked(&rig, &["suspend", "west"]).await;
    let told = asked(&rig, &["resume", "west", "--model", "gpt-4o-mini"]).await;
    assert!(told.contains("is not back: the whole endpoint is suspended"), "{told}");
    assert_eq!(asked(&rig, &["resume", "west"]).await, "west is back\n");
    for (arguments, meant) in [
        (&["suspend", "wst"][..], "did you mean `west`?"),
        (&["resume", "weest"], "did you mean `west`?"),
        (&["suspend", "west", "--model", "gpt-4-mini"], "did you mean `gpt-4o-mini`?"),
    ] {
        let (success, told) = command(&rig, arguments).await;
        assert!(!success && told.contains(meant), "{arguments:?}: {told}");
    }
    assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    let told = asked(&rig, &["decisions", "--request", "nobodys"]).await;
    assert_eq!(told, "no decision is known of the request nobodys; 1 are kept, of the last requests\n");
}

#[test]
fn a_router_that_does_not_answer_is_looked_for_elsewhere() {
    let run = std::process::Command::new(binary()).args(["status", "--admin", "127.0.0.1:1"]).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(!run.status.success() && told.contains("is the router running?") && told.contains("`--admin`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attempts_of_one_request_are_found_by_its_id_with_the_times_of_router_and_provider() {
    let rig = rig(&[]).await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(Script::ok().after(std::time::Duration::from_millis(120)));
    for _ in 0..3 {
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    }
    let lines = rig.envoy.access_log_lines("clients", 3).await;
    let failed_over = lines.iter().find(|line| line["attempts"] == 2).expect("the first");
    let id = failed_over["request_id"].as_str().unwrap();
    let told = json(&rig, &["decisions", "--request", id]).await;
    assert_eq!(told.iter().map(|it| it["attempt"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert!(told.iter().all(|it| it["request_id"] == id));
    assert_eq!((&told[0]["after"], &told[0]["probe"]), (&"gpt-4o@east: failed".into(), &false.into()));
    assert!((120..5_000).contains(&told[0]["took_ms"].as_u64().unwrap()), "{}", told[0]);
    assert!(told[1]["worked_us"].as_u64().is_some_and(|took| took < 100_000), "{}", told[1]);
    let table = asked(&rig, &["decisions", "--request", id]).await;
    assert_eq!(table.matches(id).count(), 2, "{table}");
    assert_eq!(json(&rig, &["decisions", "--request", "nobody's"]).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_client_leaves_is_told_as_one_without_an_answer() {
    let rig = rig(&[]).await;
    rig.provider("east").answer(Script::Hang);
    let (addr, waiting) = (rig.envoy.addr(), chat("gpt-4o"));
    let client = tokio::spawn(async move { send(addr, waiting).await });
    eventually("the request", async || (rig.provider("east").in_flight() == 1).then_some(())).await;
    assert_eq!(json(&rig, &["decisions"]).await[0]["outcome"], "");
    client.abort();
    eventually("its end", async || (json(&rig, &["decisions"]).await[0]["outcome"] == "no_answer").then_some(())).await;
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    let counted = r#"model_router_attempts_total{api="chat",environment="production",policy="failover",model="gpt-4o",endpoint="east",outcome="no_answer"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(asked(&rig, &["decisions"]).await.contains("none: the client left"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_decisions_is_logged_and_all_of_those_that_fail() {
    let args = vec!["--log-decisions".to_owned(), "10%".to_owned()];
    let settings = Settings { args, ..Settings::default() };
    // Nothing is suspended: each failure is failed over.
    let policy = production(&ENTRIES.replace("failover:\n", "failover:\n      suspend: 0s\n"));
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west", "middle"], settings).await;
    for _ in 0..100 {
        assert_eq!(rig.send(chat("unknown")).await.status, 404, "refused, which is no decision");
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    }
    assert_eq!((rig.router.events("decision").len(), rig.router.events("refused").len()), (10, 100));

    rig.provider("east").answer(Script::status(503));
    for _ in 0..25 {
        assert_eq!(rig.send(chat("gpt-4o")).await.status, 200);
    }
    let lines = rig.router.events("decision");
    let told = |attempt: u32| lines[10..].iter().filter(|line| line["fields"]["attempt"] == attempt).count();
    assert_eq!((told(1), told(2), rig.router.events("attempt failed").len()), (25, 25, 25));
    let ids: BTreeSet<_> = lines[10..].iter().map(|line| line["fields"]["request_id"].to_string()).collect();
    assert_eq!(ids.len(), 25, "each once for each attempt");

    let refused =
        std::process::Command::new(binary()).args(["serve", "--policy", "x", "--log-decisions", "few"]).output();
    let told = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(told.contains("expected `all`, `failures`, or a share such as `10%`"), "{told}");
}

const TURNS: &str = "    round_robin: { targets: [ { model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: middle }, { model: gpt-4o-mini, endpoint: west } ] }";

/// What would become of a request in the running router, and what then becomes of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_router_explains_where_a_request_would_go_now_and_nothing_comes_of_asking() {
    let rig = Rig::start(Topology::Failover, &production(TURNS), &["east", "west", "middle"]).await;
    assert_eq!(rig.send(chat("any")).await.model(), "gpt-4o");
    asked(&rig, &["suspend", "middle", "--for", "10m"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let request =
        "POST /v1/chat/completions HTTP/1.1\nhost: llm.test\ncontent-type: application/json\n\n{\"model\":\"any\"}";
    std::fs::write(file.path(), request).unwrap();
    let explain = async |more: &[&str]| {
        let mut command = tokio::process::Command::new(binary());
        let admin = rig.router.admin().to_string();
        command.args(["explain", "--against", &admin, "--request", file.path().to_str().unwrap()]).args(more);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = explain(&[]).await;
    let again = explain(&[]).await;
    assert!(text.contains("o1-mini@middle: passed over: suspended for 600 s"), "{text}");
    assert!(text.contains("gpt-4o-mini@west: taken") && again.contains("gpt-4o-mini@west: taken"), "{text}{again}");
    assert!(text.contains("gpt-4o@east: if those before it fail") && !text.contains("key-west"), "{text}");
    let refused: Value =
        serde_json::from_str(&explain(&["--output", "json", "--environment", "sandbox"]).await).unwrap();
    assert!(refused["outcome"]["answered"]["body"].as_str().unwrap().contains("no_targets"), "{refused}");

    assert_eq!(rig.send(chat("any")).await.model(), "gpt-4o-mini", "whose turn it was told to be");
    let west = json(&rig, &["targets"]).await.into_iter().find(|it| it["endpoint"] == "west").unwrap();
    assert_eq!(west["dispatched"], 1);
    assert_eq!((rig.router.events("decision").len(), rig.router.events("refused").len()), (2, 0));
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    assert!(
        metrics.contains("model_router_decision_seconds_count 2\n") && !metrics.contains("no_targets"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_by_a_running_router_asks_its_classifier_and_shares_what_that_remembers() {
    let rules = "rules: [ { name: A, context: b, model: o1-mini, endpoint: west } ], default: { model: gpt-4o, endpoint: east }";
    let triage = r#"{ type: openai, url: "{{triage}}/v1/chat/completions", model: m }"#;
    let policy = production(&format!("    intelligent: {{ classifier: triage, {rules} }}"));
    let policy = format!("classifiers: {{ triage: {triage} }}\n{policy}");
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west", "triage"]).await;
    rig.provider("triage").answer(Script::says("A"));
    let mut api = crate::check::admin(&rig.router).await;
    let body = r#"{"messages":[{"role":"user","content":"Say hello."}]}"#;
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n{body}");
    let asked = |no_call| ExplainRequest { request: request.clone().into(), no_call, ..ExplainRequest::default() };
    let told = api.explain(asked(true)).await.unwrap().into_inner();
    assert!(told.text.contains("not_asked") && rig.provider("triage").hits() == 0, "{}", told.text);
    let told = api.explain(asked(false)).await.unwrap().into_inner();
    assert!(told.text.contains("o1-mini@west: taken") && told.json.contains("\"matched\""), "{}", told.text);
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
    assert_eq!(rig.provider("triage").hits(), 1);
    let decision = &json(&rig, &["decisions"]).await[0];
    assert_eq!((&decision["verdict"], &decision["rule"]), (&"matched".into(), &"A".into()));

    let nothing = ExplainRequest { request: b"hello".to_vec(), ..ExplainRequest::default() };
    let refused = api.explain(nothing).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("expected a request such as"), "{refused}");
}

#[test]
fn completions_are_there_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let printed = std::process::Command::new(binary()).args(["completions", shell]).output().unwrap();
        let text = String::from_utf8(printed.stdout).unwrap();
        for word in ["suspend", "targets", "log-decisions", "not-ready"] {
            assert!(printed.status.success() && text.contains(word), "{shell}: {word}");
        }
    }
    let script =
        "complete -p model-router 2>/dev/null && exit 1; source <($0 completions bash) && complete -p model-router";
    let sourced = std::process::Command::new("bash").args(["-c", script]).arg(binary()).output().unwrap();
    assert!(sourced.status.success(), "{sourced:?}");
}
