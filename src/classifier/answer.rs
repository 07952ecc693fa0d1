//! A classifier's answer, parsed tolerantly: the result is a declared rule or none.

use serde_json::Value;

use super::prompt::NONE;

/// A longer text does not count as an answer.
const MAX_SENTENCE_CHARS: usize = 1_000;

/// The outcome of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParsedAnswer {
    /// The rule of this index.
    Rule(usize),
    /// That no rule fits.
    None,
    /// Neither, or more than one.
    Nothing,
}

/// Two names are the same if their folded forms are: case and separators do not count.
#[must_use]
pub fn fold(text: &str) -> String {
    let separator = |character: char| character.is_whitespace() || matches!(character, '_' | '-');
    let words: Vec<_> = text.split(separator).filter(|word| !word.is_empty()).map(caseless).collect();
    words.join(" ")
}

/// Folds through upper case, so that `ß` and `SS` are the same.
fn caseless(word: &str) -> String {
    word.to_uppercase().to_lowercase()
}

/// Reads an answer: a name in any case, perhaps in quotes, in markdown, in JSON, or in a sentence that has one name.
pub(super) fn read(text: &str, names: &[Box<str>]) -> ParsedAnswer {
    // Some models think aloud first.
    let text = text.rsplit_once("</think>").map_or(text, |(_, answer)| answer).trim();
    let names: Vec<_> = names.iter().map(|name| fold(name)).collect();
    if let ParsedAnswer::Rule(rule) = exact(text, &names) {
        return ParsedAnswer::Rule(rule);
    }
    let Some(leaves) = json_leaves(text) else {
        return only(text, &names);
    };
    let said: Vec<_> =
        leaves.iter().map(|leaf| exact(leaf, &names)).filter(|said| *said != ParsedAnswer::Nothing).collect();
    match said[..] {
        [] => only(&leaves.join("\n"), &names),
        [first, ref others @ ..] if others.iter().all(|other| *other == first) => first,
        _ => ParsedAnswer::Nothing,
    }
}

/// Parses an answer that is a name or `NONE`, apart from quotes and punctuation around it.
fn exact(text: &str, names: &[String]) -> ParsedAnswer {
    let dressing = |character: char| character.is_whitespace() || is_wrapping(character);
    let bare = text.trim_matches(|character: char| !character.is_alphanumeric());
    let shapes = [text, text.trim_matches(dressing), bare].map(fold);
    match shapes.iter().find_map(|shape| names.iter().position(|name| name == shape)) {
        Some(rule) => ParsedAnswer::Rule(rule),
        None if bare.eq_ignore_ascii_case(NONE) => ParsedAnswer::None,
        None => ParsedAnswer::Nothing,
    }
}

/// Around a name, and hardly ever the beginning or end of one.
fn is_wrapping(character: char) -> bool {
    matches!(character, '"' | '\'' | '`' | '*' | '.' | ',' | ':' | ';' | '“' | '”' | '‘' | '’' | '«' | '»')
}

/// Returns the texts of a JSON document, in a fence or not; `None` if it is none.
fn json_leaves(text: &str) -> Option<Vec<String>> {
    let unfenced = text.strip_prefix("```").and_then(|inside| inside.rsplit_once("```"));
    let text = unfenced.map_or(text, |(inside, _)| inside.strip_prefix("json").unwrap_or(inside)).trim();
    let mut leaves = Vec::new();
    collect(serde_json::from_str(text).ok()?, &mut leaves);
    Some(leaves)
}

/// No deeper than serde_json goes.
fn collect(value: Value, leaves: &mut Vec<String>) {
    match value {
        Value::String(text) => leaves.push(text),
        Value::Array(values) => values.into_iter().for_each(|value| collect(value, leaves)),
        Value::Object(members) => members.into_iter().for_each(|(_, value)| collect(value, leaves)),
        _ => {}
    }
}

/// Returns the only name in a sentence. A name within a longer one is not there itself.
fn only(text: &str, names: &[String]) -> ParsedAnswer {
    if text.chars().nth(MAX_SENTENCE_CHARS).is_some() {
        return ParsedAnswer::Nothing;
    }
    let mut text = fold(text);
    let mut longest_first: Vec<_> = names.iter().enumerate().collect();
    longest_first.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    let mut found = Vec::new();
    for (rule, name) in longest_first {
        if take_out(&mut text, name) {
            found.push(rule);
        }
    }
    match (&found[..], take_out(&mut text, &fold(NONE))) {
        ([rule], false) => ParsedAnswer::Rule(*rule),
        ([], true) => ParsedAnswer::None,
        _ => ParsedAnswer::Nothing,
    }
}

/// Replaces a name that stands alone with something that is no part of a name. Returns whether it was there.
fn take_out(text: &mut String, name: &str) -> bool {
    let (mut from, mut found) = (0, false);
    while let Some(at) = text[from..].find(name).map(|at| from + at) {
        let end = at + name.len();
        let joined = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(char::is_alphanumeric) && outer.is_some_and(char::is_alphanumeric)
        };
        let is_separate = !joined(name.chars().next(), text[..at].chars().next_back())
            && !joined(name.chars().next_back(), text[end..].chars().next());
        if is_separate {
            text.replace_range(at..end, "\0");
            found = true;
            from = at + 1;
        } else {
            from = at + text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Vec<Box<str>> {
        ["Coding", "Coding help", "Writing", "C++", "C", "Ärzte & Pflege", "a_b"].map(Into::into).into()
    }

    #[test]
    fn an_answer_is_read_whatever_it_is_dressed_in() {
        let long = format!("Coding {}", "word ".repeat(300));
        for (text, said) in [
            ("Coding", ParsedAnswer::Rule(0)),
            ("coding.", ParsedAnswer::Rule(0)),
            ("\"CODING\"", ParsedAnswer::Rule(0)),
            ("**Coding**", ParsedAnswer::Rule(0)),
            (" `coding`\n", ParsedAnswer::Rule(0)),
            ("coding_help", ParsedAnswer::Rule(1)),
            ("The answer is Coding-Help!", ParsedAnswer::Rule(1)),
            ("c++", ParsedAnswer::Rule(3)),
            ("C", ParsedAnswer::Rule(4)),
            ("**C++**.", ParsedAnswer::Rule(3)),
            ("ÄRZTE & PFLEGE", ParsedAnswer::Rule(5)),
            ("A-B", ParsedAnswer::Rule(6)),
            ("The rule is: Coding.", ParsedAnswer::Rule(0)),
            ("Coding. Yes, Coding.", ParsedAnswer::Rule(0)),
            (r#"{"rule":"Coding"}"#, ParsedAnswer::Rule(0)),
            ("```json\n{\"rule\": \"writing\"}\n```", ParsedAnswer::Rule(2)),
            (r#"{"rule":"Coding","why":"it is not Writing"}"#, ParsedAnswer::Rule(0)),
            (r#"["Coding"]"#, ParsedAnswer::Rule(0)),
            (r#"{"answer":{"category":"The rule Coding fits"}}"#, ParsedAnswer::Rule(0)),
            ("<think>Writing? No.</think>Coding", ParsedAnswer::Rule(0)),
            ("NONE", ParsedAnswer::None),
            ("none.", ParsedAnswer::None),
            (r#"{"rule":"NONE"}"#, ParsedAnswer::None),
            ("None of them fits.", ParsedAnswer::None),
            ("Coding or Writing", ParsedAnswer::Nothing),
            ("none, perhaps Coding", ParsedAnswer::Nothing),
            (r#"{"rule":"Coding","second":"Writing"}"#, ParsedAnswer::Nothing),
            ("Decoding", ParsedAnswer::Nothing),
            ("I can't help with that.", ParsedAnswer::Nothing),
            ("", ParsedAnswer::Nothing),
            ("{}", ParsedAnswer::Nothing),
            (&long, ParsedAnswer::Nothing),
        ] {
            assert_eq!(read(text, &names()), said, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_read_back(name in "[a-zA-Zäß0-9+#🚀][a-zA-Zäß0-9 +#&/_-]{0,12}[a-zA-Zäß0-9+#]", other in "[A-Z]{3,8}") {
            prop_assume!(fold(&name) != fold(&other) && !name.eq_ignore_ascii_case(NONE) && fold(&other) != fold(NONE));
            let names = [other.into(), name.clone().into()];
            prop_assert_eq!(read(&name, &names), ParsedAnswer::Rule(1));
            prop_assert_eq!(read(&format!("**{}**.", name.to_uppercase().to_lowercase()), &names), ParsedAnswer::Rule(1));
            let json = serde_json::json!({ "rule": name });
            prop_assert_eq!(read(&json.to_string(), &names), ParsedAnswer::Rule(1));
        }

        #[test]
        fn no_answer_yields_what_is_not_declared(text in "\\PC{0,200}") {
            if let ParsedAnswer::Rule(rule) = read(&text, &names()) {
                prop_assert!(fold(&text).contains(&fold(&names()[rule])));
            }
        }
    }
}
