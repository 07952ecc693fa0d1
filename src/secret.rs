//! A secret: a value that is never printed.

use std::fmt;

/// A value that must never be printed: `Debug` shows a mask and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Returns the value itself, for the one place that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The placeholder of a secret that is not looked up.
const ASSUMED: &str = "assumed";

impl Secret {
    /// Creates the placeholder of a secret that is assumed to exist.
    #[must_use]
    pub fn assumed() -> Self {
        Self(ASSUMED.to_owned())
    }

    /// Returns whether this is the placeholder of a secret that was not looked up.
    #[must_use]
    pub fn is_assumed(&self) -> bool {
        self.0 == ASSUMED
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
