//! A target whose provider did not know the model, as a request of one operation found out. Some vendors say the same
//! of a model that only lacks the operation: one client must not keep a chat model from everybody by asking it to speak.

use std::sync::{Arc, Mutex, MutexGuard};

/// The operation that a suspension concerns, if it concerns only one.
#[derive(Debug, Default)]
pub(super) struct OnlyFor(Mutex<Option<Arc<str>>>);

impl OnlyFor {
    /// Narrows the suspension that has just begun to this operation.
    pub(super) fn narrow(&self, operation: &str) {
        *self.lock() = Some(operation.into());
    }

    /// Widens it to all operations.
    pub(super) fn widen(&self) {
        *self.lock() = None;
    }

    /// Returns whether it concerns another operation, and not this one.
    pub(super) fn is_another(&self, operation: &str) -> bool {
        self.lock().as_ref().is_some_and(|only| **only != *operation)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.0.lock().expect("no panic while an operation is held")
    }
}
