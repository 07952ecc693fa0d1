//! `model-router envoy-config`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::address::ListenAddress;
use crate::envoy::config::{self, ADMIN, CA_FILE, LISTEN, Merged, Output, Settings, Target, Topology};
use crate::policy_file::{self, Secrets};
use crate::routing::registry::Registry;
use crate::routing::snapshot::Snapshot;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON) or a directory of them; several, given again or separated by `:`, make up one
    ///
    /// Its keys are not needed.
    #[arg(
        long,
        env = "MODEL_ROUTER_POLICY",
        value_name = "FILE|DIRECTORY",
        value_delimiter = ':',
        required_unless_present = "into"
    )]
    policy: Vec<PathBuf>,
    /// How the router is attached
    #[arg(long, value_name = "TOPOLOGY", default_value = "failover")]
    topology: Topology,
    /// What is printed
    #[arg(long, value_name = "OUTPUT", default_value = "bootstrap")]
    output: Output,
    /// Where the router listens, as in `serve --listen`: ADDRESS:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:18000")]
    router: ListenAddress,
    /// Where clients connect: ADDRESS:PORT; for `bootstrap` [default: 127.0.0.1:10000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where Envoy's own admin interface listens: ADDRESS:PORT; for `bootstrap` [default: 127.0.0.1:9901]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Envoy reads the clusters from this file and follows it (file CDS), as `serve --envoy-clusters-dir` writes it
    ///
    /// Without it `bootstrap` and `fragment` hold the clusters themselves.
    #[arg(long, value_name = "PATH")]
    clusters_file: Option<PathBuf>,
    /// Write `envoy.yaml` into this directory instead of stdout, with clusters as `serve --envoy-clusters-dir
    /// DIRECTORY` keeps them there
    ///
    /// Envoy does not start without the clusters' file: until the router writes it, it is one without clusters. Such a
    /// configuration is the same for every policy, and none is read.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["output", "clusters_file"])]
    into: Option<PathBuf>,
    /// Print this Envoy file with everything that `--output fragment` prints in its place, and what was inserted, as a
    /// diff, on stderr
    ///
    /// Nothing of the file is changed or removed, and what is there already is left alone. A file in which there is no
    /// plain place for a block is refused.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "into"])]
    merge: Option<PathBuf>,
    /// For --merge: the listener that gets the route, where several face clients
    #[arg(long, value_name = "NAME", requires = "merge")]
    listener: Option<String>,
    /// For --merge: a virtual host that gets the route, where the policy's hosts do not tell; several: again
    #[arg(long, value_name = "NAME", requires = "merge")]
    virtual_host: Vec<String>,
    /// Give the router copies of responses, from which it reads the tokens that they used and what they cost
    #[arg(long)]
    usage: bool,
    /// The authorities that providers' certificates are checked against (PEM), where Envoy runs
    #[arg(long, value_name = "PATH", default_value = CA_FILE)]
    ca_file: PathBuf,
}

#[allow(clippy::print_stdout)] // The configuration is the result.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    if let Err(problem) = arguments.check() {
        return fail(problem);
    }
    if let Some(directory) = arguments.into.clone() {
        return arguments.write_into(&directory);
    }
    let compiled = match policy_file::read(&arguments.policy, &Secrets::assumed(), &Registry::default(), 1).result {
        Ok(compiled) => compiled,
        Err(problems) => return fail(format!("the policy can't be used\n{}", problems.explained())),
    };
    if let Some(file) = arguments.merge.clone() {
        return arguments.merge_into(&file, &compiled.snapshot);
    }
    match arguments.write(&compiled.snapshot) {
        Ok(text) => print!("{text}"),
        Err(conflicts) => return fail(format!("Envoy can't be configured for this policy\n{conflicts}")),
    }
    ExitCode::SUCCESS
}

impl Arguments {
    /// Refuses a flag that has no effect.
    fn check(&self) -> Result<(), String> {
        let given = [
            ("--listen", self.listen.is_some(), self.output == Output::Bootstrap && self.merge.is_none()),
            ("--admin", self.admin.is_some(), self.output == Output::Bootstrap && self.merge.is_none()),
            ("--clusters-file", self.clusters_file.is_some(), self.output != Output::Clusters),
        ];
        match given.into_iter().find(|(_, given, used)| *given && !used) {
            None => Ok(()),
            Some(("--clusters-file", ..)) => {
                Err("--clusters-file is for `bootstrap` and `fragment`; `clusters` is that file, on stdout".into())
            }
            Some((flag, ..)) => {
                Err(format!("{flag} is for `--output bootstrap`; a listener of your own has its address"))
            }
        }
    }

    fn write(self, snapshot: &Snapshot) -> Result<String, config::Conflicts> {
        let output = self.output;
        let settings = self.settings();
        match output {
            Output::Bootstrap => config::bootstrap(snapshot, &settings),
            Output::Fragment => config::fragment(snapshot, &settings),
            Output::Clusters => config::clusters(snapshot, &settings.ca_file),
        }
    }

    fn write_into(self, directory: &Path) -> ExitCode {
        match config::write_into(directory, self.settings()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => fail(format!("--into: {problem}")),
        }
    }

    /// Prints the diff before the file: who redirects only stdout still sees it.
    #[allow(clippy::print_stdout, clippy::print_stderr)] // The file is the result; the diff is about it.
    fn merge_into(self, file: &Path, snapshot: &Snapshot) -> ExitCode {
        let name = file.display().to_string();
        let existing = match std::fs::read_to_string(file) {
            Ok(existing) => existing,
            Err(error) => return fail(format!("--merge {name}: {error}")),
        };
        let (listener, virtual_hosts) = (self.listener.clone(), self.virtual_host.clone());
        let target = Target { file: name.clone(), listener, virtual_hosts };
        match config::merge(&existing, &target, snapshot, &self.settings()) {
            Ok(Merged { text, diff, place }) => {
                if diff.is_empty() {
                    eprintln!("nothing to add to {name}: {place} has the route already");
                } else {
                    eprint!("--- {name}\n+++ {name}: {place}\n{diff}");
                }
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(problem) => fail(problem),
        }
    }

    fn settings(self) -> Settings {
        Settings {
            topology: self.topology,
            router: self.router,
            listen: self.listen.unwrap_or(LISTEN),
            admin: self.admin.unwrap_or(ADMIN),
            clusters_file: self.clusters_file,
            ca_file: self.ca_file,
            usage: self.usage,
        }
    }
}
