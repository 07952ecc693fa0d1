//! What exists only at the account that made it, inside bodies of every dialect: refused where a policy has several
//! endpoints and does not say which one keeps it. And what only looks like it.

use serde_json::{Value, json};

use crate::check::in_turn;
use crate::rig::Rig;
use crate::rig::ask::post;
use crate::rig::script::Script;

async fn rig(kind: &str, url: &str) -> Rig {
    let rig = in_turn(kind, url).await;
    rig.providers().for_each(|provider| provider.answer(Script::json(200, &json!({ "ok": true }))));
    rig
}

/// Bodies that are bound, each with what the refusal names, and bodies that are not.
async fn check(kind: &str, url: &str, path: &str, bound: &[(Value, &str)], free: &[Value]) {
    let rig = rig(kind, url).await;
    let ask = |body: &Value| post(&format!("/all{path}")).json(body);
    for (body, what) in bound {
        let refused = rig.send(ask(body)).await;
        assert!(refused.status == 400 && refused.text().contains(what), "{body}: {}", refused.text());
    }
    for body in free {
        assert_eq!(rig.send(ask(body)).await.status, 200, "{body}");
    }
    assert_eq!(rig.hits().iter().sum::<usize>(), free.len());
    rig.check_clean().await;
}

fn parts(part: &Value) -> Value {
    json!({ "model": "one", "messages": [{ "role": "user", "content": [part] }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_openais_responses() {
    let input = |item: Value| json!({ "model": "one", "input": [item] });
    let bound = [
        (json!({ "model": "one", "input": "a", "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "model": "one", "input": "a", "conversation": { "id": "conv_1" } }), "conversation"),
        (input(json!({ "type": "compaction", "encrypted_content": "gAAA" })), "encrypted_content"),
        (input(json!({ "type": "reasoning", "id": "rs_1", "summary": [] })), "rs_"),
        (input(json!({ "content": [{ "type": "input_image", "file_id": "file-1" }] })), "file_id"),
        (json!({ "model": "one", "input": "a", "prompt": { "id": "pmpt_1" } }), "pmpt_"),
    ];
    let free = [
        input(json!({ "role": "user", "content": "what are rs_1, a file_id, item_reference and encrypted_content?" })),
        input(json!({ "type": "message", "id": "msg_1", "role": "assistant", "content": [] })),
        input(json!({ "type": "function_call", "id": "fc_1", "call_id": "call_rs_1", "name": "f", "arguments": "{}" })),
        input(json!({ "type": "reasoning", "encrypted_content": null, "summary": [] })),
        json!({ "model": "one", "input": "a", "previous_response_id": null, "conversation": null }),
        json!({ "model": "one", "input": "a", "tools": [{ "container": { "type": "auto" } }] }),
        json!({ "model": "one", "input": "a", "tools": [{ "type": "function", "name": "file_ids", "parameters": {} }] }),
    ];
    check("openai", "/v1", "/responses", &bound, &free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_chat_completions() {
    let bound = [
        (parts(&json!({ "type": "file", "file": { "file_id": "file-1" } })), "file_id"),
        (json!({ "model": "one", "messages": [{ "role": "assistant", "audio": { "id": "audio_1" } }] }), "audio_"),
    ];
    let free = [
        parts(&json!({ "type": "file", "file": { "file_data": "data:application/pdf;base64,AAAA", "filename": "f" } })),
        json!({ "model": "one", "messages": [{ "role": "assistant", "tool_calls": [{ "id": "call_1" }] }] }),
    ];
    check("openai_compatible", "/v1", "/chat/completions", &bound, &free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_anthropics_messages() {
    let source = |source: Value| parts(&json!({ "type": "document", "source": source }));
    let bound = [
        (source(json!({ "type": "file", "file_id": "file_1" })), "file_id"),
        (parts(&json!({ "type": "container_upload", "file_id": "file_1" })), "file_id"),
        (json!({ "model": "one", "messages": [], "container": "container_1" }), "container"),
    ];
    let free = [
        source(json!({ "type": "base64", "media_type": "application/pdf", "data": "AAAA" })),
        source(json!({ "type": "url", "url": "https://files.test/file_id" })),
        json!({ "model": "one", "messages": [], "container": null }),
    ];
    check("anthropic", "/v1", "/messages", &bound, &free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_geminis_contents() {
    let file = |uri: &str| json!({ "contents": [{ "parts": [{ "fileData": { "fileUri": uri } }] }] });
    let snake = json!({ "contents": [{ "parts": [{ "file_data": {
        "file_uri": "https://generativelanguage.googleapis.com/v1beta/files/1" } }] }] });
    let bound = [
        (file("https://generativelanguage.googleapis.com/v1beta/files/1"), "fileUri"),
        (snake, "file_uri"),
        (json!({ "contents": [], "cachedContent": "cachedContents/1" }), "cachedContent"),
        (json!({ "contents": [], "cached_content": "cachedContents/1" }), "cached_content"),
        (
            json!({ "contents": [], "tools": [{ "fileSearch": { "fileSearchStoreNames": ["fileSearchStores/1"] } }] }),
            "fileSearchStoreNames",
        ),
    ];
    let free = [
        file("gs://bucket/file"),
        file("https://www.youtube.com/watch?v=1"),
        json!({ "contents": [{ "parts": [{ "inlineData": { "mimeType": "image/png", "data": "AAAA" } }] }] }),
    ];
    check("gemini", "/v1beta", "/models/one:generateContent", &bound, &free).await;
}
