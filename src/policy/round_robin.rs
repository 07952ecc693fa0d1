//! Round robin: a fixed ring that skips what is not available.

use std::sync::Mutex;

/// The position in the ring: the target that was taken last.
#[derive(Debug, Default)]
pub struct RoundRobin {
    last: Mutex<Option<usize>>,
}

impl RoundRobin {
    /// A ring whose first turn is the first target's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Turns::candidates`](super::Turns::candidates). The ring moves to the target taken, not by one: with one of
    /// three suspended the other two alternate, where a counter would give the suspended one's turns to its neighbour.
    pub fn candidates(&self, available: &[bool]) -> Vec<usize> {
        let count = available.len();
        let mut last = self.last.lock().expect("no panic while the ring is held");
        let start = last.map_or(0, |last| (last + 1) % count.max(1));
        let ring = (start..count).chain(0..start.min(count));
        let (mut order, unavailable): (Vec<_>, Vec<_>) = ring.partition(|&index| available[index]);
        if let Some(&first) = order.first() {
            *last = Some(first);
        }
        order.extend(unavailable);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets taken in turn, as letters, while those in `suspended` are not available.
    fn taken(ring: &RoundRobin, targets: usize, suspended: &[usize], requests: usize) -> String {
        let available: Vec<_> = (0..targets).map(|index| !suspended.contains(&index)).collect();
        (0..requests).map(|_| char::from(b'A' + ring.candidates(&available)[0] as u8)).collect()
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
    fn the_candidates_are_the_ring_from_the_turn_on_with_the_unavailable_last() {
        let ring = RoundRobin::new();
        assert_eq!(ring.candidates(&[true, true, true]), [0, 1, 2]);
        assert_eq!(ring.candidates(&[true, false, true]), [2, 0, 1]);
    }

    #[test]
    fn nobody_available_takes_no_turn() {
        let ring = RoundRobin::new();
        assert_eq!(ring.candidates(&[false, false]), [0, 1]);
        assert_eq!(ring.candidates(&[true, true]), [0, 1]);
    }
}
