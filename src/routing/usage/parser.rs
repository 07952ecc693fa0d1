//! Parsers: how a response's decoded bytes are divided into elements.

use std::io::{self, Write};

use super::facts::Facts;
use super::frames::Frames;
use super::json::Scanner;
use crate::body::BYTE_ORDER_MARK;
use crate::routing::outcome::inspection::BodyFormat;

/// The longest beginning of a line that is looked at before its data.
const MAX_FIELD_BYTES: usize = 16;

/// The longest name of an event that is kept.
const MAX_EVENT_BYTES: usize = 48;

/// How many bytes may be decoded from one that was sent, beyond the first [`FREE_BYTES`].
const MAX_RATIO: u64 = 200;

/// Decoded bytes that any response may have.
const FREE_BYTES: u64 = 1 << 20;

/// A parser of a response, and what it has found.
#[derive(Debug)]
pub(super) struct Parser {
    pub(super) facts: Facts,
    /// Bytes that were sent, and those that they were decoded to.
    pub(super) sent: u64,
    decoded: u64,
    format: Format,
}

#[derive(Debug)]
enum Format {
    /// By the content type; the first byte may show that it is another one.
    Undecided(BodyFormat),
    Json(Scanner),
    Events(Events),
    Frames(Box<Frames>),
    /// Nothing in it can be read.
    Text,
}

/// Server-sent events. Source: HTML's "Server-sent events", section 9.2.6.
#[derive(Debug, Default)]
struct Events {
    scanner: Scanner,
    line: Line,
    field: Kept,
    name: String,
    /// Whether the line at hand has data already, so that another one belongs to it.
    has_data: bool,
    after_return: bool,
}

/// What has been read of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Its field's name.
    #[default]
    Field,
    /// The colon; a space may follow.
    Colon(Field),
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: [u8; MAX_FIELD_BYTES],
    length: usize,
}

impl Parser {
    pub(super) fn new(format: Option<BodyFormat>) -> Self {
        let format = format.map_or(Format::Text, Format::Undecided);
        Self { facts: Facts::default(), sent: 0, decoded: 0, format }
    }

    /// Returns whether anything can be read.
    pub(super) fn reads(&self) -> bool {
        !matches!(self.format, Format::Text)
    }

    /// Returns whether its decoded bytes were too many for those that were sent.
    pub(super) fn is_bomb(&self) -> bool {
        self.decoded > FREE_BYTES && self.decoded > self.sent.saturating_mul(MAX_RATIO)
    }

    /// Takes note that the response is over.
    pub(super) fn finish(&mut self) {
        match &mut self.format {
            Format::Json(scanner) => scanner.finish(&mut self.facts),
            Format::Events(events) => events.line_ends(&mut self.facts),
            Format::Undecided(_) | Format::Frames(_) | Format::Text => {}
        }
    }

    /// Returns whether it consists of events that say when it is over.
    pub(super) fn is_stream(&self) -> bool {
        matches!(
            self.format,
            Format::Events(_) | Format::Frames(_) | Format::Undecided(BodyFormat::Events | BodyFormat::Frames)
        )
    }

    /// Returns whether an element was begun and not finished.
    pub(super) fn is_open(&self) -> bool {
        match &self.format {
            Format::Json(scanner) => scanner.is_open(),
            Format::Events(events) => events.scanner.is_open(),
            Format::Frames(frames) => frames.is_open(),
            Format::Undecided(_) | Format::Text => false,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Format::Undecided(format) = self.format {
            let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !BYTE_ORDER_MARK.contains(byte))
            else {
                return;
            };
            self.format = decided(format, *first);
        }
        match &mut self.format {
            Format::Json(scanner) => scanner.push(bytes, &mut self.facts),
            Format::Events(events) => events.push(bytes, &mut self.facts),
            Format::Frames(frames) => frames.push(bytes, &mut self.facts),
            Format::Undecided(_) | Format::Text => {}
        }
    }
}

/// Returns the format by the first byte: some servers answer with a JSON text under a stream's type, or the other way
/// round.
fn decided(format: BodyFormat, first: u8) -> Format {
    match format {
        BodyFormat::Frames => Format::Frames(Box::default()),
        BodyFormat::Text => Format::Text,
        BodyFormat::Json | BodyFormat::Lines | BodyFormat::Events => match first {
            b'{' | b'[' => Format::Json(Scanner::default()),
            b':' | b'd' | b'e' | b'i' | b'r' => Format::Events(Events::default()),
            _ if format == BodyFormat::Events => Format::Events(Events::default()),
            _ => Format::Json(Scanner::default()),
        },
    }
}

impl Write for Parser {
    /// Takes decoded bytes.
    ///
    /// # Errors
    /// They are too many for those that were sent.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded += bytes.len() as u64;
        if self.is_bomb() {
            return Err(io::Error::other("too many bytes for those that were sent"));
        }
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Events {
    fn push(&mut self, mut bytes: &[u8], facts: &mut Facts) {
        while let Some(&first) = bytes.first() {
            // The second byte of a line's end.
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            self.part(&bytes[..end.unwrap_or(bytes.len())], facts);
            let Some(end) = end else { return };
            self.after_return = bytes[end] == b'\r';
            self.line_ends(facts);
            bytes = &bytes[end + 1..];
        }
    }

    /// Takes a part of a line.
    fn part(&mut self, mut part: &[u8], facts: &mut Facts) {
        if self.line == Line::Field {
            let colon = memchr::memchr(b':', part);
            self.field.push(&part[..colon.unwrap_or(part.len())]);
            let Some(colon) = colon else { return };
            part = &part[colon + 1..];
            self.line = Line::Colon(self.field.field());
        }
        if let Line::Colon(field) = self.line {
            let Some(first) = part.first() else { return };
            part = &part[usize::from(*first == b' ')..];
            self.line = Line::Value(field);
            self.begins(field, facts);
        }
        match self.line {
            Line::Value(Field::Data) => self.scanner.push(part, facts),
            Line::Value(Field::Event) => {
                let room = MAX_EVENT_BYTES.saturating_sub(self.name.len());
                self.name.push_str(&String::from_utf8_lossy(&part[..part.len().min(room)]));
            }
            Line::Value(Field::Other) | Line::Field | Line::Colon(_) => {}
        }
    }

    fn begins(&mut self, field: Field, facts: &mut Facts) {
        match field {
            Field::Data if self.has_data => self.scanner.push(b"\n", facts),
            Field::Data => {
                self.has_data = true;
                facts.event(&self.name);
            }
            Field::Event => self.name.clear(),
            Field::Other => {}
        }
    }

    fn line_ends(&mut self, facts: &mut Facts) {
        let is_blank = self.line == Line::Field && self.field.length == 0;
        (self.line, self.field.length) = (Line::Field, 0);
        if is_blank {
            self.scanner.finish(facts);
            if self.scanner.is_open() {
                self.scanner.reset();
            }
            facts.event_ends();
            self.has_data = false;
            self.name.clear();
        }
    }
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // A byte-order mark precedes the first field.
            if BYTE_ORDER_MARK.contains(byte) {
                continue;
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
            }
            self.length = self.length.saturating_add(1);
        }
    }

    fn field(&self) -> Field {
        match self.bytes.get(..self.length) {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            _ => Field::Other,
        }
    }
}
