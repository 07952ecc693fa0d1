//! AWS's binary event stream, cut into its frames.
//!
//! A frame is: its length, the length of its headers and a checksum of these two (four bytes each, big endian),
//! headers, payload, checksum. A header is: the length of its name, its name, a type, and for texts (7) two bytes of
//! length and the text. Source: "Decoding response stream" in Amazon Transcribe's developer guide. Checksums are not
//! verified: the client does that, and here a damaged frame is at worst taken for content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Element, Elements};

/// Length, headers' length and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// Returns the complete frames. A stream that cannot be cut is one frame of unknown content.
pub(super) fn frames(seen: &[u8]) -> Elements {
    let (mut all, mut rest) = (Vec::new(), seen);
    while let Some(prelude) = rest.get(..PRELUDE) {
        let [total, headers] = [0, 4].map(|at| number(&prelude[at..at + 4]));
        if total < PRELUDE + CHECKSUM || headers > total - PRELUDE - CHECKSUM {
            all.push(Element::new(String::new(), None, false));
            break;
        }
        let Some(frame) = rest.get(..total) else { break };
        all.push(element(&frame[PRELUDE..PRELUDE + headers], &frame[PRELUDE + headers..total - CHECKSUM]));
        rest = &rest[total..];
    }
    Elements { all, is_over: false }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn element(headers: &[u8], payload: &[u8]) -> Element {
    let is_error = text_header(headers, ":message-type").is_some_and(|kind| kind != "event");
    let names = [":exception-type", ":error-code", ":event-type"];
    let name = names.iter().find_map(|name| text_header(headers, name)).unwrap_or_default().to_owned();
    let value = serde_json::from_slice(payload).ok().map(unwrapped);
    Element::new(name, value, is_error)
}

/// Returns what a chunk of `invoke-with-response-stream` wraps: the model's own event in base64.
fn unwrapped(payload: Value) -> Value {
    let bytes = payload.get("bytes").and_then(Value::as_str).and_then(|bytes| STANDARD.decode(bytes).ok());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(payload)
}

/// Returns the text of a header.
fn text_header<'h>(mut headers: &'h [u8], wanted: &str) -> Option<&'h str> {
    loop {
        let (&length, rest) = headers.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, rest) = rest.split_first()?;
        let (size, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            9 => (16, rest),
            6 | 7 => {
                let (size, rest) = rest.split_at_checked(2)?;
                (number(size), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(size)?;
        if kind == 7 && name == wanted.as_bytes() {
            return std::str::from_utf8(value).ok();
        }
        headers = rest;
    }
}
