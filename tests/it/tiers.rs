//! APIs of one host and path, told apart by a header that Envoy sets.

use crate::check::check_error;
use crate::rig::Rig;
use crate::rig::ask::{chat, get};
use crate::rig::envoy::Topology;
use crate::rig::router::Settings;

const TIERS: &str = "
providers: { openai: { type: openai, models: [gold, silver, plain, vectors] } }
endpoints:
  east: { provider: openai, url: '{{east}}/v1', api_key: { value: key-east } }
  west: { provider: openai, url: '{{west}}/v1', api_key: { value: key-west } }
apis:
  - name: plain
    base_path: /v1
    operations: [/chat/completions]
    production: { round_robin: { targets: [{ model: plain, endpoint: west }] } }
  - name: vectors
    base_path: /v1
    operations: [/embeddings]
    production: { round_robin: { targets: [{ model: vectors, endpoint: west }] } }
  - name: gold
    base_path: /v1
    headers: { X-Tier: gold }
    operations: [/chat/completions]
    production: { round_robin: { targets: [{ model: gold, endpoint: east }, { model: silver, endpoint: west }] } }
  - name: silver
    base_path: /v1
    headers: { x-tier: { prefix: silv } }
    operations: [/chat/completions]
    production: { round_robin: { targets: [{ model: silver, endpoint: east }] } }
  - name: team
    base_path: /team/v1
    headers: { x-team: { present: true } }
    operations: [/chat/completions]
    production: { round_robin: { targets: [{ model: silver, endpoint: west }] } }
";

/// Envoy's file with a line that sets the header, whatever the client sent.
fn set_by_envoy(topology: Topology, file: &str) -> String {
    let (before, key) = match topology {
        Topology::Attach => {
            ("              - append:\n                  header: { key: ", "x-model-router-environment")
        }
        _ => ("                - header: { key: ", "x-model-router-environment"),
    };
    let line = format!("{before}{key}, value: production }}\n");
    assert!(file.contains(&line));
    let spaces = &before[..before.find('-').unwrap()];
    let more = match topology {
        Topology::Attach => {
            format!("{before}x-tier, value: gold }}\n{spaces}    append_action: OVERWRITE_IF_EXISTS_OR_ADD\n")
        }
        _ => format!("{before}x-tier, value: gold }}\n{spaces}  append_action: OVERWRITE_IF_EXISTS_OR_ADD\n"),
    };
    file.replacen(&line, &format!("{more}{line}"), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_says_which_api_a_request_belongs_to_in_both_topologies() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = Rig::start(topology, TIERS, &["east", "west"]).await;
        for (tier, model) in [
            (None, "plain"),
            (Some("gold"), "gold"),
            (Some("gold"), "silver"),
            (Some("golden"), "plain"),
            (Some("silver-2"), "silver"),
            (Some(""), "plain"),
        ] {
            let ask = tier.map_or_else(|| chat("any"), |tier| chat("any").header("X-Tier", tier));
            let answer = rig.send(ask).await;
            assert_eq!((answer.status, &*answer.model()), (200, model), "{tier:?}: {}", answer.text());
        }
        // What a tier's API has not is looked for in the others there.
        let vectors = chat("any").path("/v1/embeddings").header("x-tier", "gold");
        assert_eq!(rig.send(vectors).await.model(), "vectors");
        let list = rig.send(get("/v1/models").header("x-tier", "gold")).await.json();
        let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
        assert_eq!(names, ["gold", "silver", "vectors"]);
        let team = || chat("any").path("/team/v1/chat/completions");
        assert_eq!(rig.send(team().header("x-team", "any")).await.model(), "silver");
        check_error(&rig.send(team()).await, 404, "unknown_api");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_sets_overwrites_what_a_client_sends() {
    for topology in [Topology::Attach, Topology::Failover] {
        let edit = |text: String| set_by_envoy(topology, &text);
        let rig = Rig::start_edited(topology, TIERS, &["east", "west"], Settings::default(), edit).await;
        for model in ["gold", "silver", "gold"] {
            let answer = rig.send(chat("any").header("x-tier", "silver-2")).await;
            assert_eq!((answer.status, &*answer.model()), (200, model), "{}", answer.text());
        }
        rig.check_clean().await;
    }
}
