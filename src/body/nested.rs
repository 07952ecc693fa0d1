//! Members at any depth of a JSON value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Returns whether some object in a JSON text has a member with this key whose text contains this part. An empty text is
/// none. The text is walked without building a document, however large it is.
pub(super) fn has(json: &[u8], key: &str, part: &str) -> bool {
    let search = Search { key, part, is_meant: false };
    // What cannot be walked (a number beyond any float) has the key's bytes all the same.
    search.deserialize(&mut serde_json::Deserializer::from_slice(json)).unwrap_or(true)
}

/// A search in one value.
#[derive(Clone, Copy)]
struct Search<'k> {
    key: &'k str,
    part: &'k str,
    /// Whether the value, or the list that it is in, is that of the key.
    is_meant: bool,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self.is_meant && !text.is_empty() && text.contains(self.part))
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(element) = elements.next_element_seed(self)? {
            found |= element;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            found |= members.next_value_seed(Search { is_meant: name == self.key, ..self })?;
        }
        Ok(found)
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
            (r#"{"input":[{"file_id":{"name":"f1"}}]}"#, false),
            (r#"{"input":[{"a":[1,-2,3.5,true,null,1e400],"file_id":"f1"}]}"#, true),
            (r#"{"input":[{"a":[1,-2,3.5,true,null],"file_id":"f1"}]}"#, true),
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
