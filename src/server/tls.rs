//! TLS for a router on another host than Envoy or its operators; certificates are read again when they change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tracing::{error, info};

use crate::file_watch::stamps;

/// The time limit of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The files of a listener, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The router's certificate, with its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities whose clients may connect, and nobody else; `None` where clients show something else.
    pub client_ca: Option<PathBuf>,
    /// The protocols of the listener, the preferred one first.
    pub alpn: &'static [&'static [u8]],
}

/// Why the files make no listener.
#[derive(Debug)]
pub struct TlsError {
    file: PathBuf,
    problem: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.problem)
    }
}

/// The TLS configuration of new connections, which follows its files.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that is wrong, and how.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let config = ArcSwap::from_pointee(files.config()?);
        Ok(Arc::new(Self { files, config }))
    }

    /// Follows the files for as long as it is polled; what cannot be used changes nothing and is logged.
    pub async fn follow(self: Arc<Self>, interval: Duration) {
        let files = self.files.all();
        let mut seen = stamps(&files);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = stamps(&files);
            if now == seen {
                continue;
            }
            seen = now;
            match self.files.config() {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    info!("certificates applied to new connections");
                }
                Err(problem) => error!(%problem, "certificates refused; the live ones stay"),
            }
        }
    }

    /// Completes the handshake with a client, which may take [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    /// It has not.
    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let accept = TlsAcceptor::from(self.config.load_full()).accept(stream);
        tokio::time::timeout(HANDSHAKE_TIMEOUT, accept).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

impl TlsFiles {
    fn all(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn config(&self) -> Result<ServerConfig, TlsError> {
        let config = match &self.client_ca {
            Some(file) => ServerConfig::builder().with_client_cert_verifier(clients_of(file)?),
            None => ServerConfig::builder().with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong(&self.key, error))?;
        let config = config.with_single_cert(certificates(&self.certificate)?, key);
        let mut config = config.map_err(|error| wrong(&self.certificate, error))?;
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

fn clients_of(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities)? {
        roots.add(authority).map_err(|error| wrong(authorities, error))?;
    }
    WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| wrong(authorities, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong(file, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(file, error)),
    }
}

fn wrong(file: &Path, problem: impl fmt::Display) -> TlsError {
    TlsError { file: file.to_owned(), problem: problem.to_string() }
}
