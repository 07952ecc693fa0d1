//! Weighted round robin: smooth, deterministic, exact over every cycle, whatever is suspended.

use std::sync::Mutex;

/// The number of sets of available targets that keep their own cycle.
const CYCLES_KEPT: usize = 32;

/// Weights and the cycles in progress.
#[derive(Debug)]
pub struct Weighted {
    weights: Vec<u32>,
    cycles: Mutex<Vec<Cycle>>,
}

/// The smooth weighted cycle over one set of available targets.
///
/// Each set has its own: freezing a suspended target's credit inside one common cycle would shift the others' shares
/// by a turn at every change, and starting over at each change would favour the first target while targets flap.
#[derive(Clone, Debug)]
struct Cycle {
    available: Vec<bool>,
    credit: Vec<i64>,
}

impl Clone for Weighted {
    fn clone(&self) -> Self {
        let cycles = self.cycles.lock().expect("no panic while the cycles are held").clone();
        Self { weights: self.weights.clone(), cycles: Mutex::new(cycles) }
    }
}

impl Weighted {
    /// Targets with these weights; a weight of 0 has no share and is only a fallback.
    #[must_use]
    pub fn new(weights: Vec<u32>) -> Self {
        Self { weights, cycles: Mutex::default() }
    }

    /// Returns the weights, in the order of the targets.
    #[must_use]
    pub fn weights(&self) -> &[u32] {
        &self.weights
    }

    /// First the targets that have a share and are not available, which are skipped; then the one whose turn it is, and
    /// the others in the order in which their turns are due; then those of weight 0.
    pub fn candidates(&self, available: &[bool]) -> Vec<usize> {
        let credit = self.take_turn(available);
        let mut order: Vec<_> = (0..self.weights.len()).collect();
        order.sort_by_key(|&index| self.rank(available, &credit, index));
        order
    }

    /// Takes a turn: the credit of each target before it was paid for. All requests of a policy pass here, one at a
    /// time, so putting them in order is left to their own time.
    fn take_turn(&self, available: &[bool]) -> Vec<i64> {
        let total = self.share_total(available);
        let mut cycles = self.cycles.lock().expect("no panic while the cycles are held");
        let mut cycle = self.take_cycle(&mut cycles, available);
        self.pay(&mut cycle);
        let credit = cycle.credit.clone();
        let with_share = (0..self.weights.len()).filter(|&index| available[index] && self.weights[index] > 0);
        if let Some(taken) = with_share.min_by_key(|&index| self.rank(available, &credit, index)) {
            cycle.credit[taken] -= total;
        }
        cycles.push(cycle);
        credit
    }

    /// Takes the cycle of this set out of the list, or a new one instead of the one that was unused longest.
    fn take_cycle(&self, cycles: &mut Vec<Cycle>, available: &[bool]) -> Cycle {
        if let Some(position) = cycles.iter().rposition(|cycle| cycle.available == available) {
            return cycles.remove(position);
        }
        if cycles.len() >= CYCLES_KEPT {
            cycles.remove(0);
        }
        Cycle { available: available.to_vec(), credit: vec![0; self.weights.len()] }
    }

    /// Every available target earns its weight.
    fn pay(&self, cycle: &mut Cycle) {
        for (index, credit) in cycle.credit.iter_mut().enumerate() {
            if cycle.available[index] {
                *credit += i64::from(self.weights[index]);
            }
        }
    }

    /// Sort key: with a share, not available, most credit, first in the file.
    fn rank(&self, available: &[bool], credit: &[i64], index: usize) -> (bool, bool, i64, usize) {
        (self.weights[index] == 0, available[index], -credit[index], index)
    }

    /// Returns the cost of one turn: the sum of the available weights.
    fn share_total(&self, available: &[bool]) -> i64 {
        self.weights
            .iter()
            .zip(available)
            .filter(|&(_, &available)| available)
            .map(|(&weight, _)| i64::from(weight))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the targets taken in turn, as letters, while those in `suspended` are not available.
    fn taken(turns: &Weighted, suspended: &[usize], requests: usize) -> String {
        let available: Vec<_> = (0..turns.weights.len()).map(|index| !suspended.contains(&index)).collect();
        (0..requests).map(|_| first(&turns.candidates(&available), &available)).collect()
    }

    fn first(order: &[usize], available: &[bool]) -> char {
        let taken = order.iter().find(|&&index| available[index]).expect("one is available");
        char::from(b'A' + u8::try_from(*taken).expect("few targets"))
    }

    #[test]
    fn turns_are_smooth_and_exact_over_a_cycle() {
        assert_eq!(taken(&Weighted::new(vec![5, 3, 2]), &[], 20), "ABCAABACBAABCAABACBA");
    }

    #[test]
    fn a_suspended_targets_share_goes_to_the_others_in_proportion() {
        let turns = Weighted::new(vec![5, 3, 2]);
        taken(&turns, &[], 7);
        let without_c = taken(&turns, &[2], 8_000);
        assert_eq!(without_c.matches('A').count(), 5_000);
        assert_eq!(without_c.matches('B').count(), 3_000);
    }

    #[test]
    fn flapping_does_not_favour_the_first_target() {
        let turns = Weighted::new(vec![1, 1, 1]);
        let sequence: String = (0..6).flat_map(|_| [taken(&turns, &[], 1), taken(&turns, &[2], 1)]).collect();
        assert_eq!(sequence, "AABBCAABBACB".chars().collect::<String>());
    }

    #[test]
    fn weight_zero_has_no_share_and_is_still_a_fallback() {
        let turns = Weighted::new(vec![0, 1]);
        assert_eq!(taken(&turns, &[], 4), "BBBB");
        assert_eq!(turns.candidates(&[true, true]), [1, 0]);
        assert_eq!(taken(&turns, &[1], 2), "AA");
    }

    #[test]
    fn a_set_in_use_keeps_its_cycle_in_a_crowd() {
        let turns = Weighted::new(vec![2, 1, 1, 1, 1, 1, 1, 1]);
        let mut sequence = String::new();
        for set in 4..100_u32 {
            sequence += &taken(&turns, &[2, 3, 4, 5, 6, 7], 1);
            let available: Vec<_> = (0..8).map(|bit| set & (1 << bit) != 0).collect();
            turns.candidates(&available);
        }
        assert_eq!(sequence.matches('A').count(), 64);
    }

    #[test]
    fn a_crowd_of_sets_is_bounded() {
        let turns = Weighted::new(vec![1; 8]);
        for set in 0..256_u32 {
            let available: Vec<_> = (0..8).map(|bit| set & (1 << bit) != 0).collect();
            turns.candidates(&available);
        }
        assert_eq!(turns.cycles.lock().expect("unpoisoned").len(), CYCLES_KEPT);
    }
}
