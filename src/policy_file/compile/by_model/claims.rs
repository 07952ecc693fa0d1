//! Which entry of `by_model` claims which models: no two the same one, and each entry some.

use std::collections::HashMap;

use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw::{ModelEntry, OtherModels};
use crate::routing::policy::by_model::Asked;
use crate::routing::policy::by_model::pattern::Pattern;

/// The patterns of all entries.
pub(super) struct Claims {
    patterns: Vec<Claim>,
}

/// A pattern, where it is written, and the number of its entry.
struct Claim {
    pattern: Pattern,
    place: Place,
    entry: usize,
}

impl Claims {
    /// Collects the claims, and reports each that could never be distinguished from another.
    pub(super) fn of(entries: &[At<ModelEntry>], report: &mut Report) -> Self {
        let (mut names, mut patterns) = (HashMap::new(), Vec::new());
        for (entry, at) in entries.iter().enumerate() {
            let Some((list, models)) = at.get().and_then(|raw| Some((&raw.models, raw.models.get()?))) else {
                continue;
            };
            if models.is_empty() {
                let help = "name the models that clients ask for, such as `[fast, \"gpt-4o-*\"]`".to_owned();
                report.error_with(list.place, "`models` is empty: no request reaches the entry", help);
            }
            for (text, place) in models.iter().filter_map(|at| Some((at.get()?, at.place))) {
                if text.is_empty() {
                    report.error(place, "the name of a model is empty");
                } else if let Some(first) = names.insert(text.as_str(), place) {
                    let message = format!("{} is in an entry already, at {}", shown(text), report.locate(first, place));
                    report.error_with(place, message, "join the two entries, or remove it from one".to_owned());
                } else if let Asked::Pattern(pattern) = Asked::parse(text) {
                    patterns.push(Claim { pattern, place, entry });
                }
            }
        }
        let claims = Self { patterns };
        claims.report_ties(report);
        claims
    }

    /// Reports patterns of different entries that are equally long and that one model could fit.
    fn report_ties(&self, report: &mut Report) {
        let mut by_length: HashMap<usize, Vec<&Claim>> = HashMap::new();
        for claim in &self.patterns {
            let earlier = by_length.entry(claim.pattern.literal_len()).or_default();
            let tie = earlier.iter().find(|it| it.entry != claim.entry && it.pattern.overlaps(&claim.pattern));
            if let Some(first) = tie {
                let (one, other) = (shown(claim.pattern.as_str()), shown(first.pattern.as_str()));
                let place = report.locate(first.place, claim.place);
                let message = format!("a model could fit {one} as well as {other}, at {place}, and neither is longer");
                report.error_with(claim.place, message, "make one of them longer, or join the two entries".to_owned());
            }
            earlier.push(claim);
        }
    }

    /// Reports that no model is left for `other_models`.
    pub(super) fn leave_others(&self, others: &At<OtherModels>, report: &mut Report) {
        if let Some(all) = self.patterns.iter().find(|claim| claim.pattern.literal_len() == 0) {
            let place = report.locate(all.place, others.place);
            let message = format!("no model is left for `other_models`: `*`, at {place}, takes all");
            report.error_with(others.place, message, "remove one of the two".to_owned());
        }
    }
}
