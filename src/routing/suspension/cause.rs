//! The cause of a failure, kept so that an operator sees why something is suspended.

use std::sync::Mutex;
use std::time::SystemTime;

/// The response, or the lack of one, that counted as a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// When it was seen.
    pub at: SystemTime,
    /// The response's status; 0 if there was no response.
    pub status: u16,
    /// The vendor's own code for it, or else ours: `rate_limit_exceeded`, `refused`, `stalled`.
    pub code: Box<str>,
}

/// The last cause. Written at failures only.
#[derive(Debug, Default)]
pub(super) struct LastCause(Mutex<Option<Cause>>);

impl LastCause {
    pub(super) fn set(&self, cause: Cause) {
        *self.0.lock().expect("no panic while a cause is held") = Some(cause);
    }

    pub(super) fn get(&self) -> Option<Cause> {
        self.0.lock().expect("no panic while a cause is held").clone()
    }
}
