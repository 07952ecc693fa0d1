//! Envoy's clusters, kept in step with the policies that requests go through.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::envoy::config::ClustersFile;
use crate::routing::snapshot::{ClusterNames, Snapshot};

/// How long new clusters are ahead of the policy that uses them. Envoy takes a new file in milliseconds, and then looks
/// up the names in it; before that a request for a new cluster would get 503 and suspend its target.
const LEAD: Duration = Duration::from_secs(1);

/// The clusters' file, and the policies before the live one.
#[derive(Debug)]
pub struct Clusters {
    file: ClustersFile,
    /// Requests that began under them may ask for their clusters in a further attempt.
    earlier: Vec<Weak<Snapshot>>,
}

impl Clusters {
    /// Writes the file for the first policy, and gives an Envoy that runs already the time to take it.
    ///
    /// # Errors
    /// Why it can't be written.
    pub async fn open(file: ClustersFile, first: &mut Snapshot) -> Result<Self, String> {
        first.cluster_names = ClusterNames::WithOrigin;
        let new = !file.path().exists();
        if file.write(&[first])? && !new {
            tokio::time::sleep(LEAD).await;
        }
        Ok(Self { file, earlier: Vec::new() })
    }

    /// Writes what the next policy needs beside what the live one does, and gives Envoy the time to take it.
    pub(super) async fn precede(&mut self, next: &mut Snapshot, live: &Arc<Snapshot>) -> Result<(), String> {
        next.cluster_names = ClusterNames::WithOrigin;
        let changed = self.write(&[next, live])?;
        self.earlier.push(Arc::downgrade(live));
        if changed {
            tokio::time::sleep(LEAD).await;
        }
        Ok(())
    }

    /// Removes the clusters of policies that no request uses any more.
    pub(super) fn tidy(&mut self, live: &Snapshot) -> Result<(), String> {
        let before = self.earlier.len();
        self.earlier.retain(|snapshot| snapshot.strong_count() > 0);
        if self.earlier.len() < before { self.write(&[live]).map(drop) } else { Ok(()) }
    }

    /// Returns the file for these policies and for the earlier ones that are needed still.
    fn write(&self, snapshots: &[&Snapshot]) -> Result<bool, String> {
        let earlier: Vec<_> = self.earlier.iter().filter_map(Weak::upgrade).collect();
        let all: Vec<_> = snapshots.iter().copied().chain(earlier.iter().map(|snapshot| &**snapshot)).collect();
        tokio::task::block_in_place(|| self.file.write(&all))
    }
}
