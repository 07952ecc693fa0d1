//! The ledger: what was used by the minute, for operators. Bounded; what is older is in the metrics.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::routing::decision::Used;
use crate::routing::usage::{Known, Tokens};

/// Minutes that are kept.
const MAX_MINUTES: usize = 24 * 60;

/// Rows that are kept, all minutes together; above it the oldest minutes go.
const MAX_ROWS: usize = 50_000;

/// Who used something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// The API.
    pub api: Arc<str>,
    /// The environment.
    pub environment: &'static str,
    /// The model; empty where requests keep their own.
    pub model: Arc<str>,
    /// The endpoint.
    pub endpoint: Arc<str>,
}

/// What was used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    /// Responses by how their usage is known, in the order of [`Known::ALL`].
    pub responses: [u64; 4],
    /// Tokens, estimated ones included.
    pub tokens: Tokens,
    /// The part of the tokens that is estimated.
    pub estimated: Tokens,
    /// Costs by currency.
    pub costs: Vec<(Arc<str>, f64)>,
}

impl Sum {
    fn add(&mut self, used: &Used) {
        self.responses[used.usage.known as usize] += 1;
        self.tokens += used.usage.tokens;
        if matches!(used.usage.known, Known::Estimated | Known::Incomplete) {
            self.estimated += used.usage.tokens;
        }
        if let Some(cost) = &used.cost {
            self.cost(&cost.currency, cost.amount);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.responses.iter_mut().zip(other.responses).for_each(|(own, other)| *own += other);
        self.tokens += other.tokens;
        self.estimated += other.estimated;
        other.costs.iter().for_each(|(currency, amount)| self.cost(currency, *amount));
    }

    fn cost(&mut self, currency: &Arc<str>, amount: f64) {
        match self.costs.iter_mut().find(|(known, _)| known == currency) {
            Some((_, sum)) => *sum += amount,
            None => self.costs.push((Arc::clone(currency), amount)),
        }
    }
}

/// The minutes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Minutes>);

#[derive(Debug, Default)]
struct Minutes {
    all: VecDeque<(u64, HashMap<Account, Sum>)>,
    rows: usize,
}

impl Ledger {
    pub(super) fn add(&self, account: Account, used: &Used, now: SystemTime) {
        let mut minutes = self.0.lock().expect("no panic while the ledger is held");
        minutes.at(minute(now)).entry(account).or_default().add(used);
        minutes.bound();
    }

    /// Returns the sums of the last minutes, the one at hand and a part of one included, in the accounts' order.
    pub(super) fn since(&self, duration: Duration, now: SystemTime) -> Vec<(Account, Sum)> {
        let minutes = self.0.lock().expect("no panic while the ledger is held");
        let first = minute(now).saturating_sub(duration.as_secs().div_ceil(60));
        let mut sums: HashMap<&Account, Sum> = HashMap::new();
        for (account, sum) in minutes.all.iter().filter(|(minute, _)| *minute >= first).flat_map(|(_, rows)| rows) {
            sums.entry(account).or_default().merge(sum);
        }
        let mut sums: Vec<_> = sums.into_iter().map(|(account, sum)| (account.clone(), sum)).collect();
        sums.sort_by(|(one, _), (other, _)| one.cmp(other));
        sums
    }
}

impl Minutes {
    /// Returns the rows of a minute. A clock that was set back adds to the last one.
    fn at(&mut self, minute: u64) -> &mut HashMap<Account, Sum> {
        if self.all.back().is_none_or(|(last, _)| *last < minute) {
            self.rows += self.all.back().map_or(0, |(_, rows)| rows.len());
            self.all.push_back((minute, HashMap::new()));
        }
        &mut self.all.back_mut().expect("it was just pushed").1
    }

    fn bound(&mut self) {
        let last = self.all.back().map_or(0, |(_, rows)| rows.len());
        while self.all.len() > MAX_MINUTES || (self.all.len() > 1 && self.rows + last > MAX_ROWS) {
            let gone = self.all.pop_front().map_or(0, |(_, rows)| rows.len());
            self.rows = self.rows.saturating_sub(gone);
        }
    }
}

fn minute(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::usage::{Cost, Usage};

    fn account(api: &str) -> Account {
        Account { api: api.into(), environment: "production", model: "m".into(), endpoint: "e".into() }
    }

    fn used(known: Known, output: u64) -> Used {
        let tokens = Tokens { output, ..Tokens::default() };
        let cost = Some(Cost { amount: 0.5, currency: "USD".into() });
        Used { usage: Usage { known, tokens, model: None, unread: None }, cost, times: None, has_ended: true }
    }

    fn at(minute: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute + 7)
    }

    #[test]
    fn minutes_are_added_up() {
        let ledger = Ledger::default();
        ledger.add(account("b"), &used(Known::Reported, 3), at(10));
        ledger.add(account("a"), &used(Known::Reported, 5), at(12));
        ledger.add(account("b"), &used(Known::Estimated, 7), at(13));
        let sums = |minutes: u64| {
            let sums = ledger.since(Duration::from_secs(60 * minutes), at(13));
            sums.into_iter().map(|(account, sum)| (account.api.to_string(), sum.tokens.output)).collect::<Vec<_>>()
        };
        assert_eq!(sums(0), [("b".to_owned(), 7)]);
        assert_eq!(sums(1), [("a".to_owned(), 5), ("b".to_owned(), 7)]);
        assert_eq!(sums(60), [("a".to_owned(), 5), ("b".to_owned(), 10)]);
        let (_, sum) = ledger.since(Duration::from_secs(3_600), at(13)).remove(1);
        assert_eq!((sum.responses, sum.estimated.output), ([1, 1, 0, 0], 7));
        assert!((sum.costs[0].1 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_old_goes() {
        let ledger = Ledger::default();
        for minute in 0..2_000 {
            ledger.add(account("a"), &used(Known::Reported, 1), at(minute));
        }
        assert_eq!(ledger.0.lock().expect("unpoisoned").all.len(), MAX_MINUTES);
        for number in 0..60_000 {
            ledger.add(
                account(&format!("{}", number % 20_000)),
                &used(Known::Reported, 1),
                at(2_000 + number / 20_000),
            );
        }
        let minutes = ledger.0.lock().expect("unpoisoned");
        assert!(minutes.all.iter().map(|(_, rows)| rows.len()).sum::<usize>() <= MAX_ROWS);
    }
}
