//! The access control of an LlmProvider: which operations it has at all.

use super::kinds::Object;
use super::paths::covers;
use crate::document::problem::Report;
use crate::document::yaml::Node;
use crate::policy_file::import::operations::{Operation, carries_model};

/// Returns those of the operations that an LlmProvider allows; the others are reported.
pub(super) fn allowed(provider: &Object<'_>, operations: Vec<Operation>, report: &mut Report) -> Vec<Operation> {
    let Some(control) = provider.spec.get("accessControl") else { return operations };
    let exceptions = control.get("exceptions").map_or(&[][..], Node::items);
    let denies = control.get("mode").and_then(Node::text) == Some("deny_all");
    let mut allowed = Vec::new();
    for operation in operations {
        match &operation {
            Operation::All if denies && !exceptions.iter().any(|one| path(one) == "/*") => {
                allowed.extend(exceptions.iter().flat_map(listed));
            }
            Operation::All => {
                if let Some(first) = exceptions.first().filter(|_| !denies) {
                    let message = format!("the exceptions of {} are not honoured", provider.describe());
                    report.warning(first.place, message, "refuse these paths in Envoy".to_owned());
                }
                allowed.push(operation);
            }
            Operation::One { path, method } => {
                if denies == exceptions.iter().any(|one| matches(one, path, method)) {
                    allowed.push(operation);
                } else {
                    let message = format!("{} is left out: {} denies it", operation.describe(), provider.describe());
                    report.warning(control.place, message, "its requests are answered with 404".to_owned());
                }
            }
        }
    }
    allowed
}

fn path(exception: &Node) -> &str {
    exception.get("path").and_then(Node::text).unwrap_or_default()
}

fn methods(exception: &Node) -> impl Iterator<Item = &str> {
    exception.get("methods").into_iter().flat_map(Node::items).filter_map(Node::text)
}

fn matches(exception: &Node, wanted: &str, method: &str) -> bool {
    covers(path(exception), wanted) && methods(exception).any(|one| one == "*" || one == method)
}

/// Returns the operations of an exception, as far as they carry a model.
fn listed(exception: &Node) -> Vec<Operation> {
    let path = path(exception);
    let carrying = methods(exception).map(|method| if method == "*" { "POST" } else { method });
    let carrying = carrying.filter(|method| carries_model(method) && !path.contains('*'));
    carrying.map(|method| Operation::One { path: path.to_owned(), method: method.to_owned() }).collect()
}
