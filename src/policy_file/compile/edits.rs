//! Edits of the body for one target: which keys go, are renamed, are set.

use std::collections::HashMap;

use crate::body::BodyEdits;
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw;

/// Returns the edits of a target; mistakes in them are reported.
pub(super) fn edits(at: &At<raw::Edits>, report: &mut Report) -> BodyEdits {
    let Some(raw) = at.get() else { return BodyEdits::default() };
    let mut keys = Keys { seen: HashMap::new(), report };
    let mut edits = BodyEdits::default();
    for key in raw.remove.iter().filter_map(At::get).flatten() {
        edits.remove.extend(keys.take(key, "removed"));
    }
    for (old, new) in raw.rename.iter().filter_map(At::get).flat_map(Named::entries) {
        let (old, new) = (keys.take(old, "renamed"), keys.take(new, "the new name of another one"));
        edits.rename.extend(old.zip(new));
    }
    for (key, value) in raw.set.iter().filter_map(At::get).flat_map(Named::entries) {
        let key = keys.take(key, "set");
        edits.set.extend(key.zip(value.get().map(|value| value.0.clone())));
    }
    edits
}

/// The keys edited so far: each may be named once, because the result would depend on the order.
struct Keys<'r> {
    seen: HashMap<String, (Place, &'static str)>,
    report: &'r mut Report,
}

impl Keys<'_> {
    /// Returns the key, unless it must not be edited or is edited already.
    fn take(&mut self, at: &At<String>, what: &'static str) -> Option<String> {
        let key = at.get()?;
        if let Some((message, help)) = refusal(key) {
            self.report.error_with(at.place, message, help);
            return None;
        }
        if let Some((first, as_what)) = self.seen.get(key) {
            let message =
                format!("key {} is {as_what} already, at {}", shown(key), self.report.locate(*first, at.place));
            self.report.error_with(at.place, message, "name each key once".to_owned());
            return None;
        }
        self.seen.insert(key.clone(), (at.place, what));
        Some(key.clone())
    }
}

/// Why a key cannot be edited. Some servers match keys whatever their case, so that counts for nothing here.
fn refusal(key: &str) -> Option<(String, String)> {
    if key.is_empty() {
        return Some(("the name of a key is empty".into(), "name a top-level key of the request's body".into()));
    }
    if key.eq_ignore_ascii_case("model") {
        let help = "the target's own `model` is what the body gets".into();
        return Some((format!("{} cannot be edited", shown(key)), help));
    }
    if key.eq_ignore_ascii_case("stream") {
        let message =
            format!("{} cannot be edited: the client would get a response that it did not ask for", shown(key));
        return Some((message, "leave it to the client".into()));
    }
    None
}
