//! The error that serde gets for a value that could not be decoded.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use crate::document::words::shown;

/// Why a value could not be decoded.
#[derive(Debug)]
pub(super) enum Mistake {
    /// To be recorded by the nearest `At`, which knows the place.
    Unplaced(String),
    /// Recorded already.
    Reported,
}

impl Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unplaced(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Unsigned(number) => format!("the number `{number}`"),
            Unexpected::Signed(number) => format!("the number `{number}`"),
            Unexpected::Float(number) => format!("the number `{number}`"),
            Unexpected::Str(text) => shown(text),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a map".to_owned(),
            other => other.to_string(),
        };
        Self::Unplaced(format!("expected {expected}, found {found}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplaced(message) => f.write_str(message),
            Self::Reported => f.write_str("reported"),
        }
    }
}

impl std::error::Error for Mistake {}
