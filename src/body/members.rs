//! The top-level members of a JSON object, each with its position.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// More members than this are refused: a request has some dozens at most.
pub(super) const MAX_MEMBERS: usize = 1_024;

/// A JSON object's text and its members in the order of the text.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    pub(super) text: &'a [u8],
    pub(super) all: Vec<Member<'a>>,
}

/// A member of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Unescaped, so `"m\u006fdel"` is `model`.
    pub(super) key: Cow<'a, str>,
    /// The range of the key, quotes included.
    pub(super) key_range: Range<usize>,
    /// The range of the value.
    pub(super) value_range: Range<usize>,
}

impl<'a> Members<'a> {
    /// Reads an object; values are only checked for their syntax.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_slice(text);
        let Pairs(pairs) = Pairs::deserialize(&mut parser)?;
        parser.end()?;
        let mut end = 0;
        let all = pairs.into_iter().map(|(key, value)| {
            // A borrowed raw value is a part of the text, so its distance from the start is its position.
            let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            let member =
                Member { key, key_range: key_range(text, end, start), value_range: start..start + value.get().len() };
            end = member.value_range.end;
            member
        });
        Ok(Self { text, all: all.collect() })
    }

    /// Returns the text of a member's value.
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        self.text_of(self.all.iter().find(|member| member.key == key)?)
    }

    /// Returns the text of the value of the last member with this name: the last one counts if there are several.
    pub(crate) fn last(&self, key: &str) -> Option<&'a str> {
        self.text_of(self.all.iter().rfind(|member| member.key == key)?)
    }

    /// The same as bytes, which costs no look at them.
    pub(super) fn last_bytes(&self, key: &str) -> Option<&'a [u8]> {
        let member = self.all.iter().rfind(|member| member.key == key)?;
        Some(&self.text[member.value_range.clone()])
    }

    fn text_of(&self, member: &Member<'_>) -> Option<&'a str> {
        std::str::from_utf8(&self.text[member.value_range.clone()]).ok()
    }
}

/// Returns the range of the key between the end of the previous value and the start of its own: only whitespace,
/// commas, a brace and a colon are there beside it.
fn key_range(text: &[u8], after: usize, before: usize) -> Range<usize> {
    let between = &text[after..before];
    let first = between.iter().position(|&byte| byte == b'"').unwrap_or(between.len());
    let last = between.iter().rposition(|&byte| byte == b'"').unwrap_or(first);
    after + first..after + last + 1
}

/// Keys and values as they are met.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut pairs, mut model_seen) = (Vec::new(), false);
        while let Some(Key(key)) = map.next_key()? {
            if key.eq_ignore_ascii_case("model") {
                if key != "model" {
                    return Err(A::Error::custom("a key differs from `model` only in case; send `model`"));
                }
                if std::mem::replace(&mut model_seen, true) {
                    return Err(A::Error::custom("`model` is there twice; send it once"));
                }
            }
            if pairs.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("the object has more than 1024 members"));
            }
            pairs.push((key, map.next_value()?));
        }
        Ok(Pairs(pairs))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}
