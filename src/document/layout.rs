//! YAML as a tree in which every value knows its lines: for insertions into a text that keep everything else of it.
//! All of YAML is read, but only what is written as a block can be inserted into.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

/// The deepest nesting of lists and maps.
const DEPTH: usize = 100;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) content: Content,
    /// Its first line, from 0.
    pub(crate) line: usize,
    /// Its first character in that line, from 0.
    pub(crate) column: usize,
    /// The line after its last one.
    pub(crate) end: usize,
    /// Whether it is written in brackets or braces.
    pub(crate) is_flow: bool,
    /// Whether it has an anchor, or is an alias: what is changed here changes elsewhere.
    pub(crate) is_shared: bool,
}

/// The line after a value, and whether it is written in brackets or braces.
type End = (usize, bool);

/// The content of a value.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar(String),
    List(Vec<Part>),
    Map(Vec<(Part, Part)>),
}

/// Reads a text of one document.
///
/// # Errors
/// It is no YAML, or more than one document, as `LINE:COLUMN: PROBLEM`.
pub(crate) fn read(text: &str) -> Result<Part, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().collect();
    let mut reader = Reader { parser: Parser::new_from_str(text), lines, anchors: HashMap::new() };
    let mut root = None;
    loop {
        match reader.event()? {
            (Event::StreamEnd, _) => return root.ok_or_else(|| "1:1: the file is empty".to_owned()),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (_, span) if root.is_some() => return Err(problem_at(&span.start, "a second document starts here")),
            (event, span) => root = Some(reader.part(event, span, 0)?),
        }
    }
}

fn problem_at(at: &Marker, problem: &str) -> String {
    format!("{}:{}: {problem}", at.line(), at.col() + 1)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    lines: Vec<&'a str>,
    anchors: HashMap<usize, Part>,
}

impl<'a> Reader<'a> {
    fn event(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, Span::default())),
            Some(event) => event.map_err(|error| problem_at(error.marker(), error.info())),
        }
    }

    fn part(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Part, String> {
        if depth > DEPTH {
            return Err(problem_at(&span.start, "lists and maps are nested too deep"));
        }
        let (anchor, content, (end, is_flow)) = match event {
            Event::Alias(anchor) => {
                let part = self.anchors.get(&anchor).cloned();
                let part = part.ok_or_else(|| problem_at(&span.start, "an alias is inside of what it repeats"))?;
                let here = self.placed(part.content, &span.start, (self.end(&span), part.is_flow));
                return Ok(Part { is_shared: true, ..here });
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let end = if is_block { self.block_end(&span) } else { self.end(&span) };
                (anchor, Content::Scalar(text.into_owned()), (end, false))
            }
            Event::SequenceStart(anchor, _) => {
                let (items, end) = self.items(depth)?;
                (anchor, Content::List(items), end)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, end) = self.entries(depth)?;
                (anchor, Content::Map(entries), end)
            }
            _ => return Err(problem_at(&span.start, "the file ends in the middle of a value")),
        };
        let part = Part { is_shared: anchor > 0, ..self.placed(content, &span.start, (end, is_flow)) };
        if anchor > 0 {
            self.anchors.insert(anchor, part.clone());
        }
        Ok(part)
    }

    fn items(&mut self, depth: usize) -> Result<(Vec<Part>, End), String> {
        let mut items: Vec<Part> = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, span) => {
                    let end = items.last().map_or(0, |last| last.end);
                    return Ok((items, self.collection_end(&span, end)));
                }
                (event, span) => items.push(self.part(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<(Part, Part)>, End), String> {
        let mut entries: Vec<(Part, Part)> = Vec::new();
        loop {
            let key = match self.event()? {
                (Event::MappingEnd, span) => {
                    let end = entries.last().map_or(0, |(_, last)| last.end);
                    return Ok((entries, self.collection_end(&span, end)));
                }
                (event, span) => self.part(event, span, depth + 1)?,
            };
            let (event, span) = self.event()?;
            let mut value = self.part(event, span, depth + 1)?;
            if value.text() == Some("") && span.is_empty() {
                // The parser sees an absent value at the start of whatever comes next.
                (value.line, value.column, value.end) = (key.line, key.column, key.end);
            }
            entries.push((key, value));
        }
    }

    /// Returns the end of a list or map, and whether it is one of brackets: those have an end of their own.
    fn collection_end(&self, span: &Span, last: usize) -> End {
        let is_bracket = matches!(self.letter(span.start.line(), span.start.col()), Some(']' | '}'));
        if is_bracket && !span.is_empty() { (span.end.line(), true) } else { (last, false) }
    }

    fn placed(&self, content: Content, start: &Marker, (end, is_flow): End) -> Part {
        let (line, mut column) = (start.line().saturating_sub(1), start.col());
        if matches!(content, Content::List(_)) && !is_flow {
            // The parser sees a list in its key's column at its first value.
            let before = self.lines.get(line).map_or("", |line| line.get(..column).unwrap_or_default());
            column = if before.trim() == "-" { before.find('-').unwrap_or(column) } else { column };
        }
        Part { content, line, column, end: end.max(line + 1), is_flow, is_shared: false }
    }

    fn letter(&self, line: usize, column: usize) -> Option<char> {
        self.lines.get(line.checked_sub(1)?)?.chars().nth(column)
    }

    /// Returns the line after a scalar.
    fn end(&self, span: &Span) -> usize {
        let (first, last) = (span.start.line(), span.end.line());
        if span.end.col() == 0 && last > first { last - 1 } else { last }
    }

    /// Returns the line after a block of text (`|`, `>`): the parser gives its first line, and the next value's.
    fn block_end(&self, span: &Span) -> usize {
        let first = span.start.line().saturating_sub(1);
        let lines = self.lines.get(first..).unwrap_or_default();
        let is_empty = |line: &&str| line.trim().is_empty();
        let column = |line: &&str| line.len() - line.trim_start_matches(' ').len();
        let Some(margin) = lines.iter().find(|line| !is_empty(line)).map(column) else { return first };
        let within = lines.iter().take_while(|line| is_empty(line) || column(line) >= margin).count();
        let last = lines[..within].iter().rposition(|line| !is_empty(line));
        first + last.map_or(0, |last| last + 1)
    }
}

impl Part {
    /// Returns the text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Returns the elements of a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            Content::Scalar(_) | Content::Map(_) => &[],
        }
    }

    /// Returns the entries of a map.
    pub(crate) fn entries(&self) -> &[(Self, Self)] {
        match &self.content {
            Content::Map(entries) => entries,
            Content::Scalar(_) | Content::List(_) => &[],
        }
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(known, _)| known.text() == Some(key)).map(|(_, value)| value)
    }

    /// Returns whether both mean the same, wherever and however they are written.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Scalar(one), Content::Scalar(two)) => one == two,
            (Content::List(one), Content::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.is_same(two))
            }
            (Content::Map(one), Content::Map(two)) => {
                let is_in = |(key, value): &(Self, Self)| {
                    key.text().and_then(|key| other.get(key)).is_some_and(|known| known.is_same(value))
                };
                one.len() == two.len() && one.iter().all(is_in)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
