//! `model-router envoy-config`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::address::ListenAddress;
use crate::envoy::config::{self, ADMIN, CA_FILE, LISTEN, Output, Settings, Topology};
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
            ("--listen", self.listen.is_some(), self.output == Output::Bootstrap),
            ("--admin", self.admin.is_some(), self.output == Output::Bootstrap),
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

    fn settings(self) -> Settings {
        Settings {
            topology: self.topology,
            router: self.router,
            listen: self.listen.unwrap_or(LISTEN),
            admin: self.admin.unwrap_or(ADMIN),
            clusters_file: self.clusters_file,
            ca_file: self.ca_file,
        }
    }
}
