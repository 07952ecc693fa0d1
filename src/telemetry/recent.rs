//! The last decisions, for operators: a bounded ring.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::routing::decision::Decision;

/// Older decisions are in the log.
const MAX_DECISIONS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Decision>>>);

impl Recent {
    pub(super) fn push(&self, decision: Arc<Decision>) {
        let mut ring = self.lock();
        if ring.len() == MAX_DECISIONS {
            ring.pop_front();
        }
        ring.push_back(decision);
    }

    pub(super) fn newest(&self, meant: impl Fn(&Decision) -> bool, most: usize) -> Vec<Arc<Decision>> {
        self.lock().iter().rev().filter(|decision| meant(decision)).take(most).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Decision>>> {
        self.0.lock().expect("no panic while the ring is held")
    }
}
