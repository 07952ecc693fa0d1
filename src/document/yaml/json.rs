//! A YAML value as JSON text: numbers as they are written wherever JSON allows that.

use serde_json::value::RawValue;

use super::{Entry, Meaning, Node, Scalar, Value};

impl Node {
    /// Returns the value as JSON text.
    ///
    /// # Errors
    /// The value that JSON has no words for, and what was expected in its place.
    pub(crate) fn json(&self) -> Result<String, (&Self, &'static str)> {
        match &self.value {
            Value::Scalar(scalar) => scalar.json().map_err(|expected| (self, expected)),
            Value::List(elements) => {
                let elements = elements.iter().map(Self::json).collect::<Result<Vec<_>, _>>()?;
                Ok(format!("[{}]", elements.join(",")))
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(Entry::json).collect::<Result<Vec<_>, _>>()?;
                Ok(format!("{{{}}}", entries.join(",")))
            }
        }
    }
}

impl Entry {
    fn json(&self) -> Result<String, (&Node, &'static str)> {
        Ok(format!("{}:{}", text(self.key.text().unwrap_or_default()), self.value.json()?))
    }
}

impl Scalar {
    fn json(&self) -> Result<String, &'static str> {
        match self.meaning() {
            Meaning::Nothing if self.text.is_empty() => Err("a value, or `null`"),
            Meaning::Nothing => Ok("null".to_owned()),
            Meaning::Bool(value) => Ok(value.to_string()),
            Meaning::Whole(_) | Meaning::Negative(_) | Meaning::Decimal(_) if is_json(&self.text) => {
                Ok(self.text.clone())
            }
            Meaning::Whole(number) => Ok(number.to_string()),
            Meaning::Negative(number) => Ok(number.to_string()),
            Meaning::Decimal(number) if number.is_finite() => Ok(number.to_string()),
            Meaning::Decimal(_) => Err("a number that JSON can hold"),
            Meaning::Text(_) if !self.quoted && is_no_json_number(&self.text) => Err("a number that JSON can hold"),
            Meaning::Text(value) => Ok(text(value)),
        }
    }
}

fn is_json(number: &str) -> bool {
    serde_json::from_str::<&RawValue>(number).is_ok_and(|value| value.get() == number)
}

/// YAML's infinities and its "not a number".
fn is_no_json_number(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(bare.to_ascii_lowercase().as_str(), ".inf" | ".nan")
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
