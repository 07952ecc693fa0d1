//! Responses in every dialect, cut at every byte.

mod ends;

use std::io::Write as _;

use super::{Known, Reader, Tokens, Usage};
use crate::body::coding::Coding;
use crate::routing::outcome::inspection::BodyFormat;

const EVENTS: Option<BodyFormat> = Some(BodyFormat::Events);
const JSON: Option<BodyFormat> = Some(BodyFormat::Json);

fn tokens(input: u64, output: u64) -> Tokens {
    Tokens { input, output, ..Tokens::default() }
}

/// Reads a response that arrives in two parts.
fn read(format: Option<BodyFormat>, body: &[u8], cut: usize) -> Usage {
    let mut reader = Reader::new(format, Some(Coding::Identity));
    reader.push(&body[..cut], |_| true);
    reader.push(&body[cut..], |_| true);
    reader.usage(true, None)
}

/// Checks the tokens that a whole response states, wherever it is cut.
fn states(format: Option<BodyFormat>, body: &[u8], expected: Tokens) {
    for cut in 0..=body.len() {
        let usage = read(format, body, cut);
        let text = String::from_utf8_lossy(body);
        assert_eq!((usage.known, usage.tokens), (Known::Reported, expected), "cut at {cut}: {text}");
    }
    // One byte at a time.
    let mut reader = Reader::new(format, Some(Coding::Identity));
    body.iter().for_each(|byte| reader.push(&[*byte], |_| true));
    assert_eq!(reader.usage(true, None).tokens, expected);
}

/// Server-sent events of these data, and of names where they have some.
fn events(all: &[(&str, &str)]) -> Vec<u8> {
    let event = |(name, data): &(&str, &str)| match *name {
        "" => format!("data: {data}\n\n"),
        name => format!("event: {name}\ndata: {data}\n\n"),
    };
    all.iter().map(event).collect::<String>().into_bytes()
}

const OPENAI: [(&str, &str); 5] = [
    (
        "",
        r#"{"id":"c","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
    ),
    (
        "",
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hi \"you\" {\"usage\":{\"prompt_tokens\":1}}"},"finish_reason":null}]}"#,
    ),
    ("", r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#),
    (
        "",
        r#"{"id":"c","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":2},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":1}}}"#,
    ),
    ("", "[DONE]"),
];

const ANTHROPIC: [(&str, &str); 6] = [
    (
        "message_start",
        r#"{"type":"message_start","message":{"id":"m","model":"claude","content":[],"usage":{"input_tokens":25,"cache_creation_input_tokens":5,"cache_read_input_tokens":70,"output_tokens":1}}}"#,
    ),
    ("content_block_start", r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
    ("ping", r#"{"type":"ping"}"#),
    ("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#),
    ("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#),
    ("message_stop", r#"{"type":"message_stop"}"#),
];

#[test]
fn openai_streams_are_read() {
    let expected = Tokens { cached_input: 8, reasoning: 4, audio_input: 2, audio_output: 1, ..tokens(19, 10) };
    states(EVENTS, &events(&OPENAI), expected);
    let with_returns = String::from_utf8(events(&OPENAI)).expect("text").replace('\n', "\r\n");
    states(EVENTS, with_returns.as_bytes(), expected);
    states(EVENTS, with_returns.replace("\r\n", "\r").as_bytes(), expected);
    states(EVENTS, format!(": keep-alive\n\n{with_returns}").as_bytes(), expected);
    let usage = read(EVENTS, &events(&OPENAI), 0);
    assert_eq!(usage.model.as_deref(), Some("gpt-4o-2024-08-06"));
}

#[test]
fn responses_of_openai_are_read() {
    let completed = r#"{"type":"response.completed","response":{"id":"r","status":"completed","error":null,"output":[{"content":[{"text":"a long text"}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}}"#;
    let stream = [
        (
            "response.created",
            r#"{"type":"response.created","response":{"id":"r","status":"in_progress","usage":null}}"#,
        ),
        ("response.output_text.delta", r#"{"type":"response.output_text.delta","delta":"Hi"}"#),
        ("response.completed", completed),
    ];
    let expected = Tokens { cached_input: 30, reasoning: 64, ..tokens(36, 87) };
    states(EVENTS, &events(&stream), expected);
    let body = br#"{"id":"r","status":"completed","usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}"#;
    states(JSON, body, expected);
}

#[test]
fn anthropic_is_read_with_its_cache() {
    let expected = Tokens { cached_input: 70, cache_write: 5, ..tokens(100, 15) };
    states(EVENTS, &events(&ANTHROPIC), expected);
    let body = br#"{"type":"message","stop_reason":"end_turn","usage":{"input_tokens":25,"cache_creation_input_tokens":5,"cache_read_input_tokens":70,"output_tokens":15}}"#;
    states(JSON, body, expected);
}

#[test]
fn gemini_is_read_as_events_and_as_a_list() {
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2,"totalTokenCount":12}}"#;
    let last = r#"{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":7,"cachedContentTokenCount":4,"toolUsePromptTokenCount":3,"totalTokenCount":25},"modelVersion":"gemini-2.5-flash"}"#;
    let expected = Tokens { cached_input: 4, reasoning: 7, ..tokens(13, 12) };
    states(EVENTS, &events(&[("", first), ("", last)]), expected);
    states(JSON, format!("[{first},\r\n{last}]").as_bytes(), expected);
    states(JSON, last.as_bytes(), expected);
}

#[test]
fn a_count_that_is_absurd_is_not_believed() {
    let body = br#"{"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":-3,"total_tokens":2.5}}"#;
    let usage = read(JSON, body, 0);
    assert_eq!((usage.known, usage.tokens), (Known::Estimated, Tokens::default()));
}

#[test]
fn reasoning_that_is_counted_apart_is_output() {
    let body = br#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}}"#;
    states(JSON, body, Tokens { reasoning: 20, ..tokens(10, 25) });
}

#[test]
fn other_vendors_are_read() {
    for (body, expected) in [
        (
            r#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            tokens(8, 0),
        ),
        (
            r#"{"usage":{"inputTokens":30,"outputTokens":6,"totalTokens":46,"cacheReadInputTokens":10,"cacheWriteInputTokens":0},"stopReason":"end_turn"}"#,
            Tokens { cached_input: 10, ..tokens(40, 6) },
        ),
        (
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}}"#,
            Tokens { cached_input: 4, ..tokens(9, 3) },
        ),
        (
            r#"{"usage":{"billed_units":{"input_tokens":1},"tokens":{"input_tokens":71,"output_tokens":30}}}"#,
            tokens(71, 30),
        ),
        (r#"{"inputTextTokenCount":5,"results":[{"tokenCount":9,"completionReason":"FINISH"}]}"#, tokens(5, 9)),
        (r#"{"generation":"x","prompt_token_count":5,"generation_token_count":9,"stop_reason":"stop"}"#, tokens(5, 9)),
        (
            r#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":4,"total_tokens":18}}"#,
            Tokens { audio_input: 14, ..tokens(14, 4) },
        ),
        (r#"{"usage":{"prompt_tokens":9.0,"completion_tokens":3}}"#, tokens(9, 3)),
    ] {
        states(JSON, body.as_bytes(), expected);
    }
    let groq = events(&[(
        "",
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"q","usage":{"prompt_tokens":4,"completion_tokens":2}}}"#,
    )]);
    states(EVENTS, &groq, tokens(4, 2));
    let ollama =
        b"{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"done\":true,\"prompt_eval_count\":4,\"eval_count\":2}\n";
    states(Some(BodyFormat::Lines), ollama, tokens(4, 2));
}

/// A message of Amazon's encoding; nobody checks the checksums here.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut named = Vec::new();
    for (name, value) in headers {
        named.push(u8::try_from(name.len()).expect("short"));
        named.extend(name.as_bytes());
        named.push(7);
        named.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
        named.extend(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    let mut frame = [length(16 + named.len() + payload.len()), length(named.len()), [0; 4]].concat();
    frame.extend(named);
    frame.extend(payload.as_bytes());
    frame.extend([0; 4]);
    frame
}

#[test]
fn frames_of_bedrock_are_read() {
    let named = |event| [(":event-type", event), (":content-type", "application/json"), (":message-type", "event")];
    let converse = [
        frame(&named("messageStart"), r#"{"role":"assistant"}"#),
        frame(&named("contentBlockDelta"), r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#),
        frame(&named("messageStop"), r#"{"stopReason":"end_turn"}"#),
        frame(
            &named("metadata"),
            r#"{"usage":{"inputTokens":12,"outputTokens":8,"totalTokens":20},"metrics":{"latencyMs":5}}"#,
        ),
    ];
    states(Some(BodyFormat::Frames), &converse.concat(), tokens(12, 8));
    let chunk = |json: &str| {
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json);
        frame(&named("chunk"), &format!(r#"{{"bytes":"{base64}","p":"abcd"}}"#))
    };
    let invoked = [
        chunk(ANTHROPIC[0].1),
        chunk(ANTHROPIC[3].1),
        chunk(ANTHROPIC[4].1),
        chunk(
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":25,"outputTokenCount":15,"invocationLatency":9}}"#,
        ),
    ];
    states(Some(BodyFormat::Frames), &invoked.concat(), Tokens { cached_input: 70, cache_write: 5, ..tokens(100, 15) });
}

/// The body in stored blocks, which need no compressor. Source: RFC 7932, section 9.
fn brotli(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() - 1).expect("short");
    let header = (length << 4 | 1 << 20).to_le_bytes();
    [&header[..3], body, &[0x03]].concat()
}

fn compressed(coding: Coding, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::best();
    let mut to = Vec::new();
    let written = match coding {
        Coding::Identity => return body.to_vec(),
        Coding::Brotli => return brotli(body),
        Coding::Zstd => return zstd::encode_all(body, 3).expect("memory"),
        Coding::Gzip => flate2::write::GzEncoder::new(&mut to, level).write_all(body),
        Coding::Deflate => flate2::write::ZlibEncoder::new(&mut to, level).write_all(body),
    };
    written.expect("memory");
    to
}

#[test]
fn compressed_responses_are_read_wherever_they_are_cut() {
    let gemini = br#"[{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}}]"#;
    let bedrock =
        frame(&[(":event-type", "metadata")], r#"{"usage":{"inputTokens":12,"outputTokens":8,"totalTokens":20}}"#);
    let stop = frame(&[(":event-type", "messageStop")], r#"{"stopReason":"end_turn"}"#);
    for (format, body) in [
        (EVENTS, events(&OPENAI)),
        (EVENTS, events(&ANTHROPIC)),
        (JSON, gemini.to_vec()),
        (Some(BodyFormat::Frames), [stop, bedrock].concat()),
    ] {
        let expected = read(format, &body, 0);
        assert_eq!(expected.known, Known::Reported);
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let sent = compressed(coding, &body);
            for cut in 0..=sent.len() {
                let mut reader = Reader::new(format, Some(coding));
                reader.push(&sent[..cut], |_| true);
                reader.push(&sent[cut..], |_| true);
                assert_eq!(reader.usage(true, None), expected, "{coding:?} cut at {cut}");
            }
        }
    }
}
