//! The index over all APIs: host, then longest base path, then headers, then operation, in time independent of their
//! number.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::headers::Headers;
use super::spot::{Entry, Spot};
use super::{Api, Environment, HostPattern, Unmatched};
use crate::routing::endpoint::Endpoint;
use crate::routing::operation::Operation;

/// All APIs of a policy file.
#[derive(Debug, Default)]
pub struct Apis {
    all: Vec<Arc<Api>>,
    exact: HashMap<String, Paths>,
    below: HashMap<String, Paths>,
    any: Paths,
    /// Those that requests may be sent to, by name.
    endpoints: HashMap<Arc<str>, Arc<Endpoint>>,
    unmatched: Unmatched,
}

/// The APIs of one host pattern by base path.
type Paths = HashMap<String, Spot>;

/// The index's result for a request.
#[derive(Debug)]
pub enum Match<'a> {
    /// It is an operation of this API.
    Operation {
        /// The API.
        api: &'a Arc<Api>,
        /// The environment that the host belongs to.
        environment: Environment,
        /// The index of the operation.
        operation: usize,
    },
    /// It is below the base path of these APIs, which share host and base path, but an operation of none.
    Other {
        /// The APIs.
        apis: Vec<&'a Arc<Api>>,
        /// The environment that the host belongs to.
        environment: Environment,
        /// The path after the base path.
        operation: &'a str,
    },
    /// No API is at that host and path.
    NoApi(Unmatched),
}

impl Apis {
    /// Indexes APIs of which no two can take the same request.
    #[must_use]
    pub fn new(apis: Vec<Api>, unmatched: Unmatched) -> Self {
        let mut index = Self { unmatched, ..Self::default() };
        for api in apis {
            let api = Arc::new(api);
            if api.hosts.is_empty() {
                insert(&mut index.any, &api, Environment::Production);
            }
            for host in &api.hosts {
                insert(index.paths_of(host), &api, Environment::Production);
            }
            for host in &api.sandbox_hosts {
                insert(index.paths_of(host), &api, Environment::Sandbox);
            }
            for policy in api.production.iter().chain(&api.sandbox) {
                let named = policy.endpoints().map(|endpoint| (Arc::clone(&endpoint.name), Arc::clone(endpoint)));
                index.endpoints.extend(named);
            }
            index.all.push(api);
        }
        index
    }

    /// Every API, in the order of the policy file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.all.iter()
    }

    /// Returns the endpoint of that name, if requests may be sent to it.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(name)
    }

    /// Returns what happens to a request that no API matches.
    #[must_use]
    pub fn unmatched(&self) -> Unmatched {
        self.unmatched
    }

    /// Finds the API of a request: `authority` may have a port, `path` has no query and is normalised by Envoy.
    #[must_use]
    pub fn find<'a>(&'a self, method: &Method, authority: &str, path: &'a str, headers: &Headers) -> Match<'a> {
        let host = without_port(authority).to_ascii_lowercase();
        self.by_host(&host)
            .find_map(|paths| find_in(paths, method, path, headers))
            .unwrap_or(Match::NoApi(self.unmatched))
    }

    /// Returns the paths of every pattern that the host fits, the most specific first.
    fn by_host<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = &'a Paths> + use<'a, 'h> {
        let domains = host.match_indices('.').filter_map(|(dot, _)| self.below.get(&host[dot + 1..]));
        self.exact.get(host).into_iter().chain(domains).chain([&self.any])
    }

    fn paths_of(&mut self, host: &HostPattern) -> &mut Paths {
        match host {
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Below(domain) => self.below.entry(domain.clone()).or_default(),
        }
    }
}

fn insert(paths: &mut Paths, api: &Arc<Api>, environment: Environment) {
    let entry = Entry { api: Arc::clone(api), environment };
    paths.entry(api.base_path.clone()).or_default().insert(entry);
}

/// Finds the API by the longest base path at which one has headers that the request fits. An operation that those lack
/// is not searched under a shorter one.
fn find_in<'a>(paths: &'a Paths, method: &Method, path: &'a str, headers: &Headers) -> Option<Match<'a>> {
    let slashes = path.rmatch_indices('/').map(|(slash, _)| slash);
    std::iter::once(path.len()).chain(slashes).find_map(|end| {
        let (spot, operation) = (paths.get(&path[..end])?, &path[end..]);
        let mut fitting = spot.fitting(headers);
        let found = fitting.find_map(|entry| Some((entry, entry.api.operation_of(method, operation)?)));
        if let Some((Entry { api, environment }, operation)) = found {
            return Some(Match::Operation { api, environment: *environment, operation });
        }
        let (apis, environment) = others(spot.fitting(headers))?;
        Some(Match::Other { apis, environment, operation })
    })
}

/// Returns the APIs of the first one's environment, without those whose operations all go to another that asks for more
/// of the request's headers.
fn others<'a>(mut fitting: impl Iterator<Item = &'a Entry>) -> Option<(Vec<&'a Arc<Api>>, Environment)> {
    let Entry { api: first, environment } = fitting.next()?;
    let mut apis = vec![first];
    for Entry { api, .. } in fitting.filter(|entry| entry.environment == *environment) {
        let taken = |operation: &Operation| {
            apis.iter().any(|other| other.headers != api.headers && other.operations.contains(operation))
        };
        if !api.operations.iter().all(taken) {
            apis.push(api);
        }
    }
    Some((apis, *environment))
}

impl Api {
    fn operation_of(&self, method: &Method, path: &str) -> Option<usize> {
        let is_it = |operation: &Operation| operation.methods.contains(method) && operation.path.matches(path);
        self.operations.iter().position(is_it)
    }
}

/// `host:80` and `[::1]:80` without the port; `host.` is the same host as `host`.
fn without_port(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::api::{HeaderRule, HeaderRules, ValueRule};
    use crate::routing::operation::{ModelPlace, PathPattern, RequestForm};

    fn api(name: &str, hosts: &[&str], sandbox_hosts: &[&str], base_path: &str, operation: &str) -> Api {
        let patterns = |hosts: &[&str]| hosts.iter().map(|host| HostPattern::parse(host).expect("valid")).collect();
        let path = PathPattern::parse(operation).expect("valid");
        let form = RequestForm { model: ModelPlace::Body, streamed: false, multipart: false };
        Api {
            name: name.into(),
            hosts: patterns(hosts),
            sandbox_hosts: patterns(sandbox_hosts),
            base_path: base_path.into(),
            operations: vec![Operation { path, methods: vec![Method::POST], form }],
            production: None,
            sandbox: None,
            forward_headers: Vec::new(),
            headers: HeaderRules::default(),
        }
    }

    fn apis() -> Apis {
        let apis = vec![
            api("any", &[], &[], "/v1", "/chat/completions"),
            api("embed", &[], &[], "/v1", "/embeddings"),
            api("deep", &[], &[], "/v1/deep", "/chat/completions"),
            api("exact", &["a.example.com"], &["sandbox.example.com"], "/v1", "/chat/completions"),
            api("below", &["*.example.com"], &[], "", "/chat/completions"),
            api("further", &["*.b.example.com"], &[], "", "/chat/completions"),
        ];
        Apis::new(apis, Unmatched::Refuse)
    }

    fn check(request: &str, expected: &str) {
        let apis = apis();
        let [method, host, path] = request.split(' ').collect::<Vec<_>>()[..] else { panic!("method host path") };
        let found = match apis.find(&method.parse().expect("a method"), host, path, &[]) {
            Match::Operation { api, environment: Environment::Production, .. } => api.name.to_string(),
            Match::Operation { api, environment: Environment::Sandbox, .. } => format!("{} sandbox", api.name),
            Match::Other { apis, operation, .. } => {
                let names: Vec<_> = apis.iter().map(|api| &*api.name).collect();
                format!("{} without `{operation}`", names.join(" and "))
            }
            Match::NoApi(_) => "no api".into(),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn the_most_specific_host_wins_then_the_longest_base_path_then_the_operation() {
        check("POST else.org /v1/chat/completions", "any");
        check("POST else.org /v1/embeddings", "embed");
        check("POST else.org /v1/deep/chat/completions", "deep");
        check("POST A.Example.com:8080 /v1/chat/completions", "exact");
        check("POST sandbox.example.com /v1/chat/completions", "exact sandbox");
        check("POST c.example.com /chat/completions", "below");
        check("POST c.b.example.com /chat/completions", "further");
        check("POST [::1]:80 /v1/chat/completions", "any");
        check("POST sandbox.example.com.:80 /v1/chat/completions", "exact sandbox");
    }

    #[test]
    fn a_base_path_ends_at_a_segment() {
        check("POST else.org /v10/chat/completions", "no api");
        check("POST else.org /chat/completions", "no api");
        check("POST else.org /v1", "any and embed without ``");
    }

    #[test]
    fn what_an_api_lacks_is_not_looked_for_elsewhere() {
        check("POST else.org /v1/deep/embeddings", "deep without `/embeddings`");
        check("GET else.org /v1/chat/completions", "any and embed without `/chat/completions`");
    }

    #[test]
    fn other_paths_belong_to_all_apis_at_the_base_path() {
        check("GET else.org /v1/models", "any and embed without `/models`");
        check("GET sandbox.example.com /v1/models", "exact without `/models`");
    }

    /// The name of the API of a request to `/v1` with this tier, and of all that its list of models is of.
    fn of_tier(apis: &Apis, operation: &str, tier: Option<&str>) -> String {
        let headers: Vec<_> =
            tier.map(|tier| ("x-tier".into(), bytes::Bytes::copy_from_slice(tier.as_bytes()))).into_iter().collect();
        match apis.find(&Method::POST, "any", &format!("/v1{operation}"), &headers) {
            Match::Operation { api, .. } => api.name.to_string(),
            Match::Other { apis, .. } => apis.iter().map(|api| &*api.name).collect::<Vec<_>>().join(" and "),
            Match::NoApi(_) => "no api".into(),
        }
    }

    #[test]
    fn apis_of_one_host_and_path_are_told_apart_by_headers_the_strictest_first() {
        let of = |name: &str, base_path: &str, operation: &str, value: Option<ValueRule>| {
            let rules = value.map(|value| HeaderRule { name: "x-tier".into(), value }).into_iter().collect();
            Api { headers: HeaderRules::new(rules), ..api(name, &[], &[], base_path, operation) }
        };
        let chat = "/chat/completions";
        let apis = Apis::new(
            vec![
                of("any", "/v1", chat, None),
                of("embed", "/v1", "/embeddings", None),
                of("present", "/v1", chat, Some(ValueRule::Present)),
                of("prefix", "/v1", chat, Some(ValueRule::Prefix("go".into()))),
                of("gold", "/v1", chat, Some(ValueRule::Exact("gold".into()))),
                of("silver", "/v1", chat, Some(ValueRule::Exact("silver".into()))),
            ],
            Unmatched::Refuse,
        );
        for (tier, name) in [
            (None, "any"),
            (Some("gold"), "gold"),
            (Some("silver"), "silver"),
            (Some("golden"), "prefix"),
            (Some("tin"), "present"),
        ] {
            assert_eq!(of_tier(&apis, chat, tier), name, "{tier:?}");
            assert_eq!(of_tier(&apis, "/embeddings", tier), "embed", "{tier:?}");
        }
        assert_eq!(of_tier(&apis, "/models", Some("gold")), "gold and embed");
        assert_eq!(of_tier(&apis, "/models", None), "any and embed");
        let apis = Apis::new(
            vec![
                of("root", "", "/v1/chat/completions", None),
                of("gold", "/v1", chat, Some(ValueRule::Exact("gold".into()))),
            ],
            Unmatched::Refuse,
        );
        assert_eq!([of_tier(&apis, chat, Some("gold")), of_tier(&apis, chat, None)], ["gold", "root"]);
    }
}
