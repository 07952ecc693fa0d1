//! The attempts that Envoy has been asked for and that have not arrived yet.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Attempt;

/// More waiting attempts than this, and no further one is asked for: the client gets the answer that there is.
const MAX_WAITING: usize = 16_384;

/// Envoy asks again within milliseconds; what has not arrived by then never will (the client left).
const MAX_AGE: Duration = Duration::from_secs(10);

/// What an attempt finds that Envoy makes after an earlier one.
#[derive(Debug)]
pub(super) enum Sequel {
    /// Its target, chosen already.
    Attempt(Box<Attempt>),
    /// Envoy asks by itself where an answer breaks off, and the request had no further attempt.
    UsedUp,
}

/// Attempts by the id that all attempts of a request share.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_id: HashMap<String, (Instant, Sequel)>,
    swept: Option<Instant>,
}

impl Attempts {
    /// Takes what waits under an id.
    pub(super) fn take(&self, id: &str, now: Instant) -> Option<Sequel> {
        let mut waiting = self.lock();
        waiting.sweep(now);
        let (put, sequel) = waiting.by_id.remove(id)?;
        (now.saturating_duration_since(put) < MAX_AGE).then_some(sequel)
    }

    /// Whether one more may wait.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.sweep(now);
        waiting.by_id.len() < MAX_WAITING
    }

    /// Lets it wait.
    pub(super) fn put(&self, id: String, sequel: Sequel, now: Instant) {
        self.lock().by_id.insert(id, (now, sequel));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while the attempts are held")
    }
}

impl Waiting {
    /// Now and then drops those that never arrived, which frees their probes.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= MAX_AGE) {
            self.swept = Some(now);
            self.by_id.retain(|_, (put, _)| now.saturating_duration_since(*put) < MAX_AGE);
        }
    }
}
