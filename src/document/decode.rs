//! A serde deserializer over the YAML tree that reports every error with its place and continues after it.
//!
//! serde stops at the first error; a policy file should be reported whole. So errors are recorded where they arise, and
//! [`At`] is where they end: it holds `None` for a value that was wrong, and its parent is none the worse for it.
//!
//! Every field of a struct that is decoded must be an `At<T>` (required) or an `Option<At<T>>`: a key that is not in
//! the file is handed to the struct too, as [`access::Missing`], so that all missing keys are reported and not just
//! one.

mod access;
mod at;
mod both;
mod mistake;

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::problem::Report;
use super::words::{any_of, instead, nearest, shown, variable_of};
use super::yaml::{Entry, Meaning, Node, Scalar, Value};
use access::{Elements, Fields, Named as NamedAccess, Variant};
pub(crate) use at::OneOrMore;
pub use at::{At, Named};
pub(crate) use both::Both;
use both::Halves;
use mistake::Mistake;

/// Names of newtype structs that ask the decoder for something; the first makes an [`At`].
pub(crate) const AT: &str = "$at";
/// Asks for `visit_str` if the value is a scalar, else for `visit_newtype_struct`.
pub(crate) const SHORT_FORM: &str = "$short_form";
/// Asks for `visit_string` with the value as JSON text.
pub(crate) const JSON: &str = "$json";
/// Asks for `visit_map` if the value is a map, else for a list.
pub(crate) const LIST_OR_MAP: &str = "$list_or_map";
/// Asks for `visit_seq` if the value is a list, else for `visit_newtype_struct`; makes a [`OneOrMore`].
pub(crate) const ONE_OR_MORE: &str = "$one_or_more";
/// Asks for `visit_seq` with the same map twice; makes a [`Both`].
pub(crate) const BOTH: &str = "$both";
/// Help for a key without a value.
const NOTHING_BELOW: &str = "is what belongs to it commented out, or not indented?";
/// The beginning of the serde name of an enum that holds a secret, or in whose place one may be put by mistake: nothing
/// below it is ever quoted. The rest of the name, if there is any, says what is expected.
const SECRET: &str = "$secret";

/// The state of decoding beside the value.
struct Context {
    report: RefCell<Report>,
    /// Keys that are known and not supported yet.
    /// Keys, and where they belong.
    elsewhere: Elsewhere,
    /// For each [`Both`] that is being decoded, the keys that its structs know.
    known: RefCell<Vec<Vec<&'static str>>>,
}

/// Keys, and where they belong.
pub(crate) type Elsewhere = &'static [(&'static [&'static str], &'static str)];

/// Decodes one value.
#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    context: &'a Context,
    secret: bool,
    /// Whether it decodes one of the structs of a [`Both`], which reports unknown keys itself.
    half: bool,
}

/// Decodes a whole tree. For keys in `elsewhere` the message says where they belong.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(
    node: &Node,
    elsewhere: Elsewhere,
    report: Report,
) -> (Option<T>, Report) {
    let context = Context { report: RefCell::new(report), elsewhere, known: RefCell::default() };
    let value = at::decoded(Decoder { node, context: &context, secret: false, half: false });
    (value, context.report.into_inner())
}

impl<'a> Decoder<'a> {
    fn wrong<T>(&self, expected: impl fmt::Display) -> Result<T, Mistake> {
        self.wrong_with(expected, None)
    }

    fn wrong_with<T>(&self, expected: impl fmt::Display, help: Option<String>) -> Result<T, Mistake> {
        let message = format!("expected {expected}, found {}", self.found());
        self.context.report.borrow_mut().error_with(self.node.place, message, help);
        Err(Mistake::Reported)
    }

    fn found(&self) -> String {
        match &self.node.value {
            Value::Scalar(scalar) if self.secret => scalar.kind().to_owned(),
            Value::Scalar(scalar) => scalar.described(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// Returns the form for an environment variable, if the value refers to one as other tools do.
    fn variable(&self, variants: &[&str]) -> Option<String> {
        let variable = variable_of(&self.scalar()?.text)?.filter(|_| variants.contains(&"env"))?;
        Some(format!("write `{{ env: {variable} }}`"))
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Reports a key or a name that is none of those known.
    fn unknown(&self, key: &Node, known: &[&'static str]) {
        let name = key.name();
        if key.is_merge_key() {
            return;
        }
        let mut report = self.context.report.borrow_mut();
        if self.secret {
            report.error_with(key.place, "unknown key", format!("expected {}", any_of(known.iter().copied())));
        } else if let Some((before, _)) = name.split_once(':').filter(|(before, _)| known.contains(before)) {
            let message = format!("unknown key {}", shown(name));
            report.error_with(key.place, message, format!("put a space after the `:` of `{before}:`"));
        } else if let Some(belongs) = self.belongs(name, known) {
            let message = format!("key {} does not belong here", shown(name));
            report.error_with(key.place, message, format!("it belongs {belongs}"));
        } else {
            let message = format!("unknown key {}", shown(name));
            report.error_with(key.place, message, instead(name, known.iter().copied()));
        }
    }

    /// Reports the keys of a map that are none of those known.
    fn unknown_keys(&self, known: &[&'static str]) {
        let Value::Map(entries) = &self.node.value else { return };
        let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.name()));
        unknown.for_each(|entry| self.unknown(&entry.key, known));
    }

    /// Returns where a key belongs that is known elsewhere, unless it is rather a misspelling of one that is known
    /// here.
    fn belongs(&self, name: &str, known: &[&str]) -> Option<&'static str> {
        let mut places = self.context.elsewhere.iter();
        let (_, place) = places.find(|(keys, _)| keys.contains(&name))?;
        nearest(name, known.iter().copied()).is_none().then_some(*place)
    }

    /// Returns the one entry whose key is a variant's name; everything else is reported.
    fn variant(&self, entries: &'a [Entry], variants: &'static [&'static str]) -> Result<&'a Entry, Mistake> {
        let (known, unknown): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| variants.contains(&entry.key.name()));
        unknown.iter().for_each(|entry| self.unknown(&entry.key, variants));
        match known[..] {
            [one] => Ok(one),
            [_, second, ..] => {
                let message = format!("expected only one of {}", any_of(known.iter().map(|entry| entry.key.name())));
                self.context.report.borrow_mut().error(second.key.place, message);
                Err(Mistake::Reported)
            }
            [] if unknown.is_empty() => self.wrong_with("something", Some(format!("write {}", choice(variants)))),
            [] => Err(Mistake::Reported),
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::List(elements) => visitor.visit_seq(Elements::new(self, elements)),
            Value::Map(entries) => visitor.visit_map(NamedAccess::new(self, entries)),
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Bool(value) => visitor.visit_bool(value),
                Meaning::Whole(value) => visitor.visit_u64(value),
                Meaning::Negative(value) => visitor.visit_i64(value),
                Meaning::Decimal(value) => visitor.visit_f64(value),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
            },
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.scalar().map(|scalar| (scalar, scalar.meaning())) {
            Some((_, Meaning::Text(text))) => visitor.visit_borrowed_str(text),
            Some((scalar, Meaning::Whole(_) | Meaning::Negative(_) | Meaning::Decimal(_) | Meaning::Bool(_))) => {
                let help = (!self.secret).then(|| format!("quote it: `\"{}\"`", scalar.text));
                self.wrong_with("a text", help.or(Some("quote it".to_owned())))
            }
            _ => self.wrong("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.scalar() {
            // A key with nothing after it is not taken for one that is not there: its value may have been forgotten.
            Some(scalar) if scalar.meaning() == Meaning::Nothing && !scalar.text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        match (name, self.scalar()) {
            (BOTH, _) => visitor.visit_seq(Halves::new(self)),
            (AT, _) => visitor.visit_seq(at::Access::new(self)),
            (ONE_OR_MORE, _) => match &self.node.value {
                Value::List(elements) => visitor.visit_seq(Elements::new(self, elements)),
                Value::Map(_) | Value::Scalar(_) => visitor.visit_newtype_struct(self),
            },
            (JSON, _) => match self.node.json() {
                Ok(json) => visitor.visit_string(json),
                Err((node, expected)) => Self { node, ..self }.wrong(expected),
            },
            (SHORT_FORM, Some(_)) => self.deserialize_str(visitor),
            (LIST_OR_MAP, _) => match self.node.value {
                Value::Map(_) => self.deserialize_map(visitor),
                Value::List(_) | Value::Scalar(_) => self.deserialize_seq(visitor),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::List(elements) => visitor.visit_seq(Elements::new(self, elements)),
            Value::Scalar(scalar) if scalar.meaning() != Meaning::Nothing => {
                self.wrong_with("a list", Some(format!("write `[{}]`", shown(&scalar.text).trim_matches('`'))))
            }
            Value::Map(_) => self.wrong_with("a list", Some("start each element with `- `".to_owned())),
            Value::Scalar(_) => self.wrong_with("a list", Some(NOTHING_BELOW.to_owned())),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(NamedAccess::new(self, entries)),
            Value::List(_) => {
                let help = "write each as `NAME: { … }`, without `- `".to_owned();
                self.wrong_with("a map of names", Some(help))
            }
            Value::Scalar(scalar) if scalar.meaning() == Meaning::Nothing => {
                self.wrong_with("a map of names", Some(NOTHING_BELOW.to_owned()))
            }
            Value::Scalar(_) => self.wrong("a map of names"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let Value::Map(entries) = &self.node.value else {
            return self.wrong(format!("a map with keys such as {}", any_of(fields.iter().copied().take(3))));
        };
        let (known, unknown): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| fields.contains(&entry.key.name()));
        match self.context.known.borrow_mut().last_mut().filter(|_| self.half) {
            Some(known) => known.extend(fields),
            None => self.unknown_keys(fields),
        }
        let merged = unknown.iter().any(|entry| entry.key.is_merge_key());
        let meant = unknown.iter().filter_map(|entry| nearest(entry.key.name(), fields.iter().copied()));
        // What a merge key would have brought is not called missing.
        let meant = meant.chain(fields.iter().copied().filter(|_| merged)).collect();
        visitor.visit_map(Fields::new(self, known, meant, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let decoder = Self { secret: self.secret || name.starts_with(SECRET), ..self };
        match &self.node.value {
            Value::Map(entries) => {
                let entry = decoder.variant(entries, variants)?;
                visitor.visit_enum(Variant { key: &entry.key, value: Some(&entry.value), decoder })
            }
            Value::Scalar(scalar) if variants.contains(&scalar.text.as_str()) => {
                visitor.visit_enum(Variant { key: self.node, value: None, decoder })
            }
            Value::Scalar(scalar) if !decoder.secret => {
                let help = instead(&scalar.text, variants.iter().copied()).filter(|help| help.starts_with("did"));
                decoder.wrong_with(any_of(variants.iter().copied()), help)
            }
            _ => match name.strip_prefix(SECRET) {
                Some(forms) if !forms.is_empty() => decoder.wrong(forms),
                _ => decoder.wrong_with(choice(variants), self.variable(variants)),
            },
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

impl Node {
    /// Returns the name that a key is; a key is always a scalar.
    fn name(&self) -> &str {
        self.text().unwrap_or_default()
    }
}

/// "`{ env: … }`, `{ file: … }` or `{ value: … }`".
fn choice(variants: &[&str]) -> String {
    let forms: Vec<_> = variants.iter().map(|variant| format!("{{ {variant}: … }}")).collect();
    any_of(forms.iter().map(String::as_str))
}

#[cfg(test)]
mod tests;
