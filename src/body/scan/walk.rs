//! Walking down into a value by steps, in the one pass of a scan.

use std::collections::VecDeque;
use std::ops::Range;

use super::Scan;

/// One step down into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the member of this name; the last, if there are several.
    Member(String),
    /// To the element at this index.
    Element(usize),
    /// To the element so far from the end; 1 is the last.
    FromEnd(usize),
}

/// The result of following steps, as far as the scan can decide it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Walked<'a> {
    /// To this value.
    Found(&'a str),
    /// There is none.
    Nowhere,
    /// Another parser must judge.
    Unsure,
}

/// Follows all steps in one pass over a value.
pub(crate) fn walk<'a>(value: &'a str, steps: &[Step]) -> Walked<'a> {
    let mut scan = Scan::of(value.as_bytes());
    scan.skip_whitespace();
    let followed = scan.follow(steps);
    scan.skip_whitespace();
    match followed {
        Some(_) if scan.at < value.len() => Walked::Unsure,
        Some(Some(range)) => Walked::Found(&value[range]),
        Some(None) => Walked::Nowhere,
        None => Walked::Unsure,
    }
}

impl Scan<'_> {
    /// Goes over a value, and says where the steps lead in it: `None` of the inner kind if nowhere.
    fn follow(&mut self, steps: &[Step]) -> Option<Option<Range<usize>>> {
        let Some((step, rest)) = steps.split_first() else {
            let start = self.at;
            self.value()?;
            return Some(Some(start..self.at));
        };
        match (step, self.peek()) {
            (Step::Member(name), Some(b'{')) => self.follow_member(name, rest),
            (Step::Element(index), Some(b'[')) => self.follow_element(*index, rest),
            (Step::FromEnd(index), Some(b'[')) => self.follow_from_end(*index, rest),
            _ => self.value().map(|()| None),
        }
    }

    fn follow_member(&mut self, name: &str, rest: &[Step]) -> Option<Option<Range<usize>>> {
        let mut found = None;
        self.each(b'{', b'}', |scan| {
            let key = scan.key()?;
            scan.colon()?;
            if &scan.text[key.start + 1..key.end - 1] == name.as_bytes() {
                found = scan.follow(rest)?;
                Some(())
            } else {
                scan.value()
            }
        })?;
        Some(found)
    }

    fn follow_element(&mut self, index: usize, rest: &[Step]) -> Option<Option<Range<usize>>> {
        let (mut found, mut count) = (None, 0);
        self.each(b'[', b']', |scan| {
            count += 1;
            if count == index + 1 {
                found = scan.follow(rest)?;
                Some(())
            } else {
                scan.value()
            }
        })?;
        Some(found)
    }

    /// Walks to an element counted from the end: the last `index` elements are kept until the list ends.
    fn follow_from_end(&mut self, index: usize, rest: &[Step]) -> Option<Option<Range<usize>>> {
        let mut last = VecDeque::new();
        self.each(b'[', b']', |scan| {
            if last.len() == index {
                last.pop_front();
            }
            last.push_back(scan.follow(rest)?);
            Some(())
        })?;
        // Fewer elements than the index: `[-5]` of three is nothing, and not the first.
        Some(last.pop_front().filter(|_| last.len() + 1 == index).flatten())
    }
}
