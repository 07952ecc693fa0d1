//! The model inside a JSON body: found, read and replaced without touching any other byte.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What the router reads in a request's body.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyFacts {
    /// The model that the client asked for; `None` when absent or not a string.
    pub model: Option<String>,
    /// Whether the client asked for a stream of events.
    pub streamed: bool,
    edit: Edit,
}

/// Changes of a body's top-level members, in this order: removals, renamings, values set. Never `model`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits {
    /// Keys that go.
    pub remove: Vec<String>,
    /// Old and new keys; where the new one is there already, the old one goes.
    pub rename: Vec<(String, String)>,
    /// Keys and values as JSON text; added when absent, replaced otherwise.
    pub set: Vec<(String, String)>,
}

/// Where the new model goes.
#[derive(Debug, PartialEq, Eq)]
enum Edit {
    /// In the place of the value that is there.
    Replace(Range<usize>),
    /// As the first member of an object that has others.
    InsertBeforeOthers(usize),
    /// As the only member.
    InsertAlone(usize),
}

/// Why a body is not one that a model could be set in.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyError(String);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BodyFacts {
    /// Reads a body: one JSON object, with at most one top-level `model`.
    ///
    /// # Errors
    /// What is wrong and where. A second `model`, or a key equal to it but for case, is refused: providers disagree on
    /// which one counts, and what was chosen must be what is served.
    pub fn read(body: &[u8]) -> Result<Self, BodyError> {
        if body.is_empty() {
            return Err(BodyError("the request has no body; expected a JSON object".into()));
        }
        let mut parser = serde_json::Deserializer::from_slice(body);
        let members = Members::deserialize(&mut parser).and_then(|members| parser.end().map(|()| members));
        let members = members.map_err(|error| BodyError(format!("the request's body is not usable: {error}")))?;
        Ok(Self {
            model: members.model.and_then(|model| serde_json::from_str(model.get()).ok()),
            streamed: members.stream.is_some_and(|stream| stream.get() == "true"),
            edit: members.edit(body),
        })
    }

    /// The same body with this model; `body` is the one that was read.
    #[must_use]
    pub fn with_model(&self, body: &[u8], model: &str) -> Vec<u8> {
        let model = serde_json::Value::from(model).to_string();
        let (range, text) = match &self.edit {
            Edit::Replace(range) => (range.clone(), model),
            Edit::InsertBeforeOthers(at) => (*at..*at, format!(r#""model":{model},"#)),
            Edit::InsertAlone(at) => (*at..*at, format!(r#""model":{model}"#)),
        };
        [&body[..range.start], text.as_bytes(), &body[range.end..]].concat()
    }
}

/// The top-level members of interest. Values stay unread: `RawValue` only checks their syntax.
struct Members<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    is_empty: bool,
}

impl Members<'_> {
    fn edit(&self, body: &[u8]) -> Edit {
        let after_brace = body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
        match self.model {
            Some(model) => {
                // A borrowed raw value is a part of the body, so its distance from the start is where it stands.
                let start = model.get().as_ptr() as usize - body.as_ptr() as usize;
                Edit::Replace(start..start + model.get().len())
            }
            None if self.is_empty => Edit::InsertAlone(after_brace),
            None => Edit::InsertBeforeOthers(after_brace),
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members { model: None, stream: None, is_empty: true };
        while let Some(key) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            members.is_empty = false;
            match key {
                Key::Model if members.model.is_some() => {
                    return Err(A::Error::custom("`model` is there twice; send it once"));
                }
                Key::Model => members.model = Some(value),
                Key::ModelInOtherCase => {
                    return Err(A::Error::custom("a key differs from `model` only in case; send `model`"));
                }
                Key::Stream => members.stream = Some(value),
                Key::Other => {}
            }
        }
        Ok(members)
    }
}

/// A top-level key; compared unescaped, so `"m\u006fdel"` is `model`.
enum Key {
    Model,
    ModelInOtherCase,
    Stream,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "model" => Key::Model,
            "stream" => Key::Stream,
            key if key.eq_ignore_ascii_case("model") => Key::ModelInOtherCase,
            _ => Key::Other,
        })
    }
}

#[cfg(test)]
mod tests;
