//! Readers: the usage of one response, from its bytes as they arrive.

use std::time::Duration;

use super::facts::Facts;
use super::parser::Parser;
use super::rows::{Count, HEADERS};
use super::{Known, Tokens, Usage};
use crate::body::coding::{Coding, Stopped, StreamDecoder};
use crate::routing::outcome::error::ErrorFacts;
use crate::routing::outcome::inspection::BodyFormat;

/// The code of a stream that ended without its last event.
const TRUNCATED: &str = "truncated_stream";

/// The code of a stream that was given up because nothing more came.
const STALLED: &str = "stalled_stream";

/// The silence after which it is not the client's impatience.
const STALL: Duration = Duration::from_secs(60);

/// Envoy takes so much of a response though its client reads nothing, so it is not the client that held it up. Source:
/// `per_connection_buffer_limit_bytes` of the shipped files.
const MAX_UNREAD_BYTES: u64 = 64 << 10;

/// Why nothing can be read in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unread {
    /// Its content type is none that is known.
    Format,
    /// It is compressed in a way that is not known, or is damaged.
    Coding,
    /// There was no memory left for it.
    OverCapacity,
    /// It would be decoded to far more than was sent.
    Bomb,
}

impl Unread {
    /// Returns the name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Coding => "coding",
            Self::OverCapacity => "over_capacity",
            Self::Bomb => "bomb",
        }
    }
}

/// A reader of one response. It holds less than 4 KiB, and what the decoder of a compressed response needs.
#[derive(Debug)]
pub struct Reader {
    decoder: StreamDecoder<Parser>,
    unread: Option<Unread>,
}

impl Reader {
    /// Creates a reader of a response with this format and coding; `None` for those that are not known.
    #[must_use]
    pub fn new(format: Option<BodyFormat>, coding: Option<Coding>) -> Self {
        let parser = Parser::new(format);
        let unread = match coding {
            None => Some(Unread::Coding),
            Some(_) if !parser.reads() => Some(Unread::Format),
            Some(_) => None,
        };
        Self { decoder: StreamDecoder::new(coding.unwrap_or_default(), parser), unread }
    }

    /// Returns a reader that reads nothing, for this reason.
    #[must_use]
    pub fn unread(why: Unread) -> Self {
        Self { unread: Some(why), ..Self::new(None, Some(Coding::Identity)) }
    }

    /// Returns whether it needs no more bytes.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.unread.is_some()
    }

    /// Takes a response header, if it states usage.
    pub fn header(&mut self, name: &str, value: &str) {
        let row = HEADERS.iter().find(|(header, _)| *header == name);
        if let Some((count, value)) = row.and_then(|(_, count)| Some((*count, value.trim().parse().ok()?))) {
            self.decoder.get_mut().facts.counts.set(count, value);
        }
    }

    /// Reads the next bytes. `allows` is asked once for the memory of a compressed response, in bytes.
    pub fn push(&mut self, bytes: &[u8], allows: impl FnOnce(usize) -> bool) {
        if self.unread.is_some() || bytes.is_empty() {
            return;
        }
        self.decoder.get_mut().sent += bytes.len() as u64;
        let pushed = self.decoder.push(bytes, allows);
        self.stop(pushed);
    }

    /// Returns the error that the response stated, if it did.
    pub fn error(&mut self) -> Option<ErrorFacts> {
        let error = self.decoder.get_mut().facts.error.as_ref()?;
        Some(ErrorFacts::stated(&error.codes, &error.message))
    }

    /// Returns what is wrong with a stream whose bytes are over, where that is the provider's fault: it ended in good
    /// order without its last event, or it was given up after it had been silent for so long.
    #[must_use]
    pub fn fault(&mut self, has_ended: bool, silent_for: Duration) -> Option<&'static str> {
        let parser = self.decoder.get_mut();
        let facts = &parser.facts;
        // Where nothing was said that is known, the end would not be known either.
        if self.unread.is_some() || !parser.is_stream() || facts.text_bytes == 0 || facts.has_stopped || facts.is_over {
            return None;
        }
        match has_ended {
            true => Some(TRUNCATED),
            false => (silent_for >= STALL && parser.sent < MAX_UNREAD_BYTES).then_some(STALLED),
        }
    }

    /// Returns the usage; `has_ended` says whether the response came to its end, and `input_bytes` how long the
    /// request's body was, if that is known.
    #[must_use]
    pub fn usage(mut self, has_ended: bool, input_bytes: Option<u64>) -> Usage {
        if has_ended && self.unread.is_none() {
            let finished = self.decoder.finish();
            self.stop(finished);
        }
        let unread = self.unread;
        let parser = self.decoder.get_mut();
        if has_ended && unread.is_none() {
            parser.finish();
        }
        let (is_closed, is_stream) = (has_ended && !parser.is_open(), parser.is_stream());
        let Facts { counts, model, has_stopped, is_over, text_bytes, .. } = std::mem::take(&mut parser.facts);
        let stated = stated(&counts);
        // A stream that just ends may have been cut off between two events.
        let is_whole = is_closed && (!is_stream || has_stopped || is_over || stated.is_whole);
        let is_final = is_whole || has_stopped || is_over;
        let known = match unread {
            _ if stated.is_whole && is_final => Known::Reported,
            Some(_) => Known::Unread,
            None if is_whole || is_over => Known::Estimated,
            None => Known::Incomplete,
        };
        let tokens = match known {
            Known::Reported => stated.tokens,
            Known::Unread => Tokens::default(),
            Known::Estimated | Known::Incomplete => stated.or(Tokens::estimated(input_bytes.unwrap_or(0), text_bytes)),
        };
        Usage { known, tokens, model, unread: unread.filter(|_| known == Known::Unread) }
    }

    fn stop(&mut self, result: Result<(), Stopped>) {
        self.unread = match result {
            Ok(()) => return,
            Err(Stopped::NoMemory) => Some(Unread::OverCapacity),
            Err(Stopped::Broken) if self.decoder.get_mut().is_bomb() => Some(Unread::Bomb),
            Err(Stopped::Broken) => Some(Unread::Coding),
        };
    }
}

/// Tokens by the counts that were stated.
struct Stated {
    tokens: Tokens,
    /// Whether the input was stated.
    has_input: bool,
    /// Whether the response stated what it used, so that nothing is to be estimated.
    is_whole: bool,
}

impl Stated {
    /// Replaces what was not stated by an estimate. The output that a stream states before its end is that of its
    /// start.
    fn or(self, estimated: Tokens) -> Tokens {
        let input = if self.has_input { self.tokens.input } else { estimated.input };
        Tokens { input, output: self.tokens.output.max(estimated.output), ..self.tokens }
    }
}

fn stated(counts: &super::facts::Counts) -> Stated {
    let get = |count| counts.get(count).unwrap_or(0);
    let sum = |parts: &[u64]| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    let has_input = [Count::Input, Count::UncachedInput].into_iter().any(|count| counts.get(count).is_some());
    let input = counts.get(Count::Input).map_or_else(
        || sum(&[get(Count::UncachedInput), get(Count::CacheRead), get(Count::CacheWrite)]),
        |input| input.saturating_add(get(Count::ToolInput)),
    );
    let reasoning = get(Count::Reasoning);
    let output = match counts.get(Count::Output) {
        // Some vendors count reasoning apart, which only the total shows.
        Some(output) if reasoning > 0 && counts.get(Count::Total) == Some(sum(&[input, output, reasoning])) => {
            sum(&[output, reasoning])
        }
        Some(output) => output,
        None => sum(&[get(Count::VisibleOutput), reasoning]),
    };
    let has_output =
        [Count::Output, Count::VisibleOutput, Count::Reasoning].into_iter().any(|it| counts.get(it).is_some());
    let cached_input = get(Count::CachedInput).max(get(Count::CacheRead));
    Stated {
        tokens: Tokens {
            input,
            cached_input,
            cache_write: get(Count::CacheWrite),
            output,
            reasoning,
            audio_input: get(Count::AudioInput),
            audio_output: get(Count::AudioOutput),
        },
        has_input,
        // An embedding has no output, and its total says that nothing is missing.
        is_whole: has_input && (has_output || counts.get(Count::Total).is_some()),
    }
}
