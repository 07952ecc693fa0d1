//! Round robin, even or weighted.

use super::attached::Attached;
use super::policies::{Kind, bounds};
use super::targets::Targets;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::{Meaning, Node, Value};
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::tree::{list, map};

pub(super) fn policy(attached: &Attached<'_>, targets: &mut Targets<'_, '_>, report: &mut Report) -> Option<Node> {
    let (params, is_weighted) = (attached.params, attached.kind == Kind::Weighted);
    honoured(params, &["models", "suspendDuration", "requestModel"], "this policy", &[], report);
    let models = params.get("models").filter(|models| !models.items().is_empty());
    let Some(models) = models else {
        report.error(params.place, format!("the policy {} has no `models`", shown(attached.name)));
        return None;
    };
    let mut elements = Vec::new();
    for model in models.items() {
        let keys: &[_] = if is_weighted { &["model", "provider", "weight"] } else { &["model", "provider"] };
        honoured(model, keys, "this model", &[], report);
        let weight = if is_weighted { Some(("weight", weight(model, report)?)) } else { None };
        let target = targets.target(model, "model", "provider", report)?;
        elements.push(map(model.place, target.into_iter().chain(weight).collect()));
    }
    let mut entries = bounds(params, targets.timeout, report);
    entries.push(("targets", list(models.place, elements)));
    let key = if is_weighted { "weighted_round_robin" } else { "round_robin" };
    Some(map(params.place, vec![(key, map(params.place, entries))]))
}

/// Returns a model's weight, a whole number from 1 up; anything else is refused there too.
fn weight(model: &Node, report: &mut Report) -> Option<Node> {
    let Some(weight) = model.get("weight") else {
        report.error(model.place, "this model has no `weight`");
        return None;
    };
    let is_whole = matches!(&weight.value, Value::Scalar(scalar) if matches!(scalar.meaning(), Meaning::Whole(1..)));
    if !is_whole {
        let found = weight.text().map_or_else(|| "something else".to_owned(), shown);
        report.error(weight.place, format!("a weight must be a whole number from 1 up, found {found}"));
        return None;
    }
    Some(weight.clone())
}
