//! The policies attached to an API, and which of them decides on an operation.

use std::collections::HashMap;

use super::kinds::Object;
use super::paths;
use super::policies::{self, Kind};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::operations::Operation;
use crate::policy_file::import::tree::content;

/// A policy that picks models, in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attached<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) params: &'a Node,
}

/// The operations that a policy decides on.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) attached: Attached<'a>,
    pub(super) operations: Vec<Operation>,
}

/// Returns what the policies of an LlmProxy or LlmProvider decide on. `bodiless` says that requests without a body name
/// models as well.
pub(super) fn of_llm<'a>(api: &Object<'a>, bodiless: bool, report: &mut Report) -> Vec<Group<'a>> {
    let mut found = Vec::new();
    for policy in api.spec.get("globalPolicies").map_or(&[][..], Node::items) {
        let Some((kind, name)) = picks(policy, &["params"], report) else { continue };
        found.extend(attached(kind, name, policy, report).map(|attached| (attached, vec![Operation::All])));
    }
    let lists = ["operationPolicies", "policies"].into_iter().filter_map(|key| api.spec.get(key));
    for policy in lists.flat_map(Node::items) {
        let Some((kind, name)) = picks(policy, &["paths"], report) else { continue };
        let entries = policy.get("paths").map_or(&[][..], Node::items);
        if entries.is_empty() {
            report.error(policy.place, format!("the policy {} has no `paths`", shown(name)));
        }
        for entry in entries {
            honoured(entry, &["path", "methods", "params"], "this path", &[], report);
            let Some(path) = required(entry, "path", "this path", report) else { continue };
            let methods = entry.get("methods").map_or(&[][..], Node::items);
            let operations = paths::operations(path, methods, bodiless, report);
            found.extend(attached(kind, name, entry, report).map(|attached| (attached, operations)));
        }
    }
    decided(found, report)
}

/// Returns what the policies of a RestApi decide on.
pub(super) fn of_rest_api<'a>(api: &Object<'a>, report: &mut Report) -> Vec<Group<'a>> {
    let of_api: Vec<_> = listed(api.spec, report);
    let mut found = Vec::new();
    for operation in api.spec.get("operations").map_or(&[][..], Node::items) {
        honoured(operation, &["method", "path", "match", "policies", "resilience"], "this operation", &[], report);
        let Some((path, method)) = matched(operation, report) else { continue };
        let all: Vec<_> = of_api.iter().copied().chain(listed(operation, report)).collect();
        if all.is_empty() {
            unhonoured(path, method, report);
        }
        for attached in all {
            let location = attached.params.get("requestModel").and_then(|model| model.get("location"));
            let bodiless = location.and_then(Node::text).is_some_and(|location| location != "payload");
            let operations = paths::operations(path, std::slice::from_ref(method), bodiless, report);
            found.push((attached, operations));
        }
    }
    decided(found, report)
}

/// Returns the path and the method of an operation of a RestApi.
fn matched<'a>(operation: &'a Node, report: &mut Report) -> Option<(&'a Node, &'a Node)> {
    let Some(rule) = operation.get("match") else {
        let path = required(operation, "path", "this operation", report);
        return path.zip(required(operation, "method", "this operation", report));
    };
    let path = rule.get("path").unwrap_or(rule);
    if let Some(headers) = rule.get("headers").filter(|headers| !headers.items().is_empty()) {
        let help = "give it a path of its own".to_owned();
        report.error_with(headers.place, "an operation cannot be told apart by its headers", help);
        return None;
    }
    if path.get("type").and_then(Node::text) == Some("PathPrefix")
        && path.get("value").and_then(Node::text) != Some("/")
    {
        let help = "write each path out, with `{…}` for any segment".to_owned();
        report.error_with(path.place, "an operation cannot be every path with a prefix", help);
        return None;
    }
    let value = required(path, "value", "the path of this operation", report);
    value.zip(required(rule, "method", "this operation", report))
}

/// Reports an operation on which no policy decides.
fn unhonoured(path: &Node, method: &Node, report: &mut Report) {
    let (path_text, method) = (path.text().unwrap_or_default(), method.text().unwrap_or_default());
    if (method, path_text) != ("GET", "/models") {
        let request = shown(&format!("{method} {path_text}"));
        let message = format!("{request} is not honoured: no policy picks a model there");
        report.warning(path.place, message, "its requests are answered with 404".to_owned());
    }
}

/// Returns the policies of a list without paths.
fn listed<'a>(holder: &'a Node, report: &mut Report) -> Vec<Attached<'a>> {
    let mut found = Vec::new();
    for policy in holder.get("policies").map_or(&[][..], Node::items) {
        let Some((kind, name)) = picks(policy, &["params"], report) else { continue };
        found.extend(attached(kind, name, policy, report));
    }
    found
}

/// Returns the kind of a policy that picks models; others are reported.
fn picks<'a>(policy: &'a Node, keys: &[&str], report: &mut Report) -> Option<(Kind, &'a str)> {
    let name = required(policy, "name", "a policy", report)?;
    let kind = policies::kind(name, report)?;
    honoured(policy, &[&["name", "version", "executionCondition"], keys].concat(), "this policy", &[], report);
    if let Some(condition) = policy.get("executionCondition") {
        let help = "remove the condition, or the policy".to_owned();
        report.error_with(condition.place, "a policy that picks models cannot have a condition here", help);
    }
    Some((kind, name.text()?))
}

fn attached<'a>(kind: Kind, name: &'a str, holder: &'a Node, report: &mut Report) -> Option<Attached<'a>> {
    let Some(params) = holder.get("params") else {
        report.error(holder.place, format!("the policy {} has no `params`", shown(name)));
        return None;
    };
    Some(Attached { kind, name, place: holder.place, params })
}

/// Returns each operation with the policy that decides on it, which is the last one; the others are reported.
fn decided<'a>(found: Vec<(Attached<'a>, Vec<Operation>)>, report: &mut Report) -> Vec<Group<'a>> {
    let mut order = Vec::new();
    let mut deciding: HashMap<Operation, Attached<'a>> = HashMap::new();
    for (attached, operations) in found {
        for operation in operations {
            match deciding.insert(operation.clone(), attached) {
                Some(earlier) => {
                    let (idle, name) = (shown(earlier.name), shown(attached.name));
                    let message = format!("this {idle} decides on nothing beside {name}");
                    report.warning(earlier.place, message, "keep one of them".to_owned());
                }
                None => order.push(operation),
            }
        }
    }
    let (mut groups, mut known) = (Vec::<Group<'a>>::new(), HashMap::new());
    for operation in order {
        let attached = deciding[&operation];
        let index = *known.entry((attached.kind, content(attached.params))).or_insert_with(|| {
            groups.push(Group { attached, operations: Vec::new() });
            groups.len() - 1
        });
        groups[index].operations.push(operation);
    }
    groups
}
