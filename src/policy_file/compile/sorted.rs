//! What intelligent and semantic policies have in common: names, content, the default.

use std::collections::HashMap;
use std::sync::Arc;

use super::policies::PolicyCompiler;
use crate::classifier::content::ContentPath;
use crate::classifier::{Classifier, NONE, fold};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the classifier of this name.
    pub(super) fn classifier(&mut self, name: &'a At<String>) -> Option<Arc<Classifier>> {
        let text = name.get()?;
        let Some((_, known)) = self.tables.classifiers.get(text) else {
            if self.tables.classifiers.complete {
                let message = format!("unknown classifier {}", shown(text));
                self.report.error_with(name.place, message, self.tables.classifiers.instead(text));
            }
            return None;
        };
        self.usage.classifiers.push(text);
        known.clone()
    }
}

/// Returns the part of a request that is shown.
pub(super) fn content(path: Option<&At<String>>, report: &mut Report) -> Option<ContentPath> {
    let Some(at) = path else { return Some(ContentPath::default()) };
    ContentPath::parse(at.get()?).map_err(|message| report.error(at.place, message)).ok()
}

/// Reports names of rules or routes that an answer could not distinguish. `what` is one of them.
pub(super) fn check_distinct<'n>(what: &str, names: impl Iterator<Item = &'n At<String>>, report: &mut Report) {
    let mut seen = HashMap::new();
    for name in names {
        let Some(text) = name.get() else { continue };
        let folded = fold(text);
        if folded.is_empty() {
            report.error_with(name.place, format!("the name of a {what} is empty"), "give it a word".to_owned());
        } else if fold(text.trim_matches(|character: char| !character.is_alphanumeric())) == fold(NONE) {
            let help = format!("it is the answer when no {what} fits");
            report.error_with(name.place, format!("a {what} cannot be named {}", shown(text)), help);
        } else if let Some(first) = seen.insert(folded, name.place) {
            let message = format!("{what} {} is already defined at {}", shown(text), report.locate(first, name.place));
            let help = "names must differ by more than case, spaces, `-` and `_`".to_owned();
            report.error_with(name.place, message, help);
        }
    }
}
