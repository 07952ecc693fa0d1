//! `model-router serve`.

mod socket_file;

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use opentelemetry_otlp::SpanExporter;
use tokio::signal::unix::{SignalKind, signal};
use tracing::field::display;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use self::socket_file::SocketFile;
use super::{fail, positive_duration};
use crate::address::ListenAddress;
use crate::admin::{Access, Token};
use crate::classifier::Vectors;
use crate::envoy::config::{CA_FILE, ClustersFile};
use crate::gateway::Gateway;
use crate::gateway::capacity::Capacity;
use crate::gateway::router::Router;
use crate::gateway::usage;
use crate::routing::registry::Registry;
use crate::routing::snapshot::Snapshot;
use crate::server::reload::{self, Clusters, Source};
use crate::server::{self, Bounds, Listener, Listeners, Tls, TlsFiles};
use crate::telemetry::{Collector, Json, LastLines, Lines, LogDecisions, Telemetry};

/// The time limit for exporting the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// A listener for metrics and probes alone, without a token: ADDRESS:PORT or unix:PATH
    ///
    /// It serves `/metrics`, `/healthz` and `/readyz` in plaintext, and nothing else.
    #[arg(long, env = "MODEL_ROUTER_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<ListenAddress>,
    /// The certificate that --listen shows to Envoy, with its chain (PEM; read again when it changes)
    #[arg(long, env = "MODEL_ROUTER_TLS_CERTIFICATE", value_name = "FILE", requires_all = ["tls_key", "tls_client_ca"])]
    tls_certificate: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, env = "MODEL_ROUTER_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The authorities whose clients may connect to --listen (PEM)
    #[arg(long, env = "MODEL_ROUTER_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,
    /// Where --admin-listen is not loopback: the certificate that it shows, with its chain (PEM; read again when it
    /// changes)
    #[arg(long, env = "MODEL_ROUTER_ADMIN_TLS_CERTIFICATE", value_name = "FILE", requires = "admin_tls_key")]
    admin_tls_certificate: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, env = "MODEL_ROUTER_ADMIN_TLS_KEY", value_name = "FILE", requires = "admin_tls_certificate")]
    admin_tls_key: Option<PathBuf>,
    /// A file with the token that clients of --admin-listen must show, except for health checks; read again when it
    /// changes
    #[arg(long, env = "MODEL_ROUTER_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// A name under which the admin page and /metrics may be read; addresses and `localhost` always are. Several:
    /// again, or with `,`
    #[arg(long, env = "MODEL_ROUTER_ADMIN_HOST", value_name = "NAME", value_delimiter = ',')]
    admin_host: Vec<String>,
    /// Allow plaintext on a --listen that is not loopback
    #[arg(long, env = "MODEL_ROUTER_INSECURE_PLAINTEXT")]
    insecure_plaintext: bool,
    /// The longest request body in bytes; longer ones get 413
    #[arg(long, env = "MODEL_ROUTER_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = 25 << 20)]
    max_body_bytes: usize,
    /// Requests in flight, until their answers' headers; further ones get 503
    #[arg(long, env = "MODEL_ROUTER_MAX_REQUESTS_IN_FLIGHT", value_name = "COUNT", default_value_t = 20_000)]
    max_requests_in_flight: usize,
    /// Bytes of request bodies held in memory at once; further ones get 503
    #[arg(long, env = "MODEL_ROUTER_MAX_BODY_BYTES_IN_FLIGHT", value_name = "BYTES", default_value_t = 1 << 30)]
    max_body_bytes_in_flight: usize,
    /// Requests at once on one connection; Envoy has a connection for each of its threads
    #[arg(long, env = "MODEL_ROUTER_MAX_STREAMS", value_name = "COUNT", default_value_t = 10_000)]
    max_streams: u32,
    /// Threads that serve Envoy's connections, one for each of its workers; the number of processors unless given
    #[arg(long, env = "MODEL_ROUTER_THREADS", value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// How long open streams may go on after SIGTERM
    #[arg(long, env = "MODEL_ROUTER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    drain_timeout: Duration,
    /// How often the policy file and the key files are checked for changes
    #[arg(long, env = "MODEL_ROUTER_RELOAD_INTERVAL", value_name = "DURATION", default_value = "500ms", value_parser = positive_duration)]
    reload_interval: Duration,
    /// Keep the vectors of semantic policies' utterances in this file, so that a restart asks no embedder for them
    #[arg(long, env = "MODEL_ROUTER_EMBEDDINGS_CACHE", value_name = "FILE")]
    embeddings_cache: Option<PathBuf>,
    /// Keep Envoy's clusters in this directory's `clusters.yaml`, as the policy needs them, for an Envoy that follows
    /// it (file CDS: `envoy-config --clusters-file DIRECTORY/clusters.yaml`)
    #[arg(long, env = "MODEL_ROUTER_ENVOY_CLUSTERS_DIR", value_name = "DIRECTORY")]
    envoy_clusters_dir: Option<PathBuf>,
    /// The authorities that providers' certificates are checked against there (PEM), where Envoy runs
    #[arg(long, env = "MODEL_ROUTER_ENVOY_CA_FILE", value_name = "PATH", default_value = CA_FILE)]
    envoy_ca_file: PathBuf,
    /// An OpenTelemetry collector (gRPC) that gets a span for each attempt of a traced request: http://ADDRESS:4317 or
    /// https://…. OTEL_EXPORTER_OTLP_ENDPOINT when absent; headers, timeout and compression are always taken from its
    /// relatives
    #[arg(long, env = "MODEL_ROUTER_OTLP_ENDPOINT", value_name = "URL", value_parser = collector_url)]
    otlp_endpoint: Option<String>,
    /// The authorities that the collector's certificate is checked against (PEM). OTEL_EXPORTER_OTLP_CERTIFICATE when
    /// absent, else the system's
    #[arg(long, env = "MODEL_ROUTER_OTLP_CA_FILE", value_name = "FILE")]
    otlp_ca_file: Option<PathBuf>,
    /// The router's name there. OTEL_SERVICE_NAME when absent, else model-router
    #[arg(long, env = "MODEL_ROUTER_OTLP_SERVICE_NAME", value_name = "NAME")]
    otlp_service_name: Option<String>,
    /// How the log on stderr is written
    #[arg(long, env = "MODEL_ROUTER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as `info,model_router=debug`
    #[arg(long, env = "MODEL_ROUTER_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// Which decisions have a line in the log: `all`, a share such as `10%`, or `failures`. Failed and further attempts
    /// always have one
    #[arg(long, env = "MODEL_ROUTER_LOG_DECISIONS", value_name = "WHICH", default_value = "all")]
    log_decisions: LogDecisions,
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
    let log = match start_log(arguments.log_format, &arguments.log) {
        Ok(log) => log,
        Err(problem) => return fail(problem),
    };
    if let Err(problem) = check_exposure(&arguments) {
        return fail(problem);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("can't start: {error}")),
    };
    let served = runtime.block_on(serve(arguments));
    // Streams that outlived the drain, and whatever reads a file at the moment.
    runtime.shutdown_background();
    drop(log);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(problem),
    }
}

/// Whoever can connect can read provider keys, or suspend targets: other machines only with a certificate and a token.
fn check_exposure(arguments: &Arguments) -> Result<(), String> {
    let (listen, admin) = (&arguments.listen, &arguments.admin_listen);
    if listen.is_exposed() && arguments.tls_certificate.is_none() {
        if !arguments.insecure_plaintext {
            return Err(format!(
                "--listen {listen} is reachable from other machines, and whoever connects can read provider keys; \
                 use loopback or unix:PATH, or mutual TLS (--tls-certificate), or --insecure-plaintext if the network \
                 itself is trusted"
            ));
        }
        warn!(address = %listen, "plaintext on an address that is not loopback: whoever connects can read provider keys");
    }
    if admin.is_exposed() && (arguments.admin_tls_certificate.is_none() || arguments.admin_token_file.is_none()) {
        return Err(format!(
            "--admin-listen {admin} is reachable from other machines, and whoever connects can suspend targets; use \
             loopback or unix:PATH, or give it TLS and a token (--admin-tls-certificate, --admin-tls-key, \
             --admin-token-file)"
        ));
    }
    for (flag, address, certificate) in [
        ("--tls-certificate", listen, &arguments.tls_certificate),
        ("--admin-tls-certificate", admin, &arguments.admin_tls_certificate),
    ] {
        if address.is_unix() && certificate.is_some() {
            return Err(format!("{flag} is for ADDRESS:PORT; a unix socket needs none"));
        }
    }
    Ok(())
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let OpenPolicy { source, router, registry, files, clusters } = arguments.open_policy().await?;
    let Bound { listeners, addresses, tls, access } = arguments.bind_listeners().await?;
    let stop = stop_signal()?;
    let collector = arguments.collector()?;
    let (status, gateway) = (source.status(), arguments.gateway(Arc::clone(&router)));
    addresses.log(status.name(), &router.snapshot().hash);
    tokio::spawn(reload::prime_until_done(Arc::clone(&router), registry));
    tokio::spawn(source.follow(router, files, arguments.reload_interval, clusters));
    arguments.follow_secrets(tls, &access);
    let sockets = arguments.socket_files();
    let exporter = collector.map(|collector| gateway.telemetry.export().to(collector));
    server::serve(listeners, access, gateway, status, arguments.bounds(), stop)
        .await
        .map_err(|error| format!("stopped serving: {error}"))?;
    if let Some(exporter) = exporter {
        exporter.stop(FLUSH_TIMEOUT).await;
    }
    sockets.into_iter().for_each(SocketFile::remove);
    info!("stopped");
    Ok(())
}

/// The first policy, and what follows its files.
struct OpenPolicy {
    source: Arc<Source>,
    router: Arc<Router>,
    registry: Arc<Registry>,
    /// The files on which the policy depends.
    files: Vec<PathBuf>,
    clusters: Option<Clusters>,
}

/// The listeners, and who may use them.
struct Bound {
    listeners: Listeners,
    addresses: Addresses,
    /// The certificates in use, which are followed.
    tls: Vec<Arc<Tls>>,
    access: Access,
}

/// The addresses of the listeners, as they were bound.
struct Addresses {
    listen: ListenAddress,
    admin_listen: ListenAddress,
    metrics_listen: Option<ListenAddress>,
}

impl Addresses {
    fn log(&self, policy: &str, sha256: &str) {
        let Self { listen, admin_listen, metrics_listen } = self;
        let metrics_listen = metrics_listen.as_ref().map(display);
        info!(%listen, %admin_listen, metrics_listen, policy, sha256, "serving");
    }
}

impl Arguments {
    async fn open_policy(&self) -> Result<OpenPolicy, String> {
        let vectors = self.embeddings_cache.clone().map(Vectors::open).transpose();
        let vectors = vectors.map_err(|error| error.to_string())?;
        let registry = Arc::new(Registry::with_vectors(vectors.unwrap_or_default()));
        let (source, mut compiled, files) = Source::open(self.policy.clone(), Arc::clone(&registry))
            .map_err(|problems| format!("the policy can't be used\n{}", problems.explained()))?;
        reload::log_warnings(&compiled.warnings);
        let clusters = self.clusters(&mut compiled.snapshot).await?;
        let router = Arc::new(Router::new(compiled.snapshot));
        Ok(OpenPolicy { source: Arc::new(source), router, registry, files, clusters })
    }

    /// Returns a client of the collector of spans, if there is one.
    fn collector(&self) -> Result<Option<SpanExporter>, String> {
        let (url, ca_file) = (self.otlp_endpoint.clone(), self.otlp_ca_file.clone());
        let collector = Collector { url, ca_file, service: self.otlp_service_name.clone() };
        let client = collector.is_wanted().then(|| collector.client());
        client.transpose().map_err(|error| format!("can't send spans: {error}"))
    }

    async fn bind_listeners(&self) -> Result<Bound, String> {
        let tls = self.tls()?;
        let (envoy, listen) = bind("--listen", &self.listen, tls.as_ref()).await?;
        let (admin_tls, access) = (self.admin_tls()?, self.access()?);
        let (admin, admin_listen) = bind("--admin-listen", &self.admin_listen, admin_tls.as_ref()).await?;
        let (metrics, metrics_listen) = match &self.metrics_listen {
            None => (None, None),
            Some(address) => bind("--metrics-listen", address, None).await.map(|(it, at)| (Some(it), Some(at)))?,
        };
        let tls = tls.into_iter().chain(admin_tls).collect();
        let addresses = Addresses { listen, admin_listen, metrics_listen };
        Ok(Bound { listeners: Listeners { envoy, admin, metrics }, addresses, tls, access })
    }

    fn socket_files(&self) -> Vec<SocketFile> {
        let addresses = [&self.listen, &self.admin_listen].into_iter().chain(&self.metrics_listen);
        addresses.filter_map(SocketFile::of).collect()
    }

    /// Follows the files of certificates and of the admin token for as long as the service runs.
    fn follow_secrets(&self, tls: Vec<Arc<Tls>>, access: &Access) {
        for tls in tls {
            tokio::spawn(tls.follow(self.reload_interval));
        }
        if let Some(token) = &access.token {
            tokio::spawn(Arc::clone(token).follow(self.reload_interval));
        }
    }

    fn bounds(&self) -> Bounds {
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        Bounds {
            max_streams: self.max_streams,
            threads: threads.map_or(1, NonZeroUsize::get),
            drain_timeout: self.drain_timeout,
        }
    }

    fn gateway(&self, router: Arc<Router>) -> Arc<Gateway> {
        let telemetry = Arc::new(Telemetry::new(self.log_decisions));
        let capacity = Capacity::new(self.max_body_bytes, self.max_requests_in_flight, self.max_body_bytes_in_flight);
        Arc::new(Gateway { router, telemetry, capacity, reading: usage::capacity() })
    }

    /// Written before anything else: an Envoy that is started at the same time waits for no file, it gives up.
    async fn clusters(&self, snapshot: &mut Snapshot) -> Result<Option<Clusters>, String> {
        let Some(directory) = &self.envoy_clusters_dir else { return Ok(None) };
        let file = ClustersFile::new(directory.clone(), self.envoy_ca_file.clone());
        Clusters::open(file, snapshot).await.map(Some).map_err(|problem| format!("--envoy-clusters-dir: {problem}"))
    }

    fn tls(&self) -> Result<Option<Arc<Tls>>, String> {
        let (Some(certificate), Some(key), Some(client_ca)) =
            (&self.tls_certificate, &self.tls_key, &self.tls_client_ca)
        else {
            return Ok(None);
        };
        let (certificate, key, client_ca) = (certificate.clone(), key.clone(), Some(client_ca.clone()));
        let files = TlsFiles { certificate, key, client_ca, alpn: &[b"h2"] };
        Tls::open(files).map(Some).map_err(|problem| format!("mutual TLS can't be set up: {problem}"))
    }

    fn admin_tls(&self) -> Result<Option<Arc<Tls>>, String> {
        let (Some(certificate), Some(key)) = (self.admin_tls_certificate.clone(), self.admin_tls_key.clone()) else {
            return Ok(None);
        };
        let files = TlsFiles { certificate, key, client_ca: None, alpn: &[b"h2", b"http/1.1"] };
        Tls::open(files).map(Some).map_err(|problem| format!("--admin-tls-certificate: {problem}"))
    }

    fn access(&self) -> Result<Access, String> {
        let read = |file: &PathBuf| {
            Token::open(file).map_err(|error| format!("--admin-token-file {}: {error}", file.display()))
        };
        Ok(Access { hosts: self.admin_host.clone(), token: self.admin_token_file.as_ref().map(read).transpose()? })
    }
}

async fn bind(
    flag: &str,
    address: &ListenAddress,
    tls: Option<&Arc<Tls>>,
) -> Result<(Listener, ListenAddress), String> {
    Listener::bind(address, tls).await.map_err(|error| format!("can't listen at {flag} {address}: {error}"))
}

fn collector_url(url: &str) -> Result<String, String> {
    match url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) {
        Some(rest) if !rest.is_empty() => Ok(url.to_owned()),
        _ => Err("expected `http://ADDRESS:PORT` or `https://…` of a collector's gRPC receiver".to_owned()),
    }
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

/// Starts the log.
fn start_log(format: LogFormat, filter: &str) -> Result<LastLines, String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("--log {filter}: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let (lines, last) = Lines::start(std::io::stderr()).map_err(|error| format!("can't start: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).log_internal_errors(false);
    match (format, terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => log.event_format(Json).init(),
        (LogFormat::Text, _) | (LogFormat::Auto, true) => log.with_ansi(terminal).init(),
    }
    Ok(last)
}
