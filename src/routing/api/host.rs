//! Patterns of hosts: those that an API claims.

use crate::routing::operation::PatternError;

/// `llm.example.com`, or `*.example.com` for everything below a domain. Lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host that ends in a dot and this; the more labels the more specific.
    Below(String),
}

impl HostPattern {
    /// Reads a pattern; case does not matter.
    ///
    /// # Errors
    /// The mistake, and its correction.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let lower = text.to_ascii_lowercase();
        let (below, host) = match lower.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, lower.as_str()),
        };
        if host.contains('*') {
            return Err(PatternError::new("`*` is only allowed first, as in `*.example.com`"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(PatternError::new("a host has no port here: requests match whatever port they name"));
        }
        if host.contains('/') || host.split('.').any(str::is_empty) {
            return Err(PatternError::new("expected a host name such as `llm.example.com` or `*.example.com`"));
        }
        Ok(if below { Self::Below(host.to_owned()) } else { Self::Exact(host.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for host in ["", "a.*.b", "a:80", "https://a", "a..b", "*."] {
            assert!(HostPattern::parse(host).is_err(), "{host}");
        }
    }
}
