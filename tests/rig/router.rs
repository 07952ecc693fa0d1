//! The real router, as a child process.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::SOON;
use super::envoy::RouterAddr;
use super::process::{Lines, Process, tail};

/// No line for so long, and the log is quiet.
const QUIET: std::time::Duration = std::time::Duration::from_millis(100);

/// How the router is started.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The binary. `None`: see [`binary`].
    pub(crate) binary: Option<PathBuf>,
    /// `--listen`; `{dir}` stands for the router's own temporary directory.
    pub(crate) listen: String,
    /// Further arguments of `serve`.
    pub(crate) args: Vec<String>,
    /// Environment variables: keys of endpoints, say.
    pub(crate) env: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { binary: None, listen: "127.0.0.1:0".to_owned(), args: Vec::new(), env: Vec::new() }
    }
}

/// A router that runs until it is dropped.
pub(crate) struct Router {
    process: Process,
    lines: Lines,
    listen: String,
    admin: String,
    dir: TempDir,
}

impl Router {
    /// Starts a router with a policy and waits until it serves.
    pub(crate) async fn start(policy: &str) -> Self {
        Self::start_with(policy, Settings::default()).await
    }

    /// The same with settings.
    pub(crate) async fn start_with(policy: &str, settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("policy.yaml");
        fs::write(&file, policy).expect("a writable directory");
        let mut process = Process::spawn("the router", &mut command(dir.path(), &file, settings));
        let lines = process.lines();
        let (listen, admin) = serving(&mut process, &lines).await;
        Self { process, lines, listen, admin, dir }
    }

    /// Where Envoy reaches it.
    pub(crate) fn address(&self) -> RouterAddr {
        match self.listen.strip_prefix("unix:") {
            Some(path) => RouterAddr::Unix(path.into()),
            None => RouterAddr::Tcp(self.listen.parse().expect("the router logs an address")),
        }
    }

    /// Where its admin API listens.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.parse().expect("the router logs an address")
    }

    /// Its policy file.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    /// Replaces the policy file in one step, as an editor or a mounted ConfigMap does.
    pub(crate) fn write_policy(&self, policy: &str) {
        let fresh = self.dir.path().join("policy.new");
        fs::write(&fresh, policy).expect("a writable directory");
        fs::rename(fresh, self.policy_file()).expect("a writable directory");
    }

    /// Everything it has logged, one line each.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.all()
    }

    /// The log once it is quiet: a thread of the router's own writes it, and lags behind what it tells of.
    fn settled_log(&self) -> Vec<String> {
        let mut log = self.log();
        loop {
            #[allow(clippy::disallowed_methods)] // A test waits for a line of the log on its own thread.
            std::thread::sleep(QUIET);
            let now = self.log();
            if now.len() == log.len() {
                return now;
            }
            log = now;
        }
    }

    /// The log lines with this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Value> {
        let parsed = self.settled_log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        parsed.filter(|line| line["fields"]["message"] == message).collect()
    }

    /// The first log line that fits, as soon as it is there.
    pub(crate) async fn logged(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        super::eventually(what, async || self.log().into_iter().find(|line| fits(line))).await
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Its id and signals.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the router's log:\n{}", tail(&self.log().join("\n")));
        }
    }
}

/// `MODEL_ROUTER_BIN`, else what Cargo built for this test, else the binary beside the running example's directory.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = env::var_os("MODEL_ROUTER_BIN").filter(|path| !path.is_empty()) {
        return path.into();
    }
    if let Some(path) = option_env!("CARGO_BIN_EXE_model-router") {
        return path.into();
    }
    let this = env::current_exe().expect("this program has a path");
    let path = this.parent().and_then(Path::parent).expect("an example is two levels down").join("model-router");
    assert!(path.exists(), "there is no router at {}; run: cargo build", path.display());
    path
}

fn command(dir: &Path, policy: &Path, settings: Settings) -> Command {
    let mut command = Command::new(settings.binary.unwrap_or_else(binary));
    command.arg("serve");
    if !settings.args.iter().any(|argument| argument == "--policy") {
        command.arg("--policy").arg(policy);
    }
    command.args(["--listen", &settings.listen.replace("{dir}", &dir.display().to_string())]);
    if !settings.args.iter().any(|argument| argument == "--admin-listen") {
        command.args(["--admin-listen", "127.0.0.1:0"]);
    }
    command.args(["--log-format", "json", "--reload-interval", "500ms"]);
    command.args(settings.args).envs(settings.env);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The two addresses of the line that the router logs once it serves.
async fn serving(process: &mut Process, lines: &Lines) -> (String, String) {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(addresses) = lines.all().iter().find_map(|line| addresses(line)) {
            return addresses;
        }
        let alive = process.ended().is_none() && Instant::now() < deadline;
        assert!(alive, "the router did not start to serve:\n{}", tail(&lines.all().join("\n")));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn addresses(line: &str) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let field = |name: &str| fields[name].as_str().map(str::to_owned);
    (fields["message"] == "serving").then_some(())?;
    Some((field("listen")?, field("admin_listen")?))
}
