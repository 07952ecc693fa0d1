//! Round robin, even or weighted.

use super::Context;
use super::policies::{bounds, target};
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::tree::{list, map, plain};

/// What models may have; some of it is for people.
const KEYS: [&str; 5] = ["model", "endpointId", "weight", "vendor", "endpointName"];
/// The number of digits after the decimal point that are kept.
const DIGITS: u32 = 4;

/// Whether weights count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    RoundRobin,
    Weighted,
}

pub(super) fn policy(
    config: &Node,
    environment: &str,
    order: Order,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    honoured(config, &["production", "sandbox", "suspendDuration"], "this policy", &[], report);
    let models = config.get(environment).map_or(&[][..], Node::items);
    let place = config.get(environment).map_or(config.place, |models| models.place);
    let mut targets = Vec::new();
    for model in models {
        honoured(model, &KEYS, "this model", &[], report);
        targets.push((model, target(model, context, report)?));
    }
    if targets.is_empty() {
        return None;
    }
    let weights = if order == Order::Weighted { weights(models, report)? } else { Vec::new() };
    let targets = targets.into_iter().enumerate().map(|(index, (model, target))| {
        let weight = weights.get(index).map(|weight| ("weight", plain(model.place, weight.to_string())));
        map(model.place, target.into_iter().chain(weight).collect())
    });
    let mut entries = bounds(config, context.timeout, report);
    entries.push(("targets", list(place, targets.collect())));
    let key = if order == Order::Weighted { "weighted_round_robin" } else { "round_robin" };
    Some(map(place, vec![(key, map(place, entries))]))
}

/// Whole weights in the same proportions; `None` if one of them is wrong, which is reported.
fn weights(models: &[Node], report: &mut Report) -> Option<Vec<u64>> {
    let scale = 10_u32.pow(DIGITS);
    let mut scaled = Vec::new();
    for model in models {
        let Some(node) = model.get("weight") else {
            report.warning(model.place, "this model has no `weight`, which is taken for 1", None);
            scaled.push(u64::from(scale));
            continue;
        };
        let number = node.text().and_then(|text| text.trim().parse::<f64>().ok());
        match number.filter(|number| (0.0..=1e6).contains(number)) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is from 0 to 1e10.
            Some(number) => scaled.push((number * f64::from(scale)).round() as u64),
            None => {
                let found = node.text().map_or_else(|| "something else".to_owned(), shown);
                report.error(node.place, format!("a weight must be a number from 0 to 1000000, found {found}"));
                return None;
            }
        }
    }
    let divisor = scaled.iter().copied().fold(0, common_divisor).max(1);
    Some(scaled.into_iter().map(|weight| weight / divisor).collect())
}

fn common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}
