//! Bounds: a policy's own, else the defaults of the file, else the built-in ones; and the other options of a policy.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::policy_file::raw::{self, Count, Entry, Interval};
use crate::routing::policy::budget::RetryBudget;
use crate::routing::policy::{AllSuspended, Limits, NextOn, Target};
use crate::routing::provider::Fault;

const HOUR: Duration = Duration::from_secs(3600);
pub(super) const SUSPEND: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=HOUR;
pub(super) const SUSPEND_AFTER: RangeInclusive<u64> = 1..=100;
/// No budget multiplies load by more than eleven.
const MAX_PERCENT: u64 = 1_000;
const ATTEMPTS: RangeInclusive<u64> = 1..=10;

/// The bounds that some map of the file sets.
pub(super) struct Bounds<'a> {
    suspend: Option<&'a At<Interval>>,
    quota_suspend: Option<&'a At<Interval>>,
    suspend_after: Option<&'a At<Count>>,
    attempts: Option<&'a At<Count>>,
    first_byte_timeout: Option<&'a At<Interval>>,
    request_timeout: Option<&'a At<Interval>>,
    overall_timeout: Option<&'a At<Interval>>,
}

impl Bounds<'_> {
    /// `base`, with what is set here in its place.
    pub(super) fn over(&self, base: Limits, report: &mut Report) -> Limits {
        Limits {
            suspend: interval(self.suspend, "suspend", &SUSPEND, report).unwrap_or(base.suspend),
            quota_suspend: interval(self.quota_suspend, "quota_suspend", &SUSPEND, report).or(base.quota_suspend),
            suspend_after: count(self.suspend_after, "suspend_after", &SUSPEND_AFTER, report)
                .unwrap_or(base.suspend_after),
            attempts: count(self.attempts, "attempts", &ATTEMPTS, report).unwrap_or(base.attempts),
            first_byte_timeout: interval(self.first_byte_timeout, "first_byte_timeout", &TIMEOUT, report)
                .unwrap_or(base.first_byte_timeout),
            request_timeout: interval(self.request_timeout, "request_timeout", &TIMEOUT, report)
                .unwrap_or(base.request_timeout),
            overall_timeout: interval(self.overall_timeout, "overall_timeout", &TIMEOUT, report)
                .unwrap_or(base.overall_timeout),
        }
    }
}

impl<'a> From<&'a raw::Bounds> for Bounds<'a> {
    fn from(from: &'a raw::Bounds) -> Self {
        Self {
            suspend: from.suspend.as_ref(),
            quota_suspend: from.quota_suspend.as_ref(),
            suspend_after: from.suspend_after.as_ref(),
            attempts: from.attempts.as_ref(),
            first_byte_timeout: from.first_byte_timeout.as_ref(),
            request_timeout: from.request_timeout.as_ref(),
            overall_timeout: from.overall_timeout.as_ref(),
        }
    }
}

impl<'a> From<&'a Entry> for Bounds<'a> {
    fn from(from: &'a Entry) -> Self {
        Self {
            suspend: from.suspend.as_ref(),
            quota_suspend: from.quota_suspend.as_ref(),
            suspend_after: None,
            attempts: None,
            first_byte_timeout: from.first_byte_timeout.as_ref(),
            request_timeout: from.request_timeout.as_ref(),
            overall_timeout: from.overall_timeout.as_ref(),
        }
    }
}

pub(super) fn interval(
    set: Option<&At<Interval>>,
    key: &str,
    range: &RangeInclusive<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    let set = set?;
    let Interval(duration) = *set.get()?;
    if !range.contains(&duration) {
        let [least, most, found] = [*range.start(), *range.end(), duration].map(humantime::format_duration);
        report.error(set.place, format!("`{key}` must be from `{least}` to `{most}`, found `{found}`"));
        return None;
    }
    Some(duration)
}

pub(super) fn count(
    set: Option<&At<Count>>,
    key: &str,
    range: &RangeInclusive<u64>,
    report: &mut Report,
) -> Option<NonZeroU32> {
    number(set, key, range, report).and_then(NonZeroU32::new)
}

/// Returns a number of things, which may be none. The range ends within 32 bits.
pub(super) fn number(
    set: Option<&At<Count>>,
    key: &str,
    range: &RangeInclusive<u64>,
    report: &mut Report,
) -> Option<u32> {
    let set = set?;
    let Count(number) = *set.get()?;
    if !range.contains(&number) {
        let (least, most) = range.clone().into_inner();
        report.error(set.place, format!("`{key}` must be from {least} to {most}, found `{number}`"));
        return None;
    }
    u32::try_from(number).ok()
}

impl raw::Options {
    /// Returns these options, with those of `base` where they say nothing. The stateful endpoint is none of them.
    pub(super) fn over(&self, base: &Self) -> Self {
        Self {
            retry_budget_percent: self.retry_budget_percent.clone().or_else(|| base.retry_budget_percent.clone()),
            all_suspended: self.all_suspended.clone().or_else(|| base.all_suspended.clone()),
            inspect_first_event: self.inspect_first_event.clone().or_else(|| base.inspect_first_event.clone()),
            next_on: self.next_on.clone().or_else(|| base.next_on.clone()),
            stream_usage: self.stream_usage.clone().or_else(|| base.stream_usage.clone()),
            decision_headers: self.decision_headers.clone().or_else(|| base.decision_headers.clone()),
            stateful_endpoint: None,
        }
    }

    pub(super) fn budget(&self, report: &mut Report) -> RetryBudget {
        let set = self.retry_budget_percent.as_ref().and_then(|at| Some((at, at.get()?.0)));
        let percent = set.map_or(100, |(at, percent)| {
            if percent > MAX_PERCENT {
                let message = format!("`retry_budget_percent` must be from 0 to {MAX_PERCENT}, found `{percent}`");
                report.error(at.place, message);
            }
            u32::try_from(percent.min(MAX_PERCENT)).unwrap_or_default()
        });
        RetryBudget::percent(percent)
    }

    pub(super) fn all_suspended(&self) -> AllSuspended {
        match self.all_suspended.as_ref().and_then(At::get) {
            Some(raw::AllSuspended::LeastBad) => AllSuspended::LeastBad,
            Some(raw::AllSuspended::Refuse) | None => AllSuspended::Refuse,
        }
    }

    pub(super) fn inspects_first_event(&self) -> bool {
        self.inspect_first_event.as_ref().and_then(At::get).copied().unwrap_or(false)
    }

    /// Returns whether streams are asked for their usage.
    pub(super) fn requests_usage(&self) -> bool {
        self.stream_usage.as_ref().and_then(At::get) == Some(&raw::StreamUsage::Request)
    }

    pub(super) fn next_on(&self) -> NextOn {
        let list = self.next_on.as_ref().and_then(At::get);
        let has = |wanted| list.into_iter().flatten().filter_map(At::get).any(|named| *named == wanted);
        NextOn {
            context_length: has(raw::NextOn::ContextLength),
            content_filter: has(raw::NextOn::ContentFilter),
            region: has(raw::NextOn::Region),
        }
    }

    /// Warns where `next_on` cannot work: there is no next candidate, or the vendor's words for the fault are not
    /// known.
    pub(super) fn check_next_on(&self, targets: &[Target], report: &mut Report) {
        let named = self.next_on.as_ref().and_then(At::get).into_iter().flatten();
        for (place, named) in named.filter_map(|at| Some((at.place, at.get()?))) {
            if let [only] = targets {
                let message = format!("`next_on` has no effect: {} is the only candidate", shown(only.model.as_str()));
                report.warning(place, message, "add another target".to_owned());
                return;
            }
            let (key, fault) = match named {
                raw::NextOn::ContextLength => ("context_length", Fault::Length),
                raw::NextOn::ContentFilter => ("content_filter", Fault::Filter),
                raw::NextOn::Region => ("region", Fault::Region),
            };
            let mut types: Vec<_> = targets.iter().map(|target| target.endpoint.provider).collect();
            types.dedup_by_key(|kind| kind.name);
            for kind in types.into_iter().filter(|kind| kind.is_custom() || !kind.responses.recognises(fault)) {
                let message = format!("`{key}` may never apply: how `{}` reports it is not known", kind.name);
                report.warning(place, message, None);
            }
        }
    }

    pub(super) fn tells_clients(&self) -> bool {
        self.decision_headers.as_ref().and_then(At::get).copied().unwrap_or(true)
    }
}
