//! The base URL of an endpoint.

use url::Url;

use crate::provider::ProviderType;

/// What of a URL a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    pub(super) authority: String,
    /// Without a trailing slash.
    pub(super) path: String,
    /// The URL in its normal form.
    pub(super) text: String,
}

const EXPECTED: &str = "expected a URL such as `https://api.openai.com/v1`";

impl BaseUrl {
    /// Reads a URL. Errors never show it: a query or a password in it may be secret.
    pub(super) fn parse(text: &str, kind: Option<&ProviderType>) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(format!("{EXPECTED}, starting with `https://` or `http://`"));
        }
        let url = Url::parse(text).map_err(|error| format!("{EXPECTED}, found one with an {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL cannot hold a user or a password; the credential belongs in `api_key`".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a base URL cannot have a `?` or a `#`; end it with the path".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = url.path().trim_end_matches('/').to_owned();
        if let Some(operation) = kind.and_then(|kind| kind.operations.iter().find(|end| path.ends_with(**end))) {
            return Err(format!("a base URL ends before the operation; leave `{operation}` out"));
        }
        Ok(Self { authority, path, text: url.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_authority_and_a_path() {
        for (text, authority, path) in [
            ("https://api.openai.com/v1", "api.openai.com", "/v1"),
            ("https://API.openai.com:443/v1/", "api.openai.com", "/v1"),
            ("http://localhost:8080", "localhost:8080", ""),
            ("http://[::1]:11434/v1//", "[::1]:11434", "/v1"),
            ("HTTPS://[2001:DB8::1]/", "[2001:db8::1]", ""),
            ("http://10.0.0.1:80/a%20b", "10.0.0.1", "/a%20b"),
        ] {
            let url = BaseUrl::parse(text, None).expect("valid");
            assert_eq!((&*url.authority, &*url.path), (authority, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_never_shown() {
        for (text, message) in [
            ("api.openai.com/v1", "starting with `https://`"),
            ("localhost:8080", "starting with `https://`"),
            ("ftp://a/b", "starting with `https://`"),
            ("https://", "empty host"),
            ("https://a:99999/", "invalid port number"),
            ("https://user:hunter2@a/", "`api_key`"),
            ("https://a/v1?key=hunter2", "`?`"),
            ("https://a/v1#hunter2", "`?`"),
            ("https://a/v1/chat/completions", "leave `/chat/completions` out"),
        ] {
            let error = BaseUrl::parse(text, ProviderType::named("openai")).expect_err(text);
            assert!(error.contains(message) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
