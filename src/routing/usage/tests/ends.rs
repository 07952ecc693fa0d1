//! How responses end: whole, cut off, with an error, or not to be read at all.

use std::time::Duration;

use super::super::{Known, Reader, Unread};
use super::{ANTHROPIC, EVENTS, JSON, OPENAI, events, frame, read, tokens};
use crate::body::coding::Coding;
use crate::routing::outcome::inspection::BodyFormat;

#[test]
fn a_stream_that_is_cut_off_is_incomplete_until_its_usage_has_come() {
    for stream in [&OPENAI[..], &ANTHROPIC[..]] {
        let body = events(stream);
        let text = String::from_utf8(body.clone()).expect("text");
        // The end of the event that has it.
        let usage = text.rfind("usage\":{").expect("usage");
        let stated = usage + text[usage..].find('\n').expect("a line");
        let expected = read(EVENTS, &body, 0).tokens;
        for end in 0..=body.len() {
            let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
            reader.push(&body[..end], |_| true);
            let read = reader.usage(false, Some(400));
            if end < stated {
                assert_eq!(read.known, Known::Incomplete, "{}", &text[..end]);
                assert!(read.tokens.input > 0, "{read:?}");
            } else {
                assert_eq!((read.known, read.tokens), (Known::Reported, expected), "{}", &text[..end]);
            }
        }
    }
}

#[test]
fn a_stream_without_usage_is_estimated_by_what_was_said() {
    let mut stream = OPENAI.to_vec();
    stream.remove(3);
    let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
    reader.push(&events(&stream), |_| true);
    let usage = reader.usage(true, Some(101));
    let said = r#"Hi "you" {"usage":{"prompt_tokens":1}}"#.len() as u64;
    assert_eq!((usage.known, usage.tokens), (Known::Estimated, tokens(26, said.div_ceil(4))));
    // Without its end it may have been cut off.
    let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
    reader.push(&events(&stream[..2]), |_| true);
    assert_eq!(reader.usage(true, None).known, Known::Incomplete);
}

#[test]
fn errors_after_the_start_are_seen() {
    for (stream, codes) in [
        (events(&[OPENAI[1], ("", r#"{"error":{"code":502,"message":"Upstream"}}"#)]), &["502"][..]),
        (
            events(&[
                ANTHROPIC[0],
                ("error", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            ]),
            &["overloaded_error"],
        ),
        (events(&[("", r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#)]), &["error"]),
        (
            events(&[(
                "",
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#,
            )]),
            &["failed", "server_error"],
        ),
        (events(&[OPENAI[1], ("error", "no JSON")]), &[]),
    ] {
        for cut in 0..=stream.len() {
            let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
            reader.push(&stream[..cut], |_| true);
            reader.push(&stream[cut..], |_| true);
            let error = reader.error().map(|error| error.codes);
            assert_eq!(
                error,
                Some(codes.iter().map(|&code| code.to_owned()).collect()),
                "{}",
                String::from_utf8_lossy(&stream)
            );
        }
    }
    let exception =
        frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], r#"{"message":"slow"}"#);
    let mut reader = Reader::new(Some(BodyFormat::Frames), Some(Coding::Identity));
    reader.push(&exception, |_| true);
    assert_eq!(reader.error().map(|error| error.codes), Some(vec!["throttlingException".to_owned()]));
    for stream in [events(&OPENAI), events(&ANTHROPIC)] {
        let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
        reader.push(&stream, |_| true);
        assert!(reader.error().is_none());
    }
}

#[test]
fn a_stream_that_ends_without_its_last_event_is_the_providers_fault() {
    let fault = |format, body: &[u8], has_ended, seconds| {
        let mut reader = Reader::new(format, Some(Coding::Identity));
        reader.push(body, |_| true);
        reader.fault(has_ended, Duration::from_secs(seconds))
    };
    let begun = events(&OPENAI[..2]);
    for (body, has_ended, seconds, expected) in [
        (&begun, true, 0, Some("truncated_stream")),
        (&begun, false, 59, None),
        (&begun, false, 60, Some("stalled_stream")),
        (&events(&OPENAI[..3]), true, 0, None),
        (&events(&OPENAI), true, 0, None),
        (&events(&ANTHROPIC[..4]), true, 0, Some("truncated_stream")),
        (&events(&ANTHROPIC), true, 0, None),
        (&events(&[("", r#"{"unknown":"form"}"#)]), true, 0, None),
        (&[events(&OPENAI[..2]), vec![b'\n'; 64 << 10]].concat(), false, 60, None),
    ] {
        assert_eq!(fault(EVENTS, body, has_ended, seconds), expected, "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(fault(JSON, br#"{"choices":[{"message":{"content":"x"}}]}"#, true, 0), None);
}

#[test]
fn headers_of_bedrock_state_usage() {
    let mut reader = Reader::new(JSON, Some(Coding::Identity));
    reader.header("x-amzn-bedrock-input-token-count", "11");
    reader.header("x-amzn-bedrock-output-token-count", "7");
    reader.push(b"{\"generation\":\"x\"}", |_| true);
    assert_eq!(reader.usage(true, None).tokens, tokens(11, 7));
}

#[test]
fn what_cannot_be_read_is_named() {
    let read = |reader: Reader| {
        let usage = reader.usage(true, None);
        (usage.known, usage.unread)
    };
    assert_eq!(read(Reader::new(None, Some(Coding::Identity))), (Known::Unread, Some(Unread::Format)));
    assert_eq!(read(Reader::new(JSON, None)), (Known::Unread, Some(Unread::Coding)));
    let mut damaged = Reader::new(JSON, Some(Coding::Gzip));
    damaged.push(b"{\"usage\":{}}", |_| true);
    assert_eq!(read(damaged), (Known::Unread, Some(Unread::Coding)));
    let mut refused = Reader::new(JSON, Some(Coding::Gzip));
    refused.push(&zstd::encode_all(&b"x"[..], 3).expect("memory"), |_| false);
    assert_eq!(read(refused), (Known::Unread, Some(Unread::OverCapacity)));
}

#[test]
fn a_bomb_is_stopped() {
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 19).expect("memory");
    let mut reader = Reader::new(JSON, Some(Coding::Zstd));
    reader.push(&bomb, |_| true);
    assert_eq!(reader.usage(true, None).unread, Some(Unread::Bomb));
}

#[test]
fn a_reader_holds_less_than_4_kib_whatever_it_reads() {
    assert!(size_of::<Reader>() < 2_048, "{}", size_of::<Reader>());
    let long = format!("data: {{\"{}\":\"{}\"", "k".repeat(1 << 20), "v".repeat(1 << 20));
    let deep = "data: ".to_owned() + &"[{\"a\":".repeat(1 << 18);
    let names = "event: x".repeat(1 << 18);
    for body in [long, deep, names, "data:".repeat(1 << 18), "\n".repeat(1 << 20)] {
        let mut reader = Reader::new(EVENTS, Some(Coding::Identity));
        reader.push(body.as_bytes(), |_| true);
        assert_eq!(reader.usage(true, None).known, Known::Incomplete);
    }
}

proptest::proptest! {
    /// Damaged responses are read the same however they arrive, and nothing panics.
    #[test]
    fn what_is_damaged_is_read_the_same_in_parts(
        which in 0..4_usize,
        changes in proptest::collection::vec((0..2_000_usize, proptest::num::u8::ANY), 0..8),
        cut in 0..2_000_usize,
        end in 0..2_000_usize,
    ) {
        let (format, mut body) = match which {
            0 => (EVENTS, events(&OPENAI)),
            1 => (EVENTS, events(&ANTHROPIC)),
            2 => (JSON, OPENAI[3].1.as_bytes().to_vec()),
            _ => (Some(BodyFormat::Frames), frame(&[(":event-type", "chunk")], r#"{"bytes":"eyJ1c2FnZSI6e319"}"#).repeat(3)),
        };
        let length = body.len();
        changes.into_iter().for_each(|(at, byte)| body[at % length] = byte);
        body.truncate(end % (length + 1));
        let whole = read(format, &body, 0);
        proptest::prop_assert_eq!(&whole, &read(format, &body, cut % (body.len() + 1)));
        let mut reader = Reader::new(format, Some(Coding::Identity));
        body.iter().for_each(|byte| reader.push(&[*byte], |_| true));
        proptest::prop_assert_eq!(whole, reader.usage(true, None));
    }
}
