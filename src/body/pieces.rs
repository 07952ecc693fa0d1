//! A body in pieces: parts of the one that came, shared with it, and what is new between them.

use std::ops::Range;

use bytes::Bytes;

/// Shorter parts are copied: to share one takes a few words itself.
const MIN_SHARED: usize = 128;

/// A body that is not copied together before it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    all: Vec<Bytes>,
    len: usize,
}

/// An edited body and the original.
#[derive(Debug)]
pub struct Edited<'a> {
    text: &'a [u8],
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Its position in the original body.
    Kept(Range<usize>),
    New(Vec<u8>),
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self { len: whole.len(), all: vec![whole] }
    }
}

impl Pieces {
    /// Returns its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the pieces, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.all.iter()
    }

    /// Returns all of it together, copied where there are several pieces.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        if let [whole] = &*self.all { whole.clone() } else { self.all.concat().into() }
    }

    /// Takes out the first `length` bytes.
    #[must_use]
    pub fn split_to(&mut self, len: usize) -> Self {
        let mut first = Self::default();
        while first.len < len && !self.all.is_empty() {
            let wanted = len - first.len;
            let piece = if self.all[0].len() <= wanted { self.all.remove(0) } else { self.all[0].split_to(wanted) };
            first.len += piece.len();
            self.len -= piece.len();
            first.all.push(piece);
        }
        first
    }
}

impl<'a> Edited<'a> {
    /// Nothing of this text as yet.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { text, parts: Vec::with_capacity(3) }
    }

    /// Creates pieces of one text, unchanged.
    pub(super) fn unchanged(text: &'a [u8]) -> Self {
        Self { text, parts: vec![Part::Kept(0..text.len())] }
    }

    /// The text from there to there comes next.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        match self.parts.last_mut() {
            _ if range.is_empty() => {}
            Some(Part::Kept(last)) if last.end == range.start => last.end = range.end,
            Some(Part::New(last)) if range.len() < MIN_SHARED => last.extend_from_slice(&self.text[range]),
            _ => self.parts.push(Part::Kept(range)),
        }
    }

    /// The next bytes are not part of the text.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::New(last)) => last.extend_from_slice(bytes),
            Some(Part::Kept(range)) if range.len() < MIN_SHARED => {
                let start = [&self.text[range.clone()], bytes].concat();
                self.parts.pop();
                self.parts.push(Part::New(start));
            }
            _ => self.parts.push(Part::New(bytes.to_vec())),
        }
    }

    /// Returns whether it is the text, byte for byte.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.parts == [Part::Kept(0..self.text.len())]
    }

    /// Returns all of it, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend_from_slice(match part {
                Part::Kept(range) => &self.text[range.clone()],
                Part::New(bytes) => bytes,
            });
        }
        all
    }

    /// Returns its pieces, shared with the body that came, of which the text is all; copied if it is not.
    #[must_use]
    pub fn share(self, body: &Bytes) -> Pieces {
        if self.text.as_ptr_range() != body.as_ptr_range() {
            return Bytes::from(self.to_vec()).into();
        }
        let all: Vec<Bytes> = self
            .parts
            .into_iter()
            .map(|part| match part {
                Part::Kept(range) => body.slice(range),
                Part::New(bytes) => bytes.into(),
            })
            .collect();
        Pieces { len: all.iter().map(Bytes::len).sum(), all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &'static str, edit: impl FnOnce(&mut Edited<'_>)) -> (Pieces, Vec<u8>) {
        let body = Bytes::from_static(text.as_bytes());
        let mut edited = Edited::of(&body);
        edit(&mut edited);
        let copied = edited.to_vec();
        (edited.share(&body), copied)
    }

    #[test]
    fn long_parts_are_shared_and_short_ones_copied() {
        const TEXT: &str = concat!(
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
        );
        let (pieces, copied) = edited(TEXT, |edited| {
            edited.keep(0..100);
            edited.keep(100..150);
            edited.write(b"new");
            edited.keep(150..160);
            edited.write(b"!");
        });
        let lengths: Vec<_> = pieces.iter().map(Bytes::len).collect();
        assert_eq!((lengths, pieces.len()), (vec![150, 14], 164));
        assert_eq!(pieces.whole(), copied);
        assert_eq!(copied, [&TEXT.as_bytes()[..150], b"new0123456789!"].concat());
        let (pieces, _) = edited(TEXT, |edited| {
            edited.keep(0..1);
            edited.write(b"new");
            edited.keep(1..200);
        });
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [4, 199]);
    }

    #[test]
    fn pieces_are_split_where_it_is_asked_for() {
        let mut pieces = Pieces { all: vec!["abc".into(), "de".into(), "fgh".into()], len: 8 };
        for (len, expected, left) in [(0, "", 8), (2, "ab", 6), (4, "cdef", 2), (9, "gh", 0), (1, "", 0)] {
            let first = pieces.split_to(len);
            assert_eq!((&*first.whole(), first.len(), pieces.len()), (expected.as_bytes(), expected.len(), left));
        }
        assert!(pieces.is_empty());
    }

    #[test]
    fn what_is_kept_whole_is_unchanged() {
        let text = b"{}";
        assert!(Edited::unchanged(text).is_unchanged());
        let mut edited = Edited::of(text);
        edited.keep(0..1);
        edited.keep(1..2);
        assert!(edited.is_unchanged());
        edited.write(b" ");
        assert!(!edited.is_unchanged());
    }
}
