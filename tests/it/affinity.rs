//! Sessions that keep to their target, counted through real Envoy.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::{Ask, chat, post};
use crate::rig::envoy::Topology;
use crate::rig::router::binary;

const SESSIONS: usize = 100;
const TURNS: usize = 5;

/// Five targets over two endpoints, and every kind of key.
const STICKY: &str = "
    weighted_round_robin:
      affinity: [{ header: X-Session }, { body: $.user }, { prompt_prefix: 2048 }]
      targets:
        - { model: gpt-4o, endpoint: east, weight: 4 }
        - { model: gpt-4o, endpoint: west, weight: 2 }
        - { model: o1-mini, endpoint: east }
        - { model: o1-mini, endpoint: west }
        - { model: gpt-4o-mini, endpoint: west }
";

/// The target of each session, all of whose turns it has served.
async fn served(rig: &Rig, ask: impl Fn(usize, usize) -> Ask) -> BTreeMap<usize, (String, String)> {
    let mut served = BTreeMap::new();
    for turn in 0..TURNS {
        for session in 0..SESSIONS {
            let answer = rig.send(ask(session, turn)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let target = (answer.provider().to_owned(), answer.model());
            let before = served.insert(session, target.clone());
            assert_eq!(before.unwrap_or(target.clone()), target, "session {session} moved in turn {turn}");
        }
    }
    served
}

fn by_header(session: usize, _turn: usize) -> Ask {
    chat("any").header("x-session", &format!("secret-session-{session}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_at_its_target_in_both_topologies_and_every_router_knows_which() {
    let mut known = None;
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = Rig::start(topology, &production(STICKY), &["east", "west"]).await;
        let sessions = served(&rig, by_header).await;
        assert_eq!(sessions.values().collect::<BTreeSet<_>>().len(), 5, "all targets have sessions");
        // Another router, of another topology, has never heard of these sessions.
        assert_eq!(known.get_or_insert_with(|| sessions.clone()), &sessions);
        let log = rig.router.log().join("\n");
        assert!(log.contains("\"affinity\":\"header x-session\""), "{}", &log[..2_000.min(log.len())]);
        assert!(!log.contains("secret-session"), "a key was logged");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sessions_of_a_suspended_target_move_and_they_come_back() {
    let rig = Rig::start(Topology::Failover, &production(STICKY), &["east", "west"]).await;
    let admin = rig.router.admin().to_string();
    let told = |arguments: &[&str]| {
        let target = ["east", "--model", "gpt-4o", "--admin", &admin];
        let run = Command::new(binary()).args(arguments).args(target).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let before = served(&rig, by_header).await;
    told(&["suspend", "--for", "10m"]);
    let during = served(&rig, by_header).await;
    told(&["resume"]);
    let lost = ("east".to_owned(), "gpt-4o".to_owned());
    assert!(during.values().all(|target| *target != lost));
    assert!(before.iter().all(|(session, target)| *target == lost || during[session] == *target));
    assert_eq!(served(&rig, by_header).await, before);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shapes_of_three_clients_have_a_key() {
    let rig = Rig::start(Topology::Attach, &production(STICKY), &["east", "west"]).await;
    let chat_with = |body: Value| post("/v1/chat/completions").json(&body);
    // OpenAI's client says who the user is.
    let of_user = |session: usize, turn: usize| {
        let messages = json!([{ "role": "user", "content": format!("turn {turn}") }]);
        chat_with(json!({ "model": "any", "messages": messages, "user": format!("user-{session}") }))
    };
    // An agent has a long system prompt, and its conversation grows.
    let of_agent = |session: usize, turn: usize| {
        let task = format!("Task {session}: mend the build.");
        let mut messages = vec![
            json!({ "role": "system", "content": "You are a careful engineer. ".repeat(60) }),
            json!({ "role": "user", "content": [{ "type": "text", "text": task }] }),
        ];
        for past in 0..turn {
            messages.push(json!({ "role": "assistant", "tool_calls": [{ "id": past, "type": "function" }] }));
            messages.push(json!({ "role": "tool", "tool_call_id": past, "content": format!("result {past}") }));
        }
        chat_with(json!({ "model": "any", "messages": messages, "tools": [] }))
    };
    for sessions in [served(&rig, of_user).await, served(&rig, of_agent).await] {
        assert_eq!(sessions.values().collect::<BTreeSet<_>>().len(), 5);
    }
    rig.check_clean().await;

    // Anthropic's client sends the user in `metadata`.
    let policy = "
providers: { anthropic: { type: anthropic, models: [claude-a, claude-b] } }
endpoints: { east: { provider: anthropic, url: '{{east}}', api_key: { value: key-east } } }
apis:
  - name: claude
    production:
      round_robin:
        affinity: { body: $.metadata.user_id }
        targets: [{ model: claude-a, endpoint: east }, { model: claude-b, endpoint: east }]
";
    let rig = Rig::start(Topology::Attach, policy, &["east"]).await;
    let of_user = |session: usize, turn: usize| {
        let messages = json!([{ "role": "user", "content": format!("turn {turn}") }]);
        let metadata = json!({ "user_id": format!("user_{session}_account__session_7") });
        let body = json!({ "model": "any", "max_tokens": 9, "messages": messages, "metadata": metadata });
        post("/v1/messages").json(&body)
    };
    assert_eq!(served(&rig, of_user).await.values().collect::<BTreeSet<_>>().len(), 2);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_where_the_key_is_and_requests_without_one_take_turns() {
    let policy = production(STICKY).replace(", { prompt_prefix: 2048 }", "");
    let rig = Rig::start(Topology::Attach, &policy, &["east", "west"]).await;
    let admin = rig.router.admin().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let explain = |headers: &str, body: &str| {
        let request = format!("POST /v1/chat/completions HTTP/1.1\ncontent-type: application/json\n{headers}\n{body}");
        std::fs::write(file.path(), request).unwrap();
        let command = ["explain", "--against", &admin, "--request", file.path().to_str().unwrap()];
        let output = Command::new(binary()).args(command).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = explain("x-session: secret-session-1\n", r#"{"user":"u"}"#);
    assert!(told.contains("affinity    by header x-session\n") && !told.contains("secret"), "{told}");
    let target = rig.send(by_header(1, 0)).await;
    assert!(told.contains(&format!("{}@{}: taken\n", target.model(), target.provider())), "{told}");
    let told = explain("x-session: \n", r#"{"user":"u"}"#);
    assert!(told.contains("affinity    by body $.user\n"), "{told}");
    let told = explain("", r#"{"user":null}"#);
    assert!(told.contains("affinity    none: no key in header x-session or body $.user\n"), "{told}");

    let mut models = BTreeMap::new();
    for _ in 0..18 {
        let answer = rig.send(chat("any")).await;
        *models.entry((answer.provider().to_owned(), answer.model())).or_insert(0) += 1;
    }
    assert_eq!(models.into_values().collect::<Vec<_>>(), [8, 2, 4, 2, 2], "exact by weight");
}
