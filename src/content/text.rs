//! The text of a value: a string, or what is text in a list of parts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The text of a value, given as JSON; `None` for a value that has none.
pub(super) fn of(value: &str) -> Option<String> {
    serde_json::from_str::<Text>(value).ok()?.0
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
