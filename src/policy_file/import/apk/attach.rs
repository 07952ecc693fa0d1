//! Which APIPolicy decides on a rule.

use super::kinds::{Kind, Object, Objects};
use super::pools::Used;
use super::routes::Rule;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::honoured;

/// The key of a section that picks models.
pub(super) const POOLS: &str = "modelBasedRoundRobin";

/// The section of a policy that decides, and the vendor that it names.
#[derive(Clone, Debug)]
pub(super) struct Choice<'a> {
    pub(super) policy: &'a Object<'a>,
    /// What `modelBasedRoundRobin` holds.
    pub(super) section: &'a Node,
    /// The reference to an AIProvider.
    pub(super) vendor: Option<&'a Node>,
}

/// Returns what decides on a rule: the `override` of its API's policy, then of its own, then the `default` of its own,
/// then of its API's.
pub(super) fn choice<'a>(
    api: &Object<'a>,
    rule: &Rule<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<Choice<'a>> {
    let of_api: Vec<_> = objects.of(Kind::ApiPolicy).filter(|policy| targets(policy, "API", api.name)).collect();
    let own: Vec<_> = objects
        .of(Kind::ApiPolicy)
        .filter(|policy| {
            let named = rule.policies.iter().any(|named| named.place == policy.place);
            named || targets(policy, "Resource", rule.route)
        })
        .collect();
    for policies in [&of_api, &own] {
        if let [first, second, ..] = policies[..] {
            let first = report.locate(first.place, second.place);
            let message = format!("{} decides on what another APIPolicy decides on, at {first}", second.describe());
            report.error_with(second.place, message, "keep one".to_owned());
        }
    }
    let order = [(&of_api, "override"), (&own, "override"), (&own, "default"), (&of_api, "default")];
    let sections = order
        .iter()
        .flat_map(|(policies, key)| policies.iter().filter_map(move |policy| Some((*policy, policy.spec.get(key)?))));
    let sections: Vec<_> = sections.collect();
    let (policy, section) = sections.iter().find_map(|(policy, section)| Some((*policy, section.get(POOLS)?)))?;
    let vendor = sections.iter().find_map(|(_, section)| section.get("aiProvider"));
    Some(Choice { policy, section, vendor })
}

fn targets(policy: &Object<'_>, kind: &str, name: &str) -> bool {
    let Some(target) = policy.spec.get("targetRef") else { return false };
    let text = |key| target.get(key).and_then(Node::text);
    text("kind") == Some(kind) && text("name") == Some(name)
}

/// Reports objects in the manifests that have no effect.
pub(super) fn unused(objects: &Objects<'_>, used: &Used<'_>, report: &mut Report) {
    objects.of(Kind::ApiPolicy).for_each(|policy| fields(policy, report));
    if report.has_errors() {
        return; // it may be a name that is wrong
    }
    for policy in objects.of(Kind::ApiPolicy) {
        if !used.policies.contains(&policy.place) && sections(policy).any(|(_, section)| section.get(POOLS).is_some()) {
            let help = match policy.spec.get("targetRef") {
                None => "it has no `targetRef`",
                Some(_) => "its `targetRef` has to name an API, or a Resource that a rule refers to",
            };
            report.warning(policy.place, format!("{} decides on nothing here", policy.describe()), help.to_owned());
        }
    }
    for route in objects.of(Kind::HttpRoute).filter(|route| !used.routes.contains(&route.place)) {
        report.warning(route.place, format!("{} is not used by any API", route.describe()), None);
    }
    for backend in
        objects.of(Kind::Backend).filter(|one| !used.backends.iter().any(|used| used.backend.place == one.place))
    {
        report.warning(backend.place, format!("{} is not used by any APIPolicy", backend.describe()), None);
    }
    for vendor in
        objects.of(Kind::AiProvider).filter(|one| !used.vendors.iter().any(|used| used.vendor.place == one.place))
    {
        report.warning(vendor.place, format!("{} is not used by any APIPolicy", vendor.describe()), None);
    }
}

fn sections<'a>(policy: &Object<'a>) -> impl Iterator<Item = (&'static str, &'a Node)> {
    let spec = policy.spec;
    ["override", "default"].into_iter().filter_map(move |key| Some((key, spec.get(key)?)))
}

/// What of a policy is honoured.
fn fields(policy: &Object<'_>, report: &mut Report) {
    honoured(policy.spec, &["default", "override", "targetRef"], &policy.describe(), &[], report);
    let elsewhere = [
        ("cORSPolicy", "use Envoy's CORS filter"),
        ("subscriptionValidation", "authorize clients in Envoy, before the router's filter"),
        ("requestInterceptors", "put other filters into Envoy's chain"),
        ("responseInterceptors", "put other filters into Envoy's chain"),
        ("backendJwtPolicy", "add headers in Envoy"),
    ];
    for (key, section) in sections(policy) {
        honoured(
            section,
            &["aiProvider", POOLS],
            &format!("{} of {}", shown(key), policy.describe()),
            &elsewhere,
            report,
        );
    }
}
