//! Content-based routing: by a header or a query parameter, which no policy here does.

use super::embedded;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;

pub(super) const NAME: &str = "ContentBasedModelRouter";
const PARAMETER: &str = "contentBasedModelRoutingConfigs";

/// Reports each condition of such a policy. Without it requests would go elsewhere than there, so it is an error.
pub(super) fn refuse(policy: &Node, report: &mut Report) {
    let parameter = policy.get("parameters").and_then(|parameters| parameters.get(PARAMETER));
    let Some(parameter) = parameter else {
        report.error(policy.place, format!("the policy {} has no parameter {}", shown(NAME), shown(PARAMETER)));
        return;
    };
    let Some(config) = embedded::json(PARAMETER, parameter, report) else { return };
    let lists = ["production", "sandbox"].into_iter().filter_map(|environment| config.get(environment));
    let conditions: Vec<_> = lists.flat_map(Node::items).filter_map(|entry| entry.get("condition")).collect();
    if conditions.is_empty() {
        report.warning(policy.place, format!("this {} has no conditions and decides on nothing", shown(NAME)), None);
    }
    for condition in conditions {
        let of = |key: &str| condition.get(key).and_then(Node::text).unwrap_or_default();
        let what = if of("type") == "QUERY_PARAMETER" { "query parameter" } else { "header" };
        let message =
            format!("{} picks models by the {what} {}, which no policy here does", shown(NAME), shown(of("key")));
        let help = "give each model an API with `hosts` or a `base_path` of its own, or remove the policy".to_owned();
        report.error_with(condition.place, message, help);
    }
}
