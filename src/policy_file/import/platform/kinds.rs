//! The kinds of API Platform's documents.

use crate::policy_file::import::objects;

/// What the versions of all its documents begin with.
pub(super) const GROUP: &str = "gateway.api-platform.wso2.com/";
/// The versions that are known.
const VERSIONS: &[&str] = &["gateway.api-platform.wso2.com/v1", "gateway.api-platform.wso2.com/v1alpha1"];

/// The kinds that are honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Proxy,
    Provider,
    Template,
    RestApi,
    Secret,
}

/// A document.
pub(super) type Object<'a> = objects::Object<'a, Kind>;
/// All documents.
pub(super) type Objects<'a> = objects::Objects<'a, Kind>;

impl objects::Kind for Kind {
    const KINDS: &'static [(Self, &'static str, &'static [&'static str])] = &[
        (Self::Proxy, "LlmProxy", VERSIONS),
        (Self::Provider, "LlmProvider", VERSIONS),
        (Self::Template, "LlmProviderTemplate", VERSIONS),
        (Self::RestApi, "RestApi", VERSIONS),
        (Self::Secret, "Secret", &["v1"]),
    ];
    const ELSEWHERE: &'static [(&'static str, &'static str)] = &[
        ("ApiKey", "authenticate clients in Envoy, before the router's filter"),
        ("Certificate", "give Envoy's listeners their certificates"),
        ("Mcp", "route it past the router in Envoy"),
        ("Subscription", "authorize clients in Envoy, before the router's filter"),
        ("SubscriptionPlan", "authorize clients in Envoy, before the router's filter"),
    ];
    const SECRET: Self = Self::Secret;
}
