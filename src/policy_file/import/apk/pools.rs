//! The models of an APIPolicy: one environment's, as a policy of our own.

use super::attach::Choice;
use super::kinds::{Kind, Object, Objects};
use crate::document::problem::{Place, Report};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::objects::named;
use crate::policy_file::import::seconds::seconds;
use crate::policy_file::import::tree::{list, map, plain, text};

/// What policies use.
#[derive(Debug, Default)]
pub(super) struct Used<'a> {
    pub(super) routes: Vec<Place>,
    pub(super) policies: Vec<Place>,
    pub(super) backends: Vec<UsedBackend<'a>>,
    pub(super) vendors: Vec<UsedVendor<'a>>,
}

/// A Backend that speaks a vendor's API; the endpoint's name is its own.
#[derive(Debug)]
pub(super) struct UsedBackend<'a> {
    pub(super) backend: &'a Object<'a>,
    pub(super) vendor: &'a str,
    pub(super) endpoint: String,
}

/// An AIProvider, and the models that are asked for.
#[derive(Debug)]
pub(super) struct UsedVendor<'a> {
    pub(super) vendor: &'a Object<'a>,
    pub(super) models: Vec<&'a Node>,
}

impl<'a> Used<'a> {
    /// Returns the name of the endpoint that a Backend becomes.
    fn endpoint(&mut self, backend: &'a Object<'a>, vendor: &'a Object<'a>) -> String {
        let known = self.backends.iter().find(|one| one.backend.place == backend.place && one.vendor == vendor.name);
        if let Some(known) = known {
            return known.endpoint.clone();
        }
        let taken = |name: &str| self.backends.iter().any(|one| one.endpoint == name);
        let mut name = backend.name.to_owned();
        if taken(&name) {
            name = format!("{}.{name}", backend.namespace.unwrap_or("default"));
        }
        if taken(&name) {
            name = format!("{name}.{}", vendor.name);
        }
        self.backends.push(UsedBackend { backend, vendor: vendor.name, endpoint: name.clone() });
        name
    }

    fn model(&mut self, vendor: &'a Object<'a>, model: &'a Node) {
        let index = self.vendors.iter().position(|one| one.vendor.place == vendor.place).unwrap_or_else(|| {
            self.vendors.push(UsedVendor { vendor, models: Vec::new() });
            self.vendors.len() - 1
        });
        self.vendors[index].models.push(model);
    }
}

/// Returns one environment's policy; `None` if it has no models, or if that is not known. `backends` are those of the
/// rules.
pub(super) fn pool<'a>(
    choice: &Choice<'a>,
    environment: &str,
    backends: &[&'a Node],
    objects: &'a Objects<'a>,
    used: &mut Used<'a>,
    report: &mut Report,
) -> Option<Node> {
    let (policy, section) = (choice.policy, choice.section);
    if !used.policies.contains(&policy.place) {
        let keys = ["onQuotaExceedSuspendDuration", "productionModels", "sandboxModels"];
        honoured(section, &keys, &policy.describe(), &[], report);
        used.policies.push(policy.place);
    }
    let Some(vendor) = choice.vendor else {
        let help = "name the AIProvider whose API the Backends speak".to_owned();
        report.error_with(section.place, format!("{} has no `aiProvider`", policy.describe()), help);
        return None;
    };
    let vendor = objects.referred(Kind::AiProvider, vendor, policy, report)?;
    let models = section.get(&format!("{environment}Models"))?;
    let (mut targets, mut weights, mut timeouts) = (Vec::new(), Vec::new(), Vec::new());
    for item in models.items() {
        honoured(item, &["model", "backendRef", "weight"], &format!("a model of {}", policy.describe()), &[], report);
        let model = required(item, "model", &format!("a model of {}", policy.describe()), report);
        let backend = backend(item, backends, objects, policy, report);
        weights.push(weight(item, report));
        let (Some(model), Some(backend)) = (model, backend) else { continue };
        used.model(vendor, model);
        let place = item.get("backendRef").and_then(|at| at.get("name")).map_or(item.place, |name| name.place);
        let endpoint = text(place, used.endpoint(backend, vendor));
        timeouts.extend(backend.spec.get("timeout").and_then(|timeout| timeout.get("upstreamResponseTimeout")));
        targets.push((item.place, vec![("model", model.clone()), ("endpoint", endpoint)]));
    }
    if targets.is_empty() {
        return None;
    }
    let is_share = |text: &Option<String>| text.as_ref().is_some_and(|text| text.parse::<u32>().is_ok_and(|w| w > 0));
    let is_even = weights.windows(2).all(|two| two[0].1 == two[1].1) && weights.iter().all(|(_, text)| is_share(text));
    let targets = targets.into_iter().zip(weights).map(|((place, mut target), (node, _))| {
        target.extend(node.filter(|_| !is_even).map(|weight| ("weight", weight)));
        map(place, target)
    });
    let mut entries = vec![("suspend", text(section.place, "0s"))];
    entries.extend(quota_suspend(section, report).map(|suspend| ("quota_suspend", suspend)));
    entries.extend(limits(&timeouts, report));
    entries.push(("targets", list(models.place, targets.collect())));
    let key = if is_even { "round_robin" } else { "weighted_round_robin" };
    Some(map(models.place, vec![(key, map(models.place, entries))]))
}

/// Returns the Backend of a model: the one that it names, or the only one that the rules have.
fn backend<'a>(
    item: &'a Node,
    of_rules: &[&'a Node],
    objects: &'a Objects<'a>,
    policy: &Object<'a>,
    report: &mut Report,
) -> Option<&'a Object<'a>> {
    if let Some(reference) = item.get("backendRef") {
        return objects.referred(Kind::Backend, reference, policy, report);
    }
    let mut names: Vec<_> = of_rules.iter().filter_map(|one| one.get("name")?.text()).collect();
    names.sort_unstable();
    names.dedup();
    match names[..] {
        [name] => match objects.lookup(Kind::Backend, name, policy.namespace) {
            Some(backend) => return Some(backend),
            None => report.error(item.place, format!("unknown {}", named(Kind::Backend, name))),
        },
        _ => {
            let help = "name the Backend that serves the model".to_owned();
            report.error_with(item.place, format!("a model of {} has no `backendRef`", policy.describe()), help);
        }
    }
    None
}

/// Returns the weight and its text. A missing weight defaults to 1, with a warning.
fn weight(item: &Node, report: &mut Report) -> (Option<Node>, Option<String>) {
    match item.get("weight") {
        Some(weight) => (Some(weight.clone()), weight.text().map(str::to_owned)),
        None => {
            report.warning(item.place, "this model has no `weight`, which is taken for 1", None);
            (Some(plain(item.place, "1")), Some("1".to_owned()))
        }
    }
}

fn quota_suspend(section: &Node, report: &mut Report) -> Option<Node> {
    let node = section.get("onQuotaExceedSuspendDuration")?;
    let seconds = seconds(node, "onQuotaExceedSuspendDuration", report)?;
    Some(text(node.place, format!("{seconds}s")))
}

/// Time limits of the Backends' `upstreamResponseTimeout`: of several the longest.
fn limits(nodes: &[&Node], report: &mut Report) -> Vec<(&'static str, Node)> {
    const HOUR: u64 = 3600;
    const OVERALL: u64 = 600;
    let read = nodes.iter().filter_map(|&node| Some((node, seconds(node, "upstreamResponseTimeout", report)?)));
    let read: Vec<_> = read.map(|(node, seconds)| (node, if seconds == 0 { HOUR } else { seconds })).collect();
    let Some(&(longest, limit)) = read.iter().max_by_key(|(_, seconds)| *seconds) else { return Vec::new() };
    if let Some((shorter, _)) = read.iter().find(|(_, seconds)| *seconds != limit) {
        let message = "this `upstreamResponseTimeout` is shorter than that of another Backend of the same policy";
        report.warning(shorter.place, message, format!("{limit} s hold for all of them"));
    }
    let limits = ["first_byte_timeout", "request_timeout", "overall_timeout"];
    let limits = limits.into_iter().take(if limit > OVERALL { 3 } else { 2 });
    limits.map(|key| (key, text(longest.place, format!("{limit}s")))).collect()
}
