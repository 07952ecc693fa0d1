//! Scalars after YAML 1.2's core schema, and the parser's complaints in plain words.

use crate::document::words::shown;

/// A scalar as written in the file; a quoted one is text whatever it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

/// The meaning of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning<'a> {
    Nothing,
    Bool(bool),
    Whole(u64),
    Negative(i64),
    Decimal(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if self.quoted {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Nothing,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            _ => number(text).unwrap_or(Meaning::Text(text)),
        }
    }

    /// Returns its kind without showing its value.
    pub(crate) fn kind(&self) -> &'static str {
        match self.meaning() {
            Meaning::Nothing => "nothing",
            Meaning::Bool(_) => "a truth value",
            Meaning::Whole(_) | Meaning::Negative(_) | Meaning::Decimal(_) => "a number",
            Meaning::Text(_) => "a text",
        }
    }

    /// Returns its kind, for "expected …, found …".
    pub(crate) fn described(&self) -> String {
        match self.meaning() {
            Meaning::Nothing => "nothing".to_owned(),
            Meaning::Whole(_) | Meaning::Negative(_) | Meaning::Decimal(_) => {
                format!("the number {}", shown(&self.text))
            }
            Meaning::Bool(_) | Meaning::Text(_) => shown(&self.text),
        }
    }
}

fn number(text: &str) -> Option<Meaning<'static>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Meaning::Whole);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok().map(Meaning::Whole);
    }
    let whole = text.parse().map(Meaning::Whole).or_else(|_| text.parse().map(Meaning::Negative));
    whole.ok().or_else(|| text.parse().ok().map(Meaning::Decimal))
}

/// Returns a syntax error in words that help to mend the line.
pub(super) fn syntax(info: &str, line: &str, line_before: &str) -> String {
    let indent = &line[..line.len() - line.trim_start().len()];
    let plain = match info {
        _ if info.contains("tab") || (indent.contains('\t') && info.starts_with("mapping values")) => {
            "a tab is where only spaces are allowed; indent with spaces"
        }
        "while parsing node, found unknown anchor" => "no `&` before this `*` gives the value that it repeats",
        "mapping values are not allowed in this context" if lacks_space(line_before) => {
            "no key is allowed here; put a space after the `:` of the line above"
        }
        "mapping values are not allowed in this context" => {
            "no key is allowed here; check the indentation, and quote a text that holds `: `"
        }
        "while parsing a block mapping, did not find expected key" | "invalid indentation" => {
            "a key is expected here; the keys of a map start in the same column"
        }
        "simple key expected" | "simple key expect ':'" => "a key is expected here, with a `:` and a space after it",
        "while parsing a flow mapping, did not find expected ',' or '}'"
        | "while parsing a flow sequence, expected ',' or ']'"
            if line.contains("${") || line.contains("{{") =>
        {
            "nothing fills in `${NAME}` or `{{ NAME }}` here; a key out of the environment is `{ env: NAME }`"
        }
        "while parsing a flow mapping, did not find expected ',' or '}'"
        | "while parsing a flow sequence, expected ',' or ']'"
            if line.contains("/{") =>
        {
            "between `{ }` or `[ ]` a path with a placeholder is quoted, such as `\"/x/{id}\"`"
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => "a `{` is not closed, or a `,` is missing",
        "while parsing a flow sequence, expected ',' or ']'" => "a `[` is not closed, or a `,` is missing",
        "while scanning a quoted scalar, found unexpected end of stream" | "invalid indentation in quoted scalar" => {
            "a quote is not closed"
        }
        "invalid indentation in flow construct" => "a `{` or a `[` further up is not closed; or indent this line",
        other => other,
    };
    format!("this is no YAML: {plain}")
}

/// Returns whether a line is a key whose value begins right after the colon, which makes both one text.
fn lacks_space(line: &str) -> bool {
    line.trim().split_once(':').is_some_and(|(key, value)| {
        let is_word = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        is_word && !key.is_empty() && !value.is_empty() && !value.starts_with(' ')
    })
}
