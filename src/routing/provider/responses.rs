//! What vendors' responses mean, as data: one table for each vendor, and each row with its source.

mod anthropic;
mod bedrock;
mod compatible;
mod gemini;
mod hosted;
mod mistral;
mod openai;
mod servers;

use crate::routing::outcome::error::ErrorFacts;

pub(super) use anthropic::ANTHROPIC;
pub(super) use bedrock::BEDROCK;
pub(super) use compatible::COMPATIBLE;
pub(super) use gemini::GEMINI;
pub(super) use mistral::MISTRAL;
pub(super) use openai::{AZURE, FOUNDRY, OPENAI};

/// The cause of an error, as far as a vendor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The endpoint: its credential, its account, its money.
    Endpoint,
    /// The target: there is no such model for this account, or it was retired.
    Target,
    /// The target's quota is used up.
    Quota,
    /// The target is overloaded or broken for now.
    Overloaded,
    /// The endpoint does not have the operation, or the model does not support it.
    Operation,
    /// The request is too long for the model.
    Length,
    /// A content filter refused the prompt or the response.
    Filter,
    /// The vendor does not serve the region that the request comes from.
    Region,
    /// The request itself.
    Request,
}

/// What is known of a vendor's responses.
#[derive(Debug, PartialEq, Eq)]
pub struct Responses {
    /// Known errors. The first that fits decides, so specific ones precede general ones.
    known: &'static [&'static [Known]],
    /// Error codes and types that stand for a status where a response has none: in a stream, or under a 200.
    without_status: &'static [(&'static str, Fault)],
    /// Names or types of events that a stream may begin with before its outcome is certain.
    pub openings: &'static [&'static str],
}

/// A known error.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    sign: Sign,
    fault: Fault,
    /// Where it is documented, or was seen.
    #[allow(dead_code)] // Read by people, and by the test that no row lacks it.
    source: &'static str,
}

/// How an error is recognised. Codes are compared exactly, messages by a part of them in lower case.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    /// One of its codes or types.
    Code(&'static str),
    /// A part of its message, for vendors without a code.
    Message(&'static str),
    /// Both.
    CodeAndMessage(&'static str, &'static str),
}

const fn code(code: &'static str, fault: Fault, source: &'static str) -> Known {
    Known { sign: Sign::Code(code), fault, source }
}

const fn says(message: &'static str, fault: Fault, source: &'static str) -> Known {
    Known { sign: Sign::Message(message), fault, source }
}

const fn both(code: &'static str, message: &'static str, fault: Fault, source: &'static str) -> Known {
    Known { sign: Sign::CodeAndMessage(code, message), fault, source }
}

impl Known {
    fn fits(&self, facts: &ErrorFacts) -> bool {
        let has = |code: &str| facts.codes.iter().any(|known| known == code);
        let message = if self.fault.is_the_requests() { &facts.message } else { &facts.own_words };
        match self.sign {
            Sign::Code(code) => has(code),
            Sign::Message(part) => message.contains(part),
            Sign::CodeAndMessage(code, part) => has(code) && message.contains(part),
        }
    }
}

impl Fault {
    /// Returns whether nothing is suspended for it. Then the client's own words in a message can do no harm.
    fn is_the_requests(self) -> bool {
        matches!(self, Self::Length | Self::Filter | Self::Region | Self::Request)
    }
}

impl Responses {
    /// Returns the cause of an error, if it is known.
    #[must_use]
    pub fn fault(&self, facts: &ErrorFacts) -> Option<Fault> {
        self.rows().find(|known| known.fits(facts)).map(|known| known.fault)
    }

    /// Returns the cause of an error that has no status, by the code or type that stands for one.
    #[must_use]
    pub fn fault_without_status(&self, facts: &ErrorFacts) -> Option<Fault> {
        let named = |code: &String| self.without_status.iter().find(|(known, _)| known == code);
        facts.codes.iter().find_map(named).map(|&(_, fault)| fault)
    }

    /// Returns whether some row recognises this cause: an option that acts on it cannot work otherwise.
    #[must_use]
    pub fn recognises(&self, fault: Fault) -> bool {
        self.rows().any(|known| known.fault == fault)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Known> {
        self.known.iter().flat_map(|group| group.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Responses; 8] = [&OPENAI, &AZURE, &FOUNDRY, &MISTRAL, &ANTHROPIC, &GEMINI, &BEDROCK, &COMPATIBLE];

    #[test]
    fn every_row_has_a_source_and_can_be_reached() {
        for row in ALL.iter().flat_map(|table| table.rows()) {
            assert!(row.source.len() > 5, "{row:?}");
            let part = match row.sign {
                Sign::Code(_) => "x",
                Sign::Message(part) | Sign::CodeAndMessage(_, part) => part,
            };
            assert!(!part.is_empty() && part == part.to_lowercase(), "messages are compared in lower case: {row:?}");
        }
        for table in [&OPENAI, &MISTRAL, &ANTHROPIC, &GEMINI, &BEDROCK] {
            for (index, row) in table.rows().enumerate() {
                let Sign::Code(own) = row.sign else { continue };
                let earlier = table.rows().take(index).find(|earlier| earlier.sign == Sign::Code(own));
                assert!(earlier.is_none(), "{own} is in the table twice");
            }
        }
    }

    #[test]
    fn every_vendor_names_a_request_that_is_too_long() {
        for table in ALL {
            assert!(table.recognises(Fault::Length), "{table:?}");
        }
    }
}
