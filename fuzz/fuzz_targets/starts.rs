//! Starts of responses, split at every byte: what has been decided does not change when more arrives.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use model_router::routing::outcome::inspection::{BodyFormat, Start};

const OPENINGS: &[&str] = &["response.created", "message_start", "ping", "messageStart"];
const FORMATS: [BodyFormat; 4] = [BodyFormat::Events, BodyFormat::Json, BodyFormat::Lines, BodyFormat::Frames];

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let data = &data[..data.len().min(2_048)];
    let judge = |length: usize, ended| format.judge(&data[..length], ended, OPENINGS, SystemTime::UNIX_EPOCH);
    let mut decided: Option<Start> = None;
    for length in 0..=data.len() {
        let start = judge(length, false);
        if let Some(decided) = &decided {
            // One JSON text with something behind it is no JSON text: the first verdict counts, and has ended the wait.
            assert!(format == BodyFormat::Json || start == *decided, "{length}: {start:?} after {decided:?}");
        } else if !matches!(start, Start::Undecided | Start::Opened) {
            decided = Some(start);
        }
    }
    assert!(!matches!(judge(data.len(), true), Start::Undecided | Start::Opened), "the end decides");
});
