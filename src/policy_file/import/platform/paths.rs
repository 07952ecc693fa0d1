//! Paths: where an API is, and which requests an entry of its policies is for.

use super::kinds::Object;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::operations::{Operation, carries_model};
use crate::policy_file::import::tree::{list, text};

/// Returns the `base_path` of an API, with its version where its context has `$version`; `None` for the root.
pub(super) fn base_path(api: &Object<'_>) -> Option<Node> {
    let context = api.spec.get("context")?;
    let version = api.spec.get("version").and_then(Node::text).unwrap_or_default();
    let path = context.text()?.replace("$version", version);
    let path = path.trim_end_matches('/');
    (!path.is_empty()).then(|| text(context.place, path))
}

/// Returns hosts, which are separated by `;`; `None` for any host.
pub(super) fn hosts(node: Option<&Node>) -> Option<Node> {
    let node = node?;
    let hosts = node.text()?.split(';').map(str::trim).filter(|host| !host.is_empty());
    let hosts: Vec<_> = hosts.map(|host| text(node.place, host)).collect();
    let is_any = hosts.is_empty() || hosts.iter().any(|host| host.text() == Some("*"));
    (!is_any).then(|| list(node.place, hosts))
}

/// Returns the operations of a path with methods, as far as they carry a model. `bodiless` says that those without a
/// body do as well. What cannot be expressed is reported.
pub(super) fn operations(path: &Node, methods: &[Node], bodiless: bool, report: &mut Report) -> Vec<Operation> {
    let written = path.text().unwrap_or_default();
    if ["/*", "/"].contains(&written) {
        return vec![Operation::All];
    }
    if !written.starts_with('/') || written.contains('*') {
        let help = "write each path out, with `{…}` for any segment, or `/*` for all".to_owned();
        report.error_with(path.place, format!("{} is no path that the router can tell apart", shown(written)), help);
        return Vec::new();
    }
    let of_method = |method: &str| Operation::One { path: written.to_owned(), method: method.to_owned() };
    let mut found = Vec::new();
    for method in methods {
        match method.text().unwrap_or_default() {
            "*" => found.push(of_method("POST")),
            method if bodiless || carries_model(method) => found.push(of_method(method)),
            _ => {}
        }
    }
    if found.is_empty() {
        let message = format!("the policy on {} is not honoured: no method there carries a model", shown(written));
        report.warning(path.place, message, None);
    }
    found.dedup();
    found
}

/// Returns whether a pattern covers a path: the same, or a start that ends in `/*`.
pub(super) fn covers(pattern: &str, path: &str) -> bool {
    let start = pattern.strip_suffix('*').filter(|start| start.ends_with('/'));
    pattern == path || start.is_some_and(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::problem::Place;

    #[test]
    fn hosts_are_separated_and_an_asterisk_is_any() {
        let of = |hosts: &str| hosts_of(&text(Place::default(), hosts));
        assert_eq!(
            of("a.example.com; b.example.com"),
            Some(vec!["a.example.com".to_owned(), "b.example.com".to_owned()])
        );
        for any in ["*", "", "a.example.com;*"] {
            assert_eq!(of(any), None, "{any}");
        }
    }

    fn hosts_of(node: &Node) -> Option<Vec<String>> {
        let texts = |node: Node| node.items().iter().filter_map(|host| host.text().map(str::to_owned)).collect();
        hosts(Some(node)).map(texts)
    }

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        for (pattern, path, is_covered) in [
            ("/chat/completions", "/chat/completions", true),
            ("/*", "/chat/completions", true),
            ("/chat/*", "/chat/completions", true),
            ("/chat/*", "/chats", false),
            ("/chat", "/chat/completions", false),
        ] {
            assert_eq!(covers(pattern, path), is_covered, "{pattern} {path}");
        }
    }
}
