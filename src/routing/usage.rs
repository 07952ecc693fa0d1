//! Usage: the tokens that a response states, read as it passes, and what they cost.

mod facts;
mod frames;
mod json;
mod parser;
mod prices;
mod reader;
mod rows;

use std::fmt;

pub use prices::{Cost, Price, Prices};
pub use reader::{Reader, Unread};

/// Bytes of text that are taken for one token where a response states none.
const BYTES_PER_TOKEN: u64 = 4;

/// The tokens of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the request, those from a cache included.
    pub input: u64,
    /// The part of the input that the provider read from a cache.
    pub cached_input: u64,
    /// The part of the input that the provider wrote to a cache.
    pub cache_write: u64,
    /// Of the response, reasoning included.
    pub output: u64,
    /// The part of the output that is reasoning.
    pub reasoning: u64,
    /// The part of the input that is audio.
    pub audio_input: u64,
    /// The part of the output that is audio.
    pub audio_output: u64,
}

impl Tokens {
    /// Returns each count with the name of its kind.
    #[must_use]
    pub fn by_kind(&self) -> [(&'static str, u64); 7] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("output", self.output),
            ("reasoning", self.reasoning),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
        ]
    }

    /// Estimates the tokens of texts of these lengths in bytes.
    #[must_use]
    pub fn estimated(input_bytes: u64, output_bytes: u64) -> Self {
        let tokens = |bytes: u64| bytes.div_ceil(BYTES_PER_TOKEN);
        Self { input: tokens(input_bytes), output: tokens(output_bytes), ..Self::default() }
    }
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        for (own, other) in [
            (&mut self.input, other.input),
            (&mut self.cached_input, other.cached_input),
            (&mut self.cache_write, other.cache_write),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_input, other.audio_input),
            (&mut self.audio_output, other.audio_output),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

/// How the tokens of a response are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// The response stated them.
    Reported,
    /// It ended without; they are estimated by the bytes of the request and of what the model said.
    Estimated,
    /// It was cut off before it stated them: those that it had stated, and an estimate of the rest.
    Incomplete,
    /// Nothing in it could be read.
    Unread,
}

impl Known {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Reported, Self::Estimated, Self::Incomplete, Self::Unread];

    /// Returns the name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
            Self::Incomplete => "incomplete",
            Self::Unread => "unread",
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The usage of one response.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// How its tokens are known.
    pub known: Known,
    /// Its tokens.
    pub tokens: Tokens,
    /// The model that answered, by the vendor's own name.
    pub model: Option<Box<str>>,
    /// Why nothing could be read.
    pub unread: Option<Unread>,
}

#[cfg(test)]
mod tests;
