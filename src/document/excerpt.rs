//! Excerpts: the line of a problem with a mark under the place, for people.

use std::fmt;

use anstyle::{AnsiColor, Style};

use super::mask::Mask;
use super::problem::{PRINTED, Problem, Problems, Severity};

/// The most characters of a line that are shown.
const WIDTH: usize = 120;
/// The number of characters shown before the place when the line's start is left out.
const BEFORE: usize = 40;
const CUT: char = '…';

/// A line of a policy file without its secrets, and the part of it that a problem is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    text: String,
    /// In characters.
    start: usize,
    length: usize,
}

/// Problems with excerpts, coloured; `anstream` takes the colour out where none is wanted.
#[derive(Debug)]
pub struct Explained<'a>(pub(super) &'a Problems);

impl Excerpt {
    /// Creates the excerpt of a place; `None` if it means the whole file or its line may not be shown.
    pub(crate) fn of(mask: &Mask, line: usize, column: usize) -> Option<Self> {
        let (text, start) = mask.shown(line, column)?;
        if text.trim().is_empty() {
            return None;
        }
        let letters: Vec<char> = text.chars().map(printable).collect();
        let (letters, start) = around(&letters, start);
        let length = length(&letters[start.min(letters.len())..]);
        Some(Self { text: letters.into_iter().collect(), start, length })
    }
}

/// As much of the line as is shown, and the place in it.
fn around(letters: &[char], start: usize) -> (Vec<char>, usize) {
    let from = if letters.len() <= WIDTH || start < WIDTH - BEFORE { 0 } else { start - BEFORE };
    let until = (from + WIDTH).min(letters.len());
    let mut shown = letters[from.min(until)..until].to_vec();
    if from > 0 {
        shown.insert(0, CUT);
    }
    if until < letters.len() {
        shown.push(CUT);
    }
    (shown, start - from + usize::from(from > 0))
}

/// Returns the length of the word that starts here: a quoted text ends at its quote, a plain one where YAML ends it.
fn length(rest: &[char]) -> usize {
    let end = match rest.first() {
        Some(quote @ ('"' | '\'')) => rest.iter().skip(1).position(|letter| letter == quote).map(|end| end + 2),
        Some('{' | '[' | '|' | '>') | None => Some(1),
        Some(_) => {
            let colon = |index: usize| rest[index] == ':' && rest.get(index + 1).is_none_or(|next| *next == ' ');
            (0..rest.len()).find(|&index| " ,]}#".contains(rest[index]) || colon(index))
        }
    };
    end.unwrap_or(rest.len()).max(1)
}

/// Replaces control characters, on which a terminal would act, and tabs, which have no fixed width.
fn printable(letter: char) -> char {
    match letter {
        '\t' => ' ',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(PRINTED).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            explain(problem, f)?;
        }
        match self.0.count().saturating_sub(PRINTED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

fn explain(problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let colour = match problem.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    let mark = bold.fg_color(Some(colour.into()));
    let place = problem.place();
    let Problem { severity, message, help, .. } = problem;
    write!(f, "{bold}{place}{bold:#}: {mark}{severity}{mark:#}: {bold}{message}{bold:#}")?;
    if let Some(help) = help {
        write!(f, "; {help}")?;
    }
    let Some(Excerpt { text, start, length }) = &problem.excerpt else { return Ok(()) };
    let line = problem.line.to_string();
    let (margin, indent, carets) = (" ".repeat(line.len()), " ".repeat(*start), "^".repeat(*length));
    write!(f, "\n  {dim}{line} |{dim:#} {text}\n  {dim}{margin} |{dim:#} {indent}{mark}{carets}{mark:#}")
}

#[cfg(test)]
mod tests;
