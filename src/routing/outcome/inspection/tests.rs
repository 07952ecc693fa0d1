//! Tests of the verdict on a response's start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const OPENINGS: &[&str] = &["response.created", "message_start", "ping", "messageStart"];

fn bad(codes: &[&str]) -> Start {
    Start::Bad(ErrorFacts { codes: codes.iter().map(|&code| code.to_owned()).collect(), ..ErrorFacts::default() })
}

fn judge(format: BodyFormat, seen: &[u8], ended: bool) -> Start {
    match format.judge(seen, ended, OPENINGS, SystemTime::UNIX_EPOCH) {
        Start::Bad(facts) => Start::Bad(ErrorFacts { message: String::new(), own_words: String::new(), ..facts }),
        judged => judged,
    }
}

fn check(format: BodyFormat, text: &str, ended: bool, expected: &Start) {
    assert_eq!(judge(format, text.as_bytes(), ended), *expected, "{text:?}");
}

#[test]
fn the_first_event_with_content_decides() {
    for (text, expected) in [
        ("", Start::Undecided),
        (": keep-alive\n\n", Start::Undecided),
        ("data: {\"choices\":[]}\n", Start::Undecided),
        ("data: {\"choices\":[]}\n\n", Start::Opened),
        ("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", Start::Opened),
        ("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", Start::Good),
        ("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n", Start::Good),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", Start::Good),
        (": hi\r\n\r\ndata:{\"id\":1}\r\n\r\ndata: {\"error\":1}\r\n\r\n", Start::Good),
        ("data: {\"error\":{\"code\":\"overloaded\",\"type\":\"t\"}}\n\n", bad(&["overloaded", "t"])),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
            bad(&["error", "overloaded_error"]),
        ),
        ("event: error\ndata: oops\n\n", bad(&["error"])),
        ("data: {\"error\":null,\"id\":1}\n\n", Start::Good),
        ("data: {\"error\":\"\",\"id\":1}\n\n", Start::Good),
        ("data: [DONE]\n\n", bad(&[])),
        ("data: not json\n\n", Start::Good),
        ("event: ping\ndata: {\"type\":\"ping\"}\n\n", Start::Undecided),
        ("event: ping\n\ndata: {}\n\ndata: null\n\ndata: [KEEPALIVE]\n\n: c\n\n", Start::Undecided),
        ("\u{feff}: hi\r\rdata: {\"error\":{\"code\":502}}\r\r", bad(&["502"])),
        ("{\"error\":{\"code\":502}}", bad(&["502"])),
        ("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}],\"usage\":{\"total\":1}}\n\n", Start::Opened),
        ("data: {\"choices\":[],\"usage\":{\"total\":1}}\n\n", Start::Good),
        ("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}]}\n\n", Start::Opened),
        ("data: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\"}]}\n\n", Start::Good),
        (
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"}}\n\n",
            bad(&["refusal", "content_filter"]),
        ),
        ("data: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"content_block_delta\"}\n\n", Start::Good),
        (
            "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\"}}}\n\n",
            bad(&["response.failed", "server_error"]),
        ),
        ("data: {\"object\":\"error\",\"code\":500}\n\n", bad(&["500"])),
        ("data: {\"choices\":[{\"error\":{\"code\":502}}]}\n\n", bad(&["502"])),
        ("data: {\"usageMetadata\":{}}\n\n", Start::Opened),
    ] {
        check(BodyFormat::Events, text, false, &expected);
    }
}

#[test]
fn a_stream_that_ends_before_its_first_content_is_empty() {
    check(BodyFormat::Events, "", true, &bad(&[]));
    check(BodyFormat::Events, ": only comments\n\n", true, &bad(&[]));
    check(BodyFormat::Events, "data: {\"type\":\"message_start\"}\n\n", true, &bad(&[]));
    check(BodyFormat::Events, "data: {\"id\":1}", true, &Start::Good);
    check(BodyFormat::Json, "[]", true, &bad(&[]));
    check(BodyFormat::Lines, "\n", true, &bad(&[]));
    check(BodyFormat::Frames, "", true, &bad(&[]));
}

#[test]
fn a_json_response_is_judged_once_it_is_whole() {
    for (text, ended, expected) in [
        ("{\"choices\"", false, Start::Undecided),
        ("{\"choices\":[]}", false, Start::Good),
        ("{\"error\":{\"code\":429}}", false, bad(&["429"])),
        ("{\"base_resp\":{\"status_code\":0,\"status_msg\":\"success\"},\"choices\":[]}", false, Start::Good),
        ("{\"base_resp\":{\"status_code\":1008}}", false, bad(&["base_resp.1008"])),
        ("{\"success\":false,\"errors\":[{\"code\":5007}]}", false, bad(&["5007"])),
        ("{\"object\":\"response\",\"status\":\"failed\",\"error\":{\"code\":\"c\"}}", false, bad(&["failed", "c"])),
        ("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", false, bad(&["SAFETY", "content_filter"])),
        ("{\"candidates\":[{\"finishReason\":\"RECITATION\"}]}", false, bad(&["RECITATION", "content_filter"])),
        (
            "{\"candidates\":[{\"finishReason\":\"STOP\",\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
            false,
            Start::Good,
        ),
        (
            "{\"choices\":[{\"finish_reason\":\"content_filter\",\"message\":{\"content\":\"\"}}]}",
            false,
            bad(&["content_filter"]),
        ),
        (
            "{\"choices\":[{\"finish_reason\":\"content_filter\",\"message\":{\"content\":\"half\"}}]}",
            false,
            Start::Good,
        ),
        ("\u{feff} {\"error\":{\"code\":429}}", false, bad(&["429"])),
        ("data: {\"error\":{\"code\":429}}\n\n", false, bad(&["429"])),
        ("{\"choices\":[{}],\"error\":{}}", false, Start::Good),
        ("{\"error\":{}}", false, bad(&[])),
        ("{\"error_code\":17}", false, bad(&["17"])),
        ("{\"code\":\"InvalidApiKey\",\"message\":\"m\",\"request_id\":\"r\"}", false, bad(&["InvalidApiKey"])),
        ("{\"code\":200,\"message\":\"m\"}", false, Start::Good),
        ("{\"code\":\"c\",\"message\":\"m\",\"data\":[1]}", false, Start::Good),
        ("{\"status\":\"error\",\"message\":\"m\"}", false, bad(&["error"])),
        ("{\"input_tokens\":5}", false, Start::Good),
        ("{\"error_code\":0}", false, Start::Good),
        ("{\"errors\":[{\"code\":\"c\"}]}", false, bad(&["c"])),
        ("{\"errors\":[{\"code\":\"c\"}],\"data\":{\"a\":1}}", false, Start::Good),
        ("<html>", false, Start::Good),
        ("", true, bad(&[])),
        ("{broken", true, Start::Good),
    ] {
        check(BodyFormat::Json, text, ended, &expected);
    }
}

#[test]
fn the_first_complete_element_of_a_list_or_a_line_decides() {
    for (format, text, expected) in [
        (BodyFormat::Json, "[", Start::Undecided),
        (BodyFormat::Json, " [{\"candidates\":[{}", Start::Undecided),
        (BodyFormat::Json, "[{\"candidates\":[{\"content\":{}}]}\r\n", Start::Opened),
        (BodyFormat::Json, "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n", Start::Good),
        (BodyFormat::Json, "[{\"usageMetadata\":{}},\n{\"error\":{\"code\":503}}", bad(&["503"])),
        (BodyFormat::Json, "[{\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}]", bad(&["503", "UNAVAILABLE"])),
        (BodyFormat::Json, "[[{\"error\":{\"code\":503}}]", bad(&["503"])),
        (BodyFormat::Json, "[17", Start::Undecided),
        (BodyFormat::Json, "[oops", Start::Undecided),
        (BodyFormat::Lines, "{\"message\":{}}", Start::Undecided),
        (BodyFormat::Lines, "{\"message\":{}}\n", Start::Good),
        (BodyFormat::Lines, "{\"error\":\"out of memory\"}\n", bad(&[])),
    ] {
        check(format, text, false, &expected);
    }
}

/// A frame of AWS's event stream, without its checksums.
fn frame(kind: (&str, &str), name: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", kind.0), (kind.1, name)] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend(name.as_bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let total = 16 + headers.len() + payload.len();
    let lengths = [total, headers.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    [&lengths.concat()[..], &[0; 4], &headers, payload.as_bytes(), &[0; 4]].concat()
}

/// A chunk of `invoke-with-response-stream`.
fn chunk(event: &str) -> Vec<u8> {
    frame(("event", ":event-type"), "chunk", &format!("{{\"bytes\":\"{}\"}}", STANDARD.encode(event)))
}

#[test]
fn frames_of_aws_are_judged_by_their_names() {
    let start = frame(("event", ":event-type"), "messageStart", "{\"role\":\"assistant\"}");
    let delta = frame(("event", ":event-type"), "contentBlockDelta", "{\"delta\":{\"text\":\"a\"}}");
    let failed = frame(("exception", ":exception-type"), "throttlingException", "{\"message\":\"m\"}");
    for (frames, expected) in [
        (&[&start][..], Start::Opened),
        (&[&start, &delta], Start::Good),
        (&[&start, &failed], bad(&["throttlingException"])),
        (&[&failed], bad(&["throttlingException"])),
        (&[&chunk("{\"type\":\"message_start\"}")], Start::Opened),
        (&[&chunk("{\"type\":\"content_block_delta\"}")], Start::Good),
    ] {
        let bytes = frames.iter().flat_map(|frame| frame.iter().copied()).collect::<Vec<_>>();
        assert_eq!(judge(BodyFormat::Frames, &bytes, false), expected);
        let cut = judge(BodyFormat::Frames, &bytes[..bytes.len() - 1], false);
        assert!(matches!(cut, Start::Undecided | Start::Opened), "the last frame is incomplete");
    }
    assert_eq!(judge(BodyFormat::Frames, &[0xff; 64], false), Start::Good, "it cannot be cut into frames");
}

#[test]
fn what_has_been_decided_stays_so() {
    for text in [
        "\u{feff}: c\r\n\r\nevent: ping\r\ndata: {}\r\n\r\ndata: {\"error\":{\"code\":502}}\r\n\r\ndata: [DONE]\r\n\r\n",
        "error: {\"code\":500}\n\ndata: {\"id\":1}\n\n",
        "{\"é\":\"é\",\"error\":{\"code\":1}} {\"a\":2}",
        "data: {\"choices\":[]}\r\rdata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\r",
        " [ {\"candidates\":[]} ,\n {\"error\":{}} ]",
        "{\"message\":{}}\n{\"error\":\"e\"}\n",
    ] {
        for format in [BodyFormat::Events, BodyFormat::Json, BodyFormat::Lines] {
            let verdicts = (0..=text.len()).map(|length| judge(format, &text.as_bytes()[..length], false));
            let decided: Vec<_> = verdicts.filter(|start| !matches!(start, Start::Undecided | Start::Opened)).collect();
            assert!(decided.windows(2).all(|pair| pair[0] == pair[1]), "{format:?} {text}: {decided:?}");
        }
    }
}

#[test]
fn what_is_long_is_a_response() {
    check(BodyFormat::Json, &"x".repeat(MAX_BYTES), false, &Start::Good);
    check(BodyFormat::Events, &": c\n".repeat(MAX_BYTES), false, &Start::Good);
    check(BodyFormat::Events, &"data: {\"type\":\"ping\"}\n\n".repeat(MAX_BYTES / 20), false, &Start::Good);
}
