//! What an API asks of a request's headers, so that APIs of one host and base path can be told apart.

use std::fmt;

use bytes::Bytes;

/// A request's headers: names in lower case, and values.
pub type Headers = [(Bytes, Bytes)];

/// Rules about headers, all of which a request fits; none for an API that takes any request. Sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeaderRules(Vec<HeaderRule>);

/// A rule about one header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderRule {
    /// Its name, in lower case.
    pub name: Box<str>,
    /// What its value must be.
    pub value: ValueRule,
}

/// What a header's value must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueRule {
    /// This one.
    Exact(Box<str>),
    /// One that begins so.
    Prefix(Box<str>),
    /// Any.
    Present,
}

impl ValueRule {
    fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => value == exact.as_bytes(),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Present => true,
        }
    }

    /// Returns whether every value that fits also fits the other rule.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Present) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(one) | Self::Prefix(one), Self::Prefix(other)) => one.starts_with(&**other),
            (Self::Prefix(_) | Self::Present, _) => false,
        }
    }

    /// Returns whether no value fits both.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, _) | (_, Self::Present) => false,
            (Self::Prefix(_), Self::Exact(_)) => !other.implies(self),
            (Self::Exact(_), _) => !self.implies(other),
            (Self::Prefix(one), Self::Prefix(two)) => !one.starts_with(&**two) && !two.starts_with(&**one),
        }
    }
}

impl HeaderRules {
    /// Creates those that every request fits.
    #[must_use]
    pub const fn any() -> Self {
        Self(Vec::new())
    }

    /// Puts rules about different headers together.
    #[must_use]
    pub fn new(mut rules: Vec<HeaderRule>) -> Self {
        rules.sort_by(|one, other| one.name.cmp(&other.name));
        Self(rules)
    }

    /// Returns the rules.
    pub fn iter(&self) -> impl Iterator<Item = &HeaderRule> {
        self.0.iter()
    }

    /// Returns whether a request with these headers fits all rules. A header that is there twice has no one value, and so
    /// can only be present.
    #[must_use]
    pub fn fit(&self, headers: &Headers) -> bool {
        self.0.iter().all(|rule| {
            let mut values = headers.iter().filter(|(name, _)| **name == *rule.name.as_bytes()).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(only), None) => rule.value.fits(only),
                (Some(_), Some(_)) => rule.value == ValueRule::Present,
                (None, _) => false,
            }
        })
    }

    /// Returns whether every request that fits these rules also fits the others.
    #[must_use]
    pub fn imply(&self, other: &Self) -> bool {
        other.0.iter().all(|rule| self.about(&rule.name).is_some_and(|own| own.value.implies(&rule.value)))
    }

    /// Returns whether no request fits both.
    #[must_use]
    pub fn exclude(&self, other: &Self) -> bool {
        self.0.iter().any(|own| other.about(&own.name).is_some_and(|rule| own.value.excludes(&rule.value)))
    }

    /// Returns how much the rules ask for: those that imply others ask for more.
    pub(super) fn strictness(&self) -> (usize, usize, usize, usize) {
        let exact = self.0.iter().filter(|rule| matches!(rule.value, ValueRule::Exact(_))).count();
        let prefixes = self.0.iter().filter_map(|rule| match &rule.value {
            ValueRule::Prefix(prefix) => Some(prefix.len()),
            ValueRule::Exact(_) | ValueRule::Present => None,
        });
        (self.0.len(), exact, prefixes.clone().count(), prefixes.sum())
    }

    /// Returns the one value that is asked for of a header, if there is one.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<&str> {
        match &self.about(name)?.value {
            ValueRule::Exact(value) => Some(value),
            ValueRule::Prefix(_) | ValueRule::Present => None,
        }
    }

    /// Returns the first header of which one value is asked for.
    #[must_use]
    pub fn exact(&self) -> Option<(&str, &str)> {
        self.0.iter().find_map(|rule| match &rule.value {
            ValueRule::Exact(value) => Some((&*rule.name, &**value)),
            ValueRule::Prefix(_) | ValueRule::Present => None,
        })
    }

    fn about(&self, name: &str) -> Option<&HeaderRule> {
        self.0.iter().find(|rule| &*rule.name == name)
    }
}

/// `x-tier: gold, x-team: present`.
impl fmt::Display for HeaderRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, HeaderRule { name, value }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match value {
                ValueRule::Exact(value) => write!(f, "{separator}{name}: {value}")?,
                ValueRule::Prefix(prefix) => write!(f, "{separator}{name}: {{ prefix: {prefix} }}")?,
                ValueRule::Present => write!(f, "{separator}{name}: {{ present: true }}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules as a text: `a=b` is exact, `a=b*` a prefix, `a` present.
    fn rules(text: &str) -> HeaderRules {
        let rule = |rule: &str| {
            let (name, value) = match rule.split_once('=') {
                None => (rule, ValueRule::Present),
                Some((name, value)) => match value.strip_suffix('*') {
                    Some(prefix) => (name, ValueRule::Prefix(prefix.into())),
                    None => (name, ValueRule::Exact(value.into())),
                },
            };
            HeaderRule { name: name.into(), value }
        };
        HeaderRules::new(text.split_whitespace().map(rule).collect())
    }

    fn headers(text: &str) -> Vec<(Bytes, Bytes)> {
        let pair = |(name, value): (&str, &str)| (name.to_owned().into(), value.to_owned().into());
        text.split_whitespace().map(|pair| pair.split_once('=').expect("a value")).map(pair).collect()
    }

    #[test]
    fn a_request_fits_where_all_rules_do() {
        for (rule, request, fits) in [
            ("", "", true),
            ("t=gold", "t=gold", true),
            ("t=gold", "t=golden", false),
            ("t=gold*", "t=golden", true),
            ("t=gold*", "t=old", false),
            ("t", "t=any", true),
            ("t", "s=any", false),
            ("s t=gold", "t=gold", false),
            ("s t=gold", "t=gold s=1", true),
            ("t=gold", "t=gold t=gold", false),
            ("t=g*", "t=gold t=green", false),
            ("t", "t=gold t=green", true),
        ] {
            assert_eq!(rules(rule).fit(&headers(request)), fits, "{rule} {request}");
        }
    }

    #[test]
    fn rules_are_compared() {
        for (one, other, implies, implied, excludes) in [
            ("t=a", "", true, false, false),
            ("t=a", "t=a", true, true, false),
            ("t=a", "t=b", false, false, true),
            ("t=ab", "t=a*", true, false, false),
            ("t=b", "t=a*", false, false, true),
            ("t=ab*", "t=a*", true, false, false),
            ("t=b*", "t=a*", false, false, true),
            ("t=a*", "t", true, false, false),
            ("t=a", "s=a", false, false, false),
            ("t=a s=b", "t=a", true, false, false),
            ("t=a s=b", "t=a s=c", false, false, true),
        ] {
            let (left, right) = (rules(one), rules(other));
            assert_eq!((left.imply(&right), right.imply(&left)), (implies, implied), "{one} {other}");
            assert_eq!((left.exclude(&right), right.exclude(&left)), (excludes, excludes), "{one} {other}");
            if implies && !implied {
                assert!(left.strictness() > right.strictness(), "{one} {other}");
            }
        }
    }
}
