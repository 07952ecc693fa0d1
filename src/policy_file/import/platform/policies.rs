//! Which policies pick models, and the policy of ours that each becomes.

use super::attached::Attached;
use super::targets::Targets;
use super::{sorted, turns};
use crate::document::problem::Report;
use crate::document::words::{nearest, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::seconds::seconds;
use crate::policy_file::import::tree::{plain, text};

/// A policy that picks models and that is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    RoundRobin,
    Weighted,
    Intelligent,
    Semantic,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::RoundRobin, "model-round-robin"),
    (Kind::Weighted, "model-weighted-round-robin"),
    (Kind::Intelligent, "intelligent-model-routing"),
    (Kind::Semantic, "semantic-model-routing"),
];

/// Policies that decide where requests go and that have no equivalent.
const ROUTING: &[(&str, &str)] = &[
    ("llm-header-router", "by a header of the request"),
    ("context-based-routing", "by the length of the prompt"),
    ("token-count-model-routing", "by the length of the prompt"),
    ("cost-based-routing", "by what has been spent"),
    ("time-based-model-routing", "by the time of day"),
    ("dynamic-endpoint", "by the request"),
    ("model-failover", "with fallbacks of its own"),
    ("multiModelRouting", "among models"),
    ("multiProviderRouting", "among providers"),
];

const CLIENTS: &str = "authenticate clients in Envoy, before the router's filter";
const RATES: &str = "limit rates in Envoy, before the router's filter";
const PROMPTS: &str = "inspect prompts in another filter of Envoy, before the router's";
const HEADERS: &str = "change headers in Envoy's route";

/// Policies that are not about models, and what does their work.
const ELSEWHERE: &[(&str, &str)] = &[
    ("add-headers", HEADERS),
    ("advanced-ratelimit", RATES),
    ("api-key-auth", CLIENTS),
    ("aws-authentication", "Envoy signs, with its filter `aws_request_signing`"),
    ("aws-bedrock-guardrail", PROMPTS),
    ("azure-content-safety-content-moderation", PROMPTS),
    ("basic-auth", CLIENTS),
    ("basic-ratelimit", RATES),
    ("content-length-guardrail", PROMPTS),
    ("cors", "use Envoy's CORS filter"),
    ("host-rewrite", "the host becomes that of the endpoint's URL"),
    ("json-schema-guardrail", PROMPTS),
    ("jwt-auth", CLIENTS),
    ("llm-cost", "see the metrics of tokens"),
    ("llm-cost-based-ratelimit", RATES),
    ("modify-headers", HEADERS),
    ("opaque-token-auth", CLIENTS),
    ("pii-masking-regex", PROMPTS),
    ("prompt-compressor", PROMPTS),
    ("prompt-decorator", PROMPTS),
    ("prompt-template", PROMPTS),
    ("regex-guardrail", PROMPTS),
    ("remove-headers", HEADERS),
    ("semantic-cache", "cache in another filter of Envoy, before the router's"),
    ("semantic-prompt-guard", PROMPTS),
    ("semantic-tool-filtering", PROMPTS),
    ("sentence-count-guardrail", PROMPTS),
    ("set-headers", HEADERS),
    ("token-based-ratelimit", RATES),
    ("url-guardrail", PROMPTS),
    ("word-count-guardrail", PROMPTS),
];

/// Returns the kind of a policy by its name. One that has no equivalent is an error if it decides where requests go,
/// and else a warning.
pub(super) fn kind(name: &Node, report: &mut Report) -> Option<Kind> {
    let label = name.text().unwrap_or_default();
    if let Some((kind, _)) = KINDS.iter().find(|(_, known)| *known == label) {
        return Some(*kind);
    }
    if let Some((_, how)) = ROUTING.iter().find(|(known, _)| *known == label) {
        let message = format!("the policy {} picks models {how}, which no policy here does", shown(label));
        let help = "without it requests would go elsewhere than there: remove it if that is meant".to_owned();
        report.error_with(name.place, message, help);
        return None;
    }
    let known = ELSEWHERE.iter().find(|(known, _)| *known == label).map(|(_, help)| (*help).to_owned());
    let meant =
        || nearest(label, KINDS.iter().map(|(_, name)| *name)).map(|name| format!("did you mean {}?", shown(name)));
    report.warning(name.place, format!("the policy {} is not honoured", shown(label)), known.or_else(meant));
    None
}

/// Returns one environment's policy; `None` if it is wrong, which is then reported.
pub(super) fn policy(attached: &Attached<'_>, targets: &mut Targets<'_, '_>, report: &mut Report) -> Option<Node> {
    match attached.kind {
        Kind::RoundRobin | Kind::Weighted => turns::policy(attached, targets, report),
        Kind::Intelligent => sorted::intelligent(attached, targets, report),
        Kind::Semantic => sorted::semantic(attached, targets, report),
    }
}

/// Returns the bounds of a policy: how long its first failure suspends a target, if it says so, and its time limits.
pub(super) fn bounds(params: &Node, timeout: Option<&Node>, report: &mut Report) -> Vec<(&'static str, Node)> {
    const OVERALL: u64 = 600;
    let mut bounds = Vec::new();
    if let Some((node, duration)) =
        params.get("suspendDuration").and_then(|node| Some((node, seconds(node, "suspendDuration", report)?)))
    {
        bounds.push(("suspend", text(node.place, format!("{duration}s"))));
        bounds.extend((duration > 0).then(|| ("suspend_after", plain(node.place, "1"))));
    }
    let Some(limit) = timeout else { return bounds };
    let parsed = humantime::parse_duration(limit.text().unwrap_or_default());
    let written = match &parsed {
        Ok(duration) if duration.is_zero() => text(limit.place, "1h"),
        _ => limit.clone(),
    };
    let is_long = parsed.is_ok_and(|duration| duration.is_zero() || duration.as_secs() > OVERALL);
    let limits = ["first_byte_timeout", "request_timeout", "overall_timeout"];
    bounds.extend(limits.into_iter().take(if is_long { 3 } else { 2 }).map(|key| (key, written.clone())));
    bounds
}
