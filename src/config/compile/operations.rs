//! Operations: the paths and methods of an API, as it names them or as its provider types have them.

use http::Method;

use crate::api::{Operation, PathPattern};
use crate::config::decode::At;
use crate::config::problem::{Place, Report};
use crate::config::raw;
use crate::config::words::{any_of, instead, shown};
use crate::policy::Policy;
use crate::provider::OPERATION_METHOD;

/// The methods that an operation may have.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// An operation, and where it was named.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) operation: Operation,
    pub(super) path: &'a str,
    /// `None` for an operation that comes with the provider types.
    pub(super) place: Option<Place>,
}

impl Claim<'_> {
    /// A method for which some path is both.
    pub(super) fn shared_method(&self, other: &Self) -> Option<&Method> {
        let (one, other) = (&self.operation, &other.operation);
        let method = one.methods.iter().find(|method| other.methods.contains(method));
        method.filter(|_| one.path.overlaps(&other.path))
    }
}

/// The operations that an API names; `None` if one of them is wrong.
pub(super) fn named<'a>(
    list: &'a At<Vec<At<raw::Operation>>>,
    base_path: &str,
    report: &mut Report,
) -> Option<Vec<Claim<'a>>> {
    let operations = list.get()?;
    if operations.is_empty() {
        let help = "leave it out for the operations of the provider's type".to_owned();
        report.error_with(list.place, "`operations` is empty", help);
        return None;
    }
    let claims: Vec<_> = operations.iter().map(|operation| claim(operation, base_path, report)).collect();
    claims.into_iter().collect()
}

fn claim<'a>(at: &'a At<raw::Operation>, base_path: &str, report: &mut Report) -> Option<Claim<'a>> {
    let (place, path, methods) = match at.get()? {
        raw::Operation::Path(path) => (at.place, path, Some(vec![OPERATION_METHOD])),
        raw::Operation::Methods(raw::PathMethods { path, methods }) => {
            let methods = methods.as_ref().map_or(Some(vec![OPERATION_METHOD]), |list| self::methods(list, report));
            (path.place, path.get()?, methods)
        }
    };
    let pattern = pattern(place, path, base_path, report);
    let claim = Claim { operation: Operation { path: pattern?, methods: methods? }, path, place: Some(place) };
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
        let message = format!("{} stands below the `base_path` {}", shown(path), shown(base_path));
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

/// What every target of these policies has: an operation that one of them lacks would fail whenever its turn comes.
pub(super) fn built_in<'p>(policies: impl Iterator<Item = &'p Policy>) -> Vec<Claim<'static>> {
    let mut lists = policies.flat_map(|policy| &policy.targets).map(|target| target.endpoint.provider.operations);
    let first = lists.next().unwrap_or_default();
    let rest: Vec<_> = lists.collect();
    let common = first.iter().filter(|path| rest.iter().all(|list| list.contains(path)));
    common.map(|path| Claim { operation: post(path), path, place: None }).collect()
}

fn post(path: &str) -> Operation {
    let path = PathPattern::parse(path).expect("the provider types' table holds paths");
    Operation { path, methods: vec![OPERATION_METHOD] }
}
