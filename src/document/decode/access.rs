//! Serde's access to lists, maps, structs and enums.

use std::vec;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::at::Access;
use super::{AT, Decoder, Mistake};
use crate::document::problem::Place;
use crate::document::words::shown;
use crate::document::yaml::{Entry, Node};

/// The elements of a list.
pub(super) struct Elements<'de> {
    parent: Decoder<'de>,
    rest: std::slice::Iter<'de, Node>,
}

impl<'de> Elements<'de> {
    pub(super) fn new(parent: Decoder<'de>, elements: &'de [Node]) -> Self {
        Self { parent, rest: elements.iter() }
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Mistake;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        self.rest.next().map(|node| seed.deserialize(self.parent.child(node))).transpose()
    }
}

/// The entries of a map whose keys are names.
pub(super) struct Named<'de> {
    parent: Decoder<'de>,
    rest: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> Named<'de> {
    pub(super) fn new(parent: Decoder<'de>, entries: &'de [Entry]) -> Self {
        Self { parent, rest: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Named<'de> {
    type Error = Mistake;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        let Some(entry) = self.rest.find(|entry| !entry.key.is_merge_key()) else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(self.parent.child(&entry.key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mistake> {
        let value = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(self.parent.child(value))
    }
}

/// The fields of a struct: those that are there, then those that are not.
pub(super) struct Fields<'de> {
    parent: Decoder<'de>,
    rest: vec::IntoIter<Field<'de>>,
    current: Option<Field<'de>>,
    /// Missing fields of which a misspelt key has been reported.
    meant: Vec<&'static str>,
}

/// A field's name, and its value if it is there.
type Field<'de> = (&'de str, Option<&'de Node>);

impl<'de> Fields<'de> {
    pub(super) fn new(
        parent: Decoder<'de>,
        known: Vec<&'de Entry>,
        meant: Vec<&'static str>,
        fields: &'static [&'static str],
    ) -> Self {
        let there = |field: &&&str| !known.iter().any(|entry| entry.key.name() == **field);
        let missing: Vec<_> = fields.iter().filter(there).map(|&field| (field, None)).collect();
        let all = known.iter().map(|entry| (entry.key.name(), Some(&entry.value))).chain(missing);
        Self { parent, rest: all.collect::<Vec<_>>().into_iter(), current: None, meant }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Mistake;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        self.current = self.rest.next();
        let key = |(key, _): (&'de str, _)| -> StrDeserializer<'de, Mistake> { key.into_deserializer() };
        self.current.map(|current| seed.deserialize(key(current))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mistake> {
        match self.current.take().expect("serde asks for a value after its key") {
            (_, Some(node)) => seed.deserialize(self.parent.child(node)),
            (key, None) => {
                let reported = self.meant.contains(&key);
                seed.deserialize(Missing { key, place: self.parent.node.place, parent: self.parent, reported })
            }
        }
    }
}

/// The value of a key that is not in the file: nothing for an `Option`, a mistake for an `At`.
#[derive(Clone, Copy)]
pub(super) struct Missing<'de> {
    key: &'de str,
    pub(super) place: Place,
    parent: Decoder<'de>,
    reported: bool,
}

impl Missing<'_> {
    pub(super) fn report(&self) -> Mistake {
        if !self.reported {
            let message = format!("key {} is missing", shown(self.key));
            self.parent.context.report.borrow_mut().error(self.place, message);
        }
        Mistake::Reported
    }
}

impl<'de> Deserializer<'de> for Missing<'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Mistake> {
        Err(self.report())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        match name {
            AT => visitor.visit_seq(Access::missing(self)),
            _ => Err(self.report()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// The variant of an enum: a key with its value, or a name alone.
pub(super) struct Variant<'de> {
    pub(super) key: &'de Node,
    pub(super) value: Option<&'de Node>,
    pub(super) decoder: Decoder<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Mistake> {
        let name: StrDeserializer<'de, Mistake> = self.key.name().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.value {
            None => Ok(()),
            Some(_) => self.decoder.wrong(shown(self.key.name())),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Mistake> {
        match self.value {
            Some(value) => seed.deserialize(self.decoder.child(value)),
            None => self.decoder.wrong(format!("`{{ {}: … }}`", self.key.name())),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Mistake> {
        self.decoder.wrong("another form")
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Some(value) => self.decoder.child(value).deserialize_struct("", fields, visitor),
            None => self.decoder.wrong(format!("`{{ {}: … }}`", self.key.name())),
        }
    }
}

impl<'de> Decoder<'de> {
    fn child(&self, node: &'de Node) -> Self {
        Self { node, half: false, ..*self }
    }
}
