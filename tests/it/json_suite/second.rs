//! A second JSON parser (jiter), which shares no code with the one that the router uses.

use std::ops::Range;

use jiter::{Jiter, JiterError};

/// A top-level member: where its key stands, with its quotes, and where its value does.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The top-level members of an object. Lone surrogates must have been tamed: this parser takes none.
pub(super) fn members(text: &[u8]) -> Result<Vec<Member>, JiterError> {
    let mut parser = Jiter::new(text);
    let mut members = Vec::new();
    let mut key = parser.next_object_bytes()?.map(|key| place(text, key));
    while let Some(found) = key {
        parser.peek()?;
        let start = parser.current_index();
        parser.next_skip()?;
        members.push(Member { key: found, value: start..parser.current_index() });
        key = parser.next_key_bytes()?.map(|key| place(text, key));
    }
    parser.finish()?;
    Ok(members)
}

/// The string that stands in an object under the key `model`.
pub(super) fn model(text: &[u8]) -> Result<Option<String>, JiterError> {
    let mut parser = Jiter::new(text);
    let mut model = None;
    let mut key = parser.next_object()?.map(str::to_owned);
    while let Some(found) = key {
        if found == "model" {
            model = Some(parser.next_str()?.to_owned());
        } else {
            parser.next_skip()?;
        }
        key = parser.next_key()?.map(str::to_owned);
    }
    parser.finish()?;
    Ok(model)
}

fn place(text: &[u8], key: &[u8]) -> Range<usize> {
    let start = key.as_ptr() as usize - text.as_ptr() as usize;
    start - 1..start + key.len() + 1
}
