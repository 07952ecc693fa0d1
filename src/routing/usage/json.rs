//! A scanner of JSON that keeps nothing but where it is: texts of any length, cut anywhere.

use std::ops::Range;

/// The longest path that is kept; a longer one is none that anybody looks for.
const MAX_PATH_BYTES: usize = 96;

/// Levels whose kind is kept; what is nested deeper is skipped.
const MAX_LEVELS: usize = 24;

/// The longest beginning of a number or a text that is kept.
const MAX_VALUE_BYTES: usize = 256;

/// What is done with the values of a JSON text.
pub(super) trait Visit {
    /// The next values are at this path.
    fn path(&mut self, path: &str);

    /// Takes a part of a text as it arrives, not unescaped.
    fn piece(&mut self, piece: &[u8]);

    /// Takes a complete value that is no list and no object.
    fn value(&mut self, value: Scalar<'_>);

    /// An element is over: a whole text, or an element of a list that is a whole text.
    fn element(&mut self);
}

/// A value that is no list and no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'v> {
    /// The beginning of a text, not unescaped.
    Text(&'v str),
    /// A number, `true`, `false` or `null`, as it is written.
    Word(&'v str),
}

/// A level of nesting, and how long the path is without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Object(u8),
    List,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    /// Nothing: a value, a key or a sign comes.
    #[default]
    Between,
    Key(Escape),
    Text(Escape),
    Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// After a backslash.
    Next,
}

/// The scanner. Damaged texts are read as far as they make sense: it decides nothing but numbers.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    within: Within,
    /// Keys joined by dots. Lists add nothing.
    path: Kept<MAX_PATH_BYTES>,
    levels: Levels,
    /// Whether an object's next text is a key.
    at_key: bool,
    /// Whether the visitor knows the path.
    is_known: bool,
    value: Kept<MAX_VALUE_BYTES>,
}

/// The beginning of what was pushed.
#[derive(Debug)]
struct Kept<const MAX: usize> {
    bytes: [u8; MAX],
    length: u16,
    /// Whether something was left out, so that nothing must be taken for it.
    is_cut: bool,
}

impl<const MAX: usize> Default for Kept<MAX> {
    fn default() -> Self {
        Self { bytes: [0; MAX], length: 0, is_cut: false }
    }
}

impl<const MAX: usize> Kept<MAX> {
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        let taken = bytes.len().min(MAX - start);
        self.bytes[start..start + taken].copy_from_slice(&bytes[..taken]);
        self.is_cut |= taken < bytes.len();
        self.length = u16::try_from(start + taken).unwrap_or(u16::MAX);
    }

    fn truncate(&mut self, length: usize) {
        if length < usize::from(self.length) {
            self.is_cut = false;
        }
        self.length = self.length.min(u16::try_from(length).unwrap_or(u16::MAX));
    }

    /// Returns the valid part; a cut text may end within a character.
    fn text(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length)];
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

/// The objects and lists that are open.
#[derive(Debug)]
struct Levels {
    kept: [Level; MAX_LEVELS],
    depth: usize,
}

impl Default for Levels {
    fn default() -> Self {
        Self { kept: [Level::List; MAX_LEVELS], depth: 0 }
    }
}

impl Levels {
    fn open(&mut self, level: Level) {
        if let Some(place) = self.kept.get_mut(self.depth) {
            *place = level;
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn innermost(&self) -> Option<Level> {
        self.kept.get(self.depth.checked_sub(1)?).copied()
    }

    /// Returns whether an element ends where the depth is now.
    fn is_between_elements(&self) -> bool {
        self.depth == 0 || (self.depth == 1 && self.kept[0] == Level::List)
    }

    fn is_too_deep(&self) -> bool {
        self.depth > MAX_LEVELS
    }
}

impl Scanner {
    /// Forgets an element that was not finished.
    pub(super) fn reset(&mut self) {
        (self.within, self.at_key, self.is_known) = (Within::Between, false, false);
        self.path.truncate(0);
        self.value.truncate(0);
        self.levels.depth = 0;
    }

    /// Returns whether an element has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.levels.depth > 0 || self.within != Within::Between
    }

    /// Reads the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], visit: &mut impl Visit) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.within {
                Within::Between => self.between(bytes, at, visit),
                Within::Key(escape) => self.text(bytes, at, escape, true, visit),
                Within::Text(escape) => self.text(bytes, at, escape, false, visit),
                Within::Word => self.word(bytes, at, visit),
            };
        }
    }

    /// A text of lines may end without a sign that its last number is over.
    pub(super) fn finish(&mut self, visit: &mut impl Visit) {
        if self.within == Within::Word && self.levels.depth == 0 {
            self.end_word(visit);
        }
    }

    fn between(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit) -> usize {
        match bytes[at] {
            b'{' => {
                self.levels.open(Level::Object(self.path.length.try_into().unwrap_or(u8::MAX)));
                self.at_key = true;
            }
            b'[' => {
                self.levels.open(Level::List);
                self.at_key = false;
            }
            b'}' | b']' => self.close(visit),
            b',' => {
                if let Some(Level::Object(length)) = self.levels.innermost() {
                    self.path.truncate(length.into());
                    self.at_key = true;
                }
            }
            b'"' => self.within = self.opened(),
            b':' => self.at_key = false,
            byte if byte.is_ascii_whitespace() => {}
            byte => {
                self.value.truncate(0);
                self.value.push(&[byte]);
                self.within = Within::Word;
            }
        }
        at + 1
    }

    /// Begins a text or a key.
    fn opened(&mut self) -> Within {
        if !self.at_key || self.levels.is_too_deep() {
            self.value.truncate(0);
            return Within::Text(Escape::None);
        }
        if self.path.length > 0 {
            self.path.push(b".");
        }
        self.is_known = false;
        Within::Key(Escape::None)
    }

    fn close(&mut self, visit: &mut impl Visit) {
        if let Some(Level::Object(length)) = self.levels.innermost() {
            self.path.truncate(length.into());
        }
        self.levels.close();
        (self.at_key, self.is_known) = (false, false);
        if self.levels.is_between_elements() {
            visit.element();
        }
    }

    /// Reads on in a text or a key, up to its end, a backslash or the end of the bytes.
    fn text(&mut self, bytes: &[u8], at: usize, escape: Escape, is_key: bool, visit: &mut impl Visit) -> usize {
        let from = at + usize::from(escape == Escape::Next);
        let end = memchr::memchr2(b'"', b'\\', &bytes[from..]).map(|end| from + end);
        let (rest, next) = match end {
            Some(end) if bytes[end] == b'\\' => (at..end + 1, Some(Escape::Next)),
            Some(end) => (at..end, None),
            None => (at..bytes.len(), Some(Escape::None)),
        };
        let after = rest.end + usize::from(next.is_none());
        self.keep(&bytes[rest.clone()], is_key, visit);
        self.within = match next {
            Some(escape) if is_key => Within::Key(escape),
            Some(escape) => Within::Text(escape),
            None if is_key => Within::Between,
            None => {
                self.end_text(visit);
                Within::Between
            }
        };
        after
    }

    fn keep(&mut self, piece: &[u8], is_key: bool, visit: &mut impl Visit) {
        if is_key {
            // A dot in a key must not make a path of it.
            piece.split_inclusive(|byte| *byte == b'.').for_each(|part| match part.strip_suffix(b".") {
                Some(part) => {
                    self.path.push(part);
                    self.path.push(b"\\.");
                }
                None => self.path.push(part),
            });
        } else if !piece.is_empty() && !self.levels.is_too_deep() {
            self.value.push(piece);
            self.visit(visit);
            visit.piece(piece);
        }
    }

    /// Reports the path, if it is another one than before. One that was cut is none that a visitor knows.
    fn visit(&mut self, visit: &mut impl Visit) {
        if !self.is_known {
            visit.path(if self.path.is_cut { "?" } else { self.path.text() });
            self.is_known = true;
        }
    }

    fn end_text(&mut self, visit: &mut impl Visit) {
        if !self.levels.is_too_deep() {
            self.visit(visit);
            visit.value(Scalar::Text(self.value.text()));
        }
    }

    fn word(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit) -> usize {
        let is_end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'"' | b'{' | b'[' | b':') || byte.is_ascii_whitespace();
        let word: Range<usize> = at..bytes[at..].iter().position(is_end).map_or(bytes.len(), |end| at + end);
        self.value.push(&bytes[word.clone()]);
        if word.end < bytes.len() {
            self.end_word(visit);
        }
        word.end
    }

    fn end_word(&mut self, visit: &mut impl Visit) {
        self.within = Within::Between;
        if !self.value.is_cut && !self.levels.is_too_deep() {
            self.visit(visit);
            visit.value(Scalar::Word(self.value.text()));
        }
        if self.levels.depth == 0 {
            visit.element();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was visited: a line for each value, `--` where an element ends.
    #[derive(Default)]
    struct Seen {
        path: String,
        lines: Vec<String>,
        pieces: usize,
    }

    impl Visit for Seen {
        fn path(&mut self, path: &str) {
            path.clone_into(&mut self.path);
        }

        fn piece(&mut self, piece: &[u8]) {
            self.pieces += piece.len();
        }

        fn value(&mut self, value: Scalar<'_>) {
            self.lines.push(match value {
                Scalar::Text(text) => format!("{}={text:?}", self.path),
                Scalar::Word(word) => format!("{}={word}", self.path),
            });
        }

        fn element(&mut self) {
            self.lines.push("--".to_owned());
        }
    }

    /// Checks what is seen of a text, whole and cut at every byte.
    fn sees(text: &str, expected: &[&str]) {
        for cut in 0..=text.len() {
            let (mut scanner, mut seen) = (Scanner::default(), Seen::default());
            scanner.push(&text.as_bytes()[..cut], &mut seen);
            scanner.push(&text.as_bytes()[cut..], &mut seen);
            scanner.finish(&mut seen);
            assert_eq!(seen.lines, expected, "{text} cut at {cut}");
        }
    }

    #[test]
    fn values_are_seen_with_their_paths() {
        sees(
            r#"{"a":{"b":1,"c":[2,{"d":"x"},3]},"e":"y\"z"} {"a":null}"#,
            &["a.b=1", "a.c=2", "a.c.d=\"x\"", "a.c=3", "e=\"y\\\\\\\"z\"", "--", "a=null", "--"],
        );
        sees(r#"[{"a":1},{"a":true}]"#, &["a=1", "--", "a=true", "--", "--"]);
        sees("[DONE]", &["=DONE", "--"]);
        sees(r#""é""#, &["=\"é\""]);
        sees("12", &["=12", "--"]);
    }

    #[test]
    fn a_dot_in_a_key_makes_no_path() {
        sees(r#"{"usage.prompt_tokens":5}"#, &["usage\\.prompt_tokens=5", "--"]);
    }

    #[test]
    fn what_is_long_or_deep_is_skipped() {
        let key = "k".repeat(200);
        sees(&format!(r#"{{"{key}":1,"a":2}}"#), &["?=1", "a=2", "--"]);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        sees(&format!(r#"{{"x":{deep},"a":2}}"#), &["a=2", "--"]);
        let deep = format!("{}1{}", r#"{"x":"#.repeat(100), "}".repeat(100));
        sees(&format!(r#"{{"y":{deep},"a":2}}"#), &["a=2", "--"]);
    }

    #[test]
    fn a_scanner_is_small() {
        assert!(size_of::<Scanner>() < 600, "{}", size_of::<Scanner>());
    }
}
