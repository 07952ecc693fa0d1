//! The text of a value: a string, or what is text in a list of parts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the text of a value, given as JSON; `None` for a value that has none.
pub(super) fn of(value: &str) -> Option<String> {
    unescaped(value).or_else(|| serde_json::from_str::<Text>(value).ok()?.0)
}

/// Returns a string's characters, in one pass into one buffer; `None` for what is no string, or no text. Nearly all
/// contents are strings, and some are long (`cargo bench --bench leaves -- content`).
fn unescaped(value: &str) -> Option<String> {
    let mut rest = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(at);
        let (character, length) = escaped(escape)?;
        text.push_str(before);
        text.push(character);
        rest = &escape[length..];
    }
    text.push_str(rest);
    Some(text)
}

/// Returns the character that an escape encodes, and the escape's length.
fn escaped(escape: &str) -> Option<(char, usize)> {
    let character = match escape.as_bytes().get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return by_number(escape),
        itself => char::from(*itself),
    };
    Some((character, 2))
}

/// In UTF-16, where some characters take two numbers.
fn by_number(escape: &str) -> Option<(char, usize)> {
    let unit = |at| u16::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let first = unit(2)?;
    match char::from_u32(first.into()) {
        Some(character) => Some((character, 6)),
        None if escape.get(6..8) == Some("\\u") => Some((char::decode_utf16([first, unit(8)?]).next()?.ok()?, 12)),
        None => None,
    }
}

/// A value as text. Strings are themselves; numbers and booleans as they are written; of an object its `text` or else
/// its `content`; of a list the texts of its parts, each on a line, or, if it is one of messages, that of the last.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(match PartVisitor.visit_map(map)? {
            Part::Text(text) | Part::Message(text) => Some(text),
            Part::Other => None,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut texts, mut message) = (Vec::new(), None);
        while let Some(part) = elements.next_element()? {
            match part {
                Part::Text(text) => texts.push(text),
                Part::Message(text) => message = Some(text),
                Part::Other => {}
            }
        }
        Ok(message.or_else(|| (!texts.is_empty()).then(|| texts.join("\n"))))
    }
}

/// An element of a list.
enum Part {
    /// A part of a message.
    Text(String),
    /// A message, with its content.
    Message(String),
    /// An image, say.
    Other,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let part = match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self::Text),
            Some(b'{') => serde_json::Deserializer::from_str(raw.get()).deserialize_map(PartVisitor),
            _ => Ok(Self::Other),
        };
        part.map_err(D::Error::custom)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let (mut text, mut content) = (None, None);
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            let value: &RawValue = map.next_value()?;
            match &*key {
                "text" => text = of(value.get()),
                "content" => content = of(value.get()),
                _ => {}
            }
        }
        Ok(text.map(Part::Text).or(content.map(Part::Message)).unwrap_or(Part::Other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_unescaped_as_a_parser_does_it(
            parts in prop::collection::vec(prop_oneof![
                Just(r"\u00e9"), Just(r"\ud83d\ude00"), Just(r"\ud800"), Just(r"\udc00"), Just(r"\u0000"), Just(r#"\""#),
                Just(r"\\"), Just(r"\/"), Just(r"\b"), Just(r"\f"), Just(r"\n"), Just(r"\r"), Just(r"\t"), Just("é"), Just("words "),
            ], 0..12),
        ) {
            let value = format!("\"{}\"", parts.concat());
            prop_assert_eq!(unescaped(&value), serde_json::from_str::<String>(&value).ok(), "{}", value);
        }
    }

    #[test]
    fn what_is_no_string_is_left_to_the_parser() {
        for value in ["1", "null", "[]", r#"{"text":"a"}"#, "\"", ""] {
            assert_eq!(unescaped(value), None, "{value}");
        }
    }
}
