//! What a policy does beside choosing: budget, inspection, what is told to clients.

use super::limits::Bounds;
use crate::config::decode::At;
use crate::config::problem::Report;
use crate::config::raw::{self, Count, Failover, NextOn, Rotation};
use crate::policy::AllSuspended;
use crate::policy::budget::RetryBudget;

/// No budget multiplies load by more than eleven.
const MAX_PERCENT: u64 = 1_000;

/// The part that all kinds of policies have in common.
pub(super) struct Common<'a> {
    pub(super) bounds: Bounds<'a>,
    pub(super) stateful_endpoint: Option<&'a At<String>>,
    budget: Option<&'a At<Count>>,
    all_suspended: Option<&'a At<raw::AllSuspended>>,
    inspect_first_event: Option<&'a At<bool>>,
    next_on: Option<&'a At<Vec<At<NextOn>>>>,
    decision_headers: Option<&'a At<bool>>,
}

impl Common<'_> {
    pub(super) fn budget(&self, report: &mut Report) -> RetryBudget {
        let set = self.budget.and_then(|at| Some((at, at.get()?.0)));
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
        match self.all_suspended.and_then(At::get) {
            Some(raw::AllSuspended::LeastBad) => AllSuspended::LeastBad,
            Some(raw::AllSuspended::Refuse) | None => AllSuspended::Refuse,
        }
    }

    pub(super) fn inspects_first_event(&self) -> bool {
        self.inspect_first_event.and_then(At::get).copied().unwrap_or(false)
    }

    pub(super) fn goes_on_when_too_long(&self) -> bool {
        self.next_on.and_then(At::get).is_some_and(|list| !list.is_empty())
    }

    pub(super) fn tells_clients(&self) -> bool {
        self.decision_headers.and_then(At::get).copied().unwrap_or(true)
    }
}

impl<'a> From<&'a Rotation> for Common<'a> {
    fn from(from: &'a Rotation) -> Self {
        Self {
            bounds: Bounds::from(from),
            stateful_endpoint: from.stateful_endpoint.as_ref(),
            budget: from.retry_budget_percent.as_ref(),
            all_suspended: from.all_suspended.as_ref(),
            inspect_first_event: from.inspect_first_event.as_ref(),
            next_on: from.next_on.as_ref(),
            decision_headers: from.decision_headers.as_ref(),
        }
    }
}

impl<'a> From<&'a Failover> for Common<'a> {
    fn from(from: &'a Failover) -> Self {
        Self {
            bounds: Bounds::from(from),
            stateful_endpoint: from.stateful_endpoint.as_ref(),
            budget: from.retry_budget_percent.as_ref(),
            all_suspended: from.all_suspended.as_ref(),
            inspect_first_event: from.inspect_first_event.as_ref(),
            next_on: from.next_on.as_ref(),
            decision_headers: from.decision_headers.as_ref(),
        }
    }
}
