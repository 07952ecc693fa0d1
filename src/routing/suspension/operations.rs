//! Operations that a target lacks: each has a gate of its own, so that its failures say nothing of the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::gate::{Availability, Gate, Pass, SuspensionLength, Trigger};

/// The most operations of one target that are remembered; the vendors' tables have fewer.
const MAX_OPERATIONS: usize = 64;

/// The gates of a target's operations that have failed by themselves.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Whether there are any: nearly no target has some, and then a choice takes no lock.
    any: AtomicBool,
    gates: Mutex<Vec<Arc<OperationGate>>>,
}

#[derive(Debug)]
struct OperationGate {
    operation: Arc<str>,
    gate: Gate,
}

/// The right to send one request of an operation.
#[derive(Clone, Debug)]
pub(super) struct OperationPass {
    gate: Arc<OperationGate>,
    pass: Pass,
}

impl Operations {
    /// Returns whether no operation has failed by itself.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Returns the availability of an operation, if it has failed before.
    pub(super) fn availability(&self, operation: &str, now: Instant) -> Option<Availability> {
        self.find(operation).map(|known| known.gate.availability(now))
    }

    /// Enters the gate of an operation, if it has one.
    pub(super) fn enter(
        &self,
        operation: &str,
        now: Instant,
        lease: Duration,
    ) -> Result<Option<OperationPass>, Availability> {
        let Some(gate) = self.find(operation) else { return Ok(None) };
        let pass = gate.gate.enter(now, lease)?;
        Ok(Some(OperationPass { gate, pass }))
    }

    /// Enters the gate of an operation although it is closed.
    pub(super) fn enter_closed(&self, operation: &str, now: Instant, lease: Duration) -> Option<OperationPass> {
        let gate = self.find(operation)?;
        let pass = gate.gate.enter_closed(now, lease);
        Some(OperationPass { gate, pass })
    }

    /// Returns a pass for an operation that fails for the first time; `None` if too many have.
    pub(super) fn pass(&self, operation: &str, now: Instant) -> Option<OperationPass> {
        let mut gates = self.lock();
        let known = gates.iter().find(|known| *known.operation == *operation).map(Arc::clone);
        let gate = match known {
            Some(gate) => gate,
            None if gates.len() >= MAX_OPERATIONS => return None,
            None => {
                let gate = Arc::new(OperationGate { operation: operation.into(), gate: Gate::default() });
                gates.push(Arc::clone(&gate));
                self.any.store(true, Ordering::Release);
                gate
            }
        };
        let pass = gate.gate.enter(now, Duration::ZERO).ok()?;
        Some(OperationPass { gate, pass })
    }

    /// Returns the operations that are suspended.
    pub(super) fn suspended(&self, now: Instant) -> Vec<(Arc<str>, Availability)> {
        if self.is_empty() {
            return Vec::new();
        }
        let gates = self.lock();
        let all = gates.iter().map(|known| (Arc::clone(&known.operation), known.gate.availability(now)));
        all.filter(|(_, availability)| *availability != Availability::Ready).collect()
    }

    /// Opens all gates, by hand.
    pub(super) fn open(&self) {
        for known in self.lock().iter() {
            known.gate.open();
        }
    }

    /// Takes over the state of another target's operations, for dry runs.
    pub(super) fn assume(&self, other: &Self, now: Instant) {
        for (operation, availability) in other.suspended(now) {
            if let Some(pass) = self.pass(&operation, now) {
                pass.gate.gate.assume(availability, now);
            }
        }
    }

    fn find(&self, operation: &str) -> Option<Arc<OperationGate>> {
        if self.is_empty() {
            return None;
        }
        self.lock().iter().find(|known| *known.operation == *operation).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<OperationGate>>> {
        self.gates.lock().expect("no panic while gates are held")
    }
}

impl OperationPass {
    pub(super) fn operation(&self) -> &str {
        &self.gate.operation
    }

    pub(super) fn is_probe(&self) -> bool {
        self.pass.is_probe()
    }

    /// Returns whether a probe opened the gate.
    pub(super) fn served(&self) -> bool {
        self.gate.gate.served(self.pass)
    }

    /// Returns how long the gate is closed, if this failure closes it.
    pub(super) fn failed(&self, trigger: Trigger, length: SuspensionLength, now: Instant) -> Option<Duration> {
        self.gate.gate.failed(self.pass, trigger, length, now)
    }

    pub(super) fn release(&self) {
        self.gate.gate.release(self.pass);
    }
}
