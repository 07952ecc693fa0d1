//! Targets that take turns in groups, or with affinity: a later group serves only what no target of the earlier ones
//! can, and a request with a key takes no turn.

use super::affinity::{Affinity, Key};
use super::round_robin::RoundRobin;
use super::weighted::Weighted;

/// Groups of targets in the order of their priority. Where all targets have the same one and there is no affinity, their
/// turns alone are the strategy.
#[derive(Clone, Debug)]
pub struct Rotation {
    groups: Vec<Group>,
    affinity: Option<Affinity>,
    key_headers: Vec<Box<str>>,
}

/// Targets of one priority.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its priority; 0 comes first.
    pub priority: u32,
    /// Indices into the policy's targets.
    pub targets: Vec<usize>,
    /// Whose turn it is among them.
    pub turns: Turns,
}

/// Whose turn it is.
#[derive(Clone, Debug)]
pub enum Turns {
    /// One after the other.
    RoundRobin(RoundRobin),
    /// In proportion to weights.
    Weighted(Weighted),
}

impl Group {
    /// Returns the position of a target of the policy within the group.
    #[must_use]
    pub fn place_of(&self, target: usize) -> Option<usize> {
        self.targets.iter().position(|&other| other == target)
    }
}

impl Turns {
    fn candidates(&self, available: &[bool]) -> Vec<usize> {
        match self {
            Self::RoundRobin(turns) => turns.candidates(available),
            Self::Weighted(turns) => turns.candidates(available),
        }
    }
}

impl Rotation {
    /// Creates a rotation of groups, which are put in the order of their priority.
    #[must_use]
    pub fn new(mut groups: Vec<Group>, affinity: Option<Affinity>) -> Self {
        groups.sort_by_key(|group| group.priority);
        let key_headers = affinity.iter().flat_map(Affinity::headers).map(Into::into).collect();
        Self { groups, affinity, key_headers }
    }

    /// Returns the affinity, if there is one.
    #[must_use]
    pub fn affinity(&self) -> Option<&Affinity> {
        self.affinity.as_ref()
    }

    pub(super) fn key_headers(&self) -> &[Box<str>] {
        &self.key_headers
    }

    /// Returns the groups, the first one first.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns whether turns are in proportion to weights.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        self.groups.iter().any(|group| matches!(group.turns, Turns::Weighted(_)))
    }

    /// Returns the candidates, group by group: in the order that a key prefers, else in turn. Only the first group with an
    /// available target takes a turn: the turns of a later one are exact over the requests that come to it.
    pub fn candidates(&self, key: Option<Key>, available: &[bool]) -> Vec<usize> {
        match (&self.affinity, key) {
            (Some(affinity), Some(key)) => self.by_key(affinity, key),
            _ => self.in_turn(available),
        }
    }

    fn by_key(&self, affinity: &Affinity, key: Key) -> Vec<usize> {
        let mut order = Vec::new();
        for Group { targets, .. } in &self.groups {
            let start = order.len();
            order.extend(targets);
            affinity.sort(&mut order[start..], key);
        }
        order
    }

    fn in_turn(&self, available: &[bool]) -> Vec<usize> {
        let (mut order, mut is_taken) = (Vec::with_capacity(available.len()), false);
        for Group { targets, turns, .. } in &self.groups {
            let here: Vec<_> = targets.iter().map(|&target| available[target] && !is_taken).collect();
            order.extend(turns.candidates(&here).into_iter().map(|index| targets[index]));
            is_taken |= here.contains(&true);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round robin with these priorities.
    fn rotation(priorities: &[u32]) -> Rotation {
        groups(priorities, |_| Turns::RoundRobin(RoundRobin::new()))
    }

    fn groups(priorities: &[u32], turns: impl Fn(&[usize]) -> Turns) -> Rotation {
        let of = |priority| (0..priorities.len()).filter(|&index| priorities[index] == priority).collect::<Vec<_>>();
        let group = |priority| Group { priority, targets: of(priority), turns: turns(&of(priority)) };
        Rotation::new([2, 1, 0].map(group).into_iter().filter(|group| !group.targets.is_empty()).collect(), None)
    }

    /// Returns the targets taken in turn, as letters, while those in `suspended` are not available.
    fn taken(rotation: &Rotation, targets: usize, suspended: &[usize], requests: usize) -> String {
        let available: Vec<_> = (0..targets).map(|index| !suspended.contains(&index)).collect();
        let first = |order: Vec<usize>| order.into_iter().find(|&index| available[index]).expect("one is available");
        let letter = |index| char::from(b'A' + u8::try_from(index).expect("few targets"));
        (0..requests).map(|_| letter(first(rotation.candidates(None, &available)))).collect()
    }

    #[test]
    fn a_later_group_serves_only_what_no_target_of_the_earlier_ones_can() {
        let rotation = rotation(&[0, 1, 0, 1]);
        assert_eq!(taken(&rotation, 4, &[], 4), "ACAC");
        assert_eq!(taken(&rotation, 4, &[0], 3), "CCC");
        assert_eq!(taken(&rotation, 4, &[0, 2], 5), "BDBDB");
        assert_eq!(taken(&rotation, 4, &[], 3), "ACA", "the first group is back, where it was");
        assert_eq!(taken(&rotation, 4, &[0, 2], 2), "DB", "and so is the second");
    }

    #[test]
    fn the_candidates_are_all_targets_group_by_group() {
        let rotation = rotation(&[2, 0, 1, 0]);
        assert_eq!(rotation.candidates(None, &[true; 4]), [1, 3, 2, 0]);
        assert_eq!(rotation.candidates(None, &[true; 4]), [3, 1, 2, 0]);
        assert_eq!(rotation.candidates(None, &[true, false, true, false]), [1, 3, 2, 0]);
        assert_eq!(rotation.candidates(None, &[false; 4]), [1, 3, 2, 0], "nobody takes a turn");
        assert_eq!(rotation.candidates(None, &[true; 4]), [1, 3, 2, 0]);
    }

    #[test]
    fn weights_are_exact_within_each_group() {
        let weights = [3, 5, 1, 3];
        let weighted = |group: &[usize]| Turns::Weighted(Weighted::new(group.iter().map(|&it| weights[it]).collect()));
        let rotation = groups(&[0, 1, 0, 1], weighted);
        let first = taken(&rotation, 4, &[], 400);
        let then = taken(&rotation, 4, &[0, 2], 800);
        let again = taken(&rotation, 4, &[], 400);
        let count = |text: &str, letter| text.matches(letter).count();
        assert_eq!((count(&first, 'A'), count(&first, 'C')), (300, 100));
        assert_eq!((count(&then, 'B'), count(&then, 'D')), (500, 300));
        assert_eq!((count(&again, 'A'), count(&again, 'C')), (300, 100));
    }
}
