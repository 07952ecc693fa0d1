//! Trees: how those of drafts are made.

use crate::document::problem::Place;
use crate::document::yaml::{Entry, Node, Scalar, Value};

/// Returns a text.
pub(super) fn text(place: Place, text: impl Into<String>) -> Node {
    Node { place, value: Value::Scalar(Scalar { text: text.into(), quoted: true }) }
}

/// Returns a scalar that is not a text: a number or a boolean.
pub(super) fn plain(place: Place, text: impl Into<String>) -> Node {
    Node { place, value: Value::Scalar(Scalar { text: text.into(), quoted: false }) }
}

/// Returns a list.
pub(super) fn list(place: Place, elements: Vec<Node>) -> Node {
    Node { place, value: Value::List(elements) }
}

/// Returns a map with the keys of our policy file.
pub(super) fn map(place: Place, entries: Vec<(&str, Node)>) -> Node {
    map_of(place, entries.into_iter().map(|(key, value)| (text(value.place, key), value)).collect())
}

/// Returns a map with any keys.
pub(super) fn map_of(place: Place, entries: Vec<(Node, Node)>) -> Node {
    Node { place, value: Value::Map(entries.into_iter().map(|(key, value)| Entry { key, value }).collect()) }
}

/// Returns a text that two values have in common only if they are the same but for their places.
pub(super) fn content(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut String) {
    match &node.value {
        Value::Scalar(Scalar { text, quoted }) => *out += &format!("{quoted}{text:?}"),
        Value::List(elements) => {
            out.push('[');
            elements.iter().for_each(|element| write(element, out));
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            entries.iter().flat_map(|Entry { key, value }| [key, value]).for_each(|node| write(node, out));
            out.push('}');
        }
    }
}
