//! The retry budget: further attempts as a share of requests, so that an outage does not multiply the load.

use std::sync::atomic::{AtomicU64, Ordering};

/// The price of one attempt, in the unit of the account.
const ATTEMPT: u64 = 1_000;

/// The most attempts that can be saved up, for a sudden outage.
pub const RESERVE: u64 = 500;

/// An account that each request pays into and each further attempt draws from.
#[derive(Debug)]
pub struct RetryBudget {
    per_request: u64,
    balance: AtomicU64,
}

impl Clone for RetryBudget {
    fn clone(&self) -> Self {
        Self { per_request: self.per_request, balance: self.balance.load(Ordering::Relaxed).into() }
    }
}

impl RetryBudget {
    /// Creates a budget in percent: at 20, a hundred requests may have twenty further attempts, beyond the initial
    /// reserve of [`RESERVE`].
    #[must_use]
    pub fn percent(percent: u32) -> Self {
        Self { per_request: u64::from(percent) * ATTEMPT / 100, balance: (RESERVE * ATTEMPT).into() }
    }

    /// Pays in for a request.
    pub fn pay_in(&self) {
        self.change(|balance| Some((balance + self.per_request).min(RESERVE * ATTEMPT)));
    }

    /// Takes out the price of one attempt; returns false if the balance is too low.
    #[must_use]
    pub fn draw(&self) -> bool {
        self.change(|balance| balance.checked_sub(ATTEMPT))
    }

    /// Returns what [`draw`](Self::draw) took for an attempt that was not made.
    pub fn give_back(&self) {
        self.change(|balance| Some((balance + ATTEMPT).min(RESERVE * ATTEMPT)));
    }

    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_reserve_further_attempts_are_a_share_of_requests() {
        let budget = RetryBudget::percent(20);
        let drawn = (0..10_000).filter(|_| {
            budget.pay_in();
            budget.draw()
        });
        // The reserve, and a fifth of all requests but the first, which finds the account full.
        assert_eq!(drawn.count(), 500 + 9_999 / 5);
    }

    #[test]
    fn a_quiet_time_fills_the_reserve_and_no_more() {
        let budget = RetryBudget::percent(100);
        (0..10_000).for_each(|_| budget.pay_in());
        assert_eq!((0..10_000).filter(|_| budget.draw()).count(), 500);
    }
}
