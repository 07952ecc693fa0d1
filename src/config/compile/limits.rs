//! Bounds: a policy's own, else the defaults of the file, else the built-in ones.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::decode::At;
use crate::config::problem::Report;
use crate::config::raw::{Count, Defaults, Entry, Failover, Interval, Rotation};
use crate::policy::Limits;

const HOUR: Duration = Duration::from_secs(3600);
const SUSPEND: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=HOUR;
const SUSPEND_AFTER: RangeInclusive<u64> = 1..=100;
const ATTEMPTS: RangeInclusive<u64> = 1..=10;

/// The bounds that some map of the file sets.
pub(super) struct Bounds<'a> {
    suspend: Option<&'a At<Interval>>,
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

impl<'a> From<&'a Defaults> for Bounds<'a> {
    fn from(from: &'a Defaults) -> Self {
        Self {
            suspend: from.suspend.as_ref(),
            suspend_after: from.suspend_after.as_ref(),
            attempts: from.attempts.as_ref(),
            first_byte_timeout: from.first_byte_timeout.as_ref(),
            request_timeout: from.request_timeout.as_ref(),
            overall_timeout: from.overall_timeout.as_ref(),
        }
    }
}

impl<'a> From<&'a Rotation> for Bounds<'a> {
    fn from(from: &'a Rotation) -> Self {
        Self {
            suspend: from.suspend.as_ref(),
            suspend_after: from.suspend_after.as_ref(),
            attempts: from.attempts.as_ref(),
            first_byte_timeout: from.first_byte_timeout.as_ref(),
            request_timeout: from.request_timeout.as_ref(),
            overall_timeout: from.overall_timeout.as_ref(),
        }
    }
}

impl<'a> From<&'a Failover> for Bounds<'a> {
    fn from(from: &'a Failover) -> Self {
        Self {
            suspend: from.suspend.as_ref(),
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
            suspend_after: None,
            attempts: None,
            first_byte_timeout: from.first_byte_timeout.as_ref(),
            request_timeout: from.request_timeout.as_ref(),
            overall_timeout: from.overall_timeout.as_ref(),
        }
    }
}

fn interval(
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

fn count(set: Option<&At<Count>>, key: &str, range: &RangeInclusive<u64>, report: &mut Report) -> Option<NonZeroU32> {
    let set = set?;
    let Count(number) = *set.get()?;
    let in_range = range.contains(&number).then(|| u32::try_from(number).ok().and_then(NonZeroU32::new)).flatten();
    if in_range.is_none() {
        let (least, most) = range.clone().into_inner();
        report.error(set.place, format!("`{key}` must be from {least} to {most}, found `{number}`"));
    }
    in_range
}
