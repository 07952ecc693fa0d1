//! Plain paths, of names and indices, walked through a JSON text without building a document.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::nests_too_deep;
use crate::body::scan::{self, Step, Walked};

/// The largest index: elements that far from the end are kept in mind while an array is read.
const MAX_INDEX: usize = 1_000;

/// Reads a path such as `$.messages[-1].content` or `$['a b'][0]`. `None`: it is a path of another kind.
pub(super) fn parse(source: &str) -> Result<Option<Vec<Step>>, String> {
    let expected = || format!("expected a JSONPath such as `{}`", super::USUAL);
    let mut rest = source.strip_prefix('$').ok_or_else(expected)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let Some((step, after)) = step(rest)? else { return Ok(None) };
        steps.push(step);
        rest = after;
    }
    Ok(Some(steps))
}

/// Returns the first step and the rest of the path.
fn step(rest: &str) -> Result<Option<(Step, &str)>, String> {
    if let Some(name) = rest.strip_prefix('.') {
        let end = name.find(|character: char| !is_name(character)).unwrap_or(name.len());
        return Ok((end > 0).then(|| (Step::Member(name[..end].to_owned()), &name[end..])));
    }
    let Some(inside) = rest.strip_prefix('[') else {
        return Err(format!("expected `.` or `[` before `{}`", rest.chars().take(20).collect::<String>()));
    };
    for quote in ['\'', '"'] {
        let quoted = inside.strip_prefix(quote).and_then(|name| name.split_once(&*format!("{quote}]")));
        // Of escapes and lists of names the other kind of path knows more.
        if let Some((name, after)) = quoted.filter(|(name, _)| !name.contains(['\\', quote])) {
            return Ok(Some((Step::Member(name.to_owned()), after)));
        }
    }
    let Some((number, after)) = inside.split_once(']') else { return Err("a `[` is not closed".into()) };
    Ok(index(number.trim())?.map(|step| (step, after)))
}

fn index(text: &str) -> Result<Option<Step>, String> {
    let (from_end, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match (digits.parse::<usize>(), from_end) {
        (Ok(0), true) => Err("`-0` is no index; `-1` is the last".into()),
        (Ok(index), true) if index <= MAX_INDEX => Ok(Some(Step::FromEnd(index))),
        (Ok(index), false) if index <= MAX_INDEX => Ok(Some(Step::Element(index))),
        _ => Err(format!("an index must be from -{MAX_INDEX} to {MAX_INDEX}, found `{text}`")),
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-')
}

/// Follows the steps through a JSON text; `None` where one leads nowhere.
pub(super) fn walk<'a>(from: &'a str, steps: &[Step]) -> Option<&'a str> {
    match scan::walk(from, steps) {
        Walked::Found(value) => Some(value),
        Walked::Nowhere => None,
        Walked::Unsure => steps.iter().try_fold(from, walk_slowly),
    }
}

/// Returns one step, by the parser whose verdict counts.
fn walk_slowly<'a>(value: &'a str, step: &Step) -> Option<&'a str> {
    if nests_too_deep(value.as_bytes()) {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(value);
    let found = match step {
        Step::Member(name) => json.deserialize_map(Member(name)).ok()?,
        Step::Element(index) => json.deserialize_seq(Element { index: *index, from_end: false }).ok()?,
        Step::FromEnd(index) => json.deserialize_seq(Element { index: *index, from_end: true }).ok()?,
    };
    found.map(RawValue::get)
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Element {
    index: usize,
    from_end: bool,
}

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut last, mut found, mut count) = (VecDeque::new(), None, 0);
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if self.from_end {
                if last.len() == self.index {
                    last.pop_front();
                }
                last.push_back(element);
            } else if count == self.index {
                found = Some(element);
            }
            count += 1;
        }
        // Fewer elements than the index: `[-5]` of three is nothing, and not the first.
        Ok(if self.from_end { last.front().filter(|_| count >= self.index).copied() } else { found })
    }
}
