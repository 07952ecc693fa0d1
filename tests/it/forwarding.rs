//! What a provider receives, and what it must never receive; what clients get instead of an answer.

use std::io::Write;

use http::Method;
use serde_json::json;

use crate::check::{check_error, production};
use crate::rig::Rig;
use crate::rig::ask::{chat, get, post};
use crate::rig::envoy::Topology;
use crate::rig::provider::Provider;
use crate::rig::script::Script;

const TWO_IN_TURN: &str = "
    round_robin:
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west }
";

async fn rig(topology: Topology) -> Rig {
    Rig::start(topology, &production(TWO_IN_TURN), &["east", "west"]).await
}

const BOTH: [Topology; 2] = [Topology::Attach, Topology::Failover];

#[tokio::test(flavor = "multi_thread")]
async fn only_the_model_changes_in_a_body() {
    for topology in BOTH {
        let rig = rig(topology).await;
        let body = r#" { "messages" : [ {"content":"\u00e9 \/ 🦀"} ],"seed":12345678901234567890, "x":1e400,"model" : "o9" , "y":-0.0} "#;
        assert_eq!(rig.send(chat("any").body(body)).await.status, 200);
        let expected = body.replace(r#""o9""#, r#""gpt-4o""#);
        assert_eq!(rig.provider("east").last().body, expected);
        assert_eq!(rig.provider("east").last().header("content-length"), expected.len().to_string());
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_model_is_added() {
    let rig = rig(Topology::Failover).await;
    assert_eq!(rig.send(chat("any").body(r#"{"messages":[]}"#)).await.status, 200);
    assert_eq!(rig.provider("east").last().body, r#"{"model":"gpt-4o","messages":[]}"#);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn path_and_query_are_mapped_byte_for_byte() {
    let rig = rig(Topology::Failover).await;
    let ask = chat("any").path("/v1/chat/completions?a=%2F%20b&&c=?d&a=1");
    assert_eq!(rig.send(ask).await.status, 200);
    assert_eq!(rig.provider("east").last().path, "/up/v1/chat/completions?a=%2F%20b&&c=?d&a=1");
    assert_eq!(rig.provider("east").last().header("host"), rig.provider("east").addr().to_string());
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_receives_its_own_key_and_nothing_of_the_clients() {
    for topology in BOTH {
        let rig = rig(topology).await;
        for _ in 0..20 {
            let ask = chat("any")
                .path("/v1/chat/completions?api-key=client-key&keep=1&key=client-key")
                .header("authorization", "Bearer client-key")
                .header("api-key", "client-key")
                .header("x-api-key", "client-key")
                .header("x-goog-api-key", "client-key")
                .header("cookie", "session=client-key")
                .header("openai-organization", "client-key")
                .header("x-model-router-environment", "sandbox")
                .header("x-model-router-stream", "client-key")
                .header("x-model-router-retry", "client-key");
            assert_eq!(rig.send(ask).await.status, 200);
        }
        assert_eq!(rig.hits(), [10, 10]);
        for provider in rig.providers() {
            for request in provider.requests() {
                assert_eq!(request.header("authorization"), format!("Bearer key-{}", provider.name()));
                assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
                assert_eq!(request.path, "/up/v1/chat/completions?keep=1");
                let text = format!("{:?}", request.headers);
                assert!(!text.contains("client-key") && !text.contains("x-model-router"), "{text}");
                assert!(!text.contains("x-envoy") && !text.contains("127.0.0.1\", \"x-forwarded"), "{text}");
            }
        }
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_the_cluster_header_gets_nowhere() {
    for topology in BOTH {
        let rig = rig(topology).await;
        // The first turn is the other endpoint's.
        let spoofed = |path: &str| chat("any").path(path).header("x-model-router-cluster", "west");
        assert_eq!(rig.send(spoofed("/v1/chat/completions")).await.provider(), "east");
        check_error(&rig.send(spoofed("/elsewhere")).await, 404, "unknown_api");
        check_error(
            &rig.send(get("/v1/other").header("x-model-router-cluster", "west")).await,
            404,
            "unknown_operation",
        );
        assert_eq!(rig.hits(), [1, 0]);
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_unmatched_cannot_choose_a_cluster_either() {
    for topology in BOTH {
        let policy = format!("unmatched: continue\n{}", production(TWO_IN_TURN));
        let rig = Rig::start(topology, &policy, &["east", "west"]).await;
        let answer = rig.send(chat("any").path("/elsewhere").header("x-model-router-cluster", "west")).await;
        assert_eq!((answer.status, rig.hits()), (503, vec![0, 0]));
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_loses_what_tells_of_the_account() {
    let rig = rig(Topology::Failover).await;
    rig.provider("east").answer(Script::ok_with(&[
        ("set-cookie", "a=b"),
        ("openai-organization", "org"),
        ("x-kept", "1"),
    ]));
    let answer = rig.send(chat("any")).await;
    assert_eq!(
        (answer.header("set-cookie"), answer.header("openai-organization"), answer.header("x-kept")),
        ("", "", "1")
    );
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_cannot_ask_for_another_attempt() {
    let rig = rig(Topology::Failover).await;
    rig.provider("east").answer(Script::ok_with(&[("x-model-router-retry", "1")]));
    let answer = rig.send(chat("any")).await;
    assert_eq!((answer.provider(), answer.header("x-model-router-retry"), rig.hits()), ("east", "", vec![1, 0]));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_openais_shape_without_asking_a_provider() {
    let rig = rig(Topology::Failover).await;
    let answer = rig.send(get("/v1/models")).await;
    let model = |id: &str| json!({ "id": id, "object": "model", "created": 0, "owned_by": "openai" });
    assert_eq!(answer.json(), json!({ "object": "list", "data": [model("gpt-4o"), model("o1-mini")] }));
    assert_eq!((answer.status, answer.header("content-type"), rig.hits()), (200, "application/json", vec![0, 0]));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_and_embeddings_under_one_base_path_have_policies_of_their_own() {
    let policy = "
providers: { openai: { type: openai, models: [gpt-4o, text-embedding-3-small] } }
endpoints:
  east: { provider: openai, url: '{{east}}/v1', api_key: { value: key-east } }
apis:
  - name: chat
    base_path: /v1
    production: { round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] } }
  - name: embeddings
    base_path: /v1
    operations: [/embeddings]
    production: { round_robin: { targets: [ { model: text-embedding-3-small, endpoint: east } ] } }
";
    let rig = Rig::start(Topology::Failover, policy, &["east"]).await;
    for (path, model) in [("/v1/chat/completions", "gpt-4o"), ("/v1/embeddings", "text-embedding-3-small")] {
        rig.send(chat("any").path(path)).await;
        assert_eq!(rig.provider("east").last().model(), model, "{path}");
    }
    assert_eq!(rig.send(get("/v1/models")).await.json()["data"].as_array().map(Vec::len), Some(2));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_gets_an_error_that_says_why() {
    for topology in BOTH {
        let rig = rig(topology).await;
        let too_long = format!(r#"{{"x":"{}"}}"#, "a".repeat(26 << 20));
        for (ask, status, code) in [
            (chat("any").path("/nowhere"), 404, "unknown_api"),
            (chat("any").path("/v1/other"), 404, "unknown_operation"),
            (chat("any").path("/v1/files"), 400, "stateful_request"),
            (chat("any").path("/v1/responses").body(r#"{"previous_response_id":"r"}"#), 400, "stateful_request"),
            (get("/v1/chat/completions"), 404, "unknown_operation"),
            (post("/v1/chat/completions").header("content-type", "application/json"), 400, "invalid_body"),
            (chat("any").body("{"), 400, "invalid_body"),
            (chat("any").body(r#"{"model":"a","Model":"b"}"#), 400, "invalid_body"),
            (chat("any").header("content-encoding", "compress"), 415, "content_encoding"),
            (chat("any").header("content-encoding", "gzip"), 400, "invalid_body"),
            (chat("any").body(gzip(&vec![b' '; 26 << 20])).header("content-encoding", "gzip"), 413, "body_too_large"),
            (post("/v1/chat/completions").header("content-type", "text/plain").body("{}"), 415, "content_type"),
            (chat("any").body(too_long), 413, "body_too_large"),
        ] {
            check_error(&rig.send(ask).await, status, code);
        }
        assert_eq!(rig.hits(), [0, 0], "nothing was forwarded");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_without_targets_is_refused() {
    let policy = production(TWO_IN_TURN).replace("base_path: /v1", "base_path: /v1\n    sandbox_hosts: [sandbox.test]");
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west"]).await;
    check_error(&rig.send(chat("any").host("sandbox.test")).await, 403, "no_targets");
    check_error(&rig.send(get("/v1/models").host("sandbox.test")).await, 403, "no_targets");
    assert_eq!(rig.send(chat("any").host("live.test")).await.status, 200);
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_prompt_and_no_key_is_logged() {
    let rig = Rig::start(Topology::Failover, &production(TWO_IN_TURN), &["east", "west"]).await;
    rig.provider("west").answer(Script::status(503));
    for _ in 0..4 {
        let ask = chat("any").say("a-secret-prompt").path("/v1/chat/completions?key=client-key");
        rig.send(ask.header("authorization", "Bearer client-key")).await;
    }
    rig.send(chat("any").body("{a-secret-prompt")).await;
    rig.send(get("/v1/other?key=client-key").header("authorization", "Bearer client-key")).await;
    assert!(rig.router.events("decision").len() >= 4);
    let access_log = format!("{:?}", rig.envoy.access_log());
    for line in rig.router.log().into_iter().chain([access_log, rig.envoy.log()]) {
        for secret in ["a-secret-prompt", "client-key", "key-east", "key-west"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    rig.check_clean().await;
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory")
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_decoded_edited_and_sent_plain() {
    for topology in BOTH {
        let rig = rig(topology).await;
        let text = br#"{"model":"any", "messages":[]}"#;
        for (coding, body) in [
            ("gzip", gzip(text)),
            ("GZIP", gzip(text)),
            ("x-gzip", gzip(text)),
            ("gzip, identity", gzip(text)),
            ("gzip", [gzip(&text[..9]), gzip(&text[9..])].concat()),
            ("deflate", deflate(text)),
            ("br", [&[0xd0, 0x01, 0x10], &text[..], &[3]].concat()),
            ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
            ("", text.to_vec()),
            ("identity", text.to_vec()),
        ] {
            let answer = rig.send(chat("any").body(body).header("content-encoding", coding)).await;
            assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
            let requests = rig.providers().flat_map(Provider::requests).collect::<Vec<_>>();
            let sent = requests.last().unwrap();
            let model = sent.model();
            assert_eq!(sent.body, format!(r#"{{"model":"{model}", "messages":[]}}"#), "{coding}");
            assert!(["", "identity"].contains(&sent.header("content-encoding")), "{coding}");
            rig.clear();
        }
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_skipped() {
    let rig = rig(Topology::Failover).await;
    let answer = rig.send(chat("any").body("\u{feff}{\"model\":\"any\"}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = rig.providers().flat_map(Provider::requests).next().unwrap();
    assert_eq!(sent.body, format!("{{\"model\":\"{}\"}}", sent.model()));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_an_account_inside_its_body_is_bound_to_it() {
    let bodies = [
        (
            "/v1/responses",
            json!({ "input": [{ "type": "reasoning", "encrypted_content": "gAAA" }] }),
            "encrypted_content",
        ),
        ("/v1/responses", json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }), "item_reference"),
        ("/v1/responses", json!({ "input": [{ "content": [{ "type": "input_file", "file_id": "f" }] }] }), "file_id"),
        ("/v1/chat/completions", json!({ "messages": [{ "content": [{ "file": { "file_id": "f" } }] }] }), "file_id"),
        ("/v1/chat/completions", json!({ "messages": [{ "audio": { "id": "audio_1" } }] }), "audio_"),
        ("/v1/responses", json!({ "input": [{ "type": "reasoning", "id": "rs_1", "summary": [] }] }), "rs_"),
        ("/v1/responses", json!({ "input": [{ "type": "image_generation_call", "id": "ig_1" }] }), "ig_"),
        ("/v1/responses", json!({ "input": [{ "container_id": "cntr_1" }] }), "container_id"),
        ("/v1/responses", json!({ "input": "a", "prompt": { "id": "pmpt_1" } }), "pmpt_"),
        ("/v1/responses", json!({ "input": "a", "tools": [{ "vector_store_ids": ["vs_1"] }] }), "vector_store_ids"),
        ("/v1/responses", json!({ "input": "a", "tools": [{ "container": "cntr_1" }] }), "container"),
        (
            "/v1/responses",
            json!({ "input": "a", "tools": [{ "container": { "type": "auto", "file_ids": ["file-1"] } }] }),
            "file_ids",
        ),
    ];
    let several = rig(Topology::Failover).await;
    let kept = production(&TWO_IN_TURN.replace("      targets:", "      stateful_endpoint: west\n      targets:"));
    let kept = Rig::start(Topology::Failover, &kept, &["east", "west"]).await;
    let one = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    let one = Rig::start(Topology::Failover, &one, &["east"]).await;
    for (path, body, what) in bodies {
        let mut body = body;
        body["model"] = "gpt-4o".into();
        let ask = || post(path).json(&body);
        let refused = several.send(ask()).await;
        check_error(&refused, 400, "stateful_request");
        assert!(refused.text().contains(what), "{}", refused.text());
        let answer = kept.send(ask()).await;
        assert_eq!((answer.status, answer.provider()), (200, "west"), "{what}");
        assert_eq!(one.send(ask()).await.status, 200, "there is only one account");
    }
    several.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_and_upgrades_get_a_proper_answer() {
    for topology in BOTH {
        let rig = rig(topology).await;
        let preflight = get("/v1/chat/completions").method(Method::OPTIONS).header("origin", "https://app.test");
        let answer = rig.send(preflight.header("access-control-request-method", "POST")).await;
        assert_eq!((answer.status, answer.header("allow")), (204, "POST, OPTIONS"));
        assert_eq!(answer.header("access-control-allow-origin"), "", "granting is for Envoy's cors filter");
        for (path, allowed) in [
            ("/v1/models", "GET, OPTIONS"),
            ("/v1/models/gpt-4o", "GET, OPTIONS"),
            ("/v1/files/file-1", "DELETE, GET, PATCH, POST, OPTIONS"),
            ("/v1/responses/resp_1", "DELETE, GET, PATCH, POST, OPTIONS"),
        ] {
            let answer = rig.send(get(path).method(Method::OPTIONS)).await;
            assert_eq!((answer.status, answer.header("allow")), (204, allowed), "{path}");
        }
        assert_eq!(rig.hits(), [0, 0], "a preflight has no credential, and gets none");
        check_error(&rig.send(get("/v1/nothing").method(Method::OPTIONS)).await, 404, "unknown_operation");
        let upgrade = get("/v1/realtime").header("upgrade", "websocket").header("connection", "upgrade");
        let upgrade =
            upgrade.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        check_error(&rig.send(upgrade).await, 426, "websocket");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_outside_ascii_is_percent_encoded_in_headers() {
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    let rig = Rig::start(Topology::Failover, &policy.replace("gpt-4o", "模型-é"), &["east"]).await;
    let answer = rig.send(chat("any")).await;
    assert_eq!((answer.status, answer.header("x-model-router-model")), (200, "%E6%A8%A1%E5%9E%8B-%C3%A9"));
    assert_eq!(rig.provider("east").last().model(), "模型-é");
    rig.check_clean().await;
}
