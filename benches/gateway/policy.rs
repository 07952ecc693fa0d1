//! The policy files, and the bodies that are sent.

use std::net::SocketAddr;

use crate::cell::{Policy, Setup};

/// A policy over two endpoints that one provider serves. Their keys are nobody's.
pub(crate) fn text(setup: Setup, provider: SocketAddr, classifier: SocketAddr) -> String {
    let url = format!("\"http://{provider}/v1\"");
    let turns = match setup.policy {
        Policy::RoundRobin | Policy::Tenants => format!("round_robin: {{ targets: [ {EAST}, {WEST} ] }}"),
        Policy::Weighted => {
            format!("weighted_round_robin: {{ targets: [ {EAST}, {{ model: o1-mini, endpoint: west, weight: 3 }} ] }}")
        }
        Policy::Failover => {
            format!("failover: {{ entries: [ {{ primary: {EAST}, fallbacks: [ {WEST} ] }} ], other_models: {WEST} }}")
        }
        Policy::Intelligent => {
            let rule = "{ name: Coding, context: Program code, model: o1-mini, endpoint: west }";
            format!("intelligent: {{ classifier: triage, rules: [ {rule} ], default: {EAST} }}")
        }
    };
    let classifiers = match setup.policy {
        Policy::Intelligent => format!(
            "classifiers: {{ triage: {{ type: openai, url: \"http://{classifier}/v1/chat/completions\", model: m }} }}\n"
        ),
        _ => String::new(),
    };
    format!(
        "providers: {{ openai: {{ type: openai, models: [gpt-4o, o1-mini] }} }}
endpoints:
  east: {{ provider: openai, url: {url}, api_key: {{ value: east-key-of-nobody-0123456789 }} }}
  west: {{ provider: openai, url: {url}, api_key: {{ value: west-key-of-nobody-0123456789 }} }}
{classifiers}apis:
  - {{ name: chat, base_path: /v1, production: {{ {turns} }} }}
{}",
        tenants(if setup.policy == Policy::Tenants { 9_999 } else { 0 }, &turns)
    )
}

/// Further APIs.
fn tenants(count: usize, turns: &str) -> String {
    let one = |number| {
        format!("  - {{ name: tenant-{number}, base_path: /tenants/{number}/v1, production: {{ {turns} }} }}\n")
    };
    (0..count).map(one).collect()
}

const EAST: &str = "{ model: gpt-4o, endpoint: east }";
const WEST: &str = "{ model: o1-mini, endpoint: west }";

/// A line as prompts have them: words, quotes and a line's end.
const LINE: &str = r#"The quick brown fox said \"nothing at all\" to the lazy dog, and went on for a while.\n"#;

/// A chat request of this many bytes, its model last, where OpenAI's own client has it.
pub(crate) fn body(bytes: usize) -> String {
    const HEAD: &str = r#"{"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":""#;
    const TAIL: &str = r#""}],"model":"any","temperature":0.7}"#;
    let room = bytes.saturating_sub(HEAD.len() + TAIL.len());
    let mut text = LINE.repeat(room / LINE.len());
    text.push_str(&"x".repeat(room - text.len()));
    format!("{HEAD}{text}{TAIL}")
}
