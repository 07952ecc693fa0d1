//! The path at an endpoint: the client's, with another model, without the client's credentials.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{RequestHead, Route};
use crate::routing::endpoint::{Credential, Endpoint};
use crate::routing::operation::ModelPlace;
use crate::routing::provider::is_credential_parameter;

/// All but RFC 3986's unreserved characters: AWS signs a path with `%3A` instead of `:`, and it means the same to
/// everyone else.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Route {
    /// Returns the model that the request names outside of its body, decoded once.
    #[must_use]
    pub fn named_model(&self, head: &RequestHead) -> Option<String> {
        let operation = self.operation()?;
        match &operation.form.model {
            ModelPlace::Body => None,
            ModelPlace::Path => {
                let below = self.below(head.path_only());
                let model = &below[operation.path.model_in(below)?];
                Some(percent_decode_str(model).decode_utf8_lossy().into_owned())
            }
            ModelPlace::Header(name) => {
                let header = head.headers.iter().find(|(header, _)| header == name.as_str());
                header.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            }
            ModelPlace::Query(name) => {
                let (_, query) = head.path.split_once('?')?;
                let value = query.split('&').filter_map(decoded).find(|(key, _)| key == name);
                value.map(|(_, value)| value)
            }
        }
    }

    /// Returns the same with the version of the API that the request asks for, where the vendor has several: a client may
    /// ask for one that has no such operation, which says nothing of the others.
    pub(super) fn versioned(mut self, path: &str) -> Self {
        let parameter = self.policy().targets.provider().version_parameter;
        if parameter.is_empty() {
            return self;
        }
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = query.split('&');
        if let Some(version) = pairs.find_map(|pair| pair.strip_prefix(parameter)?.strip_prefix('=')) {
            let is_one = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let version = if version.len() <= 32 && version.bytes().all(is_one) { version } else { "?" };
            self.versioned = Some(format!("{}?{parameter}={version}", self.operation_name()).into());
        }
        self
    }

    /// Returns the path at the endpoint: the endpoint's own, then the client's below the base path, byte for byte
    /// except for the model where that is there, and for query parameters that carry a credential.
    #[must_use]
    pub fn upstream_path(&self, endpoint: &Endpoint, path: &str, model: Option<&str>) -> String {
        let below = self.below(path);
        let (below, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
        let mut upstream = endpoint.path.clone();
        self.push_path(&mut upstream, below, model);
        self.push_query(&mut upstream, endpoint, query, model);
        upstream
    }

    fn below<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(&*self.api.base_path).unwrap_or(path)
    }

    fn push_path(&self, upstream: &mut String, below: &str, model: Option<&str>) {
        let place = self.operation().filter(|operation| operation.form.model == ModelPlace::Path);
        let range = place.and_then(|operation| operation.path.model_in(below));
        match range.zip(model) {
            Some((range, model)) => {
                let encoded = utf8_percent_encode(model, ENCODED);
                let _ = write!(upstream, "{}{encoded}{}", &below[..range.start], &below[range.end..]);
            }
            None => upstream.push_str(below),
        }
    }

    fn push_query(&self, upstream: &mut String, endpoint: &Endpoint, query: Option<&str>, model: Option<&str>) {
        let place = match self.operation().map(|operation| &operation.form.model) {
            Some(ModelPlace::Query(name)) => model.map(|model| (name.as_str(), model)),
            _ => None,
        };
        let is_model = |parameter: &str| place.is_some_and(|(name, _)| is_named(parameter, name));
        let mut parts: Vec<String> = Vec::new();
        let mut model = place.map(|(name, model)| pair(name, model));
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            match parameter {
                _ if self.carries_credential(parameter, endpoint) => {}
                // Where it appears more than once, providers disagree on which one counts.
                _ if is_model(parameter) => parts.extend(model.take()),
                _ => parts.push(parameter.to_owned()),
            }
        }
        parts.extend(model);
        if let Credential::Query(name, secret) = &endpoint.credential {
            parts.retain(|part| !part.is_empty() || query.is_some_and(|query| !query.is_empty()));
            parts.push(pair(name, secret.expose()));
        }
        for (index, part) in parts.iter().enumerate() {
            upstream.push(if index == 0 { '?' } else { '&' });
            upstream.push_str(part);
        }
    }

    /// Returns whether a query parameter may carry a credential that is not the endpoint's to see. Compared as a
    /// provider reads it: decoded.
    fn carries_credential(&self, parameter: &str, endpoint: &Endpoint) -> bool {
        let own = if endpoint.credential.is_clients() { endpoint.provider.client_parameters } else { &[] };
        // Some servers take `;` for `&`.
        let mut names = parameter.split(';').filter_map(decoded).map(|(name, _)| name);
        names.any(|name| !own.contains(&&*name) && (is_credential_parameter(&name) || self.is_endpoints(&name)))
    }

    /// Returns whether an endpoint of the policy has its credential in a parameter of this name.
    fn is_endpoints(&self, name: &str) -> bool {
        self.policy()
            .endpoints()
            .any(|endpoint| matches!(&endpoint.credential, Credential::Query(own, _) if own == name))
    }
}

fn decoded(parameter: &str) -> Option<(String, String)> {
    url::form_urlencoded::parse(parameter.as_bytes()).next().map(|(name, value)| (name.into(), value.into()))
}

fn is_named(parameter: &str, name: &str) -> bool {
    decoded(parameter).is_some_and(|(key, _)| key == name)
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, ENCODED))
}

#[cfg(test)]
mod tests;
