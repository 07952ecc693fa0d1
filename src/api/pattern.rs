//! Patterns: the hosts and paths that an API claims.

use std::fmt;

/// `llm.example.com`, or `*.example.com` for everything below a domain. Lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host that ends in a dot and this; the more labels the more specific.
    Below(String),
}

/// A path such as `/chat/completions` or `/threads/{id}/runs`; `{…}` stands for exactly one segment that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

/// Why a pattern is none, and what would be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternError(&'static str);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl HostPattern {
    /// Reads a pattern; case does not matter.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let lower = text.to_ascii_lowercase();
        let (below, host) = match lower.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, lower.as_str()),
        };
        if host.contains('*') {
            return Err(PatternError("`*` may only stand first, as in `*.example.com`"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(PatternError("a host has no port here: requests match whatever port they name"));
        }
        if host.contains('/') || host.split('.').any(str::is_empty) {
            return Err(PatternError("expected a host name such as `llm.example.com` or `*.example.com`"));
        }
        Ok(if below { Self::Below(host.to_owned()) } else { Self::Exact(host.to_owned()) })
    }
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(PatternError("expected a path that starts with `/`, such as `/chat/completions`"));
        };
        if path.contains(['?', '#']) {
            return Err(PatternError("expected a path without a query"));
        }
        let segments = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { segments })
    }

    /// Whether it is this path (with its leading slash, without its query).
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut segments = path.split('/');
        self.segments.iter().all(|pattern| segments.next().is_some_and(|segment| pattern.matches(segment)))
            && segments.next().is_none()
    }

    /// Whether some path is both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(other)) => one == other,
                (Segment::Any, Segment::Literal(text)) | (Segment::Literal(text), Segment::Any) => !text.is_empty(),
                (Segment::Any, Segment::Any) => true,
            })
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(Self::Any),
            None if !text.contains(['{', '}']) => Ok(Self::Literal(text.to_owned())),
            _ => Err(PatternError("a placeholder is a whole segment, such as `/threads/{id}/runs`")),
        }
    }

    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => text == segment,
            Self::Any => !segment.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_whole_segments() {
        for (pattern, path, matches) in [
            ("/chat/completions", "/chat/completions", true),
            ("/chat/completions", "/chat/completions/", false),
            ("/chat/completions", "/chat", false),
            ("/threads/{id}/runs", "/threads/t1/runs", true),
            ("/threads/{id}/runs", "/threads//runs", false),
            ("/threads/{id}/runs", "/threads/a/b/runs", false),
            ("/", "/", true),
        ] {
            assert_eq!(PathPattern::parse(pattern).expect("valid").matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn overlapping_is_having_a_path_in_common() {
        for (one, other, overlaps) in
            [("/a/{x}", "/{y}/b", true), ("/a/{x}", "/b/{x}", false), ("/a", "/a/{x}", false), ("/a/", "/a/{x}", false)]
        {
            let [one, other] = [one, other].map(|text| PathPattern::parse(text).expect("valid"));
            assert_eq!(one.overlaps(&other), overlaps);
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for path in ["chat", "/a/{id}x", "/a?b", ""] {
            assert!(PathPattern::parse(path).is_err(), "{path}");
        }
        for host in ["", "a.*.b", "a:80", "https://a", "a..b", "*."] {
            assert!(HostPattern::parse(host).is_err(), "{host}");
        }
    }
}
