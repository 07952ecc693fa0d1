//! Problems: what is wrong with a policy, where, and what would be right.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::excerpt::{Excerpt, Explained};
use super::mask::Mask;

/// The most problems that are printed.
pub(crate) const PRINTED: usize = 100;
/// The most problems that are kept; the rest are only counted.
const KEPT: usize = 1000;

/// Something about a policy file that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The file, as its reader named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 for a problem of the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 for a problem of the file as a whole.
    pub column: usize,
    /// The mistake.
    pub message: String,
    /// The correction.
    pub help: Option<String>,
    pub(crate) excerpt: Option<Excerpt>,
}

/// Whether a policy file can be used in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can't.
    Error,
    /// It can.
    Warning,
}

/// All problems of one reading, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
}

/// A place in one of the policy's files; line and column from 1, both 0 for the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Counts the files of the report, from 0.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Collects the problems of one reading, and keeps the texts that they are shown with.
#[derive(Debug, Default)]
pub(crate) struct Report {
    files: Vec<File>,
    list: Vec<Found>,
    more: usize,
    errors: usize,
}

/// A file, or a directory, that problems are found in.
#[derive(Debug)]
struct File {
    name: Arc<str>,
    /// The directory to which its paths are relative.
    directory: PathBuf,
    mask: Mask,
    /// Whether it is where secrets belong: a Kubernetes manifest, say.
    holds_secrets: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    place: Place,
    severity: Severity,
    message: String,
    help: Option<String>,
}

impl Problems {
    /// Returns the problems in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Returns the problems with excerpts of the file, for people: coloured, to be printed by `anstream`.
    #[must_use]
    pub fn explained(&self) -> Explained<'_> {
        Explained(self)
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().take(PRINTED).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.count().saturating_sub(PRINTED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Error for Problems {}

impl Problem {
    /// `file:line:column`, or the file alone.
    pub(crate) fn place(&self) -> String {
        match self.line {
            0 => self.file.to_string(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place(), self.severity, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl Report {
    /// Adds a file; its number is for the places in it.
    pub(crate) fn add_file(&mut self, name: &str, directory: &Path, text: &str) -> usize {
        let mask = Mask::new(text);
        self.files.push(File { name: name.into(), directory: directory.to_owned(), mask, holds_secrets: false });
        self.files.len() - 1
    }

    /// An error; help may follow in the message, behind the first `; ` that is not part of a quoted value.
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        let is_outside = |at: &usize| message[..*at].matches('`').count() % 2 == 0;
        match message.match_indices("; ").map(|(at, _)| at).find(is_outside) {
            Some(at) => self.add(Severity::Error, place, message[..at].to_owned(), Some(message[at + 2..].to_owned())),
            None => self.add(Severity::Error, place, message, None),
        }
    }

    pub(crate) fn error_with(&mut self, place: Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Error, place, message.into(), help.into());
    }

    pub(crate) fn warning(&mut self, place: Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Warning, place, message.into(), help.into());
    }

    /// A text of the file that is never shown, wherever it appears.
    pub(crate) fn conceal(&mut self, place: Place, text: &str) {
        if let Some(file) = self.files.get_mut(place.file).filter(|_| !text.is_empty()) {
            file.mask.conceal(place.line, text);
        }
    }

    pub(crate) fn mask(&self, file: usize) -> &Mask {
        &self.files[file].mask
    }

    /// Keeps all lines of a file from being shown.
    pub(crate) fn withhold(&mut self, file: usize) {
        if let Some(file) = self.files.get_mut(file) {
            file.mask = Mask::new("");
        }
    }

    /// Says of a file that secrets belong in it.
    pub(crate) fn may_hold_secrets(&mut self, file: usize) {
        if let Some(file) = self.files.get_mut(file) {
            file.holds_secrets = true;
        }
    }

    /// Returns whether secrets belong where this place is.
    pub(crate) fn holds_secrets(&self, place: Place) -> bool {
        self.files.get(place.file).is_some_and(|file| file.holds_secrets)
    }

    /// `file:line` of a place, for a comment.
    pub(crate) fn origin(&self, place: Place) -> String {
        let name = self.files.get(place.file).map_or("", |file| &file.name);
        format!("{name}:{}", place.line)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns the directory to which the paths in a place's file are relative.
    pub(crate) fn directory(&self, place: Place) -> &Path {
        self.files.get(place.file).map_or(Path::new(""), |file| &file.directory)
    }

    /// Returns a place, for a message about another one: the file is named if it is another.
    pub(crate) fn locate(&self, place: Place, from: Place) -> String {
        let Place { file, line, column } = place;
        match self.files.get(file) {
            Some(other) if file != from.file => format!("{}:{line}:{column}", other.name),
            _ => format!("{line}:{column}"),
        }
    }

    pub(crate) fn into_problems(self) -> Problems {
        let Self { files, mut list, more, .. } = self;
        list.sort_by_key(|found| (found.place, found.severity));
        list.dedup(); // what an anchor holds is read once for each alias
        Problems { list: list.into_iter().map(|found| found.in_words(&files)).collect(), more }
    }

    fn add(&mut self, severity: Severity, place: Place, message: String, help: Option<String>) {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() == KEPT {
            self.more += 1;
            return;
        }
        self.list.push(Found { place, severity, message, help });
    }
}

impl Found {
    fn in_words(self, files: &[File]) -> Problem {
        let Self { place: Place { file, line, column }, severity, message, help } = self;
        let file = files.get(file);
        let excerpt = file.and_then(|file| Excerpt::of(&file.mask, line, column));
        let name = file.map_or_else(|| "".into(), |file| Arc::clone(&file.name));
        Problem { severity, file: name, line, column, message, help, excerpt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_file_and_not_without_end() {
        let mut report = Report::default();
        report.add_file("policy.yaml", Path::new(""), "");
        for line in (1..=KEPT + 5).rev() {
            report.error(Place { file: 0, line, column: 1 }, "wrong");
        }
        let text = report.into_problems().to_string();
        assert!(text.starts_with("policy.yaml:6:1: error: wrong\npolicy.yaml:7:1: "), "{text}");
        assert!(text.ends_with("\nand 905 more"), "{text}");
    }
}
