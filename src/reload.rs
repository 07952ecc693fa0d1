//! The policy's files, followed: polled, compiled as a whole, swapped at once, or refused and left alone.

mod clusters;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::config::{self, Compiled, MissingSecrets, Problems, Reading, Secrets};
use crate::registry::Registry;
use crate::router::Router;
pub use clusters::Clusters;

/// By how much a new policy's thread gives way to those that serve requests: a tenth of their share.
const LOW_PRIORITY: i32 = 10;

/// Where a policy comes from, and what became of the last change there.
#[derive(Debug)]
pub struct Source {
    paths: Vec<PathBuf>,
    secrets: Secrets,
    registry: Arc<Registry>,
    status: Mutex<Status>,
}

/// When the live policy was applied, and what was refused since.
#[derive(Clone, Debug)]
pub struct Status {
    /// When the live policy was applied.
    pub applied_at: SystemTime,
    /// The files as they stand are not the live policy.
    pub refused: Option<Refused>,
    /// How many changes were refused since the start.
    pub refusals: u64,
}

/// A change that was not applied.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When it was seen.
    pub at: SystemTime,
    /// Its problems, one a line.
    pub report: String,
}

/// Identity, times and size of each file that the policy depends on; `None` for one that can't be looked at. Symlinks
/// are followed, so the swap of a ConfigMap's directory shows as another file. A directory changes when a file in it
/// comes or goes.
pub(crate) type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Source {
    /// Reads a policy for the first time: files, or directories of them. Gives it too, and the files it depends on.
    ///
    /// # Errors
    /// All its problems.
    pub fn open(paths: Vec<PathBuf>, registry: Arc<Registry>) -> Result<(Self, Compiled, Vec<PathBuf>), Problems> {
        let secrets = Secrets::new(std::env::vars_os(), MissingSecrets::Refuse);
        let Reading { files, result } = config::read(&paths, &secrets, &registry, 1);
        let status = Mutex::new(Status { applied_at: SystemTime::now(), refused: None, refusals: 0 });
        result.map(|compiled| (Self { paths, secrets, registry, status }, compiled, files))
    }

    /// Its files and directories, as they were given.
    #[must_use]
    pub fn name(&self) -> String {
        named(&self.paths)
    }

    /// What became of its last change.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Follows the files for as long as it is polled. `files` are those that the live policy depends on; `clusters` are
    /// those of an Envoy that follows in turn.
    pub async fn follow(
        self: Arc<Self>,
        router: Arc<Router>,
        mut files: Vec<PathBuf>,
        interval: Duration,
        mut clusters: Option<Clusters>,
    ) {
        // Nothing counts as seen: between the first reading and the first look the file may have changed.
        let mut seen = Stamps::new();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            router.forget_replaced();
            if let Some(Err(report)) = clusters.as_mut().map(|clusters| clusters.tidy(&router.snapshot())) {
                error!(%report, "clusters that are not needed any more stay");
            }
            let before = stamps(&files);
            if before == seen {
                continue;
            }
            let next_version = router.snapshot().version + 1;
            // Compiling thousands of APIs takes a while, and nothing else must wait for it.
            let source = Arc::clone(&self);
            let read = move || config::read(&source.paths, &source.secrets, &source.registry, next_version);
            let Some(reading) = apart(read).await else {
                self.refuse("the policy was not read: its thread could not be started, or failed".to_owned());
                continue;
            };
            if stamps(&files) != before {
                // Somebody is writing, and half a file may look complete. The next look decides.
                continue;
            }
            if reading.files != files {
                // What has come to be depended on was not looked at before it was read. The next look decides.
                files = reading.files;
                continue;
            }
            match reading.result {
                Ok(compiled) => match self.apply(&router, compiled, clusters.as_mut()).await {
                    Ok(()) => {
                        seen = before;
                        self.lock().refused = None;
                    }
                    // It is not the policy that is wrong: the next look tries again.
                    Err(problem) => self.refuse(problem),
                },
                Err(problems) => {
                    seen = before;
                    self.refuse(problems.to_string());
                }
            }
        }
    }

    /// Leaves the live policy alone, and says why; once, however often it is tried.
    fn refuse(&self, report: String) {
        if self.lock().refused.as_ref().is_some_and(|refused| refused.report == report) {
            return;
        }
        error!(file = self.name(), %report, "policy refused; the live one stays");
        let mut status = self.lock();
        status.refusals += 1;
        status.refused = Some(Refused { at: SystemTime::now(), report });
    }

    /// Swaps the policy if it is not the live one, once Envoy has the clusters for it.
    async fn apply(
        &self,
        router: &Router,
        mut compiled: Compiled,
        clusters: Option<&mut Clusters>,
    ) -> Result<(), String> {
        let live = router.snapshot();
        if !compiled.snapshot.is_same(&live) {
            if let Some(clusters) = clusters {
                clusters.precede(&mut compiled.snapshot, &live).await?;
            }
            log_warnings(&compiled.warnings);
            info!(version = compiled.snapshot.version, sha256 = compiled.snapshot.hash, "policy applied");
            router.replace(compiled.snapshot);
            self.lock().applied_at = SystemTime::now();
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().expect("no panic while the status is held")
    }
}

/// Works on a thread of its own and of low priority: requests come first, and a new policy can wait for them. `None`: no
/// thread could be started.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let work = move || {
        // Linux lowers the calling thread alone. Where it may not be, it works as it is.
        let _ = rustix::process::nice(LOW_PRIORITY);
        // Nobody waits for it where the service has stopped meanwhile.
        let _ = tell.send(work());
    };
    thread::Builder::new().name("reload".into()).spawn(work).ok()?;
    told.await.ok()
}

/// The files and directories of a policy, as `MODEL_ROUTER_POLICY` names them.
fn named(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(":")
}

/// Says what was odd about a policy that is applied all the same.
pub fn log_warnings(warnings: &Problems) {
    for warning in warnings.iter() {
        warn!("policy: {warning}");
    }
}

/// Looks at each file.
pub(crate) fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
