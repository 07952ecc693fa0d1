//! Reload: the policy's files are polled, compiled as a whole, and swapped at once or refused.

mod clusters;
mod priming;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::file_watch::{Stamps, stamps};
use crate::gateway::router::Router;
use crate::policy_file::{self, Compiled, MissingSecrets, PolicyStatus, Problems, Reading, Secrets};
use crate::routing::registry::Registry;
pub use clusters::Clusters;
pub use priming::prime_until_done;

/// The niceness of the thread that compiles a new policy: a tenth of the share of the threads that serve requests.
const LOW_PRIORITY: i32 = 10;

/// The pauses before a policy is tried again.
const MIN_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The source of a policy: its files, and the secrets that they refer to.
#[derive(Debug)]
pub struct Source {
    paths: Vec<PathBuf>,
    secrets: Secrets,
    registry: Arc<Registry>,
    status: Arc<PolicyStatus>,
}

impl Source {
    /// Reads a policy for the first time: files, or directories of them. Gives it too, and the files it depends on.
    ///
    /// # Errors
    /// All its problems.
    pub fn open(paths: Vec<PathBuf>, registry: Arc<Registry>) -> Result<(Self, Compiled, Vec<PathBuf>), Problems> {
        let secrets = Secrets::new(std::env::vars_os(), MissingSecrets::Refuse);
        let Reading { files, result } = policy_file::read(&paths, &secrets, &registry, 1);
        let status = Arc::new(PolicyStatus::new(&paths, SystemTime::now()));
        result.map(|compiled| (Self { paths, secrets, registry, status }, compiled, files))
    }

    /// Returns the status that this source writes.
    #[must_use]
    pub fn status(&self) -> Arc<PolicyStatus> {
        Arc::clone(&self.status)
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
        let mut again = Again::default();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            router.forget_replaced();
            if let Some(Err(report)) = clusters.as_mut().map(|clusters| clusters.tidy(&router.snapshot())) {
                error!(%report, "clusters that are not needed any more stay");
            }
            let before = stamps(&files);
            if before == seen || again.is_too_early(&before) {
                continue;
            }
            let next_version = router.snapshot().version + 1;
            // Compiling thousands of APIs takes a while, and nothing else must wait for it.
            let source = Arc::clone(&self);
            let read = move || policy_file::read(&source.paths, &source.secrets, &source.registry, next_version);
            let Some(reading) = on_low_priority_thread(read).await else {
                self.refuse("the policy was not read: its thread could not be started, or failed");
                continue;
            };
            if stamps(&files) != before {
                // Somebody is writing, and half a file may look complete. The next look decides.
                continue;
            }
            if reading.files != files {
                // New dependencies were not stamped before they were read. The next poll decides.
                files = reading.files;
                continue;
            }
            match reading.result {
                Ok(compiled) => match self.apply(&router, compiled, clusters.as_mut()).await {
                    Ok(()) => {
                        seen = before;
                        self.status.accepted();
                    }
                    // It is not the policy that is wrong: a later look tries again.
                    Err(problem) => {
                        again.after(before);
                        self.refuse(&problem);
                    }
                },
                Err(problems) => {
                    seen = before;
                    self.refuse(&problems.to_string());
                }
            }
        }
    }

    /// Keeps the live policy and reports why; once, however often it is tried.
    fn refuse(&self, report: &str) {
        if self.status.refuse(SystemTime::now(), report) {
            error!(file = self.status.name(), %report, "policy refused; the live one stays");
        }
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
            priming::prime(&self.registry, &live, &compiled.snapshot).await?;
            if let Some(clusters) = clusters {
                clusters.precede(&mut compiled.snapshot, &live).await?;
            }
            log_warnings(&compiled.warnings);
            info!(version = compiled.snapshot.version, sha256 = compiled.snapshot.hash, "policy applied");
            router.replace(compiled.snapshot);
            self.status.applied(SystemTime::now());
        }
        Ok(())
    }
}

/// When a policy that could not be applied is tried again: after growing pauses, or when its files change.
#[derive(Default)]
struct Again {
    files: Stamps,
    pause: Duration,
    at: Option<Instant>,
}

impl Again {
    fn is_too_early(&self, files: &Stamps) -> bool {
        self.files == *files && self.at.is_some_and(|at| Instant::now() < at)
    }

    fn after(&mut self, files: Stamps) {
        let doubled = if self.files == files { self.pause * 2 } else { Duration::ZERO };
        self.pause = doubled.clamp(MIN_PAUSE, MAX_PAUSE);
        (self.files, self.at) = (files, Some(Instant::now() + self.pause));
    }
}

/// Runs work on a thread of low priority: requests come first, and a new policy can wait. Returns `None` if no thread
/// could be started.
async fn on_low_priority_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, result) = oneshot::channel();
    let work = move || {
        // Linux lowers only the calling thread. Where that is not permitted, the work runs at normal priority.
        let _ = rustix::process::nice(LOW_PRIORITY);
        // Nobody waits for it where the service has stopped meanwhile.
        let _ = sender.send(work());
    };
    thread::Builder::new().name("reload".into()).spawn(work).ok()?;
    result.await.ok()
}

/// Logs the warnings of a policy that is applied anyway.
pub fn log_warnings(warnings: &Problems) {
    for warning in warnings.iter() {
        warn!("policy: {warning}");
    }
}
