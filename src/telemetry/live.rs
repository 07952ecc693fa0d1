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
use crate::classifier::Classifier;
use crate::routing::snapshot::Snapshot;
use crate::routing::suspension::TargetState;

/// The state that the metrics of the moment are read from.
#[derive(Debug)]
pub struct Live {
    /// The targets and classifiers of the live policy.
    pub snapshot: Arc<Snapshot>,
    /// Requests until the headers of their responses.
    pub open_requests: usize,
    /// Bytes of request bodies that are held.
    pub held_body_bytes: usize,
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
        self.classifiers(&mut encoder, now)?;
        self.service(&mut encoder)
    }
}

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

    fn classifiers(&self, encoder: &mut DescriptorEncoder<'_>, now: Instant) -> fmt::Result {
        let snapshot = &self.snapshot;
        let policies = snapshot.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        let mut seen = HashSet::new();
        let classifiers: Vec<&Classifier> = policies
            .filter_map(|policy| policy.strategy.rules())
            .map(|rules| &*rules.classifier)
            .filter(|classifier| seen.insert(Arc::as_ptr(&classifier.state)))
            .collect();
        let help = "Requests by the verdict of their classification";
        let mut family = encoder.encode_descriptor("classifications", help, None, counter(0).metric_type())?;
        for classifier in &classifiers {
            for (verdict, count) in classifier.state.counts().verdicts {
                let labels = [("classifier", &*classifier.name), ("verdict", verdict)];
                counter(count).encode(family.encode_family(&labels)?)?;
            }
        }
        type Read = fn(&Classifier, Instant) -> u64;
        let counters: [(&str, &str, Read); 2] = [
            ("classifier_calls", "Calls of a classifier", |it, _| it.state.counts().calls),
            ("classifier_shared", "Requests that shared a call or a cached verdict", |it, _| it.state.counts().shared),
        ];
        for (name, help, read) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, counter(0).metric_type())?;
            for classifier in &classifiers {
                let labels = [("classifier", &*classifier.name)];
                counter(read(classifier, now)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "1 while a classifier's breaker is open";
        let mut family = encoder.encode_descriptor("classifier_suspended", help, None, gauge(0).metric_type())?;
        for classifier in classifiers {
            let suspended = u64::from(!classifier.state.availability(now).is_available());
            gauge(suspended).encode(family.encode_family(&[("classifier", &*classifier.name)])?)?;
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
        let help = "The router's version";
        let mut family = encoder.encode_descriptor("build", help, None, build.metric_type())?;
        build.encode(family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
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
