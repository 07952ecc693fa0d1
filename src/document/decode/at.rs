//! A value with its place, which is also where decoding recovers from an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::UsizeDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::access::Missing;
use super::{AT, Decoder, Mistake, ONE_OR_MORE};
use crate::document::problem::Place;

/// A value of the policy file and its place. Of a value that was wrong, and has been reported, only the place is left.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    pub(crate) place: Place,
    value: Option<T>,
}

/// A map from names that the file's author chose, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T>(Vec<(At<String>, At<T>)>);

/// One value, or a list of some.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMore<T>(pub(crate) Vec<At<T>>);

impl<T> At<T> {
    /// Returns the value, unless it was wrong.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(crate) fn new(place: Place, value: Option<T>) -> Self {
        Self { place, value }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        self.value
    }
}

impl<T> Named<T> {
    /// Every name with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &str, Option<&T>)> {
        self.0.iter().filter_map(|(name, value)| Some((name.place, name.get()?.as_str(), value.get())))
    }

    /// Every name with its value and the place of that.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&At<String>, &At<T>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Creates all maps in one.
    pub(crate) fn concat(maps: Vec<Self>) -> Self {
        Self(maps.into_iter().flat_map(|map| map.0).collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<At<T>, A::Error> {
        let file = access.next_element()?.unwrap_or_default();
        let line = access.next_element()?.unwrap_or_default();
        let column = access.next_element()?.unwrap_or_default();
        let value = access.next_element().ok().flatten(); // an error has been recorded by `Access`
        Ok(At { place: Place { file, line, column }, value })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ONE_OR_MORE, OneOrMoreVisitor(PhantomData)).map(Self)
    }
}

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = Vec<At<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a list of some")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        At::deserialize(deserializer).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        Ok(all)
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Named<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Named(entries))
    }
}

/// Hands [`AtVisitor`] the file's number, the line, the column and the value, in this order, and records what is wrong
/// with the value.
pub(super) struct Access<'de> {
    source: Source<'de>,
    handed: usize,
}

enum Source<'de> {
    Value(Decoder<'de>),
    Missing(Missing<'de>),
}

impl<'de> Access<'de> {
    pub(super) fn new(decoder: Decoder<'de>) -> Self {
        Self { source: Source::Value(decoder), handed: 0 }
    }

    pub(super) fn missing(missing: Missing<'de>) -> Self {
        Self { source: Source::Missing(missing), handed: 0 }
    }

    fn place(&self) -> Place {
        match &self.source {
            Source::Value(decoder) => decoder.node.place,
            Source::Missing(missing) => missing.place,
        }
    }

    fn value<S: DeserializeSeed<'de>>(&self, seed: S) -> Result<S::Value, Mistake> {
        match &self.source {
            Source::Value(decoder) => recorded(decoder, seed),
            Source::Missing(missing) => Err(missing.report()),
        }
    }
}

impl<'de> SeqAccess<'de> for Access<'de> {
    type Error = Mistake;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        self.handed += 1;
        let number = |number: usize| -> UsizeDeserializer<Mistake> { number.into_deserializer() };
        match self.handed {
            1 => seed.deserialize(number(self.place().file)).map(Some),
            2 => seed.deserialize(number(self.place().line)).map(Some),
            3 => seed.deserialize(number(self.place().column)).map(Some),
            _ => self.value(seed).map(Some),
        }
    }
}

/// Decodes a tree's root.
pub(super) fn decoded<'de, T: Deserialize<'de>>(decoder: Decoder<'de>) -> Option<T> {
    recorded(&decoder, PhantomData).ok()
}

fn recorded<'de, S: DeserializeSeed<'de>>(decoder: &Decoder<'de>, seed: S) -> Result<S::Value, Mistake> {
    seed.deserialize(*decoder).map_err(|mistake| {
        if let Mistake::Unplaced(message) = mistake {
            decoder.context.report.borrow_mut().error(decoder.node.place, message);
        }
        Mistake::Reported
    })
}
