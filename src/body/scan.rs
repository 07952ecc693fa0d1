//! Scanning a body at memory speed: one pass, no document, no allocation but the list of members.
//!
//! What it finds is what serde_json finds. It leaves everything else (a key with escapes, a second `model`, any
//! mistake) to that parser, which accepts it or reports what is wrong: only speed depends on the scan's verdict. `cargo
//! bench --bench leaves -- read` has both side by side.

mod block;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

use super::MAX_DEPTH;
use super::members::{MAX_MEMBERS, Member};
use block::Block;
pub(crate) use walk::{Step, Walked, walk};

/// Returns the members of an object that is the whole text and nests no deeper than allowed; `None` where another
/// parser must judge.
pub(super) fn members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut scan = Scan::of(text);
    let all = scan.object()?;
    scan.skip_whitespace();
    (scan.at == text.len()).then_some(())?;
    // JSON is UTF-8; what is ASCII is that already.
    (scan.is_ascii || std::str::from_utf8(text).is_ok()).then_some(all)
}

#[derive(Debug)]
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the inspected part of the text is ASCII.
    is_ascii: bool,
    /// The block that was read last, and its number.
    block: Block,
    number: usize,
}

impl<'a> Scan<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, at: 0, is_ascii: true, block: Block::default(), number: usize::MAX }
    }

    fn object(&mut self) -> Option<Vec<Member<'a>>> {
        let (mut all, mut has_model) = (Vec::with_capacity(16), false);
        self.skip_whitespace();
        self.each(b'{', b'}', |scan| {
            let member = scan.member()?;
            let is_model = member.key.eq_ignore_ascii_case("model");
            let odd = is_model && (has_model || member.key != "model");
            (!odd && all.len() < MAX_MEMBERS).then_some(())?;
            has_model |= is_model;
            all.push(member);
            Some(())
        })?;
        Some(all)
    }

    /// Goes over an object or an array, `one` over each member or element.
    fn each(&mut self, open: u8, close: u8, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        self.skip_whitespace();
        if self.peek() == Some(close) {
            self.at += 1;
            return Some(());
        }
        loop {
            one(self)?;
            self.skip_whitespace();
            match self.next()? {
                b',' => self.skip_whitespace(),
                byte if byte == close => return Some(()),
                _ => return None,
            }
        }
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let key_range = self.key()?;
        let key = std::str::from_utf8(&self.text[key_range.start + 1..key_range.end - 1]).ok()?;
        self.colon()?;
        let start = self.at;
        self.value()?;
        Some(Member { key: Cow::Borrowed(key), key_range, value_range: start..self.at })
    }

    /// Reads a key without escapes and returns its range, quotes included.
    fn key(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.take(b'"')?;
        self.string()?;
        let range = start..self.at;
        (!self.text[range.clone()].contains(&b'\\')).then_some(range)
    }

    /// Any value. Objects and arrays that are open stand in the bits of `open`, 1 for an object, so that nothing has to
    /// be remembered elsewhere.
    fn value(&mut self) -> Option<()> {
        let (mut open, mut depth) = (0_u128, 0_usize);
        loop {
            // A value begins here.
            match self.next()? {
                b'"' => self.string()?,
                b'{' | b'[' if depth + 1 >= MAX_DEPTH => return None, // the object around it is one more
                b'{' => {
                    self.skip_whitespace();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                    } else {
                        (open, depth) = (open << 1 | 1, depth + 1);
                        self.inner_key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.skip_whitespace();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        (open, depth) = (open << 1, depth + 1);
                        continue;
                    }
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first @ (b'-' | b'0'..=b'9') => self.number(first)?,
                _ => return None,
            }
            // A value has ended: go on to the next one, out of all that ends here.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.skip_whitespace();
                match (self.next()?, open & 1 == 1) {
                    (b',', true) => {
                        self.skip_whitespace();
                        self.inner_key()?;
                        break;
                    }
                    (b',', false) => {
                        self.skip_whitespace();
                        break;
                    }
                    (b'}', true) | (b']', false) => (open, depth) = (open >> 1, depth - 1),
                    _ => return None,
                }
            }
        }
    }

    /// Skips the key of a nested object and its colon, up to the value.
    fn inner_key(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.string()?;
        self.colon()
    }

    /// Skips the colon between a key and its value.
    fn colon(&mut self) -> Option<()> {
        self.skip_whitespace();
        self.take(b':')?;
        self.skip_whitespace();
        Some(())
    }

    /// Skips the rest of a string whose first quote has been read. Each block of the text is read once.
    fn string(&mut self) -> Option<()> {
        loop {
            let number = self.at / block::BYTES;
            if number != self.number {
                self.enter(number);
            }
            let special = self.block.special >> (self.at % block::BYTES);
            if special == 0 {
                self.at = (number + 1) * block::BYTES;
                if self.at >= self.text.len() {
                    return None;
                }
                continue;
            }
            self.at += special.trailing_zeros() as usize;
            if self.special()? {
                return Some(());
            }
        }
    }

    fn enter(&mut self, number: usize) {
        self.number = number;
        self.block = Block::read(self.text, number);
        self.is_ascii &= !self.block.beyond_ascii;
    }

    /// Handles a character of a string that is not plain; returns true at the string's end.
    fn special(&mut self) -> Option<bool> {
        match self.next()? {
            b'"' => Some(true),
            b'\\' => match self.next()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(false),
                b'u' => {
                    let digits = self.text.get(self.at..self.at + 4)?;
                    self.at += 4;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(false)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_digits();
        (self.at > start).then_some(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..self.at + rest.len())?;
        self.at += rest.len();
        (found == rest).then_some(())
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests;
