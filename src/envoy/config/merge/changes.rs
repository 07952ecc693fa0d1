//! Insertions into a text, and what they change as a unified diff.

use std::cmp::Reverse;
use std::fmt::Write;

use super::super::text::indented;
use super::at;
use crate::document::layout::Part;

/// Lines that a diff shows around what was inserted.
const CONTEXT: usize = 3;

/// A text, and what is to be inserted.
pub(super) struct Changes<'a> {
    lines: Vec<&'a str>,
    insertions: Vec<Insertion>,
    line_end: &'static str,
}

struct Insertion {
    /// The line before which it goes, from 0.
    line: usize,
    column: usize,
    /// Whether it is a key: it goes after an item in the same column, which belongs to the key before it.
    is_key: bool,
    lines: Vec<String>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { lines: text.lines().collect(), insertions: Vec::new(), line_end }
    }

    /// Adds a key at the end of a map.
    pub(super) fn end_of(&mut self, map: &Part, text: &str) {
        self.insert(map.end, map.column, true, text);
    }

    /// Adds an item at the end of a list that is not empty.
    pub(super) fn end_of_list(&mut self, list: &Part, text: &str) -> Result<(), String> {
        let last = list.items().last().expect("the list is not empty");
        let column = self.dash(last)?;
        self.insert(last.end, column, false, text);
        Ok(())
    }

    /// Adds an item before another one, and before the comments that speak of that.
    pub(super) fn before(&mut self, item: &Part, text: &str) -> Result<(), String> {
        let column = self.dash(item)?;
        let is_its = |line: &&str| line.trim_start().starts_with('#') && line.find('#') == Some(column);
        let comments = self.lines[..item.line].iter().rev().take_while(|line| is_its(line)).count();
        self.insert(item.line - comments, column, false, text);
        Ok(())
    }

    /// Returns the column of an item's dash.
    fn dash(&self, item: &Part) -> Result<usize, String> {
        let before: String = self.lines[item.line].chars().take(item.column).collect();
        match before.trim() {
            "-" => Ok(before.find('-').unwrap_or_default()),
            _ => Err(at(item, "this item does not begin with a dash in its own line")),
        }
    }

    fn insert(&mut self, line: usize, column: usize, is_key: bool, text: &str) {
        let lines = indented(text, column).lines().map(str::to_owned).collect();
        self.insertions.push(Insertion { line, column, is_key, lines });
    }

    /// Returns the new text and the diff.
    pub(super) fn apply(mut self) -> (String, String) {
        // What is deeper ends first.
        self.insertions.sort_by_key(|it| (it.line, Reverse(it.column), it.is_key));
        let mut text = String::new();
        let mut insertions = self.insertions.iter().peekable();
        for at in 0..=self.lines.len() {
            while let Some(insertion) = insertions.next_if(|insertion| insertion.line <= at) {
                insertion.lines.iter().for_each(|line| text += &format!("{line}{}", self.line_end));
            }
            if let Some(line) = self.lines.get(at) {
                text += &format!("{line}{}", self.line_end);
            }
        }
        (text, self.diff())
    }

    fn diff(&self) -> String {
        let (mut diff, mut added, mut rest) = (String::new(), 0, &*self.insertions);
        while let Some(first) = rest.first() {
            let near = |pair: &[Insertion]| pair[1].line - pair[0].line <= 2 * CONTEXT;
            let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
            let (hunk, others) = rest.split_at(count);
            let begin = first.line.saturating_sub(CONTEXT);
            let end = (hunk[count - 1].line + CONTEXT).min(self.lines.len());
            let new: usize = hunk.iter().map(|insertion| insertion.lines.len()).sum();
            let (old, new) = (end - begin, end - begin + new);
            // Writing to a string does not fail.
            let _ = writeln!(diff, "@@ -{},{old} +{},{new} @@", begin + 1, begin + 1 + added);
            self.hunk(&mut diff, begin..end, hunk);
            (added, rest) = (added + new - old, others);
        }
        diff
    }

    fn hunk(&self, diff: &mut String, range: std::ops::Range<usize>, insertions: &[Insertion]) {
        let (end, mut at) = (range.end, range.start);
        for insertion in insertions {
            self.lines[at..insertion.line].iter().for_each(|line| *diff += &format!(" {line}\n"));
            insertion.lines.iter().for_each(|line| *diff += &format!("+{line}\n"));
            at = insertion.line;
        }
        self.lines[at..end].iter().for_each(|line| *diff += &format!(" {line}\n"));
    }
}
