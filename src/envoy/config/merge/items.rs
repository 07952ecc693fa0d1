//! A block of a fragment: its items or keys, each with its lines.

use std::iter::once;
use std::ops::Range;

use super::super::text::unindented;
use crate::document::layout::{self, Part};

/// A block that was read.
pub(super) struct Items<'a> {
    lines: Vec<&'a str>,
    root: Part,
}

impl<'a> Items<'a> {
    /// Reads a block.
    pub(super) fn read(text: &'a str) -> Self {
        Self { lines: text.lines().collect(), root: layout::read(text).expect("a block is YAML") }
    }

    /// Returns each item of a block that is a list, with its lines, those of comments before it included.
    pub(super) fn items(&self) -> Vec<(&Part, String)> {
        self.of(&self.root)
    }

    /// Returns the same of a list inside of the block.
    pub(super) fn of<'b>(&self, list: &'b Part) -> Vec<(&'b Part, String)> {
        let begin = if std::ptr::eq(list, &self.root) { 0 } else { list.line };
        let begins = once(begin).chain(list.items().iter().map(|item| item.end));
        list.items().iter().zip(begins).map(|(item, begin)| (item, self.text(begin..item.end))).collect()
    }

    /// Returns each key of a block that is a map, with its value and its lines.
    pub(super) fn entries(&self) -> Vec<(&str, &Part, String)> {
        let entries = self.root.entries();
        let begins = once(0).chain(entries.iter().map(|(_, value)| value.end));
        entries
            .iter()
            .zip(begins)
            .map(|((key, value), begin)| (key.text().unwrap_or_default(), value, self.text(begin..value.end)))
            .collect()
    }

    fn text(&self, range: Range<usize>) -> String {
        unindented(&self.lines[range].join("\n"))
    }
}
