//! Members at any depth of a JSON value.

use serde_json::Value;

/// Returns whether some object has a member with this key whose text contains this part. An empty text is none.
pub(super) fn has(value: &Value, key: &str, part: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| (name == key && is(value, part)) || has(value, key, part))
        }
        Value::Array(elements) => elements.iter().any(|element| has(element, key, part)),
        _ => false,
    }
}

/// Returns whether bytes contain these. Most keys have an underscore, which prompts rarely have: looking for it costs less
/// than preparing a search for the whole key (`make bench-instructions`).
pub(super) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    match wanted.iter().position(|byte| *byte == b'_') {
        Some(offset) => memchr::memchr_iter(b'_', bytes)
            .filter_map(|at| bytes.get(at.checked_sub(offset)?..))
            .any(|rest| rest.starts_with(wanted)),
        None => memchr::memmem::find(bytes, wanted).is_some(),
    }
}

fn is(value: &Value, part: &str) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && text.contains(part),
        Value::Array(elements) => elements.iter().any(|element| is(element, part)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::body::BodyFacts;

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for (bytes, wanted, expected) in [
            ("file_id", "file_id", true),
            ("_a_file_id", "file_id", true),
            ("le_id and fil_id", "file_id", false),
            ("_id", "file_id", false),
            ("fileUri", "fileUri", true),
            ("fileuri", "fileUri", false),
            ("", "file_id", false),
        ] {
            assert_eq!(super::contains(bytes.as_bytes(), wanted.as_bytes()), expected, "{bytes}");
        }
    }

    #[test]
    fn a_member_is_found_at_any_depth_and_not_in_a_text() {
        for (body, expected) in [
            (r#"{"input":[{"content":[{"type":"input_file","file_id":"f1"}]}]}"#, true),
            (r#"{"input":{"file_id":"f1"}}"#, true),
            (r#"{"input":[{"file_id":["f1"]}]}"#, true),
            (r#"{"input":[{"file_id":""}]}"#, false),
            (r#"{"input":[{"file_id":null}]}"#, false),
            (r#"{"input":"what is a \"file_id\":\"f1\"?"}"#, false),
            (r#"{"messages":[{"file_id":"f1"}]}"#, false),
            (r"{}", false),
        ] {
            let facts = BodyFacts::read(body.as_bytes()).expect("a body");
            assert_eq!(facts.nested_of([("input", "file_id", "")].into_iter()).is_some(), expected, "{body}");
        }
        let reference = BodyFacts::read(br#"{"input":[{"type":"item_reference","id":"m"}]}"#).expect("a body");
        let wanted = [("input", "type", "message"), ("input", "type", "item_reference")];
        assert_eq!(reference.nested_of(wanted.into_iter()), Some(1));
    }
}
