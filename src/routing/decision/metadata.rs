//! What Envoy is given of a decision or an outcome, for its own log.

/// Named texts, kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    text: String,
    /// The names, and where their texts end.
    ends: Vec<(&'static str, usize)>,
}

impl Metadata {
    /// Creates one text.
    #[must_use]
    pub fn of(name: &'static str, text: &str) -> Self {
        let mut metadata = Self::default();
        metadata.push(name, text);
        metadata
    }

    /// Adds one.
    pub fn push(&mut self, name: &'static str, text: &str) {
        self.text.push_str(text);
        self.ends.push((name, self.text.len()));
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        self.ends.iter().zip(starts).map(|(&(name, end), start)| (name, &self.text[start..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_out_as_they_went_in() {
        let mut metadata = Metadata::of("a", "one");
        metadata.push("b", "");
        metadata.push("c", "drei\u{e4}");
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("a", "one"), ("b", ""), ("c", "drei\u{e4}")]);
    }
}
