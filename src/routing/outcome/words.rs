//! A vendor's own words in an error's message, told from those of the client that it repeats. What suspends is looked
//! for in the former only: otherwise a client could have a key suspended for everybody by asking for it.

/// Words of messages about a part of the request that is wrong, in lower case. Vendors repeat that part in them, often
/// without quotes: nothing in such a message is believed to be the vendor's. Sources: pydantic (Anthropic, vLLM,
/// Mistral, LiteLLM), OpenAI, Amazon Bedrock, Gemini, serde (TGI), Go's `encoding/json` (Ollama), JSON Schema.
const REPEATING: [&str; 28] = [
    "extra inputs are not permitted",
    "field required",
    "input should be",
    "validation error for",
    "validation errors for",
    "validation error detected",
    "malformed input request",
    "unrecognized request argument",
    "unrecognized field",
    "unknown parameter",
    "unknown field",
    "unknown name ",
    "unknown variant",
    "missing field",
    "unsupported parameter",
    "unsupported value",
    "invalid value",
    "invalid type",
    "additional properties",
    "unexpected keyword",
    "unexpected value",
    "unexpected property",
    "cannot unmarshal",
    "failed to deserialize",
    "failed to parse",
    "under any of the given schemas",
    "is not one of",
    "is not of type",
];

/// Returns the vendor's own words of a message in lower case: without its quotations, and none if it is about a part
/// of the request.
pub(super) fn own(message: &str) -> String {
    if REPEATING.iter().any(|words| message.contains(words)) {
        return String::new();
    }
    without_quotations(message)
}

/// Returns a text without its quotations. An apostrophe within a word begins none, a quote behind a backslash ends
/// none, and an open one ends with the text.
fn without_quotations(text: &str) -> String {
    let (mut own, mut open, mut before) = (String::with_capacity(text.len()), None, ' ');
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match open {
            Some(_) if character == '\\' => {
                characters.next();
            }
            Some(quote) if character == quote => open = None,
            Some(_) => {}
            None if !before.is_alphanumeric() => match closing(character) {
                Some(quote) => open = Some(quote),
                None => own.push(character),
            },
            None => own.push(character),
        }
        before = character;
    }
    own
}

/// Returns the character that ends what this one begins.
fn closing(quote: char) -> Option<char> {
    match quote {
        '\'' | '"' | '`' => Some(quote),
        '“' | '„' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_quotes_is_not_its_own() {
        for (message, expected) in [
            ("your credit balance is too low", "your credit balance is too low"),
            ("no parameter: 'credit balance is too low'.", "no parameter: ."),
            (r"no parameter: 'it\'s credit balance is too low'.", "no parameter: ."),
            ("no parameter: “credit balance is too low”.", "no parameter: ."),
            ("you don't have any credits, isn't it", "you don't have any credits, isn't it"),
            ("the model `one` does not exist", "the model  does not exist"),
            ("got \"a 'b\" and c", "got  and c"),
            ("an open 'one", "an open "),
            (r"an open 'one\", "an open "),
            ("credit balance is too low: extra inputs are not permitted", ""),
            ("malformed input request: extraneous key [access to the model] is not permitted", ""),
        ] {
            assert_eq!(own(message), expected, "{message}");
        }
    }

    #[test]
    fn what_is_compared_is_in_lower_case() {
        assert!(REPEATING.iter().all(|words| *words == words.to_lowercase()));
    }
}
