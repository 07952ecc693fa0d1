//! Responses of a target that broke off after their start. Each of them was counted as served, by its headers; so they
//! are compared with the attempts that the target got, not with what it served in a row.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Mutex;

/// How many attempts the target had got at each of the last breaks.
#[derive(Debug, Default)]
pub(super) struct Breaks(Mutex<VecDeque<u64>>);

impl Breaks {
    /// Records a break after so many attempts. Returns whether it is the last of `many` and at least every second
    /// attempt since their first broke off; the count then begins anew.
    pub(super) fn add(&self, dispatched: u64, many: NonZeroU32) -> bool {
        let many = many.get() as usize;
        let mut last = self.0.lock().expect("no panic while breaks are held");
        last.push_back(dispatched);
        while last.len() > many {
            last.pop_front();
        }
        let first = last.front().copied().unwrap_or_default();
        let is_many = last.len() == many && dispatched - first < 2 * many as u64;
        if is_many {
            last.clear();
        }
        is_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspends(many: u32, breaks_at: &[u64]) -> Vec<u64> {
        let breaks = Breaks::default();
        let many = NonZeroU32::new(many).expect("not zero");
        breaks_at.iter().copied().filter(|&at| breaks.add(at, many)).collect()
    }

    #[test]
    fn a_target_whose_responses_break_off_is_found() {
        assert_eq!(suspends(3, &[1, 2, 3, 4, 5, 6]), [3, 6], "all of them");
        assert_eq!(suspends(3, &[1, 3, 5]), [5], "every second one");
        assert_eq!(suspends(3, &[1, 10, 20, 30, 31, 32]), [32], "now and then, and then all");
        assert_eq!(suspends(3, &[1, 5, 9, 13]), [0; 0], "every fourth one");
        assert_eq!(suspends(1, &[7]), [7]);
    }
}
