//! The operation that was probably meant by a request that belongs to none.

use http::Method;

use super::RequestHead;
use crate::document::words;
use crate::routing::api::{Headers, Match};
use crate::routing::operation::MODEL;
use crate::routing::snapshot::Snapshot;

/// The most operations that are compared: a client must not be able to keep the router busy with paths that are none.
const COMPARED: usize = 64;

/// Returns method and path of the operation, of those at the request's host, whose name is nearest.
pub(super) fn nearest(snapshot: &Snapshot, head: &RequestHead, headers: &Headers, path: &str) -> Option<String> {
    let all = snapshot.apis.iter().flat_map(|api| api.operations.iter().map(move |operation| (api, operation)));
    let all = all.take(COMPARED).flat_map(|(api, operation)| {
        let path = format!("{}{}", api.base_path, operation.path);
        operation.methods.iter().map(move |method| (method, path.clone()))
    });
    let is_here = |method: &Method, path: &str| {
        let path = path.replace(MODEL, "m");
        matches!(snapshot.apis.find(method, &head.authority, &path, headers), Match::Operation { .. })
    };
    let here: Vec<_> = all.filter(|(method, path)| is_here(method, path)).collect();
    let ending = here.iter().filter(|(method, _)| *method == head.method);
    let ending = ending.filter_map(|it| Some((shared_end(&it.1, path)?, it)));
    let ending = ending.max_by_key(|(shared, (_, known))| (*shared, !known.contains(MODEL))).map(|(_, it)| it);
    let written = || words::nearest(path, here.iter().map(|(_, known)| known.as_str()));
    let found = ending.or_else(|| written().and_then(|name| here.iter().find(|(_, known)| known == name)));
    found.map(|(method, path)| format!("{method} {path}"))
}

/// Returns how many segments two paths end in alike, where one is the other with segments left out before these.
fn shared_end(known: &str, path: &str) -> Option<usize> {
    let (known, path): (Vec<_>, Vec<_>) = (known.rsplit('/').collect(), path.rsplit('/').collect());
    let shared = known.iter().zip(&path).take_while(|(one, other)| one == other && !one.is_empty()).count();
    let (known, path) = (&known[shared..], &path[shared..]);
    let fits = path.iter().all(|it| known.contains(it)) || known.iter().all(|it| path.contains(it));
    (shared > 0 && fits).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_segment_too_many_or_too_few_ends_like_the_one_that_was_meant() {
        for (known, path, shared) in [
            ("/openai/v1/chat/completions", "/openai/chat/completions", Some(2)),
            ("/openai/v1/chat/completions", "/chat/completions", Some(2)),
            ("/v1/chat/completions", "/v1/v1/chat/completions", Some(3)),
            ("/v1/chat/completions", "/openai/v1/chat/completions", Some(3)),
            ("/v1/completions", "/v1/embeddings", None),
            ("/v1/chat/completions", "/", None),
        ] {
            assert_eq!(shared_end(known, path), shared, "{known} {path}");
        }
    }
}
