//! Durations in seconds, as other gateways have them.

use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::{Meaning, Node, Scalar, Value};

/// Returns a number of seconds, written as a number or as a text; anything else is reported.
pub(super) fn seconds(node: &Node, key: &str, report: &mut Report) -> Option<u64> {
    if let Value::Scalar(scalar) = &node.value
        && let Meaning::Whole(seconds) = (Scalar { quoted: false, text: scalar.text.trim().to_owned() }).meaning()
    {
        return Some(seconds);
    }
    let found = node.text().map_or_else(|| "something else".to_owned(), shown);
    report.error(node.place, format!("expected a whole number of seconds for {}, found {found}", shown(key)));
    None
}
