//! Facts: what the elements of a response stated so far.

use super::json::{Scalar, Visit};
use super::rows::{Count, ENDS, FAILURES, GOES_ON, Member};

/// The most codes of an error that are kept.
const MAX_CODES: usize = 4;

/// The longest name that is kept: of a model, or of an error's code.
const MAX_NAME_CHARS: usize = 128;

/// What was stated.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The last value of each count.
    pub(super) counts: Counts,
    /// The model that answered, by the vendor's name.
    pub(super) model: Option<Box<str>>,
    /// Whether the model had stopped.
    pub(super) has_stopped: bool,
    /// Whether the stream said that it is over.
    pub(super) is_over: bool,
    /// The error that ended it.
    pub(super) error: Option<Box<StatedError>>,
    /// Bytes of what the model said.
    pub(super) text_bytes: u64,
    /// Of the element that is being read: what was cut off says nothing.
    staged: Staged,
    member: Option<Member>,
    is_escaped: bool,
}

/// Counts by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([Option<u64>; Count::KINDS]);

/// An error in a response that began well.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StatedError {
    pub(super) codes: Vec<String>,
    pub(super) message: String,
}

#[derive(Debug, Default)]
struct Staged {
    counts: Counts,
    has_stopped: bool,
    is_over: bool,
    /// Whether something other than an error's text says that it is one.
    is_failure: bool,
    error: Option<Box<StatedError>>,
}

impl Counts {
    pub(super) fn get(&self, count: Count) -> Option<u64> {
        self.0[count as usize]
    }

    pub(super) fn set(&mut self, count: Count, value: u64) {
        self.0[count as usize] = Some(value);
    }

    /// Takes those that others have instead.
    fn replace(&mut self, others: &Self) {
        for (own, other) in self.0.iter_mut().zip(others.0) {
            *own = other.or(*own);
        }
    }
}

impl Facts {
    /// Takes the name of the event whose data follows.
    pub(super) fn event(&mut self, name: &str) {
        self.staged.is_failure |= name == "error";
        self.staged.is_over |= ENDS.contains(&name);
    }

    /// Takes the name of an exception, which is what the element at hand is.
    pub(super) fn exception(&mut self, name: &str) {
        self.staged.is_failure = true;
        self.code(name);
    }

    /// An event is over. What its data stated counts only if they were complete; its name does in any case.
    pub(super) fn event_ends(&mut self) {
        let Staged { is_over, is_failure, .. } = std::mem::take(&mut self.staged);
        if is_over || is_failure {
            self.staged = Staged { is_over, is_failure, ..Staged::default() };
            self.element();
        }
    }

    fn code(&mut self, code: &str) {
        let error = self.staged.error.get_or_insert_default();
        if error.codes.len() < MAX_CODES && !code.is_empty() {
            error.codes.push(code.chars().take(MAX_NAME_CHARS).collect());
        }
    }

    fn reason(&mut self, reason: &str) {
        if FAILURES.contains(&reason) {
            self.staged.is_failure = true;
            self.code(reason);
        }
        self.staged.has_stopped |= !GOES_ON.contains(&reason);
    }

    fn text(&mut self, text: &str) {
        match self.member.unwrap_or(Member::Other) {
            Member::Model if self.model.is_none() && !text.is_empty() => {
                self.model = Some(text.chars().take(MAX_NAME_CHARS).collect());
            }
            Member::Reason => self.reason(text),
            Member::Type => self.event(text),
            Member::ErrorCode => self.code(text),
            Member::ErrorMessage if !text.is_empty() => {
                self.staged.error.get_or_insert_default().message = text.to_lowercase();
            }
            _ => {}
        }
    }

    fn word(&mut self, word: &str) {
        match self.member.unwrap_or(Member::Other) {
            Member::Count(count) => {
                if let Some(value) = number(word) {
                    self.staged.counts.set(count, value);
                }
            }
            Member::ErrorCode if word != "null" => self.code(word),
            // `data: [DONE]`
            Member::Other if word == "DONE" => self.staged.is_over = true,
            _ => {}
        }
    }
}

/// The largest count that is believed: more than any model takes, and small enough to be added up for ever.
const MAX_COUNT: u64 = 1 << 40;

/// Reads a count; one that is not whole, negative or absurd is none.
fn number(word: &str) -> Option<u64> {
    let count = word.parse().ok().or_else(|| {
        let number: f64 = word.parse().ok()?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked beside it.
        ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
    });
    count.filter(|count| *count <= MAX_COUNT)
}

impl Visit for Facts {
    fn path(&mut self, path: &str) {
        self.member = Some(Member::at(path));
    }

    fn piece(&mut self, piece: &[u8]) {
        if self.member != Some(Member::Text) {
            return;
        }
        let mut length = piece.len() as u64;
        if std::mem::take(&mut self.is_escaped) {
            // `\n` is one byte; `\u00e9` is two or three, and six here.
            length = length.saturating_sub(if piece.first() == Some(&b'u') { 4 } else { 1 });
        }
        self.is_escaped = piece.ends_with(b"\\");
        self.text_bytes += length;
    }

    fn value(&mut self, value: Scalar<'_>) {
        self.is_escaped = false;
        match value {
            Scalar::Text(text) => self.text(text),
            Scalar::Word(word) => self.word(word),
        }
    }

    fn element(&mut self) {
        let Staged { counts, has_stopped, is_over, is_failure, error } = std::mem::take(&mut self.staged);
        self.counts.replace(&counts);
        self.has_stopped |= has_stopped;
        self.is_over |= is_over;
        let has_error = is_failure || error.as_ref().is_some_and(|error| !error.message.is_empty());
        if self.error.is_none() && has_error {
            self.error = Some(error.unwrap_or_default());
        }
    }
}
