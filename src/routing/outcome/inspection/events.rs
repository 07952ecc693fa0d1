//! Text streams cut into their elements: server-sent events, lines, and lists that grow.

use serde_json::Value;

use super::{Element, Elements};

/// Returns the complete events. Comments, which are heartbeats, are none. `[DONE]` ends the stream.
pub(super) fn server_sent(seen: &[u8], ended: bool) -> Elements {
    let text = String::from_utf8_lossy(seen).replace("\r\n", "\n").replace('\r', "\n");
    let mut blocks: Vec<_> = text.split("\n\n").collect();
    let unfinished = blocks.pop().unwrap_or_default();
    if ended {
        blocks.push(unfinished);
    }
    let mut elements = Elements { all: Vec::new(), is_over: false };
    for block in blocks {
        let field = |name: &str| {
            let values =
                block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start));
            values.collect::<Vec<_>>().join("\n")
        };
        let (mut name, mut data) = (field("event"), field("data"));
        // llama.cpp has errors in a field of their own.
        let error = field("error");
        if !error.is_empty() {
            (name, data) = ("error".to_owned(), error);
        }
        if data.trim() == "[DONE]" {
            elements.is_over = true;
            break;
        }
        if !data.is_empty() {
            let is_error = name == "error";
            elements.all.push(Element::new(name, value_of(&data), is_error));
        }
    }
    elements
}

/// Returns the JSON of an event's data. A heartbeat may be a bare word, perhaps in brackets.
fn value_of(data: &str) -> Option<Value> {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'));
    let word = data.trim().trim_matches(['[', ']']);
    let parsed = serde_json::from_str(data).ok();
    parsed.or_else(|| is_word(word).then(|| Value::String(word.to_owned())))
}

/// Returns the JSON texts of complete lines.
pub(super) fn lines(seen: &[u8], ended: bool) -> Elements {
    let mut lines: Vec<_> = seen.split(|byte| *byte == b'\n').collect();
    let unfinished = lines.pop().unwrap_or_default();
    if ended {
        lines.push(unfinished);
    }
    let full = lines.into_iter().filter(|line| !line.trim_ascii().is_empty());
    let all = full.map(|line| element(serde_json::from_slice(line).ok())).collect();
    Elements { all, is_over: false }
}

/// Returns the complete elements of a list that has begun.
pub(super) fn list(seen: &[u8]) -> Elements {
    let begin = seen.iter().position(|byte| *byte == b'[').map_or(seen.len(), |at| at + 1);
    let (mut all, mut rest) = (Vec::new(), &seen[begin..]);
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if rest.first() == Some(&b']') {
            return Elements { all, is_over: true };
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { return Elements { all, is_over: false } };
        // A number or a word may go on with the next chunk.
        let length = values.byte_offset();
        if !(value.is_object() || value.is_array()) && length == rest.len() {
            return Elements { all, is_over: false };
        }
        all.push(element(Some(value)));
        rest = &rest[length..];
    }
}

fn element(value: Option<Value>) -> Element {
    Element::new(String::new(), value, false)
}
