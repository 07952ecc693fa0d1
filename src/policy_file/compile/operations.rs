//! Operations: the paths and methods of an API, as it names them or as its provider types have them.

use http::Method;

use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::{any_of, instead, shown};
use crate::policy_file::raw;
use crate::routing::endpoint::Endpoint;
use crate::routing::operation::{ModelPlace, Operation, PathPattern, RequestForm};
use crate::routing::policy::Policy;
use crate::routing::provider::OPERATION_METHOD;

/// The methods that an operation may have.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// An operation, and where it was named.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) operation: Operation,
    /// `None` for an operation that comes with the provider types.
    pub(super) place: Option<Place>,
}

impl Claim {
    /// Returns its path, as it was written.
    pub(super) fn path(&self) -> &str {
        self.operation.path.as_str()
    }

    /// Returns a method for which some path is both.
    pub(super) fn shared_method(&self, other: &Self) -> Option<&Method> {
        let (one, other) = (&self.operation, &other.operation);
        let method = one.methods.iter().find(|method| other.methods.contains(method));
        method.filter(|_| one.path.overlaps(&other.path))
    }
}

/// Returns the operations that an API names; `None` if one of them is wrong.
pub(super) fn named(list: &At<Vec<At<raw::Operation>>>, base_path: &str, report: &mut Report) -> Option<Vec<Claim>> {
    let operations = list.get()?;
    if operations.is_empty() {
        let help = "leave it out for the operations of the provider's type".to_owned();
        report.error_with(list.place, "`operations` is empty", help);
        return None;
    }
    let claims: Vec<_> = operations.iter().map(|operation| claim(operation, base_path, report)).collect();
    claims.into_iter().collect()
}

fn claim(at: &At<raw::Operation>, base_path: &str, report: &mut Report) -> Option<Claim> {
    let (place, path, methods, streamed) = match at.get()? {
        raw::Operation::Path(path) => (at.place, path, Some(vec![OPERATION_METHOD]), false),
        raw::Operation::Methods(raw::PathMethods { path, methods, streamed }) => {
            let streamed = streamed.as_ref().and_then(At::get).copied().unwrap_or_default();
            let methods = methods.as_ref().map_or(Some(vec![OPERATION_METHOD]), |list| self::methods(list, report));
            (path.place, path.get()?, methods, streamed)
        }
    };
    let path_pattern = pattern(place, path, base_path, report)?;
    let model = if path_pattern.has_model() { ModelPlace::Path } else { ModelPlace::Body };
    let form = RequestForm { model, streamed, multipart: true };
    let claim = Claim { operation: Operation { path: path_pattern, methods: methods?, form }, place: Some(place) };
    if claim.operation.methods.contains(&Method::GET) && claim.operation.path.matches("/models") {
        let message = format!("`GET {path}` would take `GET /models`, which the router answers itself");
        report.error_with(place, message, "leave it out".to_owned());
        return None;
    }
    Some(claim)
}

fn pattern(place: Place, path: &str, base_path: &str, report: &mut Report) -> Option<PathPattern> {
    if path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        let message = format!("{} never matches: Envoy removes `//`, `.` and `..` from paths", shown(path));
        report.error(place, message);
        return None;
    }
    let below = path.strip_prefix(base_path).filter(|below| !base_path.is_empty() && below.starts_with('/'));
    if let Some(below) = below {
        let message = format!("{} is below the `base_path` {}", shown(path), shown(base_path));
        report.warning(place, message, format!("did you mean {}?", shown(below)));
    }
    PathPattern::parse(path).map_err(|error| report.error(place, format!("{}: {error}", shown(path)))).ok()
}

fn methods(list: &At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<Method>> {
    let names = list.get()?;
    if names.is_empty() {
        report.error_with(list.place, "`methods` is empty", "leave it out for `POST`".to_owned());
        return None;
    }
    names.iter().map(|name| method(name, report)).collect::<Vec<_>>().into_iter().collect()
}

fn method(at: &At<String>, report: &mut Report) -> Option<Method> {
    let name = at.get()?;
    let found = METHODS.into_iter().find(|method| method.as_str() == name);
    if found.is_none() {
        let known = || METHODS.iter().map(Method::as_str);
        let help = instead(name, known()).unwrap_or_else(|| format!("expected {}", any_of(known())));
        report.error_with(at.place, format!("unknown method {}", shown(name)), help);
    }
    found
}

/// Returns the endpoints of these policies' targets, each once.
pub(super) fn endpoints<'p>(policies: impl Iterator<Item = &'p Policy>) -> Vec<&'p Endpoint> {
    let mut endpoints: Vec<&Endpoint> = Vec::new();
    for target in policies.flat_map(|policy| policy.targets.iter()) {
        if !endpoints.iter().any(|known| known.name == target.endpoint.name) {
            endpoints.push(&target.endpoint);
        }
    }
    endpoints
}

/// Returns the operations that every endpoint has: one that an endpoint lacks would fail whenever its turn comes.
pub(super) fn built_in(place: Place, api: &str, endpoints: &[&Endpoint], report: &mut Report) -> Vec<Claim> {
    let Some((first, rest)) = endpoints.split_first() else { return Vec::new() };
    let common = |one: &&Operation| rest.iter().all(|endpoint| endpoint.operations.iter().any(|other| other == *one));
    let claims: Vec<_> = first.operations.iter().filter(common).collect();
    let alike = rest.iter().all(|other| other.provider.shape == first.provider.shape); // otherwise that is reported
    if let Some(other) = rest.first().filter(|_| alike && claims.is_empty() && !first.operations.is_empty()) {
        let message = format!("the endpoints of API {} have no operation in common", shown(api));
        report.error_with(place, message, nothing_in_common(first, other));
    }
    claims.into_iter().map(|operation| Claim { operation: operation.clone(), place: None }).collect()
}

fn nothing_in_common(first: &Endpoint, other: &Endpoint) -> String {
    let azure = [first, other].into_iter().find(|endpoint| endpoint.provider.name.starts_with("azure"));
    match azure {
        Some(azure) => format!(
            "a URL of {} that ends in `/openai/v1` has the model in the body and the paths of OpenAI's API",
            shown(&azure.name)
        ),
        None => "their requests carry the model in different places; give each its own API".to_owned(),
    }
}

/// Operations that an API names, with what its endpoints know of them; what no endpoint knows stays as it is.
pub(super) fn of_endpoints(mut claims: Vec<Claim>, endpoints: &[&Endpoint], report: &mut Report) -> Vec<Claim> {
    for claim in &mut claims {
        let forms: Vec<_> = endpoints.iter().filter_map(|endpoint| form_at(endpoint, claim)).collect();
        let Some((name, form)) = forms.first() else { continue };
        if let Some((other, _)) = forms.iter().find(|(_, other)| other.model != form.model) {
            let message = format!(
                "{} and {} have the model of {} in different places",
                shown(name),
                shown(other),
                shown(claim.path())
            );
            let help = "give each its own API".to_owned();
            if let Some(place) = claim.place {
                report.error_with(place, message, help);
            }
        }
        let streamed = claim.operation.form.streamed || form.streamed;
        claim.operation.form = RequestForm { streamed, ..(*form).clone() };
    }
    claims
}

fn form_at<'e>(endpoint: &'e Endpoint, claim: &Claim) -> Option<(&'e str, &'e RequestForm)> {
    let known = endpoint.operations.iter().find(|known| known.path.as_str() == claim.path())?;
    Some((&*endpoint.name, &known.form))
}
