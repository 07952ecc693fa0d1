//! A multipart form: its parts, and the position of the model's value.

use std::ops::Range;

use memchr::memmem;

use super::BodyError;
use super::pieces::Edited;

/// A longer boundary is none. Source: RFC 2046, 5.1.1.
const MAX_BOUNDARY: usize = 70;
/// More parts than this are refused: a request has some dozens at most.
const MAX_PARTS: usize = 1_024;
/// Longer headers of a part are refused.
const MAX_HEADERS_BYTES: usize = 8 << 10;

/// A form that has been read.
#[derive(Debug)]
pub(super) struct Form<'a> {
    pub(super) text: &'a [u8],
    boundary: &'a str,
    /// The position of the first delimiter.
    first: usize,
    /// The range of the model's value.
    model: Option<Range<usize>>,
    /// Whether a part `stream` says so.
    pub(super) streamed: bool,
}

/// Returns the boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Result<&str, BodyError> {
    let found = parameter(content_type, "boundary").map_err(|()| wrong("its content type cannot be read"))?;
    let boundary = found.ok_or_else(|| wrong("its content type names no boundary"))?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=MAX_BOUNDARY).contains(&boundary.len()) && !boundary.ends_with(' ');
    if !fits || !boundary.bytes().all(legal) {
        return Err(wrong("its boundary is not one: 1 to 70 letters, digits and few other characters"));
    }
    Ok(boundary)
}

fn wrong(what: &str) -> BodyError {
    BodyError(format!("the multipart body cannot be used: {what}"))
}

impl<'a> Form<'a> {
    /// Reads a form. What servers read in different ways is refused: what was chosen must be what is served.
    pub(super) fn parse(text: &'a [u8], boundary: &'a str) -> Result<Self, BodyError> {
        let delimiters = delimiters(text, boundary)?;
        let Some(first) = delimiters.first() else { return Err(wrong("its boundary is not in it")) };
        if delimiters.last().is_none_or(|last| !last.closes) {
            return Err(wrong("it is cut off: its last boundary is missing"));
        }
        let mut form = Self { text, boundary, first: first.start, model: None, streamed: false };
        for pair in delimiters.windows(2) {
            let part = Part::parse(text, pair[0].end..pair[1].before)?;
            form.take(&part)?;
        }
        Ok(form)
    }

    fn take(&mut self, part: &Part<'_>) -> Result<(), BodyError> {
        match part.name {
            "model" if self.model.is_some() => return Err(wrong("`model` is there twice; send it once")),
            "model" if part.is_file => return Err(wrong("its `model` is a file; send the name alone")),
            "model" if part.is_encoded => return Err(wrong("its `model` is encoded; send it as it is")),
            "model" => self.model = Some(part.value.clone()),
            "stream" => self.streamed = &self.text[part.value.clone()] == b"true",
            name if name.eq_ignore_ascii_case("model") => {
                return Err(wrong("a name differs from `model` only in case; send `model`"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the model asked for, if it is there and is text.
    pub(super) fn model(&self) -> Option<String> {
        let value = self.text.get(self.model.clone()?)?;
        std::str::from_utf8(value).ok().map(str::to_owned)
    }

    /// Returns the same form with this model; where it has none, one is added if that is wanted.
    pub(super) fn with_model(&self, model: &str, added: bool) -> Edited<'a> {
        let (range, before, after) = match &self.model {
            Some(range) => (range.clone(), String::new(), ""),
            None if added => {
                let part = format!("--{}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n", self.boundary);
                (self.first..self.first, part, "\r\n")
            }
            None => return Edited::unchanged(self.text),
        };
        let mut edited = Edited::of(self.text);
        edited.keep(0..range.start);
        edited.write([&before, model, after].concat().as_bytes());
        edited.keep(range.end..self.text.len());
        edited
    }
}

/// A line that divides parts.
struct Delimiter {
    /// The end of the part before it.
    before: usize,
    start: usize,
    /// The start of the part after it.
    end: usize,
    /// Whether it is the last.
    closes: bool,
}

/// Returns all of them up to the last. A line that some servers take for one and others do not is refused.
fn delimiters(text: &[u8], boundary: &str) -> Result<Vec<Delimiter>, BodyError> {
    let dashed = format!("--{boundary}");
    let mut found = Vec::new();
    for start in memmem::find_iter(text, &dashed) {
        let before = match &text[..start] {
            [] => start,
            [.., b'\r', b'\n'] => start - 2,
            [.., b'\n'] => return Err(wrong("a boundary follows a bare line feed; lines end in CR LF")),
            _ => continue,
        };
        let rest = &text[start + dashed.len()..];
        let padding = |from: usize| rest[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let closes = rest.starts_with(b"--");
        let line = if closes { 2 + padding(2) } else { padding(0) };
        let ends = rest[line..].starts_with(b"\r\n");
        if !(ends || closes && rest.len() == line) {
            return Err(wrong("something else follows a boundary on its line"));
        }
        let end = start + dashed.len() + line + if ends { 2 } else { 0 };
        found.push(Delimiter { before, start, end, closes });
        if closes {
            break;
        }
        if found.len() > MAX_PARTS {
            return Err(wrong("it has more than 1024 parts"));
        }
    }
    Ok(found)
}

/// One part of a form.
struct Part<'a> {
    name: &'a str,
    value: Range<usize>,
    is_file: bool,
    is_encoded: bool,
}

impl<'a> Part<'a> {
    fn parse(text: &'a [u8], range: Range<usize>) -> Result<Self, BodyError> {
        let part = text.get(range.clone()).ok_or_else(|| wrong("a part of it has no headers"))?;
        let block = &part[..part.len().min(MAX_HEADERS_BYTES)];
        let end = memmem::find(block, b"\r\n\r\n").ok_or_else(|| wrong("the headers of a part do not end"))?;
        let headers = std::str::from_utf8(&part[..end]).map_err(|_| wrong("the headers of a part are not text"))?;
        let mut disposition = None;
        let mut is_encoded = false;
        for line in headers.split("\r\n") {
            if line.contains(['\r', '\n']) || line.starts_with([' ', '\t']) {
                return Err(wrong("the headers of a part are not one to a line"));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header of a part has no `:`"))?;
            if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
                return Err(wrong("a part has two content dispositions"));
            }
            is_encoded |= name.eq_ignore_ascii_case("content-transfer-encoding") && !is_plain(value);
        }
        let disposition = disposition.ok_or_else(|| wrong("a part has no content disposition"))?;
        let get = |name| parameter(disposition, name).map_err(|()| wrong("the name of a part cannot be read"));
        if get("name*")?.is_some() {
            return Err(wrong("the name of a part is encoded; send it as it is"));
        }
        let name = get("name")?.ok_or_else(|| wrong("a part has no name"))?;
        let is_file = get("filename")?.is_some() || get("filename*")?.is_some();
        Ok(Self { name, value: range.start + end + 4..range.end, is_file, is_encoded })
    }
}

fn is_plain(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"].iter().any(|plain| encoding.trim().eq_ignore_ascii_case(plain))
}

/// Returns a parameter of a header's value, without its quotes; an error for one that is there twice, for an open quote
/// and for a name with an escape.
fn parameter<'v>(value: &'v str, wanted: &str) -> Result<Option<&'v str>, ()> {
    let (mut found, mut rest) = (None, value.split_once(';').map_or("", |(_, rest)| rest));
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=').ok_or(())?;
        let after = after.trim_start();
        let (content, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_at(end_of_quote(quoted).ok_or(())?),
            None => {
                let (content, next) = after.split_at(after.find(';').unwrap_or(after.len()));
                (content.trim_end(), next)
            }
        };
        let is_wanted = name.trim().eq_ignore_ascii_case(wanted);
        if is_wanted && (content.contains('\\') || found.replace(content).is_some()) {
            return Err(());
        }
        let next = next.strip_prefix('"').unwrap_or(next).trim_start();
        rest = match next.strip_prefix(';') {
            Some(rest) => rest,
            None if next.is_empty() => next,
            None => return Err(()),
        };
    }
    Ok(found)
}

/// Returns the position of the quote that is not escaped.
fn end_of_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests;
