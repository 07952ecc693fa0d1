//! Metrics of the current state, computed for each scrape: targets, classifiers, the policy, memory in use.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::metrics::{Name, TargetLabels};
use crate::classifier::{Asked, ServiceCounts, ServiceKind};
use crate::routing::api::Environment;
use crate::routing::snapshot::Snapshot;
use crate::routing::suspension::TargetState;

/// The revision that a build was given, as the Dockerfile does.
const REVISION: &str = match option_env!("MODEL_ROUTER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The state that the metrics of the moment are read from.
#[derive(Debug)]
pub struct Live {
    /// The targets and classifiers of the live policy.
    pub snapshot: Arc<Snapshot>,
    /// Requests until the headers of their responses.
    pub open_requests: usize,
    /// Bytes of request bodies that are held.
    pub held_body_bytes: usize,
    /// Responses whose usage is being read.
    pub read_responses: usize,
    /// When the live policy was applied.
    pub applied_at: SystemTime,
    /// Whether its files have changes that were refused.
    pub refused: bool,
    /// The number of changes refused since the start.
    pub refusals: u64,
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = Instant::now();
        let targets = self.targets();
        let availability = |state: &TargetState| u64::from(!state.availability(now).is_available());
        for_each(&mut encoder, "target_suspended", "1 while a target is suspended", &targets, |it| {
            gauge(availability(it))
        })?;
        let (sent, help) = (|it: &TargetState| counter(it.counts().dispatched), "Attempts sent to a target");
        for_each(&mut encoder, "target_dispatched", help, &targets, sent)?;
        let help = "Responses and failed connections counted as failures of a target";
        for_each(&mut encoder, "target_failed", help, &targets, |it| counter(it.counts().failed))?;
        let help = "Suspensions of a target, not counting those of its endpoint";
        for_each(&mut encoder, "target_suspensions", help, &targets, |it| counter(it.counts().suspensions))?;
        Self::last_failures(&mut encoder, &targets)?;
        self.asked(&mut encoder, ServiceKind::Classifier, now)?;
        self.asked(&mut encoder, ServiceKind::Embedder, now)?;
        self.primed(&mut encoder)?;
        self.service(&mut encoder)
    }
}

/// Names and help of a kind's metrics: its verdicts, calls, shared calls, and its breaker.
type Texts = [(&'static str, &'static str); 4];

const CLASSIFIER_TEXTS: Texts = [
    ("classifications", "Requests by the verdict of their classification"),
    ("classifier_calls", "Calls of a classifier"),
    ("classifier_shared", "Requests that shared a call or a cached verdict"),
    ("classifier_suspended", "1 while a classifier's breaker is open"),
];

const EMBEDDER_TEXTS: Texts = [
    ("embedder_verdicts", "Requests by the verdict of their scores at the routes of a semantic policy"),
    ("embedder_calls", "Calls of an embedder, for prompts and for utterances"),
    ("embedder_shared", "Requests that shared a call or cached scores"),
    ("embedder_suspended", "1 while an embedder's breaker is open"),
];

impl Live {
    /// Returns each target once, in the order of the policy.
    fn targets(&self) -> Vec<Arc<TargetState>> {
        let snapshot = &self.snapshot;
        let policies = snapshot.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        let states = policies.flat_map(|policy| policy.targets.iter()).map(|target| &target.state);
        let mut seen = HashSet::new();
        states.filter(|state| seen.insert(Arc::as_ptr(state))).map(Arc::clone).collect()
    }

    /// Why a target is suspended: the status and the time of its last failure.
    fn last_failures(encoder: &mut DescriptorEncoder<'_>, targets: &[Arc<TargetState>]) -> fmt::Result {
        let help = "When a target or its endpoint failed last, with the response's status (0: no response)";
        let name = "target_last_failure_timestamp_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, gauge(0).metric_type())?;
        for target in targets {
            let Some(cause) = target.last_cause() else { continue };
            let at = cause.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let status = cause.status.to_string();
            let labels = [("model", target.model.as_str()), ("endpoint", &*target.endpoint.name), ("status", &*status)];
            gauge(at).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Each service of a kind once, in the order of the policy.
    fn services(&self, kind: ServiceKind) -> Vec<Asked<'_>> {
        let snapshot = &self.snapshot;
        let policies = snapshot.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        let mut seen = HashSet::new();
        let asked = policies.flat_map(|policy| policy.sorted()).flat_map(|sorted| sorted.sorter.services());
        asked.filter(|asked| asked.kind() == kind && seen.insert(asked.name())).collect()
    }

    fn asked(&self, encoder: &mut DescriptorEncoder<'_>, kind: ServiceKind, now: Instant) -> fmt::Result {
        let (services, label) = (self.services(kind), kind.name());
        let texts = match kind {
            ServiceKind::Classifier => &CLASSIFIER_TEXTS,
            ServiceKind::Embedder => &EMBEDDER_TEXTS,
        };
        let [verdicts, calls, shared, suspended] = texts;
        let mut family = encoder.encode_descriptor(verdicts.0, verdicts.1, None, counter(0).metric_type())?;
        for service in &services {
            for (verdict, count) in service.counts().verdicts {
                let labels = [(label, &**service.name()), ("verdict", verdict)];
                counter(count).encode(family.encode_family(&labels)?)?;
            }
        }
        type Read = fn(&ServiceCounts) -> u64;
        let counters: [(_, Read); 2] = [(calls, |counts| counts.calls), (shared, |counts| counts.shared)];
        for (text, read) in counters {
            let mut family = encoder.encode_descriptor(text.0, text.1, None, counter(0).metric_type())?;
            for service in &services {
                counter(read(&service.counts())).encode(family.encode_family(&[(label, &**service.name())])?)?;
            }
        }
        let mut family = encoder.encode_descriptor(suspended.0, suspended.1, None, gauge(0).metric_type())?;
        for service in services {
            let is_suspended = u64::from(!service.availability(now).is_available());
            gauge(is_suspended).encode(family.encode_family(&[(label, &**service.name())])?)?;
        }
        Ok(())
    }

    /// Whether the vectors of semantic policies are there.
    fn primed(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while the vectors of a semantic policy's utterances are there";
        let mut family = encoder.encode_descriptor("routes_primed", help, None, gauge(0).metric_type())?;
        for api in self.snapshot.apis.iter() {
            for environment in [Environment::Production, Environment::Sandbox] {
                let sorted = api.policy(environment).into_iter().flat_map(|policy| policy.sorted());
                let routes: Vec<_> = sorted.filter_map(|sorted| sorted.sorter.routes()).collect();
                if !routes.is_empty() {
                    let labels = [("api", &*api.name), ("environment", environment.name())];
                    let are_there = routes.iter().all(|routes| routes.index().is_some());
                    gauge(u64::from(are_there)).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn service(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let applied = self.applied_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        for (name, help, value) in [
            ("policy_version", "The number of the live policy, counted from 1 at the start", self.snapshot.version),
            ("policy_applied_timestamp_seconds", "When the live policy was applied", applied),
            ("policy_refused", "1 while the policy's files have changes that were refused", self.refused.into()),
            ("open_requests", "Requests in flight, until their responses' headers", self.open_requests as u64),
            ("held_body_bytes", "Bytes of request bodies held in memory", self.held_body_bytes as u64),
            ("usage_open_responses", "Responses whose usage is being read", self.read_responses as u64),
        ] {
            let metric = gauge(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        for (name, help, value) in [
            ("policy_changes", "Policy changes that were applied", self.snapshot.version.saturating_sub(1)),
            ("policy_refusals", "Policy changes that were refused", self.refusals),
        ] {
            let metric = counter(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let build = gauge(1);
        let help = "The router's version, and the revision that it was built from";
        let mut family = encoder.encode_descriptor("build_info", help, None, build.metric_type())?;
        build.encode(family.encode_family(&[("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)])?)
    }
}

fn for_each<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    targets: &[Arc<TargetState>],
    read: impl Fn(&TargetState) -> M,
) -> fmt::Result {
    let Some(first) = targets.first() else { return Ok(()) };
    let mut family = encoder.encode_descriptor(name, help, None, read(first).metric_type())?;
    for state in targets {
        let endpoint = Name(Arc::clone(&state.endpoint.name));
        let labels = TargetLabels { model: Name::from(&state.model), endpoint };
        read(state).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

fn counter(value: u64) -> ConstCounter<u64> {
    ConstCounter::new(value)
}
