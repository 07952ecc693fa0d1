//! WSO2 APK: its Kubernetes resources, as far as they say which model serves a request.

mod attach;
mod backends;
mod conf;
mod kinds;
mod pools;
mod routes;
mod vendors;

use super::honoured::{honoured, required};
use super::operations::{Operation, operations};
use super::tree::{list, map, text};
use super::{Draft, Part};
use crate::document::problem::{Place, Report};
use crate::document::yaml::Node;
use attach::Choice;
pub(super) use conf::is_conf;
use kinds::{Kind, Object, Objects};
use pools::Used;
use routes::Rule;
pub(super) use vendors::{provider_type, vendor_type};

/// Makes a draft of all manifests together. What is wrong, and what is not honoured, is reported.
pub(super) fn translate(documents: &[Node], report: &mut Report) -> Draft {
    documents.iter().for_each(|document| report.may_hold_secrets(document.place.file));
    let documents = conf::resources(documents, report);
    let objects = Objects::read(&documents, report);
    let mut used = Used::default();
    let mut apis = Vec::new();
    for api in objects.of(Kind::Api) {
        self::api(api, &objects, &mut used, &mut apis, report);
    }
    attach::unused(&objects, &used, report);
    let Used { backends, vendors, .. } = used;
    Draft {
        providers: vendors.into_iter().filter_map(|vendor| vendors::provider(&vendor, report)).collect(),
        endpoints: backends.iter().filter_map(|used| backends::endpoint(used, &objects, report)).collect(),
        classifiers: Vec::new(),
        apis,
        embedders: Vec::new(),
    }
}

/// Reports manifests, of which this is the first, that yield no API.
pub(super) fn nothing(first: Place, report: &mut Report) {
    let place = Place { line: 0, column: 0, ..first };
    let help = "expected an `API` with an `APIPolicy` that has `modelBasedRoundRobin`".to_owned();
    report.error_with(place, "no API of these manifests is routed by model", help);
}

/// The rules of an environment, and the hosts that they are for.
struct Side<'a> {
    hosts: Vec<&'a Node>,
    rules: Vec<Rule<'a>>,
    routes: bool,
}

/// Operations that the same policies decide on, in production and in the sandbox.
struct Group<'a> {
    choices: [Option<Choice<'a>>; 2],
    operations: Vec<Operation>,
    rules: [Vec<&'a Node>; 2],
}

fn api<'a>(
    api: &'a Object<'a>,
    objects: &'a Objects<'a>,
    used: &mut Used<'a>,
    parts: &mut Vec<Part>,
    report: &mut Report,
) {
    let of = api.describe();
    let keys = ["apiName", "apiVersion", "apiType", "basePath", "production", "sandbox"];
    let descriptive =
        ["organization", "definitionPath", "definitionFileRef", "apiProperties", "systemAPI", "environment"];
    let default = [("isDefaultVersion", "requests need the version in their path")];
    honoured(api.spec, &[&keys[..], &descriptive].concat(), &of, &default, report);
    if let Some(kind) = api.spec.get("apiType").filter(|kind| kind.text() != Some("REST")) {
        report.error(kind.place, "only APIs of the type `REST` can be routed by model");
    }
    let Some(base_path) = required(api.spec, "basePath", &of, report) else { return };
    let sides = ["production", "sandbox"].map(|key| side(api, key, objects, used, report));
    if sides.iter().all(|side| !side.routes) {
        report.error(api.place, format!("{of} has no routes, neither for production nor for the sandbox"));
        return;
    }
    for (index, group) in groups(api, &sides, objects, report).iter().enumerate() {
        let name = match (index, group.choices.iter().flatten().next()) {
            (0, _) | (_, None) => api.name.to_owned(),
            (_, Some(choice)) => format!("{} {}", api.name, choice.policy.name),
        };
        let mut entries = vec![("name", text(api.name_node.place, name))];
        entries.extend(place(&sides, base_path, group, api));
        for (environment, (key, side)) in ["production", "sandbox"].into_iter().zip(&sides).enumerate() {
            if !side.routes {
                unreached(&group.choices, key, &of, report);
                continue;
            }
            let Some(choice) = group.choices[environment].as_ref() else { continue };
            let backends = &group.rules[environment];
            entries.extend(pools::pool(choice, key, backends, objects, used, report).map(|pool| (key, pool)));
        }
        let mut origins = vec![api.origin(report)];
        origins.extend(group.choices.iter().flatten().map(|choice| choice.policy.origin(report)));
        origins.dedup();
        let value = map(api.place, entries);
        parts.push(Part { name: api.name_node.clone(), value, origin: origins.join(", "), secret: None });
    }
}

/// Returns the hosts, base path and operations under which clients reach a group.
fn place(sides: &[Side<'_>; 2], base_path: &Node, group: &Group<'_>, api: &Object<'_>) -> Vec<(&'static str, Node)> {
    let mut entries = Vec::new();
    for (side, key) in sides.iter().zip(["hosts", "sandbox_hosts"]) {
        if let Some(first) = side.hosts.first() {
            entries.push((key, list(first.place, side.hosts.iter().map(|host| (*host).clone()).collect())));
        }
    }
    entries.push(("base_path", base_path.clone()));
    entries.extend(operations(&group.operations, api.place).map(|operations| ("operations", operations)));
    entries
}

/// Tells of models for an environment that an API has no routes for.
fn unreached(choices: &[Option<Choice<'_>>; 2], environment: &str, of: &str, report: &mut Report) {
    let key = format!("{environment}Models");
    let mut models = choices.iter().flatten().filter_map(|choice| choice.section.get(&key));
    if let Some(models) = models.find(|models| !models.items().is_empty()) {
        let message = format!("no request gets these models: {of} has no routes for `{environment}`");
        report.warning(models.place, message, None);
    }
}

fn side<'a>(
    api: &Object<'a>,
    key: &str,
    objects: &'a Objects<'a>,
    used: &mut Used<'a>,
    report: &mut Report,
) -> Side<'a> {
    let mut side = Side { hosts: Vec::new(), rules: Vec::new(), routes: false };
    let names = api.spec.get(key).into_iter().flat_map(Node::items).filter_map(|entry| entry.get("routeRefs"));
    for name in names.flat_map(Node::items) {
        side.routes = true;
        let Some(route) = objects.find(Kind::HttpRoute, name, api.namespace, report) else { continue };
        used.routes.push(route.place);
        routes::read(route, objects, &mut side.hosts, &mut side.rules, report);
    }
    if key == "sandbox" && side.routes && side.hosts.is_empty() {
        let message = format!("the sandbox of {} has no `hostnames`", api.describe());
        let help = "only `x-model-router-environment: sandbox` from Envoy leads there".to_owned();
        report.warning(api.place, message, help);
    }
    side
}

/// Groups the routes that the same policies decide on. Routes without a policy are reported.
fn groups<'a>(
    api: &Object<'a>,
    sides: &[Side<'a>; 2],
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut done: Vec<Operation> = Vec::new();
    let all =
        sides.iter().flat_map(|side| &side.rules).flat_map(|rule| rule.operations.iter().map(move |op| (rule, op)));
    for (rule, operation) in all {
        if done.contains(operation) {
            continue;
        }
        done.push(operation.clone());
        let of_side = |side: &Side<'a>| side.rules.iter().find(|rule| rule.operations.contains(operation)).cloned();
        let rules = [of_side(&sides[0]), of_side(&sides[1])];
        let choices =
            rules.each_ref().map(|rule| rule.as_ref().and_then(|rule| attach::choice(api, rule, objects, report)));
        if choices.iter().all(Option::is_none) {
            let message = format!("{} of {} has no policy that picks a model", operation.describe(), api.describe());
            report.warning(rule.place, message, "its requests are answered with 404".to_owned());
            continue;
        }
        let places = |choices: &[Option<Choice<'a>>; 2]| {
            choices.each_ref().map(|choice| choice.as_ref().map(|choice| choice.section.place))
        };
        let index = groups.iter().position(|group| places(&group.choices) == places(&choices));
        let index = index.unwrap_or_else(|| {
            groups.push(Group { choices, operations: Vec::new(), rules: [Vec::new(), Vec::new()] });
            groups.len() - 1
        });
        groups[index].operations.push(operation.clone());
        for (known, rule) in groups[index].rules.iter_mut().zip(rules) {
            known.extend(rule.iter().flat_map(|rule| rule.backends.iter().copied()));
        }
    }
    groups
}
