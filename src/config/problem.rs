//! Problems: what is wrong with a policy file, where, and what would be right.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// How many problems are printed.
const PRINTED: usize = 100;
/// How many problems are kept; the rest is only counted.
const KEPT: usize = 1000;

/// Something about a policy file that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The file, as it was named by who had it read.
    pub file: Arc<str>,
    /// The line, from 1; 0 for a problem of the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 for a problem of the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
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

/// A place in the policy file, both from 1; the default stands for the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Collects the problems of one reading.
#[derive(Debug)]
pub(super) struct Report {
    file: Arc<str>,
    list: Vec<Problem>,
    more: usize,
    errors: usize,
}

impl Problems {
    /// The problems in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are.
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)?;
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
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into(), list: Vec::new(), more: 0, errors: 0 }
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Error, place, message.into(), None);
    }

    pub(super) fn error_with(&mut self, place: Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Error, place, message.into(), help.into());
    }

    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Warning, place, message.into(), help.into());
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn into_problems(self) -> Problems {
        let Self { mut list, more, .. } = self;
        list.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
        list.dedup(); // what an anchor holds is read once for each alias
        Problems { list, more }
    }

    fn add(&mut self, severity: Severity, place: Place, message: String, help: Option<String>) {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() == KEPT {
            self.more += 1;
            return;
        }
        let Place { line, column } = place;
        self.list.push(Problem { severity, file: Arc::clone(&self.file), line, column, message, help });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_file_and_not_without_end() {
        let mut report = Report::new("policy.yaml");
        for line in (1..=KEPT + 5).rev() {
            report.error(Place { line, column: 1 }, "wrong");
        }
        let text = report.into_problems().to_string();
        assert!(text.starts_with("policy.yaml:6:1: error: wrong\npolicy.yaml:7:1: "), "{text}");
        assert!(text.ends_with("\nand 905 more"), "{text}");
    }
}
