//! The base URL of an endpoint.

use std::net::Ipv4Addr;

use url::{Host, Url};

use super::providers::Provider;
use crate::routing::endpoint::Origin;

/// What of a URL a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    pub(super) origin: Origin,
    pub(super) authority: String,
    /// Without a trailing slash.
    pub(super) path: String,
    /// The URL in its normal form.
    pub(super) text: String,
    /// Whether what is sent there can be read on the way.
    exposed: bool,
}

const EXPECTED: &str = "expected a URL such as `https://api.openai.com/v1`";

impl BaseUrl {
    /// Reads a URL. Errors never show it: a query or a password in it may be secret.
    pub(super) fn parse(text: &str, provider: Option<&Provider<'_>>) -> Result<Self, String> {
        let url = http(text, EXPECTED)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a base URL cannot have a `?` or a `#`; end it with the path".to_owned());
        }
        let host = url.host().map(|host| host.to_owned()).ok_or(EXPECTED)?;
        let port = url.port_or_known_default().ok_or(EXPECTED)?;
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let path = url.path().trim_end_matches('/').to_owned();
        if let Some(operation) = provider.and_then(|provider| ends_in_operation(&path, provider)) {
            return Err(format!("a base URL ends before the operation; leave `{operation}` out"));
        }
        let exposed = in_the_clear(&url).is_some();
        let origin = Origin { tls: url.scheme() == "https", host, port };
        Ok(Self { origin, authority, path, text: url.into(), exposed })
    }

    /// Returns the host, if requests to it cross public networks as they are.
    pub(super) fn host_in_the_clear(&self) -> Option<&str> {
        self.exposed.then_some(&self.authority)
    }
}

/// Reads a URL of HTTP without a user. Errors never show it.
pub(super) fn http(text: &str, expected: &str) -> Result<Url, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(format!("{expected}, starting with `https://` or `http://`"));
    }
    let url = Url::parse(text).map_err(|error| format!("{expected}, found one with an {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL cannot hold a user or a password; the credential belongs in `api_key`".to_owned());
    }
    Ok(url)
}

/// Returns the host of a URL if requests to it cross public networks unencrypted.
pub(super) fn in_the_clear(url: &Url) -> Option<&str> {
    let exposed = url.scheme() == "http" && url.host().is_some_and(|host| is_public(&host));
    url.host_str().filter(|_| exposed)
}

/// Returns the part of a URL's path that is an operation.
fn ends_in_operation<'p>(path: &'p str, provider: &Provider<'_>) -> Option<&'p str> {
    let operations = provider.operations_at("");
    let mut ends = path.match_indices('/').map(|(slash, _)| &path[slash..]);
    // A path that is nothing but a placeholder says nothing.
    let paths = operations.iter().map(|operation| &operation.path).filter(|path| !path.as_str().starts_with("/{"));
    ends.find(|end| paths.clone().any(|path| path.matches(end)))
}

/// Returns whether a host is likely to be beyond the machine and the network that the router is in.
fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(*ip)),
        Host::Ipv6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !PRIVATE_DOMAINS.iter().any(|end| name.ends_with(end))
        }
    }
}

/// 100.64.0.0/10: carriers and overlay networks.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && (64..128).contains(&second)
}

/// Domains that never are public.
const PRIVATE_DOMAINS: [&str; 11] = [
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".lan",
    ".home.arpa",
    ".svc",
    ".test",
    ".intranet",
    ".corp",
    ".private",
];

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
    fn an_origin_is_complete() {
        for (text, origin) in [
            ("https://API.openai.com/v1", "https://api.openai.com:443"),
            ("http://localhost", "http://localhost:80"),
            ("https://[::1]:11434/v1", "https://[::1]:11434"),
            ("https://bücher.example", "https://xn--bcher-kva.example:443"),
        ] {
            assert_eq!(BaseUrl::parse(text, None).expect("valid").origin.to_string(), origin);
        }
    }

    #[test]
    fn plaintext_beyond_private_networks_is_told() {
        for (url, exposed) in [
            ("https://api.openai.com/v1", false),
            ("http://api.openai.com/v1", true),
            ("http://vllm:8000", false),
            ("http://vllm.models.svc.cluster.local", false),
            ("http://127.0.0.1:8080", false),
            ("http://10.1.2.3", false),
            ("http://100.64.0.9", false),
            ("http://8.8.8.8", true),
            ("http://[fd00::1]", false),
            ("http://[2001:db8::1]", true),
        ] {
            let url = BaseUrl::parse(url, None).expect(url);
            assert_eq!(url.host_in_the_clear().is_some(), exposed, "{}", url.text);
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
            let kind = crate::routing::provider::ProviderType::named("openai");
            let error = BaseUrl::parse(text, Some(&Provider { kind, ..Provider::default() })).expect_err(text);
            assert!(error.contains(message) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
