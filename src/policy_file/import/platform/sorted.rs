//! Policies that read the request: rules for an LLM, routes for an embedder.

use super::attached::Attached;
use super::policies::bounds;
use super::services::{CLASSIFIER, EMBEDDER};
use super::targets::Targets;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::routes::{self, Names, threshold};
use crate::policy_file::import::tree::{list, map, text};

/// What a policy looks at when it does not say so.
const CONTENT: &str = "$.messages[-1].content";
/// The keys that both policies have.
const KEYS: [&str; 4] = ["contentPath", "defaultModel", "defaultProvider", "requestModel"];

pub(super) fn intelligent(attached: &Attached<'_>, targets: &mut Targets<'_, '_>, report: &mut Report) -> Option<Node> {
    let params = attached.params;
    honoured(params, &[&KEYS[..], &["routingRules"], &CLASSIFIER.params].concat(), "this policy", &[], report);
    let service = targets.services.name(&CLASSIFIER, params, report)?;
    let mut rules = Vec::new();
    for rule in parts(attached, "routingRules", report)? {
        honoured(rule, &["name", "context", "model", "provider"], "this rule", &[], report);
        let name = required(rule, "name", "this rule", report);
        let context = required(rule, "context", "this rule", report);
        let (name, context) = name.zip(context)?;
        let target = targets.target(rule, "model", "provider", report)?;
        let named = [("name", name.clone()), ("context", context.clone())];
        rules.push(map(rule.place, named.into_iter().chain(target).collect()));
    }
    let rules = ("rules", list(params.place, rules));
    finished(attached, "intelligent", [("classifier", service), rules], targets, report)
}

pub(super) fn semantic(attached: &Attached<'_>, targets: &mut Targets<'_, '_>, report: &mut Report) -> Option<Node> {
    let params = attached.params;
    honoured(params, &[&KEYS[..], &["routes"], &EMBEDDER.params].concat(), "this policy", &[], report);
    let service = targets.services.name(&EMBEDDER, params, report)?;
    let mut names = Names::default();
    let mut routes = Vec::new();
    for route in parts(attached, "routes", report)? {
        honoured(route, &["model", "provider", "utterances", "scorethreshold"], "this route", &[], report);
        let model = required(route, "model", "this route", report)?;
        let Some(utterances) = route.get("utterances") else {
            report.error(route.place, "this route has no `utterances`");
            return None;
        };
        let mut entries = vec![
            ("name", text(route.place, names.unique(model.text().unwrap_or_default()))),
            ("utterances", utterances.clone()),
            ("threshold", threshold(route, report)),
        ];
        entries.extend(targets.target(route, "model", "provider", report)?);
        routes.push(map(route.place, entries));
    }
    routes::kept_thresholds(params.place, report);
    let routes = ("routes", list(params.place, routes));
    finished(attached, "semantic", [("embedder", service), routes], targets, report)
}

/// Returns the rules or routes of a policy, of which there is at least one.
fn parts<'a>(attached: &Attached<'a>, key: &str, report: &mut Report) -> Option<&'a [Node]> {
    let parts = attached.params.get(key).map_or(&[][..], Node::items);
    if parts.is_empty() {
        report.error(attached.params.place, format!("the policy {} has no {}", shown(attached.name), shown(key)));
        return None;
    }
    Some(parts)
}

/// Returns the whole policy.
fn finished(
    attached: &Attached<'_>,
    key: &str,
    [service, parts]: [(&'static str, Node); 2],
    targets: &mut Targets<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    let params = attached.params;
    let default = targets.target(params, "defaultModel", "defaultProvider", report)?;
    let mut entries = bounds(params, targets.timeout, report);
    entries.push(service);
    entries.extend(content(params, report).map(|content| ("content", content)));
    entries.push(parts);
    entries.push(("default", map(params.place, default.into())));
    Some(map(params.place, vec![(key, map(params.place, entries))]))
}

/// Returns the path of what is looked at; `None` for what the user said last.
fn content(params: &Node, report: &mut Report) -> Option<Node> {
    match params.get("contentPath") {
        None => Some(text(params.place, CONTENT)),
        Some(path) if path.text() == Some("") => {
            let message = "an empty `contentPath` is the whole body there, and the user's last message here";
            report.warning(path.place, message, None);
            None
        }
        Some(path) => Some(path.clone()),
    }
}
