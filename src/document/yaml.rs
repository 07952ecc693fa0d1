//! YAML as a tree in which every value knows its place. Not all of YAML: no tags, no merge keys.

mod json;
mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::mask;
use super::problem::{Place, Report};
use super::words::shown;
pub(crate) use scalar::{Meaning, Scalar};

/// The deepest nesting of lists and maps.
const DEPTH: usize = 64;
/// The most values of a file, those that aliases repeat included.
const VALUES: usize = 2_000_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// The content of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value; the key is always a scalar, quoted or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Node,
    pub(crate) value: Node,
}

/// Reads one document; `None` means that nothing can be made of it, and that the report says why.
///
/// `file` is the report's number for it. What may be a credential is concealed in the report.
pub(crate) fn parse(text: &str, file: usize, report: &mut Report) -> Option<Node> {
    documents(text, file, |_| false, report)?.pop()
}

/// Reads all documents, of which there is at least one. After the first there may be others if `has_others` says so
/// of it.
pub(crate) fn documents(
    text: &str,
    file: usize,
    has_others: fn(&Node) -> bool,
    report: &mut Report,
) -> Option<Vec<Node>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        text,
        file,
        anchors: HashMap::new(),
        values: 0,
        ended: false,
        report,
    };
    reader.documents(has_others)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    file: usize,
    anchors: HashMap<usize, Node>,
    values: usize,
    ended: bool,
    report: &'a mut Report,
}

impl<'a> Reader<'a> {
    fn documents(&mut self, has_others: fn(&Node) -> bool) -> Option<Vec<Node>> {
        let mut roots = Vec::new();
        loop {
            match self.event()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), place) => {
                    if roots.first().is_some_and(|root| !has_others(root)) {
                        self.report.error(place, "a second document starts here; a policy file is one document");
                        return None;
                    }
                }
                (event, place) => {
                    let root = self.node(event, place, 0)?;
                    // Between two `---` there may be nothing but comments.
                    if !root.is_absent() {
                        roots.push(root);
                    }
                }
            }
        }
        if roots.is_empty() {
            let place = Place { file: self.file, ..Place::default() };
            self.report.error(place, "the file is empty; expected `providers`, `endpoints` and `apis`");
            return None;
        }
        Some(roots)
    }

    fn event(&mut self) -> Option<(Event<'a>, Place)> {
        if self.ended {
            return Some((Event::StreamEnd, Place::default()));
        }
        match self.parser.next_event() {
            None => Some((Event::StreamEnd, Place::default())),
            Some(Ok((event, span))) => {
                self.ended = event == Event::StreamEnd;
                Some((event, self.place(&span.start)))
            }
            Some(Err(error)) => {
                let place = self.place(error.marker());
                let mut lines = self.text.lines().skip(place.line.saturating_sub(2));
                let before = if place.line > 1 { lines.next().unwrap_or_default() } else { "" };
                self.report.error(place, scalar::syntax(error.info(), lines.next().unwrap_or_default(), before));
                None
            }
        }
    }

    fn next(&mut self, depth: usize) -> Option<Node> {
        let (event, place) = self.event()?;
        self.node(event, place, depth)
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Option<Node> {
        self.bound(place, 1, depth)?;
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(tag, place);
                (anchor, Value::Scalar(Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain }))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(tag, place);
                (anchor, self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(tag, place);
                (anchor, self.map(depth)?)
            }
            _ => {
                self.report.error(place, "the file ends in the middle of a value");
                return None;
            }
        };
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut elements = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Some(Value::List(elements)),
                (event, place) => elements.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        let (mut entries, mut seen) = (Vec::new(), HashMap::new());
        loop {
            let key = match self.event()? {
                (Event::MappingEnd, _) => return Some(Value::Map(entries)),
                (event, place) => self.node(event, place, depth + 1)?,
            };
            let mut value = self.next(depth + 1)?;
            if value.is_absent() {
                value.place = key.place; // the parser sees it at the start of whatever comes next
            }
            conceal(&key, &value, self.file, self.report);
            if let Some(key) = self.key(key, &mut seen) {
                entries.push(Entry { key, value });
            }
        }
    }

    /// Returns the key as text, unless it cannot be one or is already defined.
    fn key(&mut self, key: Node, seen: &mut HashMap<String, Place>) -> Option<Node> {
        let place = key.place;
        let Value::Scalar(Scalar { text, quoted }) = key.value else {
            self.report.error(place, "a key must be a text, not a list or a map");
            return None;
        };
        if text == "<<" && !quoted {
            self.report.error(place, "merge keys (`<<`) are not supported; write the keys out");
            return Some(Node { place, value: Value::Scalar(Scalar { text, quoted }) });
        }
        if text.is_empty() {
            self.report.error(place, "a key is missing before the `:`");
            return None;
        }
        if let Some(first) = seen.get(&text) {
            let Place { line, column, .. } = first;
            let message = format!("key {} is given twice, first at {line}:{column}", shown(&text));
            self.report.error_with(place, message, "keep one".to_owned());
            return None;
        }
        seen.insert(text.clone(), place);
        Some(Node { place, value: Value::Scalar(Scalar { text, quoted: true }) })
    }

    fn alias(&mut self, anchor: usize, place: Place, depth: usize) -> Option<Node> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.report.error(place, "an alias cannot be inside the value that it repeats");
            return None;
        };
        let (size, height) = node.extent();
        self.bound(place, size, depth + height)?;
        self.anchors.get(&anchor).cloned()
    }

    fn bound(&mut self, place: Place, values: usize, depth: usize) -> Option<()> {
        self.values += values;
        if depth > DEPTH {
            self.report.error(place, format!("lists and maps are nested more than {DEPTH} deep"));
            return None;
        }
        if self.values > VALUES {
            self.report.error(place, format!("the file has more than {VALUES} values, those behind aliases included"));
            return None;
        }
        Some(())
    }

    fn place(&self, marker: &saphyr_parser::Marker) -> Place {
        Place { file: self.file, line: marker.line(), column: marker.col() + 1 }
    }

    fn refuse(&mut self, tag: Option<Cow<'a, Tag>>, place: Place) {
        if let Some(tag) = tag {
            self.report
                .error(place, format!("tags such as {} are not supported; leave it out", shown(&tag.to_string())));
        }
    }
}

/// Where a credential comes from and how it travels: these words are none.
const SOURCES: [&str; 13] = [
    "env",
    "file",
    "value",
    "bearer",
    "basic",
    "passthrough",
    "header",
    "query",
    "aws_sigv4",
    "region",
    "service",
    "api-key",
    "",
];
/// Keys of other gateways' credentials, which are none.
const KEYS: [&str; 5] = ["type", "name", "key", "valueFrom", "secretKeyRef"];

/// Conceals the value of a key that may hold a credential. A key that is given twice is not in the tree, and a
/// file may turn out to be no YAML further down: so this is done while reading.
fn conceal(key: &Node, value: &Node, file: usize, report: &mut Report) {
    let Some(key) = key.text() else { return };
    let is_secret = mask::is_secret(key) || report.mask(file).is_secret_object(key);
    match &value.value {
        Value::Scalar(Scalar { text, .. }) if SOURCES.contains(&text.as_str()) => {}
        Value::Scalar(Scalar { text, .. }) if is_secret || mask::looks_secret(text) => {
            report.conceal(value.place, text);
        }
        // A reference to a Kubernetes Secret: its names are no secrets.
        Value::Map(_)
            if value.get("valueFrom").is_some_and(|from| !from.entries().is_empty())
                && value.keys().all(is_reference) => {}
        Value::Map(_) | Value::List(_) if is_secret => conceal_all(key, value, report),
        _ => {}
    }
}

/// Returns whether a key is of a reference to a Kubernetes Secret.
fn is_reference(key: &str) -> bool {
    ["in", "name", "valueFrom"].contains(&key)
}

fn conceal_all(key: &str, value: &Node, report: &mut Report) {
    match &value.value {
        Value::Scalar(Scalar { text, .. }) if mask::is_reference(key, text) || SOURCES.contains(&text.as_str()) => {}
        Value::Scalar(Scalar { text, .. }) => report.conceal(value.place, text),
        Value::List(elements) => elements.iter().for_each(|element| conceal_all("", element, report)),
        Value::Map(entries) => entries.iter().for_each(|entry| {
            let key = entry.key.text().unwrap_or_default();
            if !SOURCES.contains(&key) && !KEYS.contains(&key) {
                report.conceal(entry.key.place, key);
            }
            conceal_all(key, &entry.value, report);
        }),
    }
}

impl Node {
    /// Returns the text of a scalar; a list or a map has none.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the value of a key, unless it is empty.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key.text() == Some(key))?;
        Some(&entry.value).filter(|value| !value.is_nothing())
    }

    /// Returns the entries of a map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    /// Returns the elements of a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    /// Returns whether it is a key that merges those of another map, which has been reported.
    pub(crate) fn is_merge_key(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, quoted: false }) if text == "<<")
    }

    /// Returns the keys of a map.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().filter_map(|entry| entry.key.text())
    }

    /// Returns whether it is `null` or absent.
    fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Nothing)
    }

    /// Returns whether the value is absent, not even `null`.
    fn is_absent(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, quoted: false }) if text.is_empty())
    }

    /// Returns how many values it holds, itself included, and how deep it is.
    fn extent(&self) -> (usize, usize) {
        let children: Vec<_> = match &self.value {
            Value::Scalar(_) => return (1, 0),
            Value::List(elements) => elements.iter().map(Self::extent).collect(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.extent()).collect(),
        };
        let size = children.iter().map(|(size, _)| size).sum::<usize>();
        (1 + size, 1 + children.iter().map(|(_, height)| *height).max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;
