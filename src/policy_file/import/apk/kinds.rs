//! The kinds of APK's resources.

use crate::policy_file::import::objects;

/// The kinds that are honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Api,
    HttpRoute,
    Backend,
    AiProvider,
    ApiPolicy,
    Secret,
}

/// A resource.
pub(super) type Object<'a> = objects::Object<'a, Kind>;
/// All resources.
pub(super) type Objects<'a> = objects::Objects<'a, Kind>;

impl objects::Kind for Kind {
    const KINDS: &'static [(Self, &'static str, &'static [&'static str])] = &[
        (Self::Api, "API", &["dp.wso2.com/v1alpha2", "dp.wso2.com/v1alpha3"]),
        (Self::HttpRoute, "HTTPRoute", &["gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1"]),
        (Self::Backend, "Backend", &["dp.wso2.com/v1alpha1", "dp.wso2.com/v1alpha2"]),
        (Self::AiProvider, "AIProvider", &["dp.wso2.com/v1alpha3", "dp.wso2.com/v1alpha4"]),
        (Self::ApiPolicy, "APIPolicy", &["dp.wso2.com/v1alpha3", "dp.wso2.com/v1alpha4"]),
        (Self::Secret, "Secret", &["v1"]),
    ];
    const ELSEWHERE: &'static [(&'static str, &'static str)] = &[
        ("Authentication", "authenticate clients in Envoy, before the router's filter"),
        ("Scope", "authorize clients in Envoy, before the router's filter"),
        ("RateLimitPolicy", "limit rates in Envoy, before the router's filter"),
        ("AIRateLimitPolicy", "limit rates in Envoy, before the router's filter"),
        ("BackendJWT", "add headers in Envoy"),
        ("InterceptorService", "put other filters into Envoy's chain"),
        ("Gateway", "listeners are Envoy's own"),
    ];
    const SECRET: Self = Self::Secret;
}
