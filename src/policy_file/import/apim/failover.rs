//! Failover: each policy is an entry, by the model that it is for.

use super::Context;
use super::policies::{bounds, target};
use crate::document::problem::Report;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::tree::{list, map};

pub(super) fn policy(
    configs: &[&Node],
    environment: &str,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    let mut entries = Vec::new();
    for config in configs {
        let keys = ["production", "sandbox", "requestTimeout", "suspendDuration"];
        honoured(config, &keys, "this policy", &[], report);
        let Some(section) = config.get(environment).filter(|section| !section.entries().is_empty()) else { continue };
        honoured(section, &["targetModel", "fallbackModels"], "this policy", &[], report);
        let Some(primary) = section.get("targetModel") else {
            report.error(section.place, "a failover policy needs a `targetModel`");
            continue;
        };
        let primary = target(primary, context, report).map(|target| map(primary.place, target.into()));
        let fallbacks = section.get("fallbackModels").map_or(&[][..], Node::items);
        let fallbacks: Vec<_> = fallbacks
            .iter()
            .filter_map(|fallback| Some(map(fallback.place, target(fallback, context, report)?.into())))
            .collect();
        let mut entry = vec![("primary", primary?)];
        if !fallbacks.is_empty() {
            entry.push(("fallbacks", list(section.place, fallbacks)));
        }
        entry.extend(bounds(config, context.timeout, report).into_iter().filter(|(key, _)| *key != "suspend_after"));
        entries.push(map(section.place, entry));
    }
    let place = entries.first()?.place;
    let mut policy = vec![("entries", list(place, entries))];
    // There, a request for another model is forwarded unchanged.
    policy.extend(context.endpoints.default(environment).map(|endpoint| ("other_models", endpoint)));
    Some(map(place, vec![("failover", map(place, policy))]))
}
