//! Decisions whose responses have begun and are about to be read: how a response finds the decision that it belongs to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::routing::decision::Decision;

/// Envoy shows a response right after the router has let its headers pass, so few wait at once.
const MAX_WAITING: usize = 1_024;

/// The decisions. None is kept until a response has been read: without the filter for it nobody would ask.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    is_on: AtomicBool,
    waiting: Mutex<VecDeque<Arc<Decision>>>,
}

impl Awaiting {
    /// Returns whether responses are read at all, as far as that is known.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, decision: &Arc<Decision>) {
        if !self.is_on() || decision.request_id.is_none() {
            return;
        }
        let mut waiting = self.lock();
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(Arc::clone(decision));
    }

    /// Takes out the decision of a request's attempt.
    pub(super) fn take(&self, request_id: &str, attempt: u32) -> Option<Arc<Decision>> {
        self.is_on.store(true, Ordering::Relaxed);
        let mut waiting = self.lock();
        let at = waiting.iter().rposition(|decision| is_of(decision, request_id, attempt))?;
        waiting.remove(at)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Decision>>> {
        self.waiting.lock().expect("no panic while the queue is held")
    }
}

/// Returns whether a decision is that of a request's attempt.
pub(super) fn is_of(decision: &Decision, request_id: &str, attempt: u32) -> bool {
    decision.attempt == attempt && decision.request_id.as_deref() == Some(request_id)
}
