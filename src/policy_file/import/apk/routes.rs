//! HTTPRoutes: hosts, and rules with the operations that they take.

use super::kinds::{Kind, Object, Objects};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::operations::{Operation, carries_model};

/// A rule of a route.
#[derive(Clone, Debug)]
pub(super) struct Rule<'a> {
    pub(super) place: Place,
    pub(super) operations: Vec<Operation>,
    /// The policies that its filters name.
    pub(super) policies: Vec<&'a Object<'a>>,
    /// The references to Backends.
    pub(super) backends: Vec<&'a Node>,
    /// The name of its route.
    pub(super) route: &'a str,
}

/// Adds the hosts and the rules of a route.
pub(super) fn read<'a>(
    route: &Object<'a>,
    objects: &'a Objects<'a>,
    hosts: &mut Vec<&'a Node>,
    rules: &mut Vec<Rule<'a>>,
    report: &mut Report,
) {
    honoured(route.spec, &["hostnames", "parentRefs", "rules"], &route.describe(), &[], report);
    for host in route.spec.get("hostnames").into_iter().flat_map(Node::items) {
        if !hosts.iter().any(|known| known.text() == host.text()) {
            hosts.push(host);
        }
    }
    for rule in route.spec.get("rules").into_iter().flat_map(Node::items) {
        let label = format!("a rule of {}", route.describe());
        honoured(rule, &["matches", "filters", "backendRefs", "name"], &label, &[], report);
        let rewrites = rewrites(rule, &label, report);
        let matches = rule.get("matches").map_or(&[][..], Node::items);
        let mut operations: Vec<_> =
            matches.iter().filter_map(|one| operation(one, &label, &rewrites, report)).collect();
        if matches.is_empty() {
            operations.push(Operation::All);
        }
        rules.push(Rule {
            place: rule.place,
            operations,
            policies: extensions(rule, route, objects, report),
            backends: rule.get("backendRefs").map_or(&[][..], Node::items).iter().collect(),
            route: route.name,
        });
    }
}

/// Returns the paths that requests are rewritten to.
fn rewrites<'a>(rule: &'a Node, label: &str, report: &mut Report) -> Vec<&'a Node> {
    let mut rewrites = Vec::new();
    for filter in rule.get("filters").into_iter().flat_map(Node::items) {
        match filter.get("type").and_then(Node::text) {
            Some("ExtensionRef") => {}
            Some("URLRewrite") => {
                let Some(rewrite) = filter.get("urlRewrite") else { continue };
                honoured(rewrite, &["path"], &format!("`urlRewrite` of {label}"), &[], report);
                let path = rewrite.get("path");
                let full = path.and_then(|path| path.get("replaceFullPath").or(path.get("replacePrefixMatch")));
                rewrites.extend(full);
            }
            kind => {
                let kind = shown(kind.unwrap_or("without a type"));
                let help = "put it into Envoy's route".to_owned();
                report.warning(filter.place, format!("the filter {kind} of {label} is not honoured"), help);
            }
        }
    }
    rewrites
}

/// Returns the operations of a match. Those that carry no model are left out and reported.
fn operation(one: &Node, label: &str, rewrites: &[&Node], report: &mut Report) -> Option<Operation> {
    let all = "the rule takes requests with any";
    honoured(one, &["path", "method"], label, &[("headers", all), ("queryParams", all)], report);
    let method = one.get("method").and_then(Node::text).unwrap_or("POST");
    let Some(path) = one.get("path") else { return Some(Operation::All) };
    let value = required(path, "value", &format!("the path of {label}"), report)?;
    let written = value.text().unwrap_or_default();
    if !carries_model(method) {
        if (method, written) != ("GET", "/models") {
            let message = format!("{} is not honoured: it carries no model", shown(&format!("{method} {written}")));
            report.warning(value.place, message, "route it past the router in Envoy".to_owned());
        }
        return None;
    }
    let kind = path.get("type").and_then(Node::text).unwrap_or("PathPrefix");
    let is_regex = kind == "RegularExpression";
    let path = if is_regex { pattern(written) } else { Some(written.trim_end_matches("/*").to_owned()) };
    let Some(path) = path else {
        let message = format!("the path {} is no path with placeholders", shown(written));
        let help = "write plain segments, `[^/]+` for any segment, or `/(.*)` at the end for all".to_owned();
        report.error_with(value.place, message, help);
        return None;
    };
    if path.is_empty() || path == "/" {
        return Some(Operation::All);
    }
    if kind == "PathPrefix" {
        let message = format!("{} is taken as it is, and no longer path", shown(written));
        report.warning(value.place, message, "a rule for every path is `/`".to_owned());
    }
    rewritten(&path, rewrites, report);
    Some(Operation::One { path, method: method.to_owned() })
}

/// A path is forwarded unchanged, below the path of the Backend: another one is an error.
fn rewritten(path: &str, rewrites: &[&Node], report: &mut Report) {
    for node in rewrites {
        let to = node.text().unwrap_or_default();
        let is_group = to.contains('\\');
        if !is_group && to.trim_end_matches('/') != path.trim_end_matches('/') {
            let message = format!("requests to {} cannot become requests to {}", shown(path), shown(to));
            let help = "the router changes the base path only; write the rest into the `basePath` of the Backend";
            report.error_with(node.place, message, help.to_owned());
        }
    }
}

/// Returns a regular expression as a path with placeholders: `""` for every path, `None` if it is neither.
fn pattern(regex: &str) -> Option<String> {
    let regex = regex.trim_start_matches('^').trim_end_matches('$');
    let all = ["/(.*)", "/.*", ".*", "(.*)", "(/.*)?", "/*"];
    if all.contains(&regex) {
        return Some(String::new());
    }
    let mut segments = Vec::new();
    for (index, segment) in split(regex).into_iter().enumerate() {
        let inner = segment.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(segment);
        let literal = inner.replace("\\.", ".").replace("\\-", "-");
        let is_literal = literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte));
        if is_literal && inner == segment {
            segments.push(literal);
        } else if ["[^/]+", "[^/]*", ".*", ".+"].contains(&inner) {
            segments.push(format!("{{part{index}}}"));
        } else {
            return None;
        }
    }
    Some(segments.join("/"))
}

/// Returns the segments of a path; a `/` between brackets does not separate segments.
fn split(regex: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, letter) in regex.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            '/' if depth == 0 => {
                parts.push(&regex[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&regex[from..]);
    parts
}

/// Returns the policies that a rule's filters name.
fn extensions<'a>(
    rule: &Node,
    route: &Object<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Vec<&'a Object<'a>> {
    let mut policies = Vec::new();
    let filters = rule.get("filters").into_iter().flat_map(Node::items);
    for reference in filters.filter_map(|filter| filter.get("extensionRef")) {
        match reference.get("kind").and_then(Node::text) {
            Some("APIPolicy") => policies.extend(objects.referred(Kind::ApiPolicy, reference, route, report)),
            kind => {
                let kind = shown(kind.unwrap_or("without a kind"));
                report.warning(reference.place, format!("the extension {kind} of a rule is not honoured"), None);
            }
        }
    }
    policies
}
