//! What one cell needs: a provider, the floor, the router, and an Envoy in front of each and of none.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::AbortHandle;

use crate::cell::{Answers, FloorThreads, Setup, Telemetry, Transport};
use crate::collector::Collector;
use crate::policy;
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{Envoy, RouterAddr, Topology};
use crate::rig::process::Process;
use crate::rig::{ask, client, router};

/// How long a process may take to start.
const STARTED: Duration = Duration::from_secs(20);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Subject {
    /// Envoy with the filter disabled and a fixed cluster.
    Alone,
    /// The filter that does nothing.
    Floor,
    /// The router.
    Router,
}

impl Subject {
    pub(crate) const ALL: [Self; 3] = [Self::Alone, Self::Floor, Self::Router];
}

/// The provider, which all cells share.
pub(crate) struct Provider {
    process: Process,
    /// By [`Answers`].
    addresses: [SocketAddr; 3],
}

/// Everything that is started for one [`Setup`]. Fields are dropped in this order.
pub(crate) struct Stage {
    envoys: Vec<Envoy>,
    reader: Option<AbortHandle>,
    floor: Process,
    router: Process,
    /// The router's own view.
    pub(crate) admin: SocketAddr,
    pub(crate) collector: Option<Collector>,
    dir: TempDir,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (process, line) = again(&["upstream".to_owned()], &dir.path().join("provider"));
        let addresses: Vec<_> = line.split(' ').map(|address| address.parse().expect("an address")).collect();
        Self { process, addresses: addresses.try_into().expect("three addresses") }
    }

    fn at(&self, answers: Answers) -> SocketAddr {
        self.addresses[answers as usize]
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Stage {
    pub(crate) async fn start(setup: Setup, provider: &Provider) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = provider.at(setup.answers);
        let listen = |name: &str| match setup.transport {
            Transport::Unix => format!("unix:{}", dir.path().join(name).display()),
            Transport::Tcp => "127.0.0.1:0".to_owned(),
        };
        let mut role = vec!["floor".to_owned(), listen("floor.sock")];
        role.extend((setup.floor == FloorThreads::One).then(|| "--one-thread".to_owned()));
        let (floor, floor_at) = again(&role, &dir.path().join("floor"));
        let (collector, collector_at) = Collector::start().await;
        let traced = setup.telemetry == Telemetry::Full;
        let policy_text = policy::text(setup, at, provider.at(Answers::Whole));
        let mut command = serve(&dir, &policy_text, &listen("router.sock"), setup.telemetry, collector_at);
        let (router, router_at, admin) = start_router(&mut command, &dir.path().join("router.log"));
        let clusters = ["east", "west"].map(|name| Cluster::plain(name, at));
        let mut envoys = Vec::new();
        for subject in Subject::ALL {
            let address = if subject == Subject::Router { &router_at } else { &floor_at };
            let edit = |text| edited(text, setup, subject);
            envoys.push(Envoy::start_edited(setup.topology, &listening(address), &clusters, edit).await);
        }
        let reader = traced.then(|| tokio::spawn(read_all(admin)).abort_handle());
        Self { envoys, reader, floor, router, admin, collector: traced.then_some(collector), dir }
    }

    /// Where clients reach a subject.
    pub(crate) fn url(&self, subject: Subject) -> String {
        format!("http://{}/v1/chat/completions", self.envoy(subject).addr())
    }

    fn envoy(&self, subject: Subject) -> &Envoy {
        &self.envoys[subject as usize]
    }

    pub(crate) fn envoy_pid(&mut self, subject: Subject) -> u32 {
        self.envoys[subject as usize].process().id()
    }

    /// The process behind the filter.
    pub(crate) fn filter_pid(&self, subject: Subject) -> Option<u32> {
        match subject {
            Subject::Alone => None,
            Subject::Floor => Some(self.floor.id()),
            Subject::Router => Some(self.router.id()),
        }
    }

    /// Changes the policy in one step, to one that does the same.
    pub(crate) fn change_policy(&self) {
        let (file, fresh) = (self.dir.path().join("policy.yaml"), self.dir.path().join("policy.new"));
        let text = fs::read_to_string(&file).expect("the policy") + "# changed\n";
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &file)).expect("a writable directory");
    }

    /// A file with a body to send.
    pub(crate) fn body(&self, bytes: usize) -> PathBuf {
        let path = self.dir.path().join(format!("{bytes}.json"));
        if !path.exists() {
            fs::write(&path, policy::body(bytes)).expect("a writable directory");
        }
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// Starts this program in another role, and gives the line that it prints.
fn again(arguments: &[String], output: &Path) -> (Process, String) {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(arguments).stdin(Stdio::null()).stdout(File::create(output).expect("a writable directory"));
    let process = Process::spawn("a part of the benchmark", &mut command);
    (process, line(output, |line| Some(line.to_owned())))
}

fn serve(dir: &TempDir, policy: &str, listen: &str, telemetry: Telemetry, collector: SocketAddr) -> Command {
    let file = dir.path().join("policy.yaml");
    fs::write(&file, policy).expect("a writable directory");
    let mut command = Command::new(router::binary());
    command.args(["serve", "--log-format", "json", "--admin-listen", "127.0.0.1:0", "--listen", listen]);
    command.arg("--policy").arg(file);
    match telemetry {
        Telemetry::Off => command.args(["--log", "off,model_router::cli=info"]),
        Telemetry::Default => &mut command,
        Telemetry::Full => command.args(["--otlp-endpoint", &format!("http://{collector}")]),
    };
    command
}

fn start_router(command: &mut Command, log: &Path) -> (Process, String, SocketAddr) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log).expect("a writable directory"));
    let process = Process::spawn("the router", command);
    let (listen, admin) = line(log, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let field = |name: &str| line["fields"][name].as_str().map(str::to_owned);
        (line["fields"]["message"] == "serving").then_some((field("listen")?, field("admin_listen")?))
    });
    (process, listen, admin.parse().expect("the router logs an address"))
}

/// The first line of a file that says what is looked for.
fn line<T>(file: &Path, read: impl Fn(&str) -> Option<T>) -> T {
    let deadline = Instant::now() + STARTED;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(found) = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).find_map(&read) {
            return found;
        }
        assert!(Instant::now() < deadline, "a process did not start: {text}");
        #[allow(clippy::disallowed_methods)] // Nothing else runs while the subjects start.
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listening(address: &str) -> RouterAddr {
    match address.strip_prefix("unix:") {
        Some(path) => RouterAddr::Unix(path.into()),
        None => RouterAddr::Tcp(address.trim().parse().expect("an address")),
    }
}

/// The shipped file with what the cell varies.
fn edited(text: String, setup: Setup, subject: Subject) -> String {
    let mut text = setup.mode.edit(text);
    if !setup.sees_answers {
        text = changed(&text, "response_header_mode: SEND", "response_header_mode: SKIP");
        text = changed(&text, "response_body_mode: STREAMED", "response_body_mode: NONE");
    }
    if subject == Subject::Alone {
        text = changed(&text, "cluster_header: x-model-router-cluster", "cluster: east");
        // The clusters come in a file of their own, a moment later.
        let unchecked = "          route_config:\n            validate_clusters: false\n";
        text = changed(&text, "          route_config:\n", unchecked);
        text = match setup.topology {
            Topology::Failover => changed(
                &text,
                "- name: envoy.filters.http.ext_proc\n",
                "- name: envoy.filters.http.ext_proc\n            disabled: true\n",
            ),
            Topology::Attach => changed(&text, "overrides: {}", "disabled: true"),
        };
    }
    text
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the shipped file has no `{from}`");
    text.replace(from, to)
}

/// Reads what operators read, every second.
async fn read_all(admin: SocketAddr) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for path in ["/metrics", "/status.json"] {
            // The router ends before this does.
            let _ = client::Client::new().send(admin, ask::get(path)).await;
        }
    }
}
