//! Round robin: a fixed ring that skips what is not available.

use std::sync::atomic::{AtomicUsize, Ordering};

/// No target was taken yet.
const NONE: usize = usize::MAX;

/// The position in the ring: the target that was taken last. No lock: all requests of a policy pass here.
#[derive(Debug)]
pub struct RoundRobin {
    last: AtomicUsize,
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self { last: NONE.into() }
    }
}

impl Clone for RoundRobin {
    fn clone(&self) -> Self {
        Self { last: self.last.load(Ordering::Relaxed).into() }
    }
}

impl RoundRobin {
    /// Creates a ring whose first turn is the first target's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the ring from the turn on; `available` says which targets may be chosen now. The ring moves to the first
    /// of them, not by one: with one of three suspended the other two alternate, where a counter would give the
    /// suspended one's turns to its neighbour.
    pub fn candidates(&self, available: &[bool]) -> Vec<usize> {
        let count = available.len();
        let ring = |last: usize| {
            let start = if last < count { (last + 1) % count } else { 0 };
            (start..count).chain(0..start)
        };
        let taken = |last| ring(last).find(|&index| available[index]);
        // Where no target is available no turn is taken, and the ring stays as it is.
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).unwrap_or_else(|last| last);
        ring(last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the targets taken in turn, as letters, while those in `suspended` are not available.
    fn taken(ring: &RoundRobin, targets: usize, suspended: &[usize], requests: usize) -> String {
        let available: Vec<_> = (0..targets).map(|index| !suspended.contains(&index)).collect();
        (0..requests).map(|_| first(&ring.candidates(&available), &available)).collect()
    }

    fn first(order: &[usize], available: &[bool]) -> char {
        let taken = order.iter().find(|&&index| available[index]).expect("one is available");
        char::from(b'A' + u8::try_from(*taken).expect("few targets"))
    }

    #[test]
    fn targets_take_turns() {
        assert_eq!(taken(&RoundRobin::new(), 3, &[], 7), "ABCABCA");
    }

    #[test]
    fn a_suspended_target_leaves_its_neighbours_exactly_even() {
        assert_eq!(taken(&RoundRobin::new(), 3, &[0], 6), "BCBCBC");
    }

    #[test]
    fn a_target_that_is_back_takes_its_place_in_the_ring() {
        let ring = RoundRobin::new();
        assert_eq!(taken(&ring, 3, &[1], 3), "ACA");
        assert_eq!(taken(&ring, 3, &[], 4), "BCAB");
    }

    #[test]
    fn the_candidates_are_the_ring_from_the_turn_on() {
        let ring = RoundRobin::new();
        assert_eq!(ring.candidates(&[true, true, true]), [0, 1, 2]);
        assert_eq!(ring.candidates(&[true, false, true]), [1, 2, 0]);
        assert_eq!(ring.candidates(&[true, true, true]), [0, 1, 2]);
    }

    #[test]
    fn nobody_available_takes_no_turn() {
        let ring = RoundRobin::new();
        assert_eq!(ring.candidates(&[false, false]), [0, 1]);
        assert_eq!(ring.candidates(&[true, true]), [0, 1]);
    }
}
