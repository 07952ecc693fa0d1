//! The keys of a map that are honoured; every other key with a value is named in a warning.

use crate::document::problem::Report;
use crate::document::words::{nearest, shown};
use crate::document::yaml::{Entry, Node, Scalar, Value};

/// Warns of every key that is none of these. `of` is what the map belongs to, in words; `instead` says of a key what
/// does its work here.
pub(super) fn honoured(map: &Node, keys: &[&str], of: &str, instead: &[(&str, &str)], report: &mut Report) {
    for entry in map.entries() {
        let key = entry.key.text().unwrap_or_default();
        if keys.contains(&key) || says_nothing(&entry.value) {
            continue;
        }
        let known = instead.iter().find(|(known, _)| *known == key).map(|(_, help)| (*help).to_owned());
        let meant = || nearest(key, keys.iter().copied()).map(|key| format!("did you mean {}?", shown(key)));
        report.warning(entry.key.place, format!("{} of {of} is not honoured", shown(key)), known.or_else(meant));
    }
}

/// Returns a required text; mistakes are reported.
pub(super) fn required<'a>(map: &'a Node, key: &str, of: &str, report: &mut Report) -> Option<&'a Node> {
    let Some(node) = map.get(key) else {
        report.error(map.place, format!("{of} has no {}", shown(key)));
        return None;
    };
    if node.text().is_none_or(str::is_empty) {
        report.error(node.place, format!("expected a text for {}", shown(key)));
        return None;
    }
    Some(node)
}

/// Returns whether a value leaves things as they are without it.
fn says_nothing(value: &Node) -> bool {
    match &value.value {
        Value::Scalar(Scalar { text, quoted }) => {
            text.is_empty() || (!quoted && ["null", "~", "false"].contains(&text.as_str())) || text == "Unlimited"
        }
        Value::List(elements) => elements.is_empty(),
        Value::Map(entries) => {
            let is_off = |entry: &Entry| {
                let key = entry.key.text().unwrap_or_default().to_ascii_lowercase();
                key.ends_with("enabled") && entry.value.text() == Some("false")
            };
            entries.is_empty() || entries.iter().any(is_off)
        }
    }
}
