//! What a policy does beside choosing: retry budget, inspection, decision headers.

use crate::document::decode::At;
use crate::document::problem::Report;
use crate::policy_file::raw::{self, Common};
use crate::routing::policy::AllSuspended;
use crate::routing::policy::budget::RetryBudget;

/// No budget multiplies load by more than eleven.
const MAX_PERCENT: u64 = 1_000;

impl Common<'_> {
    pub(super) fn budget(&self, report: &mut Report) -> RetryBudget {
        let set = self.retry_budget_percent.and_then(|at| Some((at, at.get()?.0)));
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
