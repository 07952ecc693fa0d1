//! The policies attached to an API or an operation, and the policy of ours that they become.

use super::{Context, content_based, embedded, failover, intelligent, semantic, turns};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::seconds::seconds;
use crate::policy_file::import::tree::text;

/// The kinds of policies that pick models, the strongest first, with the parameter that each has.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::RoundRobin, "modelRoundRobin", "roundRobinConfigs"),
    (Kind::Weighted, "modelWeightedRoundRobin", "weightedRoundRobinConfigs"),
    (Kind::Intelligent, "IntelligentModelRouting", "intelligentModelRoutingConfigs"),
    (Kind::Semantic, "SemanticRouting", "semanticRoutingConfigs"),
    (Kind::Failover, "modelFailover", "failoverConfigs"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RoundRobin,
    Weighted,
    Intelligent,
    Semantic,
    Failover,
}

/// An attached policy.
#[derive(Clone, Debug)]
pub(super) struct Attached<'a> {
    kind: Kind,
    pub(super) name: &'a str,
    pub(super) place: Place,
    /// What its parameter holds.
    config: Node,
}

/// Returns the policies of a request flow that pick models. Others are reported.
pub(super) fn attached<'a>(flows: Option<&'a Node>, report: &mut Report) -> Vec<Attached<'a>> {
    let mut attached = Vec::new();
    let Some(flows) = flows else { return attached };
    honoured(flows, &["request"], "these policies", &[], report);
    for policy in flows.get("request").into_iter().flat_map(Node::items) {
        honoured(
            policy,
            &["policyName", "policyVersion", "policyId", "policyType", "parameters"],
            "this policy",
            &[],
            report,
        );
        let name = policy.get("policyName").and_then(Node::text).unwrap_or_default();
        if name == content_based::NAME {
            content_based::refuse(policy, report);
            continue;
        }
        let Some((kind, name, key)) = KINDS.iter().find(|(_, known, _)| *known == name) else {
            report.warning(policy.place, format!("the policy {} is not honoured", shown(name)), None);
            continue;
        };
        let Some(config) = policy.get("parameters").and_then(|parameters| parameters.get(key)) else {
            report.error(policy.place, format!("the policy {} has no parameter {}", shown(name), shown(key)));
            continue;
        };
        if let Some(config) = embedded::json(key, config, report) {
            attached.push(Attached { kind: *kind, name, place: policy.place, config });
        }
    }
    attached
}

/// Returns one environment's policy; `None` if there is none, or if it is wrong, which is then reported.
pub(super) fn policy(
    attached: &[Attached<'_>],
    environment: &str,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<Node> {
    let strongest =
        KINDS.iter().find(|(kind, ..)| attached.iter().any(|one| one.kind == *kind)).map(|(kind, ..)| *kind)?;
    let (decide, idle): (Vec<_>, Vec<_>) = attached.iter().partition(|one| one.kind == strongest);
    for other in idle.iter().chain(decide.iter().skip(1).filter(|_| strongest != Kind::Failover)) {
        let message = format!("this {} decides on nothing beside {}", shown(other.name), shown(decide[0].name));
        report.warning(other.place, message, "keep one of them".to_owned());
    }
    let config = &decide[0].config;
    match strongest {
        Kind::RoundRobin => turns::policy(config, environment, turns::Order::RoundRobin, context, report),
        Kind::Weighted => turns::policy(config, environment, turns::Order::Weighted, context, report),
        Kind::Intelligent => intelligent::policy(config, environment, context, report),
        Kind::Semantic => semantic::policy(config, environment, context, report),
        Kind::Failover => {
            let configs: Vec<_> = decide.iter().map(|one| &one.config).collect();
            failover::policy(&configs, environment, context, report)
        }
    }
}

/// Returns what a policy has for one environment, if it has anything; keys beside these are reported.
pub(super) fn section<'c>(
    config: &'c Node,
    environment: &str,
    (outer, inner): (&[&str], &[&str]),
    report: &mut Report,
) -> Option<&'c Node> {
    let outer: Vec<_> = outer.iter().copied().chain(["production", "sandbox"]).collect();
    honoured(config, &outer, "this policy", &[], report);
    let section = config.get(environment).filter(|section| !section.entries().is_empty())?;
    honoured(section, inner, "this policy", &[], report);
    Some(section)
}

/// Returns a target; mistakes are reported.
pub(super) fn target(
    node: &Node,
    context: &mut Context<'_, '_>,
    report: &mut Report,
) -> Option<[(&'static str, Node); 2]> {
    let text = |key: &str| node.get(key).filter(|value| value.text().is_some_and(|text| !text.is_empty()));
    let Some((model, id)) = text("model").zip(text("endpointId")) else {
        report.error(node.place, "a model needs both `model` and `endpointId`");
        return None;
    };
    context.vendor.model(model, report);
    let endpoint = context.endpoints.named(id, report)?;
    Some([("model", model.clone()), ("endpoint", endpoint)])
}

/// Bounds of a policy: how long it suspends, which is never when that is missing, and its time limits.
pub(super) fn bounds(config: &Node, timeout: Option<&Node>, report: &mut Report) -> Vec<(&'static str, Node)> {
    const HOUR: u64 = 3600;
    let suspend = config.get("suspendDuration").filter(|node| node.text() != Some(""));
    let place = suspend.map_or(config.place, |node| node.place);
    let mut suspend = suspend.and_then(|node| seconds(node, "suspendDuration", report)).unwrap_or(0);
    if suspend > HOUR {
        let message = format!("`suspendDuration` is {suspend} s, which is cut to an hour there and here");
        report.warning(place, message, None);
        suspend = HOUR;
    }
    let mut bounds = vec![("suspend", text(place, format!("{suspend}s")))];
    if suspend > 0 {
        bounds.push(("suspend_after", crate::policy_file::import::tree::plain(place, "1")));
    }
    let timeout = config.get("requestTimeout").filter(|node| node.text() != Some("")).or(timeout);
    if let Some(limit) = timeout.and_then(|node| Some((node.place, seconds(node, "requestTimeout", report)?))) {
        let (place, limit) = limit;
        bounds.extend(["first_byte_timeout", "request_timeout"].map(|key| (key, text(place, format!("{limit}s")))));
    }
    bounds
}
