//! The vectors of semantic policies: fetched before a policy goes live, or behind one that had to.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::classifier::{self, VectorKey};
use crate::gateway::router::Router;
use crate::routing::registry::Registry;
use crate::routing::snapshot::Snapshot;

/// The pauses between attempts after the start.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Fetches what the next policy lacks while the live one stays. Vectors that neither of them uses are forgotten.
///
/// # Errors
/// An embedder gives no vectors: which, and why.
pub(super) async fn prime(registry: &Registry, live: &Snapshot, next: &Snapshot) -> Result<(), String> {
    registry.vectors().keep(&used(live).chain(used(next)).collect());
    prime_all(registry, next).await
}

fn used(snapshot: &Snapshot) -> impl Iterator<Item = VectorKey> {
    snapshot.routes().flat_map(|routes| routes.utterances().map(|(key, _)| key))
}

async fn prime_all(registry: &Registry, snapshot: &Snapshot) -> Result<(), String> {
    let known = registry.vectors().len();
    for routes in snapshot.routes().filter(|routes| routes.index().is_none()) {
        classifier::prime(routes, registry.vectors()).await?;
        info!(embedder = &**routes.embedder.name(), routes = routes.all().len(), "routes primed");
    }
    if registry.vectors().len() != known
        && let Err(problem) = registry.vectors().save()
    {
        warn!(%problem, "the vectors are kept in memory only");
    }
    Ok(())
}

/// Fetches what the first policy lacks, behind it: the service serves at once, and its requests take the default until
/// the vectors are there. It ends when they are, or when another policy has replaced that one.
pub async fn prime_until_done(router: Arc<Router>, registry: Arc<Registry>) {
    let snapshot = router.snapshot();
    let mut pause = MIN_PAUSE;
    let mut told = None;
    while Arc::ptr_eq(&router.snapshot(), &snapshot) {
        match prime_all(&registry, &snapshot).await {
            Ok(()) => return,
            Err(problem) if told.as_ref() != Some(&problem) => {
                warn!(problem, "requests of a semantic policy take the default until its vectors are there");
                told = Some(problem);
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
