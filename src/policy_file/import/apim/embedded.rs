//! JSON inside a text, as API Manager stores it: with its quotes as they are, as `'` or as `&quot;`.

use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::{self, Node, Value};

/// Returns the value of a parameter: a tree as it is, or the JSON of a text, every part of which has the place of the
/// text.
pub(super) fn json(key: &str, node: &Node, report: &mut Report) -> Option<Node> {
    let Some(text) = node.text() else { return Some(node.clone()) };
    let unescaped = text.replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&");
    let is_double = unescaped.contains('"');
    let json = if is_double { unescaped } else { double_quoted(&unescaped) };
    let found: Result<serde_json::Value, _> = serde_json::from_str(&json);
    if let Err(error) = found {
        let message = format!("{} is no JSON at its character {}", shown(key), error.column());
        let help = if is_double { "check its quotes and commas" } else { "an apostrophe in a text may have ended it" };
        report.error_with(node.place, message, help.to_owned());
        return None;
    }
    let mut scratch = Report::default();
    let file = scratch.add_file("", std::path::Path::new(""), "");
    let mut tree = yaml::parse(&json, file, &mut scratch)?;
    place(&mut tree, node.place);
    Some(tree)
}

/// Turns the single quotes around a value into double ones and leaves apostrophes alone.
fn double_quoted(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let before = |at: usize| letters[..at].iter().rev().find(|letter| !letter.is_whitespace());
    let after = |at: usize| letters[at + 1..].iter().find(|letter| !letter.is_whitespace());
    let is_edge = |at: usize| {
        before(at).is_none_or(|letter| "{[,:".contains(*letter))
            || after(at).is_none_or(|letter| "}],:".contains(*letter))
    };
    let letter = |(at, letter): (usize, &char)| if *letter == '\'' && is_edge(at) { '"' } else { *letter };
    letters.iter().enumerate().map(letter).collect()
}

fn place(node: &mut Node, at: Place) {
    node.place = at;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(elements) => elements.iter_mut().for_each(|element| place(element, at)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.key.place = at;
            place(&mut entry.value, at);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file::import::tree;

    #[test]
    fn every_way_of_quoting_is_read() {
        for text in [
            r#"{"a": ["it's", {"b": 1.5}]}"#,
            "{'a': ['it's', {'b': 1.5}]}",
            "{&quot;a&quot;: [&quot;it's&quot;, {&quot;b&quot;: 1.5}]}",
        ] {
            let mut report = Report::default();
            let tree = json("x", &tree::text(Place::default(), text), &mut report).expect(text);
            assert_eq!(tree.json().expect("JSON"), r#"{"a":["it's",{"b":1.5}]}"#, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in ["", "{'a': 'b}", "{'a': 'the users', all'}", "no"] {
            let mut report = Report::default();
            report.add_file("", std::path::Path::new(""), "");
            assert!(
                json("x", &tree::text(Place::default(), text), &mut report).is_none() && report.has_errors(),
                "{text}"
            );
        }
    }
}
