//! Attempts that Envoy has been asked for and that have not arrived yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Attempt;
use crate::model_name::ModelName;

/// The most waiting attempts. At the bound no further one is asked for, and the client gets the response that there is.
const MAX_WAITING: usize = 16_384;

/// Envoy asks again within milliseconds. An attempt that has not arrived by then never will: the client left.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The entry that a further attempt finds.
#[derive(Debug)]
pub(super) enum NextAttempt {
    /// An attempt whose target is chosen.
    Attempt(Box<Attempt>),
    /// No attempt is left. Envoy asks by itself when a response breaks off.
    UsedUp,
}

/// The target of an attempt that Envoy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTarget {
    /// The model.
    pub model: ModelName,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
}

/// Attempts by the id that all attempts of a request share.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_id: HashMap<String, (Instant, NextAttempt)>,
    swept: Option<Instant>,
    /// Places that are promised and not taken yet.
    reserved: usize,
}

impl Attempts {
    /// Takes the entry of an id.
    pub(super) fn take(&self, id: &str, now: Instant) -> Option<NextAttempt> {
        let mut waiting = self.lock();
        waiting.sweep(now);
        let (put, next) = waiting.by_id.remove(id)?;
        (now.saturating_duration_since(put) < MAX_AGE).then_some(next)
    }

    /// Reserves the place of one more waiting attempt; `None` at the bound.
    pub(super) fn reserve(&self, now: Instant) -> Option<Reserved<'_>> {
        let mut waiting = self.lock();
        waiting.sweep(now);
        if waiting.by_id.len() + waiting.reserved >= MAX_WAITING {
            return None;
        }
        waiting.reserved += 1;
        Some(Reserved { attempts: self })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while the attempts are held")
    }
}

/// The place of an attempt that is being chosen; free again when dropped.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    attempts: &'a Attempts,
}

impl Reserved<'_> {
    /// Stores a chosen attempt and returns its target.
    pub(super) fn choose(self, id: String, next: Box<Attempt>, now: Instant) -> NextTarget {
        let target = next.target();
        let named = NextTarget { model: target.model.clone(), endpoint: Arc::clone(&target.endpoint.name) };
        self.put(id, NextAttempt::Attempt(next), now);
        named
    }

    /// Stores the entry.
    pub(super) fn put(self, id: String, next: NextAttempt, now: Instant) {
        self.attempts.lock().by_id.insert(id, (now, next));
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.attempts.lock().reserved -= 1;
    }
}

impl Waiting {
    /// Drops, from time to time, the attempts that never arrived, which frees their probes.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= MAX_AGE) {
            self.swept = Some(now);
            self.by_id.retain(|_, (put, _)| now.saturating_duration_since(*put) < MAX_AGE);
        }
    }
}
