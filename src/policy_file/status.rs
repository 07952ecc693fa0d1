//! The status of a policy's files: when the live policy was applied, and which change was refused since.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

/// The status that a reload writes and operators read.
#[derive(Debug)]
pub struct PolicyStatus {
    name: String,
    status: Mutex<Status>,
}

/// When the live policy was applied, and what was refused since.
#[derive(Clone, Debug)]
pub struct Status {
    /// When the live policy was applied.
    pub applied_at: SystemTime,
    /// The change in the files that is not live, if there is one.
    pub refused: Option<Refused>,
    /// The number of changes refused since the start.
    pub refusals: u64,
}

/// A change that was not applied.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When it was seen.
    pub at: SystemTime,
    /// Its problems, one a line.
    pub report: String,
}

impl PolicyStatus {
    /// Creates the status of a policy that is applied now.
    #[must_use]
    pub fn new(paths: &[PathBuf], applied_at: SystemTime) -> Self {
        let status = Mutex::new(Status { applied_at, refused: None, refusals: 0 });
        Self { name: super::files::names(paths), status }
    }

    /// Returns the policy's files and directories as they were given, separated by colons.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the status at this moment.
    #[must_use]
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Records that the policy was replaced.
    pub(crate) fn applied(&self, at: SystemTime) {
        self.lock().applied_at = at;
    }

    /// Records that the files are the live policy again.
    pub(crate) fn accepted(&self) {
        self.lock().refused = None;
    }

    /// Records a refused change; returns whether it is a new one.
    pub(crate) fn refuse(&self, at: SystemTime, report: &str) -> bool {
        let mut status = self.lock();
        if status.refused.as_ref().is_some_and(|refused| refused.report == report) {
            return false;
        }
        status.refusals += 1;
        status.refused = Some(Refused { at, report: report.to_owned() });
        true
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().expect("no panic while the status is held")
    }
}
