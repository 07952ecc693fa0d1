//! `model-router serve`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::fail;
use crate::health::Registry;
use crate::reload::{self, Source};
use crate::router::Router;
use crate::server::{self, Bounds, ListenAddress, Listener};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON) or a directory of them; several, given again or separated by `:`, make up one
    #[arg(long, env = "MODEL_ROUTER_POLICY", value_name = "FILE|DIRECTORY", value_delimiter = ':', required = true)]
    policy: Vec<PathBuf>,
    /// Where Envoy's ext_proc filter connects: ADDRESS:PORT or unix:PATH
    ///
    /// Whoever can connect can read provider keys out of the answers. A unix socket gets mode 0600.
    #[arg(long, env = "MODEL_ROUTER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:18000")]
    listen: ListenAddress,
    /// Where `status` and health checks connect: ADDRESS:PORT or unix:PATH
    #[arg(long, env = "MODEL_ROUTER_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:18001")]
    admin_listen: ListenAddress,
    /// Allow plaintext on an address that is not loopback
    #[arg(long, env = "MODEL_ROUTER_INSECURE_PLAINTEXT")]
    insecure_plaintext: bool,
    /// The longest request body in bytes; longer ones get 413
    #[arg(long, env = "MODEL_ROUTER_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = 25 << 20)]
    max_body_bytes: usize,
    /// Requests at once on one connection; Envoy has a connection for each of its threads
    #[arg(long, env = "MODEL_ROUTER_MAX_STREAMS", value_name = "COUNT", default_value_t = 10_000)]
    max_streams: u32,
    /// How long open streams may go on after SIGTERM
    #[arg(long, env = "MODEL_ROUTER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    drain_timeout: Duration,
    /// How often the policy file and the key files are looked at
    #[arg(long, env = "MODEL_ROUTER_RELOAD_INTERVAL", value_name = "DURATION", default_value = "500ms", value_parser = positive_duration)]
    reload_interval: Duration,
    /// How the log on stderr is written
    #[arg(long, env = "MODEL_ROUTER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as `info,model_router=debug`
    #[arg(long, env = "MODEL_ROUTER_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// Text on a terminal, JSON otherwise
    Auto,
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    if let Err(problem) = start_log(arguments.log_format, &arguments.log) {
        return fail(problem);
    }
    for (flag, address) in [("--listen", &arguments.listen), ("--admin-listen", &arguments.admin_listen)] {
        if address.is_exposed() && !arguments.insecure_plaintext {
            return fail(format!(
                "{flag} {address} is reachable from other machines, and whoever connects can read provider keys; \
                 use loopback or unix:PATH, or add --insecure-plaintext if the network itself is trusted"
            ));
        }
        if address.is_exposed() {
            warn!(%address, "plaintext on an address that is not loopback: whoever connects can read provider keys");
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("can't start: {error}")),
    };
    match runtime.block_on(serve(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(problem),
    }
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let registry = Arc::new(Registry::default());
    let (source, compiled, files) = Source::open(arguments.policy, Arc::clone(&registry))
        .map_err(|problems| format!("the policy can't be used\n{}", problems.explained()))?;
    reload::log_warnings(&compiled.warnings);
    let source = Arc::new(source);
    let router = Arc::new(Router::new(compiled.snapshot, registry));
    let (listener, listen) = bind("--listen", &arguments.listen).await?;
    let (admin_listener, admin_listen) = bind("--admin-listen", &arguments.admin_listen).await?;
    let stop = stop_signal()?;
    let bounds = Bounds {
        max_body_bytes: arguments.max_body_bytes,
        max_streams: arguments.max_streams,
        drain_timeout: arguments.drain_timeout,
    };
    let snapshot = router.snapshot();
    info!(%listen, %admin_listen, policy = source.name(), sha256 = snapshot.hash, "serving");
    drop(snapshot);
    let following = source.follow(&router, files, arguments.reload_interval);
    let listeners = (listener, admin_listener);
    tokio::select! {
        served = server::serve(listeners, Arc::clone(&router), Arc::clone(&source), bounds, stop) => {
            served.map_err(|error| format!("stopped serving: {error}"))?;
        }
        () = following => {}
    }
    remove_socket(&arguments.listen);
    remove_socket(&arguments.admin_listen);
    info!("stopped");
    Ok(())
}

async fn bind(flag: &str, address: &ListenAddress) -> Result<(Listener, ListenAddress), String> {
    address.bind().await.map_err(|error| format!("can't listen at {flag} {address}: {error}"))
}

/// Resolves at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("can't handle signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn remove_socket(address: &ListenAddress) {
    if let ListenAddress::Unix(path) = address {
        // Gone already is as good.
        let _ = std::fs::remove_file(path);
    }
}

fn start_log(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("--log {filter}: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    match (format, terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => log.json().init(),
        (LogFormat::Text, _) | (LogFormat::Auto, true) => log.with_ansi(terminal).init(),
    }
    Ok(())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("expected more than nothing".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
