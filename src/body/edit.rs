//! Writing a body again with some members changed: all other bytes are copied.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::members::{Member, Members};
use super::pieces::Edited;
use super::{BodyEdits, ModelEdit};

/// The edit of one member.
enum Fate<'e> {
    Kept,
    Gone,
    Renamed(&'e str),
    Set(&'e str),
}

/// Returns the object with this model and these edits. A member that goes takes the comma before it along; one that is
/// added comes last, but for the model, which comes first.
pub(super) fn edited<'a>(members: &Members<'a>, model: &ModelEdit<'_>, edits: &BodyEdits) -> Edited<'a> {
    let repeated: Vec<_> =
        model.within.iter().filter_map(|key| Some((*key, repeated(members.value(key)?, model)))).collect();
    let (model, added) = (json_string(&model.name), model.added);
    let mut out = Writer::new(members.text);
    let has_model = members.all.iter().any(|member| member.key == "model");
    out.copy_to(members.text.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1));
    if added && !has_model {
        out.write_member("model", &model);
    }
    for member in &members.all {
        match fate(members, member, &model, edits) {
            Fate::Gone => out.skip_to(member.value_range.end),
            Fate::Kept => match repeated.iter().find(|(key, _)| member.key == *key) {
                Some((_, value)) => out.set_member(member, value),
                None => out.copy_member(member),
            },
            Fate::Renamed(key) => out.rename_member(member, key),
            Fate::Set(value) => out.set_member(member, value),
        }
    }
    for (key, value) in edits.set.iter().filter(|(key, _)| !remains(members, key, edits)) {
        out.write_member(key, value);
    }
    out.finish()
}

/// Returns a value in which objects repeat the model, be it one or a list, with the new one.
fn repeated(text: &str, model: &ModelEdit<'_>) -> String {
    let replace = ModelEdit { name: model.name.clone(), added: false, within: &[] };
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for element in elements.iter().map(|element| element.get()) {
            // A borrowed raw value is a part of the text, so its distance from the start is its position.
            let start = element.as_ptr() as usize - text.as_ptr() as usize;
            out.push_str(&text[at..start]);
            out.push_str(&object(element, &replace));
            at = start + element.len();
        }
        return out + &text[at..];
    }
    object(text, &replace).into_owned()
}

fn object<'t>(text: &'t str, model: &ModelEdit<'_>) -> Cow<'t, str> {
    let Ok(members) = Members::parse(text.as_bytes()) else { return text.into() };
    String::from_utf8(edited(&members, model, &BodyEdits::default()).to_vec()).map_or(text.into(), Cow::Owned)
}

fn fate<'e>(members: &Members<'_>, member: &Member<'_>, model: &'e str, edits: &'e BodyEdits) -> Fate<'e> {
    if member.key == "model" {
        return Fate::Set(model);
    }
    if edits.remove.iter().any(|key| member.key == *key) {
        return Fate::Gone;
    }
    if let Some((_, new)) = edits.rename.iter().find(|(old, _)| member.key == *old) {
        return if members.all.iter().any(|other| other.key == *new) { Fate::Gone } else { Fate::Renamed(new) };
    }
    match edits.set.iter().find(|(key, _)| member.key == *key) {
        Some((_, value)) => Fate::Set(value),
        None => Fate::Kept,
    }
}

/// Returns whether a member of this key is there under its own name, to be replaced in place.
fn remains(members: &Members<'_>, key: &str, edits: &BodyEdits) -> bool {
    let gone = edits.remove.iter().chain(edits.rename.iter().map(|(old, _)| old)).any(|old| old == key);
    !gone && members.all.iter().any(|member| member.key == key)
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Goes through a text and says what becomes of it, part by part.
struct Writer<'a> {
    text: &'a [u8],
    at: usize,
    out: Edited<'a>,
    is_empty: bool,
}

impl<'a> Writer<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, out: Edited::of(text), is_empty: true }
    }

    fn copy_to(&mut self, end: usize) {
        self.out.keep(self.at..end);
        self.at = end;
    }

    fn skip_to(&mut self, end: usize) {
        self.at = end;
    }

    fn copy_member(&mut self, member: &Member<'_>) {
        self.begin_member(member);
        self.copy_to(member.value_range.end);
    }

    fn rename_member(&mut self, member: &Member<'_>, key: &str) {
        self.begin_member(member);
        self.out.write(json_string(key).as_bytes());
        self.skip_to(member.key_range.end);
        self.copy_to(member.value_range.end);
    }

    fn set_member(&mut self, member: &Member<'_>, value: &str) {
        if &self.text[member.value_range.clone()] == value.as_bytes() {
            return self.copy_member(member);
        }
        self.begin_member(member);
        self.copy_to(member.value_range.start);
        self.out.write(value.as_bytes());
        self.skip_to(member.value_range.end);
    }

    /// Copies the text before a key. A comma is there unless the member is the first of the text; there must be one
    /// unless it is the first that is written.
    fn begin_member(&mut self, member: &Member<'_>) {
        let before = &self.text[self.at..member.key_range.start];
        match (before.iter().position(|&byte| byte == b','), self.is_empty) {
            (Some(comma), true) => self.skip_to(self.at + comma + 1),
            (None, false) => self.out.write(b","),
            _ => {}
        }
        self.copy_to(member.key_range.start);
        self.is_empty = false;
    }

    fn write_member(&mut self, key: &str, value: &str) {
        let comma = if self.is_empty { "" } else { "," };
        self.out.write(format!("{comma}{}:{value}", json_string(key)).as_bytes());
        self.is_empty = false;
    }

    fn finish(mut self) -> Edited<'a> {
        self.copy_to(self.text.len());
        self.out
    }
}
