//! A real Envoy on the configuration files that we ship.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;
use std::{env, fmt, fs};

use model_router::envoy::config::{self, Settings};
use model_router::routing::api::Apis;
use model_router::routing::snapshot::{ClusterNames, Snapshot};
use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::clusters::{self, Cluster};
use super::process::{Process, tail};
use super::{SOON, ask};

/// The version that `make envoy` installs unless told otherwise.
const VERSION: &str = "1.40.0";

/// Which of the shipped files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Topology {
    Attach,
    Failover,
}

impl Topology {
    /// The file, as it is in the repository.
    pub(crate) fn file(self) -> PathBuf {
        let name = match self {
            Self::Attach => "envoy/attach.yaml",
            Self::Failover => "envoy/failover.yaml",
        };
        root().join(name)
    }
}

/// Where the router listens.
#[derive(Clone, Debug)]
pub(crate) enum RouterAddr {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for RouterAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An Envoy that runs until it is dropped.
pub(crate) struct Envoy {
    process: Process,
    addr: SocketAddr,
    admin: SocketAddr,
    dir: TempDir,
}

impl Envoy {
    /// Starts Envoy on a shipped file, with its own ports, this router and these clusters, and waits until it is ready.
    pub(crate) async fn start(topology: Topology, router: &RouterAddr, clusters: &[Cluster]) -> Self {
        Self::start_edited(topology, router, clusters, |text| text).await
    }

    /// The same with one more change to the file's text.
    pub(crate) async fn start_edited(
        topology: Topology,
        router: &RouterAddr,
        clusters: &[Cluster],
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("clusters.yaml"), clusters::file(clusters)).expect("a writable directory");
        let text = edit(shipped(topology, router, &dir.path().join("clusters.yaml")));
        Self::run_in(dir, &text).await
    }

    /// Starts Envoy on a configuration of which one listener is named `clients`, and waits until it is ready.
    pub(crate) async fn run(text: &str) -> Self {
        Self::run_in(tempfile::tempdir().expect("a temporary directory"), text).await
    }

    async fn run_in(dir: TempDir, text: &str) -> Self {
        fs::write(dir.path().join("envoy.yaml"), text).expect("a writable directory");
        let mut process = Process::spawn("Envoy", &mut command(dir.path()));
        let admin = admin_address(&mut process, dir.path()).await;
        let addr = listener(admin).await;
        Self { process, addr, admin, dir }
    }

    /// Where clients connect.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its admin interface.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Counters and gauges whose names begin like this.
    pub(crate) async fn stats(&self, prefix: &str) -> BTreeMap<String, u64> {
        let text = admin_get(self.admin, "/stats").await.expect("the admin interface answers");
        let value = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter(|line| line.starts_with(prefix)).filter_map(value).collect()
    }

    /// One counter or gauge; 0 when it does not exist yet.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        self.stats(name).await.get(name).copied().unwrap_or_default()
    }

    /// Replaces the clusters, as an operator does while Envoy runs, and waits until Envoy has taken them.
    pub(crate) async fn set_clusters(&self, clusters: &[Cluster]) {
        const TAKEN: &str = "cluster_manager.cds.update_success";
        let before = self.stat(TAKEN).await;
        let fresh = self.dir.path().join("clusters.new");
        fs::write(&fresh, clusters::file(clusters)).expect("a writable directory");
        fs::rename(fresh, self.dir.path().join("clusters.yaml")).expect("a writable directory");
        super::eventually("Envoy to take new clusters", async || (self.stat(TAKEN).await > before).then_some(())).await;
    }

    /// What it has logged: warnings and worse.
    pub(crate) fn log(&self) -> String {
        read(&self.dir.path().join("envoy.log"))
    }

    /// The file of the access log.
    pub(crate) fn access_log_file(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// The access log so far. A line comes a moment after the end of its request.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        read(&self.access_log_file()).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The first `n` lines of one of the access logs, `clients` or `attempt`, as soon as they are there.
    pub(crate) async fn access_log_lines(&self, log: &str, n: usize) -> Vec<Value> {
        super::eventually("lines in the access log", async || {
            let lines: Vec<_> = self.access_log().into_iter().filter(|line| line["log"] == log).collect();
            (lines.len() >= n).then_some(lines)
        })
        .await
    }

    /// Its id and signals.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Envoy's log:\n{}", tail(&self.log()));
            eprintln!("its access log:\n{}", tail(&read(&self.dir.path().join("access.log"))));
        }
    }
}

/// Whether Envoy accepts a configuration, and what it says.
pub(crate) fn validate(config: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(["--mode", "validate", "--log-level", "warning", "--use-dynamic-base-id", "-c"]).arg(config);
    // Paths in the shipped files are relative to the root of the repository.
    command.current_dir(root()).output().expect("Envoy starts")
}

/// A bootstrap with the clusters of a file for CDS. Envoy does not read those when it validates.
pub(crate) fn bootstrap_of_clusters(file: &str) -> String {
    const TYPE: &str = "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n ";
    let (_, resources) = file.split_once("resources:\n").expect("a file for CDS");
    let clusters = resources.replace(TYPE, "-").replace('\n', "\n ");
    format!("static_resources:\n clusters:\n {clusters}")
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `ENVOY_BIN`, else `envoy` on the path, else what `make envoy` installed. `ENVOY_VERSION` asks for an installed one.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = env::var_os("ENVOY_BIN").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let version = env::var("ENVOY_VERSION").ok().filter(|version| !version.is_empty());
    if version.is_none()
        && let Some(path) = on_path("envoy")
    {
        return path;
    }
    let version = version.as_deref().unwrap_or(VERSION);
    let path = root().join("target/envoy").join(version).join("envoy/_bin/envoy");
    assert!(path.exists(), "there is no Envoy {version} here; run: make envoy ENVOY_VERSION={version}");
    path
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// A shipped file with addresses of its own: what `envoy-config` writes where the clusters are in a file.
pub(crate) fn shipped(topology: Topology, router: &RouterAddr, clusters_file: &Path) -> String {
    let settings = Settings { clusters_file: Some(clusters_file.to_owned()), ..settings(topology, router) };
    let cluster_names = ClusterNames::default();
    let policy =
        Snapshot { apis: Apis::default(), version: 1, hash: String::new(), fingerprint: [0; 32], cluster_names };
    config::bootstrap(&policy, &settings).expect("nothing to contradict")
}

/// What `envoy-config` is told: this router, and ports that are free.
fn settings(topology: Topology, router: &RouterAddr) -> Settings {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let topology = match topology {
        Topology::Attach => config::Topology::Attach,
        Topology::Failover => config::Topology::Failover,
    };
    Settings {
        topology,
        router: router.to_string().parse().expect("an address"),
        listen: free,
        admin: free,
        ..Settings::default()
    }
}

fn command(dir: &Path) -> Command {
    let create = |name| File::create(dir.join(name)).expect("a writable directory");
    let mut command = Command::new(binary());
    command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]);
    command.args(["--file-flush-interval-msec", "20", "--drain-time-s", "1"]);
    command.arg("-c").arg(dir.join("envoy.yaml"));
    command.arg("--admin-address-path").arg(dir.join("admin"));
    command.stdin(Stdio::null()).stdout(create("access.log")).stderr(create("envoy.log"));
    command
}

/// Waits until Envoy has written its admin address and says that it is ready.
async fn admin_address(process: &mut Process, dir: &Path) -> SocketAddr {
    let deadline = Instant::now() + SOON;
    loop {
        if let Ok(addr) = read(&dir.join("admin")).trim().parse()
            && admin_get(addr, "/ready").await.is_some()
        {
            return addr;
        }
        let alive = process.ended().is_none() && Instant::now() < deadline;
        assert!(alive, "Envoy did not become ready:\n{}", tail(&read(&dir.join("envoy.log"))));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The port that the kernel gave to the listener for clients.
async fn listener(admin: SocketAddr) -> SocketAddr {
    super::eventually("Envoy's listener", async || {
        let listeners: Value = serde_json::from_str(&admin_get(admin, "/listeners?format=json").await?).ok()?;
        let clients = listeners["listener_statuses"].as_array()?.iter().find(|l| l["name"] == "clients")?;
        let port = clients["local_address"]["socket_address"]["port_value"].as_u64()?;
        Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok().filter(|port| *port != 0)?)))
    })
    .await
}

/// The text of a 200 of the admin interface.
async fn admin_get(admin: SocketAddr, path: &str) -> Option<String> {
    let answer = Client::new().send(admin, ask::get(path)).await.ok()?;
    (answer.status == 200).then(|| answer.text())
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
