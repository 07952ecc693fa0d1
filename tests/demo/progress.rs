//! Progress on standard error: a line that moves on a terminal, one plain line for each thing otherwise.

use std::io::{IsTerminal, Write, stderr};

/// Back to the first column, and the line made empty.
const CLEAR: &str = "\r\x1b[K";
const BAR: usize = 30;

/// Where progress is shown.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: stderr().is_terminal() }
    }

    /// Something begins.
    pub(crate) fn begin(self, what: &str) {
        if self.terminal {
            self.line(what);
        } else {
            let _ = writeln!(stderr(), "   ... {what}");
        }
    }

    /// So much of it is done.
    pub(crate) fn done(self, what: &str, done: usize, total: usize, failed: usize) {
        let filled = BAR * done / total.max(1);
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled));
        self.line(&format!("[{bar}] {done}/{total}  {failed} failed  {what}"));
    }

    /// What it is at, on a terminal only.
    pub(crate) fn line(self, text: &str) {
        if self.terminal {
            let _ = write!(stderr(), "{CLEAR}   {text}");
            let _ = stderr().flush();
        }
    }

    /// It is over: the line makes room for the result.
    pub(crate) fn end(self) {
        if self.terminal {
            let _ = write!(stderr(), "{CLEAR}");
            let _ = stderr().flush();
        }
    }
}
