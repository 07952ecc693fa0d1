//! Intelligent routing: rules, a default and the gateway's classifier.

use super::Context;
use super::policies::{bounds, section, target};
use crate::document::problem::Report;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::tree::{list, map, text};

/// What a rule may have; some of it is for people.
const RULE: [&str; 7] = ["id", "name", "context", "model", "endpointId", "vendor", "endpointName"];

pub(super) fn policy(
    config: &Node,
    environment: &str,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    let keys: (&[_], &[_]) = (&["contentPath", "path"], &["defaultModel", "routingrules", "routingRules"]);
    let section = section(config, environment, keys, report)?;
    let Some(classifier) = context.classifier else {
        let help = "add the deployment.toml that has `[apim.ai.llm_provider]`".to_owned();
        if !report.has_errors() {
            report.error_with(config.place, "it is not known which LLM sorts the requests", help);
        }
        return None;
    };
    let rules = section.get("routingrules").or(section.get("routingRules")).map_or(&[][..], Node::items);
    let rules: Vec<_> = rules.iter().filter_map(|rule| self::rule(rule, context, report)).collect();
    let Some(default) = section.get("defaultModel") else {
        report.error(section.place, "an intelligent policy needs a `defaultModel`");
        return None;
    };
    let default = map(default.place, target(default, context, report)?.into());
    let place = section.place;
    let mut entries = bounds(config, context.timeout, report);
    entries.push(("classifier", text(place, classifier)));
    let path = config.get("contentPath").or(config.get("path"));
    entries.extend(
        path.and_then(|path| path.get("path").or(Some(path)))
            .filter(|path| path.text().is_some_and(|path| !path.is_empty()))
            .map(|path| ("content", path.clone())),
    );
    entries.push(("rules", list(place, rules)));
    entries.push(("default", default));
    Some(map(place, vec![("intelligent", map(place, entries))]))
}

/// Returns a rule. A rule without content is ignored by API Manager, and skipped here with a warning.
fn rule(rule: &Node, context: &mut Context<'_, '_>, report: &mut Report) -> Option<Node> {
    honoured(rule, &RULE, "this rule", &[], report);
    let is_there = |key: &str| rule.get(key).and_then(Node::text).is_some_and(|text| !text.is_empty());
    if !["name", "model", "endpointId"].into_iter().all(is_there) {
        report.warning(rule.place, "a rule without `name`, `model` or `endpointId` decides on nothing", None);
        return None;
    }
    let words = rule.get("context").cloned().unwrap_or_else(|| text(rule.place, ""));
    let named = [("name", rule.get("name")?.clone()), ("context", words)];
    Some(map(rule.place, named.into_iter().chain(target(rule, context, report)?).collect()))
}

/// Returns whether an API asks the classifier.
pub(super) fn is_used(api: &Node) -> bool {
    let policies = ["production", "sandbox"].into_iter().filter_map(|environment| api.get(environment));
    policies.into_iter().any(|policy| policy.get("intelligent").is_some())
}
