//! Patterns of models' names, in which `*` matches any characters, or none.

/// The character that stands for any others.
const ANY: u8 = b'*';

/// A pattern such as `gpt-4o-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Reads a pattern; several `*` in a row are one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pattern = String::with_capacity(text.len());
        for character in text.chars() {
            if character != char::from(ANY) || !pattern.ends_with(character) {
                pattern.push(character);
            }
        }
        Self(pattern.into())
    }

    /// Returns it as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns how much of a name it says, in bytes: of two patterns that a name fits, the longer one counts.
    #[must_use]
    pub fn literal_len(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != ANY).count()
    }

    /// Returns whether a name fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut here) = (0, 0);
        // Behind the last `*`, and where in the name that begins.
        let mut again: Option<(usize, usize)> = None;
        while here < name.len() {
            if pattern.get(at) == Some(&ANY) {
                again = Some((at + 1, here));
                at += 1;
            } else if pattern.get(at) == Some(&name[here]) {
                (at, here) = (at + 1, here + 1);
            } else if let Some((behind, begun)) = again {
                // The `*` stands for one character more.
                again = Some((behind, begun + 1));
                (at, here) = (behind, begun + 1);
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|byte| *byte == ANY)
    }

    /// Returns whether some name fits both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        // Whether the beginning of `one` so far and each beginning of `other` have a name in common.
        let mut common = vec![false; other.len() + 1];
        common[0] = true;
        for at in 0..other.len() {
            common[at + 1] = common[at] && other[at] == ANY;
        }
        for &byte in one {
            let before = std::mem::replace(&mut common, vec![false; other.len() + 1]);
            common[0] = before[0] && byte == ANY;
            for (at, &across) in other.iter().enumerate() {
                common[at + 1] = match (byte, across) {
                    // The `*` stands for nothing, or for what the other one has here.
                    (ANY, _) | (_, ANY) => before[at + 1] || common[at],
                    _ => before[at] && byte == across,
                };
            }
        }
        common[other.len()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_or_none() {
        for (pattern, name, fits) in [
            ("gpt-4o-*", "gpt-4o-mini", true),
            ("gpt-4o-*", "gpt-4o-", true),
            ("gpt-4o-*", "gpt-4o", false),
            ("*-mini", "o1-mini", true),
            ("*-mini", "o1-mini-2024", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("**", "x", true),
            ("*é*", "café au lait", true),
        ] {
            assert_eq!(Pattern::parse(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_name_fits_both() {
        for (one, other, overlap) in [
            ("gpt-*", "*-mini", true),
            ("gpt-*", "claude-*", false),
            ("*-mini", "*-large", false),
            ("a*c", "ab*", true),
            ("a*", "a*", true),
            ("a*b", "b*a", false),
            ("*", "x*", true),
        ] {
            let (left, right) = (Pattern::parse(one), Pattern::parse(other));
            assert_eq!((left.overlaps(&right), right.overlaps(&left)), (overlap, overlap), "{one} {other}");
        }
    }

    /// Returns every text of at most five letters, of which there are two.
    fn names() -> impl Iterator<Item = String> {
        (0..=5_usize).flat_map(|length| {
            (0..1_u32 << length)
                .map(move |bits| (0..length).map(|at| if bits >> at & 1 == 1 { 'a' } else { 'b' }).collect())
        })
    }

    proptest! {
        #[test]
        fn a_name_that_fits_both_is_found_if_there_is_one(one in "[ab*]{0,4}", other in "[ab*]{0,4}") {
            let (one, other) = (Pattern::parse(&one), Pattern::parse(&other));
            // What two such patterns have in common begins with a text of at most as many letters.
            let shared = names().any(|name| one.fits(&name) && other.fits(&name));
            if shared {
                prop_assert!(one.overlaps(&other));
            } else if one.literal_len() + other.literal_len() <= 5 {
                prop_assert!(!one.overlaps(&other));
            }
        }
    }
}
