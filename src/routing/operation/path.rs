//! Patterns of paths: templates with placeholders for segments.

use std::fmt;
use std::ops::Range;

use super::PatternError;

/// The placeholder of the model.
pub const MODEL: &str = "{model}";

/// A path such as `/chat/completions` or `/threads/{id}/runs`; `{…}` matches exactly one segment that is not empty,
/// or for the part of one before a `:`, as in `/models/{model}:generateContent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    /// The index of the model's segment.
    model: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// Anything that ends like this and is longer.
    Any(String),
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The mistake, and its correction.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(PatternError::new("expected a path that starts with `/`, such as `/chat/completions`"));
        };
        if path.contains(['?', '#']) {
            return Err(PatternError::new("expected a path without a query"));
        }
        let segments = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        let mut models = path.split('/').enumerate().filter(|(_, segment)| segment.starts_with(MODEL));
        let model = models.next().map(|(index, _)| index);
        if models.next().is_some() {
            return Err(PatternError::new("`{model}` is allowed once"));
        }
        Ok(Self { text: text.to_owned(), segments, model })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a segment, or the start of one, is the model.
    #[must_use]
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Returns whether it is this path (with its leading slash, without its query).
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut segments = path.split('/');
        self.segments.iter().all(|pattern| segments.next().is_some_and(|segment| pattern.matches(segment)))
            && segments.next().is_none()
    }

    /// Returns the range of the model in a path that it matches.
    #[must_use]
    pub fn model_in(&self, path: &str) -> Option<Range<usize>> {
        let index = self.model?;
        let start = path.match_indices('/').nth(index)?.0 + 1;
        let end = path[start..].find('/').map_or(path.len(), |length| start + length);
        let Segment::Any(suffix) = &self.segments[index] else { return None };
        Some(start..end.checked_sub(suffix.len()).filter(|end| *end > start)?)
    }

    /// Returns whether some path is both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(other)) => one == other,
                (any @ Segment::Any(_), Segment::Literal(text)) | (Segment::Literal(text), any @ Segment::Any(_)) => {
                    any.matches(text)
                }
                (Segment::Any(one), Segment::Any(other)) => one.ends_with(other) || other.ends_with(one),
            })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let placeholder = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let is_plain = |text: &str| !text.contains(['{', '}']);
        match placeholder {
            Some((name, suffix)) if !name.is_empty() && is_plain(name) && is_plain(suffix) => {
                (suffix.is_empty() || suffix.starts_with(':')).then(|| Self::Any(suffix.to_owned())).ok_or(WHOLE)
            }
            None if is_plain(text) => Ok(Self::Literal(text.to_owned())),
            _ => Err(WHOLE),
        }
    }

    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => text == segment,
            Self::Any(suffix) => segment.len() > suffix.len() && segment.ends_with(suffix.as_str()),
        }
    }
}

const WHOLE: PatternError = PatternError::new(
    "a placeholder is a whole segment, or all of it before a `:`, such as `/threads/{id}/runs` or \
     `/models/{model}:generate`",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).expect(text)
    }

    #[test]
    fn paths_match_whole_segments() {
        for (text, path, matches) in [
            ("/chat/completions", "/chat/completions", true),
            ("/chat/completions", "/chat/completions/", false),
            ("/chat/completions", "/chat", false),
            ("/threads/{id}/runs", "/threads/t1/runs", true),
            ("/threads/{id}/runs", "/threads//runs", false),
            ("/threads/{id}/runs", "/threads/a/b/runs", false),
            ("/models/{model}:go", "/models/a:go", true),
            ("/models/{model}:go", "/models/a:b:go", true),
            ("/models/{model}:go", "/models/:go", false),
            ("/models/{model}:go", "/models/a:gone", false),
            ("/models/{model}:go", "/models/a%3Ago", false),
            ("/", "/", true),
        ] {
            assert_eq!(pattern(text).matches(path), matches, "{text} {path}");
        }
    }

    #[test]
    fn the_model_of_a_path_is_found() {
        for (text, path, model) in [
            ("/model/{model}/converse", "/model/a%3A0/converse", Some("a%3A0")),
            ("/models/{model}:go", "/models/a:b:go", Some("a:b")),
            ("/x/{id}/{model}", "/x/1/é", Some("é")),
            ("/x/{id}", "/x/1", None),
        ] {
            assert_eq!(pattern(text).model_in(path).map(|range| &path[range]), model, "{text} {path}");
        }
    }

    #[test]
    fn overlapping_is_having_a_path_in_common() {
        for (one, other, overlaps) in [
            ("/a/{x}", "/{y}/b", true),
            ("/a/{x}", "/b/{x}", false),
            ("/a", "/a/{x}", false),
            ("/a/", "/a/{x}", false),
            ("/m/{x}:a", "/m/{y}:b", false),
            ("/m/{x}:a", "/m/{y}", true),
            ("/m/{x}:a", "/m/b:a", true),
            ("/m/{x}:a", "/m/b", false),
        ] {
            assert_eq!(pattern(one).overlaps(&pattern(other)), overlaps, "{one} {other}");
            assert_eq!(pattern(other).overlaps(&pattern(one)), overlaps, "{other} {one}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for path in ["chat", "/a/{id}x", "/a/x{id}", "/a/{}", "/a/{x}:{y}", "/{model}/{model}", "/a?b", ""] {
            assert!(PathPattern::parse(path).is_err(), "{path}");
        }
    }
}
