//! The way to a running router's admin listener.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel as Transport, ClientTlsConfig, Endpoint};

use crate::address::ListenAddress;
use crate::admin::token_in;

/// What to look at when nobody answers.
const HELP: &str = "help: is the router running? It logs its address as `admin` when it starts (`serve --admin-listen`); \
                    name another one with `--admin` or MODEL_ROUTER_ADMIN_LISTEN, or in `--against`";

/// The router's address, and the proof that it requires.
#[derive(Debug, Args)]
pub(super) struct Address {
    /// The router's admin listener: ADDRESS:PORT, unix:PATH, or https://NAME:PORT
    #[arg(long, env = "MODEL_ROUTER_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:18001")]
    admin: Peer,
    #[command(flatten)]
    proof: Proof,
}

/// The proofs that router and operator show each other.
#[derive(Clone, Debug, Args)]
pub(super) struct Proof {
    /// The authorities that an https:// router's certificate is checked against (PEM)
    #[arg(long, env = "MODEL_ROUTER_ADMIN_CA", value_name = "FILE")]
    admin_ca: Option<PathBuf>,
    /// A file with the token that the router asks for, if it does
    #[arg(long, env = "MODEL_ROUTER_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// On this machine, or on one that is as good.
    Plain(ListenAddress),
    /// An authority.
    Tls(String),
}

/// A connection that shows the token with each request.
pub(super) type Channel = InterceptedService<Transport, Token>;

#[derive(Clone)]
pub(super) struct Token(Option<MetadataValue<Ascii>>);

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("https://") {
            Some(authority) if !authority.trim_end_matches('/').is_empty() => {
                Ok(Self::Tls(authority.trim_end_matches('/').into()))
            }
            Some(_) => Err("expected a name after `https://`".into()),
            None => text.parse().map(Self::Plain).map_err(|problem| format!("{problem} or `https://NAME:PORT`")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.admin {
            Peer::Plain(address) => address.fmt(f),
            Peer::Tls(authority) => write!(f, "https://{authority}"),
        }
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Address {
    pub(super) fn new(admin: Peer, proof: Proof) -> Self {
        Self { admin, proof }
    }

    /// Returns a connection, and each answer on it, within this time.
    pub(super) async fn open(&self, timeout: Duration) -> Result<Channel, String> {
        let endpoint = self.endpoint()?.timeout(timeout).connect_timeout(timeout);
        let transport = endpoint.connect().await.map_err(|error| format!("{}\n{HELP}", error_chain(&error)))?;
        Ok(InterceptedService::new(transport, self.token()?))
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        let uri = match &self.admin {
            Peer::Plain(ListenAddress::Tcp(address)) => format!("http://{address}"),
            Peer::Plain(ListenAddress::Unix(path)) => format!("unix:{}", path.display()),
            Peer::Tls(authority) => format!("https://{authority}"),
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|error| error.to_string())?;
        let Peer::Tls(_) = &self.admin else { return Ok(endpoint) };
        let file = self.proof.admin_ca.as_ref().ok_or("an https:// router needs --admin-ca, to know it by")?;
        let authorities = std::fs::read(file).map_err(|error| format!("--admin-ca {}: {error}", file.display()))?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities));
        endpoint.tls_config(tls).map_err(|error| error_chain(&error))
    }

    fn token(&self) -> Result<Token, String> {
        let Some(file) = &self.proof.admin_token_file else { return Ok(Token(None)) };
        let problem = |problem: &dyn fmt::Display| format!("--admin-token-file {}: {problem}", file.display());
        let token = token_in(file).map_err(|error| problem(&error))?;
        let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|error| problem(&error))?;
        value.set_sensitive(true);
        Ok(Token(Some(value)))
    }
}

/// Returns an error with its causes: the outermost of a connection's errors says nothing.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") } // some only repeat theirs
    })
}
