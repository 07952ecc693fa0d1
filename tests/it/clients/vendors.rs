//! What each vendor's API answers. Sources: the vendors' API references.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::script::Script;
use crate::rig::serve::Recorded;

/// A vendor's API, and the exceptions of its client.
pub(super) struct Vendor {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) base_path: &'static str,
    pub(super) url_path: &'static str,
    pub(super) models: [&'static str; 2],
    pub(super) bad_request: &'static str,
    pub(super) not_found: &'static str,
    pub(super) rate_limited: &'static str,
    pub(super) unavailable: &'static str,
}

pub(super) const VENDORS: &[Vendor] = &[
    Vendor {
        name: "openai",
        kind: "openai",
        base_path: "/openai/v1",
        url_path: "/v1",
        models: ["gpt-4o", "gpt-4o-mini"],
        bad_request: "openai.BadRequestError",
        not_found: "openai.NotFoundError",
        rate_limited: "openai.RateLimitError",
        unavailable: "openai.InternalServerError",
    },
    Vendor {
        name: "mistral",
        kind: "mistral",
        base_path: "/mistral/v1",
        url_path: "/v1",
        models: ["mistral-large-latest", "mistral-small-latest"],
        bad_request: "mistralai.SDKError",
        not_found: "mistralai.SDKError",
        rate_limited: "mistralai.SDKError",
        unavailable: "mistralai.SDKError",
    },
    Vendor {
        name: "anthropic",
        kind: "anthropic",
        base_path: "/anthropic/v1",
        url_path: "/v1",
        models: ["claude-sonnet-4-5", "claude-haiku-4-5"],
        bad_request: "anthropic.BadRequestError",
        not_found: "anthropic.NotFoundError",
        rate_limited: "anthropic.RateLimitError",
        unavailable: "anthropic.InternalServerError",
    },
    Vendor {
        name: "gemini",
        kind: "gemini",
        base_path: "/gemini/v1beta",
        url_path: "/v1beta",
        models: ["gemini-2.5-flash", "gemini-2.5-pro"],
        bad_request: "google.ClientError",
        not_found: "google.ClientError",
        rate_limited: "google.ClientError",
        unavailable: "google.ServerError",
    },
    Vendor {
        name: "bedrock",
        kind: "aws_bedrock",
        base_path: "/bedrock",
        url_path: "",
        models: ["us.anthropic.claude-sonnet-4-20250514-v1:0", "us.meta.llama3-3-70b-instruct-v1:0"],
        bad_request: "botocore.ValidationException",
        not_found: "botocore.ResourceNotFoundException",
        rate_limited: "botocore.ThrottlingException",
        unavailable: "botocore.ServiceUnavailableException",
    },
];

impl Vendor {
    /// Serves a request, plain or streaming, with these words.
    pub(super) fn serve(&self, request: &Recorded, words: &str) -> Script {
        let streamed = request.json()["stream"] == true
            || request.path.contains(":streamGenerateContent")
            || request.path.ends_with("/converse-stream");
        match (self.name, streamed) {
            ("anthropic", true) => events(&anthropic_events(words)),
            ("anthropic", false) => Script::json(200, &anthropic(words)),
            ("gemini", true) => events(&[("", gemini(words))]),
            ("gemini", false) => Script::json(200, &gemini(words)),
            ("bedrock", true) => event_stream(&bedrock_events(words)),
            ("bedrock", false) => Script::json(200, &bedrock(words)),
            (_, true) => events(&[("", openai_chunk(&request.model(), words)), ("done", Value::Null)]),
            (_, false) => Script::says(words),
        }
    }

    /// Refuses in the vendor's own shape.
    pub(super) fn refuse(&self, status: u16) -> Script {
        let body = match self.name {
            "anthropic" => json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "no" } }),
            "gemini" => json!({ "error": { "code": status, "message": "no", "status": "INVALID_ARGUMENT" } }),
            "bedrock" => json!({ "message": "no" }),
            "mistral" => json!({ "object": "error", "message": "no", "type": "invalid_request_error" }),
            _ => json!({ "error": { "message": "no", "type": "invalid_request_error", "code": null } }),
        };
        let exception = if status == 429 { "ThrottlingException" } else { "ValidationException" };
        let headers = [("content-type", "application/json"), ("x-amzn-errortype", exception), ("retry-after", "60")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Script::Raw { status, headers, body: body.to_string().into() }
    }
}

fn openai_chunk(model: &str, words: &str) -> Value {
    let choice = json!({ "index": 0, "delta": { "role": "assistant", "content": words }, "finish_reason": "stop" });
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice] })
}

fn anthropic(words: &str) -> Value {
    json!({
        "id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "stop_sequence": null, "content": [{ "type": "text", "text": words }],
        "usage": { "input_tokens": 1, "output_tokens": 1 },
    })
}

fn anthropic_events(words: &str) -> Vec<(&'static str, Value)> {
    let mut message = anthropic("");
    message["content"] = json!([]);
    let end = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    [
        ("message_start", json!({ "message": message })),
        ("content_block_start", json!({ "index": 0, "content_block": { "type": "text", "text": "" } })),
        ("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": words } })),
        ("content_block_stop", json!({ "index": 0 })),
        ("message_delta", json!({ "delta": end, "usage": { "output_tokens": 1 } })),
        ("message_stop", json!({})),
    ]
    .map(|(name, mut event)| {
        event["type"] = name.into();
        (name, event)
    })
    .into()
}

fn gemini(words: &str) -> Value {
    let content = json!({ "role": "model", "parts": [{ "text": words }] });
    json!({ "candidates": [{ "content": content, "finishReason": "STOP", "index": 0 }], "modelVersion": "gemini" })
}

fn bedrock(words: &str) -> Value {
    json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": words }] } },
        "stopReason": "end_turn",
        "usage": { "inputTokens": 1, "outputTokens": 1, "totalTokens": 2 },
        "metrics": { "latencyMs": 1 },
    })
}

fn bedrock_events(words: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("messageStart", json!({ "role": "assistant" })),
        ("contentBlockDelta", json!({ "delta": { "text": words }, "contentBlockIndex": 0 })),
        ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
        ("messageStop", json!({ "stopReason": "end_turn" })),
    ]
}

/// Server-sent events; `done` is OpenAI's last.
fn events(events: &[(&str, Value)]) -> Script {
    let line = |(name, data): &(&str, Value)| match *name {
        "" => format!("data: {data}\n\n"),
        "done" => "data: [DONE]\n\n".to_owned(),
        name => format!("event: {name}\ndata: {data}\n\n"),
    };
    raw("text/event-stream", events.iter().map(line).collect::<String>())
}

/// AWS's event stream: frames of headers and payload, each with two checksums.
/// Source: the format of `application/vnd.amazon.eventstream` in the AWS SDKs' documentation.
fn event_stream(events: &[(&str, Value)]) -> Script {
    let frames: Vec<u8> = events.iter().flat_map(|(name, payload)| frame(name, payload)).collect();
    raw("application/vnd.amazon.eventstream", frames)
}

fn frame(name: &str, payload: &Value) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut headers = Vec::new();
    for (key, value) in [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")] {
        headers.push(u8::try_from(key.len()).expect("short"));
        headers.extend_from_slice(key.as_bytes());
        headers.push(STRING);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let total = 12 + headers.len() + payload.len() + 4;
    let mut frame = Vec::new();
    for length in [total, headers.len()] {
        frame.extend_from_slice(&u32::try_from(length).expect("short").to_be_bytes());
    }
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

/// The checksum of Ethernet and zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

fn raw(content_type: &str, body: impl Into<Bytes>) -> Script {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Script::Raw { status: 200, headers, body: body.into() }
}
