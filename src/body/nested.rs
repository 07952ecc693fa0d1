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

/// Returns what must be among a value's bytes if it has a member with this key and this part in its text: the rarer of
/// the two. Prompts rarely have underscores.
pub(super) fn mark<'k>(key: &'k str, part: &'k str) -> &'k str {
    if part.contains('_') || key.is_empty() || (part.len() > key.len() && !key.contains('_')) { part } else { key }
}

/// Returns which of these marks a value has, as bits; those that are `None` are not looked for. Marks with an
/// underscore are looked for at once, by their underscores: that costs less than preparing a search for each
/// (`make bench-instructions`).
pub(super) fn marked<'k>(value: &[u8], marks: impl Iterator<Item = Option<&'k str>> + Clone) -> u32 {
    let marks = marks.enumerate().filter_map(|(index, mark)| Some((1_u32 << index, mark?.as_bytes())));
    let others = marks.clone().filter(|(_, mark)| !mark.contains(&b'_'));
    let mut found = others.filter(|(_, mark)| memchr::memmem::find(value, mark).is_some()).map(|(bit, _)| bit).sum();
    let mut underscores = memchr::memchr_iter(b'_', value).peekable();
    if underscores.peek().is_none() {
        return found;
    }
    let underscored = marks.filter_map(|(bit, mark)| Some((bit, mark, memchr::memchr(b'_', mark)?)));
    let underscored: Vec<_> = underscored.collect();
    for at in underscores {
        for &(bit, mark, offset) in &underscored {
            let begin = at.checked_sub(offset);
            found |= if begin.is_some_and(|begin| value[begin..].starts_with(mark)) { bit } else { 0 };
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::body::BodyFacts;

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for (value, expected) in [
            ("file_id", 0b1),
            ("_a_file_id", 0b1),
            ("le_id and fil_id", 0),
            ("_id", 0),
            ("fileUri", 0b10),
            ("fileuri rs_1", 0b100),
            ("rs_ fileUri file_id", 0b111),
            ("", 0),
        ] {
            let marks = [Some("file_id"), Some("fileUri"), Some("rs_"), None];
            assert_eq!(super::marked(value.as_bytes(), marks.into_iter()), expected, "{value}");
        }
        for (key, part, expected) in
            [("file_id", "", "file_id"), ("type", "item_reference", "item_reference"), ("id", "rs_", "rs_")]
        {
            assert_eq!(super::mark(key, part), expected);
        }
        assert_eq!(super::mark("file_uri", "generativelanguage.googleapis.com"), "file_uri");
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
        let several = BodyFacts::read(br#"{"tools":[{"container":"c"}],"input":[{"id":"rs_1"}]}"#).expect("a body");
        let wanted =
            [("input", "file_id", ""), ("input", "id", "ig_"), ("input", "id", "rs_"), ("tools", "container", "")];
        assert_eq!(several.nested_of(wanted.into_iter()), Some(2));
        assert_eq!(several.nested_of(wanted[3..].iter().copied()), Some(0));
    }
}
