//! Priming: the vectors of a policy's utterances, fetched before requests are compared with them.

use std::collections::HashSet;
use std::time::Duration;

use super::routes::Routes;
use super::vectors::{VectorKey, Vectors};

/// The pauses before further calls for a batch that failed.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Fetches the vectors that these routes lack, and builds their index. What was fetched before a failure is kept.
///
/// # Errors
/// The vectors cannot be had, or cannot be used: the embedder and the reason.
pub async fn prime(routes: &Routes, known: &Vectors) -> Result<(), String> {
    let failed = |why: String| {
        let (name, count) = (routes.embedder.name(), routes.utterances().count());
        format!("embedder `{name}` gave no vectors for the {count} utterances: {why}")
    };
    let mut pauses = PAUSES.into_iter();
    while let Err(why) = fetch(routes, known).await {
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(failed(why)),
        }
    }
    match routes.build(known) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("they were forgotten meanwhile".to_owned())),
        Err(why) => Err(failed(why)),
    }
}

/// Fetches what is not known yet, each text once.
async fn fetch(routes: &Routes, known: &Vectors) -> Result<(), String> {
    let missing = missing(routes, known);
    let texts: Vec<_> = missing.iter().map(|(_, text)| *text).collect();
    let mut keys = missing.iter().map(|(key, _)| *key);
    routes.embedder.embed_all(&texts, |_, vectors| known.add(keys.by_ref().zip(vectors))).await
}

/// Builds the index without waiting, where the vectors are known or a model in this process makes them. Returns whether
/// it is there now.
///
/// # Errors
/// The vectors cannot be used: the reason.
pub fn prime_at_once(routes: &Routes, known: &Vectors) -> Result<bool, String> {
    let missing = missing(routes, known);
    let texts: Vec<_> = missing.iter().map(|(_, text)| *text).collect();
    if let Some(vectors) = routes.embedder.embed_all_at_once(&texts) {
        known.add(missing.iter().map(|(key, _)| *key).zip(vectors?));
    }
    routes.build(known)
}

fn missing<'r>(routes: &'r Routes, known: &Vectors) -> Vec<(VectorKey, &'r str)> {
    let mut seen = HashSet::new();
    routes.utterances().filter(|(key, _)| seen.insert(*key) && known.get(key).is_none()).collect()
}
