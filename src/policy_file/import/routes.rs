//! Routes of semantic policies, as WSO2 has them.

use std::collections::HashMap;

use crate::classifier::fold;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::tree::plain;

/// The threshold of a route that has none, or none that is a number from 0 to 1. Source: WSO2's own default.
const THRESHOLD: &str = "0.9";

/// Returns the threshold of a route.
pub(super) fn threshold(route: &Node, report: &mut Report) -> Node {
    let Some(found) = route.get("scorethreshold") else { return plain(route.place, THRESHOLD) };
    let written = found.text().unwrap_or_default().trim();
    match written.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => plain(found.place, number.to_string()),
        _ => {
            let message = format!("the threshold {} is none from 0 to 1, and counts as {THRESHOLD}", shown(written));
            report.warning(found.place, message, None);
            plain(found.place, THRESHOLD)
        }
    }
}

/// Names of routes, which have none there: those of their models, numbered from the second on.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// Returns a name that no other route has.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let count = self.0.entry(fold(name)).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name} #{count}") }
    }
}

/// Tells what the thresholds of a policy do here.
pub(super) fn kept_thresholds(place: Place, report: &mut Report) {
    let message = "the score thresholds are kept, and let fewer requests reach their route than there: a score is the \
                   mean of the nearest utterance's and of all utterances' likeness, where it was the nearest one's";
    let help = "leave each `threshold` out: the policy then derives one from its utterances".to_owned();
    report.warning(place, message, help);
}
