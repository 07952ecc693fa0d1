//! Cases: labelled prompts, one JSON object a line.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::classifier::{NONE, Sorter, fold};

/// A prompt and the rule that it should be found to fit.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its line in the file, from 1.
    pub line: usize,
    /// A request's body.
    pub body: Vec<u8>,
    /// The name of a rule, or [`NONE`].
    pub expected: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    content: Option<String>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    rule: Option<String>,
}

const EXPECTED: &str = r#"expected `{"content": "…", "rule": "NAME"}`, or `"request": {…}` for a whole body"#;

impl Case {
    /// Reads cases; empty lines count for nothing, and no `rule` means that none fits.
    ///
    /// # Errors
    /// If a line is wrong: its number and the expected form.
    pub fn read(text: &str, sorter: &Sorter) -> Result<Vec<Self>, String> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let cases = lines.map(|(index, line)| {
            Self::read_line(index + 1, line, sorter).map_err(|why| format!("line {}: {why}", index + 1))
        });
        let cases = cases.collect::<Result<Vec<_>, _>>()?;
        if cases.is_empty() { Err(format!("there are no cases; {EXPECTED}")) } else { Ok(cases) }
    }

    fn read_line(line: usize, text: &str, sorter: &Sorter) -> Result<Self, String> {
        let written: Written<'_> = serde_json::from_str(text).map_err(|error| format!("{error}; {EXPECTED}"))?;
        let body = match (written.content, written.request) {
            (Some(content), None) => {
                serde_json::json!({ "messages": [{ "role": "user", "content": content }] }).to_string()
            }
            (None, Some(request)) => request.get().to_owned(),
            (Some(_), Some(_)) | (None, None) => return Err(EXPECTED.to_owned()),
        };
        let label = written.rule.unwrap_or_else(|| NONE.to_owned());
        let names = sorter.names();
        let Some(expected) = names.iter().chain([&NONE]).find(|name| fold(name) == fold(&label)) else {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            return Err(format!("there is no rule `{label}`; there are {} and `{NONE}`", names.join(", ")));
        };
        Ok(Self { line, body: body.into_bytes(), expected: (*expected).to_owned() })
    }
}
