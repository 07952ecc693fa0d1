//! An outline of a policy: everything of it that can change, by name, without a secret; and how two of them differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::classifier::Sorter;
use crate::routing::api::{Api, Environment, HeaderRules, HostPattern};
use crate::routing::endpoint::{Credential, Endpoint};
use crate::routing::policy::rotation::{Group, Turns};
use crate::routing::policy::{Limits, Policy, Strategy};
use crate::routing::snapshot::Snapshot;
use crate::secret::Secret;

/// The settings, by name.
pub type Outline = BTreeMap<String, String>;

/// Something that is not the same in two outlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the setting.
    pub name: String,
    /// The old value; `None` if it is new.
    pub old: Option<String>,
    /// The new value; `None` if it is removed.
    pub new: Option<String>,
}

/// Returns the outline of a policy. Credentials are shown as a fingerprint that means nothing without this salt, and is
/// too short to find a key by.
#[must_use]
pub fn outline(snapshot: &Snapshot, salt: &[u8]) -> Outline {
    let mut outline = Outline::new();
    for api in snapshot.apis.iter() {
        outline.insert(format!("API {}", api.name), of_api(api));
        for environment in [Environment::Production, Environment::Sandbox] {
            if let Some(policy) = api.policy(environment) {
                add_policy(&mut outline, &format!("{}/{}", api.name, environment.name()), policy);
            }
        }
    }
    for endpoint in snapshot.endpoints() {
        let name = format!("endpoint {}", endpoint.name);
        outline.insert(format!("{name} URL"), format!("{}{}", endpoint.origin, endpoint.path));
        if let Some(credential) = of_credential(endpoint, salt) {
            outline.insert(format!("{name} credential"), credential);
        }
    }
    outline
}

/// Returns the differences between two outlines, in the order of names.
#[must_use]
pub fn differences(old: &Outline, new: &Outline) -> Vec<Difference> {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let all =
        names.map(|name| Difference { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() });
    let mut changed: Vec<_> = all.filter(|difference| difference.old != difference.new).collect();
    changed.sort_by(|one, other| one.name.cmp(&other.name));
    changed
}

fn of_api(api: &Api) -> String {
    let hosts = |hosts: &[HostPattern]| match hosts {
        [] => "any".to_owned(),
        hosts => joined(hosts.iter().map(|host| match host {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Below(domain) => format!("*.{domain}"),
        })),
    };
    let base_path = if api.base_path.is_empty() { "/" } else { &api.base_path };
    let operations = api.operations.len();
    let mut text = format!("at {base_path}, hosts {}, {operations} operations", hosts(&api.hosts));
    if !api.sandbox_hosts.is_empty() {
        let _ = write!(text, ", sandbox hosts {}", hosts(&api.sandbox_hosts));
    }
    if api.headers != HeaderRules::default() {
        let _ = write!(text, ", of requests with {}", api.headers);
    }
    if !api.forward_headers.is_empty() {
        let _ = write!(text, ", headers passed on: {}", api.forward_headers.join(", "));
    }
    text
}

fn add_policy(outline: &mut Outline, place: &str, policy: &Policy) {
    if let Strategy::ByModel(by_model) = &policy.strategy {
        outline.insert(format!("{place} policy"), policy.strategy.name().to_owned());
        for entry in by_model.entries() {
            let models = joined(entry.models.iter().map(|asked| asked.as_str().to_owned()));
            add_policy(outline, &format!("{place} entry {models}"), &entry.policy);
        }
        if let Some(others) = by_model.other_models() {
            add_policy(outline, &format!("{place} other models"), others);
        }
        outline.insert(format!("{place} stateful_endpoint"), stateful(policy));
        return;
    }
    let target = |index: usize| {
        let target = &policy.targets[index];
        format!("{}@{}", target.model, target.endpoint.name)
    };
    let route = |order: &[usize]| order.iter().map(|&index| target(index)).collect::<Vec<_>>().join(", then ");
    let mut add = |what: &str, value: String| outline.insert(format!("{place} {what}"), value);
    add("policy", policy.strategy.name().to_owned());
    for index in 0..policy.targets.len() {
        let weight = share(&policy.strategy, index);
        add(&format!("target {}", target(index)), weight);
    }
    match &policy.strategy {
        Strategy::Failover(failover) => {
            for (model, entry) in failover.entries() {
                let limits =
                    if entry.limits == policy.limits { String::new() } else { limits_of_its_own(&entry.limits) };
                add(&format!("entry {}", model.unwrap_or("other models")), route(&entry.order) + &limits);
            }
        }
        Strategy::Intelligent(sorted) | Strategy::Semantic(sorted) => {
            for asked in sorted.sorter.services() {
                add(asked.kind().name(), asked.name().to_string());
            }
            add("rule default", target(sorted.default));
            for (name, &index) in sorted.sorter.names().into_iter().zip(&sorted.targets) {
                add(&format!("rule {name}"), target(index));
            }
            let (what, content) = instructions(&sorted.sorter);
            add(what, format!("of fingerprint {}", short(Sha256::digest(content).as_slice())));
        }
        Strategy::Rotation(rotation) => {
            let sources =
                rotation.affinity().map(|affinity| joined(affinity.sources().iter().map(ToString::to_string)));
            add("affinity", sources.unwrap_or_else(|| "none".to_owned()));
        }
        Strategy::RoundRobin(_) | Strategy::Weighted(_) => {
            add("affinity", "none".to_owned());
        }
        Strategy::ByModel(_) => {}
    }
    for (name, value) in limits(&policy.limits) {
        add(name, value);
    }
    add("all_suspended", format!("{:?}", policy.all_suspended));
    add("inspect_first_event", policy.inspect_first_event.to_string());
    add("stream_usage", if policy.requests_usage { "request" } else { "estimated" }.into());
    add("stateful_endpoint", stateful(policy));
}

fn stateful(policy: &Policy) -> String {
    policy.stateful.as_ref().map_or("none".into(), |it| it.endpoint.name.to_string())
}

/// Returns the share that the target of this index has of the turns, and its group, where that is said of targets.
fn share(strategy: &Strategy, index: usize) -> String {
    match strategy {
        Strategy::Weighted(weighted) => format!("weight {}", weighted.weights()[index]),
        Strategy::Rotation(rotation) => {
            let mut places = rotation.groups().iter().filter_map(|group| Some((group, group.place_of(index)?)));
            let Some((Group { priority, turns, .. }, at)) = places.next() else { return "there".to_owned() };
            match turns {
                Turns::Weighted(weighted) => format!("weight {}, priority {priority}", weighted.weights()[at]),
                Turns::RoundRobin(_) => format!("priority {priority}"),
            }
        }
        _ => "there".to_owned(),
    }
}

/// Returns what requests are sorted by, and what it is called.
fn instructions(sorter: &Sorter) -> (&'static str, String) {
    match sorter {
        Sorter::Rules(_, rules) => ("instructions", rules.system.clone()),
        Sorter::Routes(routes) => {
            let (threshold, margin) = (routes.threshold(), routes.unsure.as_ref().map(|unsure| unsure.margin));
            ("utterances and thresholds", format!("{:?} {threshold:?} {margin:?}", routes.all()))
        }
    }
}

fn limits(limits: &Limits) -> [(&'static str, String); 7] {
    let time = |duration| humantime::format_duration(duration).to_string();
    [
        ("suspend", time(limits.suspend)),
        ("quota_suspend", limits.quota_suspend.map_or("as suspend".into(), time)),
        ("suspend_after", limits.suspend_after.to_string()),
        ("attempts", limits.attempts.to_string()),
        ("first_byte_timeout", time(limits.first_byte_timeout)),
        ("request_timeout", time(limits.request_timeout)),
        ("overall_timeout", time(limits.overall_timeout)),
    ]
}

fn limits_of_its_own(of_entry: &Limits) -> String {
    format!(" ({})", joined(limits(of_entry).map(|(name, value)| format!("{name} {value}"))))
}

fn of_credential(endpoint: &Endpoint, salt: &[u8]) -> Option<String> {
    let print = |secret: &Secret| short(&Sha256::new().chain_update(salt).chain_update(secret.expose()).finalize());
    match &endpoint.credential {
        Credential::None => None,
        Credential::Header(name, secret) => Some(format!("header {name}, fingerprint {}", print(secret))),
        Credential::Query(name, secret) => Some(format!("query parameter {name}, fingerprint {}", print(secret))),
        Credential::Passthrough => Some("the client's own".to_owned()),
        Credential::AwsSigV4(aws) => Some(format!("AWS signature for {} in {}", aws.service, aws.region)),
    }
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

/// 32 bits: enough to see a change, too few to test guesses against.
fn short(hash: &[u8]) -> String {
    hash.iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_goes_and_changes_is_told() {
        let outline = |pairs: &[(&str, &str)]| pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let (old, new) =
            (outline(&[("a", "1"), ("b", "1"), ("c", "1")]), outline(&[("b", "2"), ("c", "1"), ("d", "1")]));
        let changed: Vec<_> = differences(&old, &new).into_iter().map(|it| (it.name, it.old, it.new)).collect();
        let one = || Some("1".to_owned());
        assert_eq!(
            changed,
            [("a".into(), one(), None), ("b".into(), one(), Some("2".into())), ("d".into(), None, one())]
        );
        assert_eq!(differences(&new, &new), []);
    }
}
