//! Settings of a whole gateway: files in TOML, as documents.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::problem::{Place, Report};
use crate::document::yaml::Node;
use crate::policy_file::import::tree::{list, map, map_of, plain, text};

/// What the document of settings is called among the others; its `data` are the settings.
pub(super) const TYPE: &str = "toml";

/// Returns the file as a document. Its lines are never shown: they hold passwords of everything.
pub(super) fn read(toml: &str, file: usize, report: &mut Report) -> Option<Node> {
    report.withhold(file);
    let lines: Vec<usize> = std::iter::once(0).chain(toml.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let at = |offset: usize| {
        let line = lines.partition_point(|start| *start <= offset);
        let before = toml.get(lines[line - 1]..offset).unwrap_or_default();
        Place { file, line, column: before.chars().count() + 1 }
    };
    match DeTable::parse(toml) {
        Ok(table) => {
            let start = Place { file, line: 1, column: 1 };
            Some(map(start, vec![("type", text(start, TYPE)), ("data", self::table(start, table.get_ref(), &at))]))
        }
        Err(error) => {
            let place = error.span().map_or_else(Place::default, |span| at(span.start));
            report.error_with(Place { file, ..place }, format!("this is no TOML: {}", error.message()), None);
            None
        }
    }
}

/// Returns the settings in a document, if it is one of settings.
pub(super) fn data(document: &Node) -> Option<&Node> {
    document.get("data").filter(|_| document.get("type").and_then(Node::text) == Some(TYPE))
}

fn table(place: Place, table: &DeTable<'_>, at: &impl Fn(usize) -> Place) -> Node {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        (text(at(key.span().start), key.get_ref().as_ref()), self::value(value, at))
    };
    map_of(place, table.iter().map(entry).collect())
}

fn value(value: &Spanned<DeValue<'_>>, at: &impl Fn(usize) -> Place) -> Node {
    let place = at(value.span().start);
    match value.get_ref() {
        DeValue::String(value) => text(place, value.as_ref()),
        DeValue::Integer(value) => plain(place, value.as_str()),
        DeValue::Float(value) => plain(place, value.as_str()),
        DeValue::Boolean(value) => plain(place, value.to_string()),
        DeValue::Datetime(value) => text(place, value.to_string()),
        DeValue::Array(values) => list(place, values.iter().map(|value| self::value(value, at)).collect()),
        DeValue::Table(table) => self::table(place, table, at),
    }
}
