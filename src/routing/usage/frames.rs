//! Amazon's binary event streams. Source: the `application/vnd.amazon.eventstream` encoding of Smithy.

use super::facts::Facts;
use super::json::{Scalar, Scanner, Visit};

/// Length of the message and of its headers, and a checksum of both.
const PRELUDE_BYTES: usize = 12;

/// The checksum behind a message.
const CHECKSUM_BYTES: usize = 4;

/// The longest headers that are read; those of longer ones are skipped.
const MAX_HEADER_BYTES: usize = 512;

/// The longest message that there is. Source: the encoding's limits of headers (128 KiB) and payload (16 MiB).
const MAX_MESSAGE_BYTES: usize = (16 << 20) + (128 << 10) + PRELUDE_BYTES + CHECKSUM_BYTES;

/// The messages of a stream.
#[derive(Debug, Default)]
pub(super) struct Frames {
    part: Part,
    /// The prelude, then the headers.
    kept: Vec<u8>,
    scanner: Scanner,
    inner: Inner,
}

/// What the next byte belongs to, and how many there are of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Prelude,
    Headers {
        left: usize,
        payload: usize,
    },
    Payload(usize),
    Checksum(usize),
    /// The lengths make no sense: nothing more is read.
    Broken,
}

/// A vendor's own JSON, which the payload has in Base64 where a model is invoked in its own form.
#[derive(Debug, Default)]
struct Inner {
    scanner: Scanner,
    is_bytes: bool,
    bits: u32,
    sextets: u8,
}

impl Frames {
    /// Returns whether a message was begun and not finished.
    pub(super) fn is_open(&self) -> bool {
        self.part != Part::Prelude || !self.kept.is_empty()
    }

    /// Reads the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], facts: &mut Facts) {
        while !bytes.is_empty() {
            let taken = match self.part {
                Part::Prelude => self.prelude(bytes),
                Part::Headers { left, payload } => self.headers(bytes, left, payload, facts),
                Part::Payload(left) => self.payload(bytes, left, facts),
                Part::Checksum(left) => {
                    let taken = bytes.len().min(left);
                    self.part = if taken == left { Part::Prelude } else { Part::Checksum(left - taken) };
                    taken
                }
                Part::Broken => return,
            };
            bytes = &bytes[taken..];
        }
    }

    fn prelude(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(PRELUDE_BYTES - self.kept.len());
        self.kept.extend_from_slice(&bytes[..taken]);
        if self.kept.len() == PRELUDE_BYTES {
            let number = |at: usize| self.kept[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let (all, headers) = (number(0), number(4));
            let payload = all.checked_sub(headers + PRELUDE_BYTES + CHECKSUM_BYTES);
            self.part = match payload.filter(|_| all <= MAX_MESSAGE_BYTES) {
                None => Part::Broken,
                Some(payload) if headers == 0 => Part::Payload(payload),
                Some(payload) => Part::Headers { left: headers, payload },
            };
            self.kept.clear();
        }
        taken
    }

    fn headers(&mut self, bytes: &[u8], left: usize, payload: usize, facts: &mut Facts) -> usize {
        let taken = bytes.len().min(left);
        let room = MAX_HEADER_BYTES.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..taken.min(room)]);
        self.part = Part::Headers { left: left - taken, payload };
        if taken == left {
            named(&self.kept, facts);
            self.kept.clear();
            self.part = Part::Payload(payload);
            if payload == 0 {
                self.end(facts);
            }
        }
        taken
    }

    fn payload(&mut self, bytes: &[u8], left: usize, facts: &mut Facts) -> usize {
        let taken = bytes.len().min(left);
        self.scanner.push(&bytes[..taken], &mut Payload { facts, inner: &mut self.inner });
        self.part = Part::Payload(left - taken);
        if taken == left {
            self.end(facts);
        }
        taken
    }

    fn end(&mut self, facts: &mut Facts) {
        self.scanner.reset();
        self.inner = Inner::default();
        facts.event_ends();
        self.part = Part::Checksum(CHECKSUM_BYTES);
    }
}

/// Takes an exception's name from a message's headers: names and values with their lengths; texts are of type 7.
fn named(mut headers: &[u8], facts: &mut Facts) {
    while let Some((name, rest)) = sized(headers, 1) {
        let Some((7, rest)) = rest.split_first() else { return };
        let Some((value, rest)) = sized(rest, 2) else { return };
        if matches!(name, b":exception-type" | b":error-code") {
            facts.exception(&String::from_utf8_lossy(value));
        }
        headers = rest;
    }
}

/// Splits off bytes whose length is before them, in so many bytes.
fn sized(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    rest.split_at_checked(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// A payload: JSON that states something itself, or has the vendor's own in Base64.
struct Payload<'p> {
    facts: &'p mut Facts,
    inner: &'p mut Inner,
}

impl Visit for Payload<'_> {
    fn path(&mut self, path: &str) {
        self.inner.is_bytes = path == "bytes";
        self.facts.path(path);
    }

    fn piece(&mut self, piece: &[u8]) {
        if self.inner.is_bytes {
            self.inner.push(piece, self.facts);
        } else {
            self.facts.piece(piece);
        }
    }

    fn value(&mut self, value: Scalar<'_>) {
        if !self.inner.is_bytes {
            self.facts.value(value);
        }
    }

    fn element(&mut self) {
        self.facts.element();
    }
}

impl Inner {
    /// Decodes Base64 as it arrives, and reads what comes out.
    fn push(&mut self, base64: &[u8], facts: &mut Facts) {
        let mut decoded = [0; 192];
        let mut length = 0;
        for byte in base64 {
            let Some(sextet) = sextet(*byte) else { continue };
            (self.bits, self.sextets) = (self.bits << 6 | sextet, self.sextets + 1);
            // After the second, third and fourth sextet one more byte is complete.
            if self.sextets > 1 {
                let spare = 2 * (4 - u32::from(self.sextets));
                decoded[length] = (self.bits >> spare).to_be_bytes()[3];
                length += 1;
            }
            if self.sextets == 4 {
                (self.bits, self.sextets) = (0, 0);
            }
            if length == decoded.len() {
                self.scanner.push(&decoded, facts);
                length = 0;
            }
        }
        self.scanner.push(&decoded[..length], facts);
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
