//! Semantic routing: routes of utterances, a default and the gateway's embedder.

use super::Context;
use super::policies::{bounds, section, target};
use crate::document::problem::Report;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::routes::{self, Names, threshold};
use crate::policy_file::import::tree::{list, map, text};

/// What a route may have; some of it is for people.
const ROUTE: [&str; 8] =
    ["id", "name", "model", "endpointId", "vendor", "endpointName", "utterances", "scorethreshold"];

pub(super) fn policy(
    config: &Node,
    environment: &str,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    let keys: (&[_], &[_]) = (&["path", "contentPath"], &["defaultModel", "routes"]);
    let section = section(config, environment, keys, report)?;
    let Some(embedder) = context.embedder else {
        let help = "add the deployment.toml that has `[apim.ai.embedding_provider]`".to_owned();
        if !report.has_errors() {
            report.error_with(config.place, "it is not known what turns texts into vectors", help);
        }
        return None;
    };
    let mut names = Names::default();
    let written = section.get("routes").map_or(&[][..], Node::items);
    let routes: Vec<_> = written.iter().filter_map(|route| self::route(route, &mut names, context, report)).collect();
    let Some(default) = section.get("defaultModel") else {
        report.error(section.place, "a semantic policy needs a `defaultModel`");
        return None;
    };
    let default = map(default.place, target(default, context, report)?.into());
    let place = section.place;
    if !routes.is_empty() {
        routes::kept_thresholds(place, report);
    }
    let mut entries = bounds(config, context.timeout, report);
    entries.push(("embedder", text(place, embedder)));
    let path = config.get("path").or(config.get("contentPath"));
    entries.extend(
        path.and_then(|path| path.get("contentpath").or(path.get("path")).or(Some(path)))
            .filter(|path| path.text().is_some_and(|path| !path.is_empty()))
            .map(|path| ("content", path.clone())),
    );
    entries.push(("routes", list(place, routes)));
    entries.push(("default", default));
    Some(map(place, vec![("semantic", map(place, entries))]))
}

/// Returns a route. One without utterances is ignored by API Manager, and skipped here with a warning.
fn route(route: &Node, names: &mut Names, context: &mut Context<'_, '_>, report: &mut Report) -> Option<Node> {
    honoured(route, &ROUTE, "this route", &[], report);
    let is_there = |key: &str| route.get(key).and_then(Node::text).is_some_and(|text| !text.is_empty());
    let utterances = route.get("utterances").filter(|utterances| !utterances.items().is_empty());
    let Some(utterances) = utterances.filter(|_| is_there("model") && is_there("endpointId")) else {
        report.warning(route.place, "a route without `utterances`, `model` or `endpointId` decides on nothing", None);
        return None;
    };
    let name = route.get("name").or(route.get("model")).and_then(Node::text).unwrap_or_default();
    let mut entries = vec![
        ("name", text(route.place, names.unique(name))),
        ("utterances", utterances.clone()),
        ("threshold", threshold(route, report)),
    ];
    entries.extend(target(route, context, report)?);
    Some(map(route.place, entries))
}

/// Returns whether an API asks the embedder.
pub(super) fn is_used(api: &Node) -> bool {
    let policies = ["production", "sandbox"].into_iter().filter_map(|environment| api.get(environment));
    policies.into_iter().any(|policy| policy.get("semantic").is_some())
}
