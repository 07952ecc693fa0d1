//! Scanning a body at memory speed: one pass, no document, no allocation but the list of members.
//!
//! What it finds is what serde_json finds. Whatever it is not made for (a key with escapes, a second `model`, a mistake
//! anywhere) it leaves to that parser, which accepts or says what is wrong: so nothing depends on its verdict but speed.
//! `cargo bench --bench leaves -- read` has both side by side.

mod block;

use std::borrow::Cow;
use std::ops::Range;

use super::MAX_DEPTH;
use super::members::{MAX_MEMBERS, Member};
use block::Block;

/// Longer arrays are left to a parser that remembers none of their elements.
const MAX_ELEMENTS: usize = 4_096;

/// The members of an object that is the whole text and nests no deeper than allowed; `None` where another parser must
/// judge.
pub(super) fn members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut scan = Scan::of(text);
    let all = scan.object()?;
    scan.skip_whitespace();
    (scan.at == text.len()).then_some(())?;
    // JSON is UTF-8; what is ASCII is that already.
    (scan.is_ascii || std::str::from_utf8(text).is_ok()).then_some(all)
}

/// One step into a value, where the scan can take it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// To this value.
    Found(&'a str),
    /// There is none.
    Nowhere,
    /// Another parser must judge.
    Unsure,
}

/// The last member of this name in an object.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Step<'a> {
    match members(object.as_bytes()) {
        Some(all) => match all.into_iter().rev().find(|member| member.key == name) {
            Some(member) => Step::Found(&object[member.value_range]),
            None => Step::Nowhere,
        },
        None => Step::Unsure,
    }
}

/// The element of an array at an index, or so far from its end, 1 being the last.
pub(crate) fn element(array: &str, index: usize, from_end: bool) -> Step<'_> {
    let mut scan = Scan::of(array.as_bytes());
    match scan.elements() {
        Some(all) => {
            let index = if from_end { all.len().checked_sub(index) } else { Some(index) };
            match index.and_then(|index| all.get(index)) {
                Some(range) => Step::Found(&array[range.clone()]),
                None => Step::Nowhere,
            }
        }
        None => Step::Unsure,
    }
}

#[derive(Debug)]
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether what was looked at of the text is ASCII.
    is_ascii: bool,
    /// The block that was looked at last, and its number.
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
        self.take(b'{')?;
        self.skip_whitespace();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(all);
        }
        loop {
            let member = self.member()?;
            let is_model = member.key.eq_ignore_ascii_case("model");
            let odd = is_model && (has_model || member.key != "model");
            (!odd && all.len() < MAX_MEMBERS).then_some(())?;
            has_model |= is_model;
            all.push(member);
            self.skip_whitespace();
            match self.next()? {
                b',' => self.skip_whitespace(),
                b'}' => return Some(all),
                _ => return None,
            }
        }
    }

    /// Where the elements of an array stand that is the whole text.
    fn elements(&mut self) -> Option<Vec<Range<usize>>> {
        let mut all = Vec::with_capacity(16);
        self.skip_whitespace();
        self.take(b'[')?;
        self.skip_whitespace();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                let start = self.at;
                self.value()?;
                (all.len() < MAX_ELEMENTS).then_some(())?;
                all.push(start..self.at);
                self.skip_whitespace();
                match self.next()? {
                    b',' => self.skip_whitespace(),
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.skip_whitespace();
        (self.at == self.text.len()).then_some(all)
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let key_range = self.key()?;
        let key = std::str::from_utf8(&self.text[key_range.start + 1..key_range.end - 1]).ok()?;
        self.skip_whitespace();
        self.take(b':')?;
        self.skip_whitespace();
        let start = self.at;
        self.value()?;
        Some(Member { key: Cow::Borrowed(key), key_range, value_range: start..self.at })
    }

    /// A key without escapes, with its quotes.
    fn key(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.take(b'"')?;
        self.string()?;
        let range = start..self.at;
        (!self.text[range.clone()].contains(&b'\\')).then_some(range)
    }

    /// Any value. Objects and arrays that are open stand in the bits of `open`, 1 for an object, so that nothing has to be
    /// remembered elsewhere.
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

    /// A key of an object inside, with the colon and up to its value.
    fn inner_key(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.string()?;
        self.skip_whitespace();
        self.take(b':')?;
        self.skip_whitespace();
        Some(())
    }

    /// The rest of a string, its first quote taken. Each block of the text is looked at once.
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

    /// What is no plain character of a string: true at its end.
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
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Vec<(&str, &str)>> {
        let all = members(text.as_bytes())?;
        let pair = |member: Member<'_>| (&text[member.key_range], &text[member.value_range]);
        Some(all.into_iter().map(pair).collect())
    }

    #[test]
    fn members_are_found_with_their_places() {
        assert_eq!(
            found(r#" {"a" : [1, {"b": "}"}, "\"]"] , "c":-1.5e+3} "#),
            Some(vec![(r#""a""#, r#"[1, {"b": "}"}, "\"]"]"#), (r#""c""#, "-1.5e+3")])
        );
        assert_eq!(found("{}"), Some(vec![]));
        assert_eq!(found(r#"{"a":{}, "b":[], "c":null}"#).map(|all| all.len()), Some(3));
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_stands_in_a_word() {
        for length in 0..40 {
            for escapes in ["", r#"\""#, r"\\", r"\u00e9"] {
                let value = format!("\"{}{escapes}{}\"", "x".repeat(length), "y".repeat(length / 2));
                let text = format!("{{\"a\":{value},\"b\":1}}");
                assert_eq!(found(&text), Some(vec![("\"a\"", value.as_str()), ("\"b\"", "1")]), "{text}");
            }
        }
    }

    #[test]
    fn steps_lead_into_values() {
        use Step::{Found, Nowhere, Unsure};
        let object = r#" { "a" : 1, "b":[ {"c":"é"} , [2] ], "a": "last" } "#;
        assert_eq!(member(object, "a"), Found(r#""last""#));
        assert_eq!(
            (member(object, "x"), member("[1]", "a"), member(r#"{"\u0061":1}"#, "a")),
            (Nowhere, Unsure, Unsure)
        );
        let Found(array) = member(object, "b") else { panic!("an array") };
        assert_eq!((element(array, 0, false), element(array, 1, true)), (Found(r#"{"c":"é"}"#), Found("[2]")));
        assert_eq!(
            (element(array, 2, false), element(array, 3, true), element("[]", 1, true)),
            (Nowhere, Nowhere, Nowhere)
        );
        assert_eq!((element("{}", 0, false), element("[1,]", 0, false)), (Unsure, Unsure));
    }

    #[test]
    fn what_it_is_not_made_for_is_left_to_the_parser() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":tru}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"\t\"}",
            r#"{"a":[1}}"#,
            r#"{"a":1} x"#,
            r#"{"m\u006fdel":1}"#,
            r#"{"model":1,"model":2}"#,
            r#"{"Model":1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":-}"#,
            r#"{"a":"unended"#,
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert!(members(b"{\"a\":\"\xff\"}").is_none(), "no UTF-8");
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(found(&nested(MAX_DEPTH - 1)).is_some() && found(&nested(MAX_DEPTH)).is_none());
    }
}
