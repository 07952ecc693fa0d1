//! Access to the admin listener: pages are served under this router's names only, and other machines need its token.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use tonic::Status;
use tracing::{error, info};

use crate::file_watch::{Stamps, stamps};

/// A shorter token could be guessed.
const MIN_TOKEN: usize = 16;

/// Paths that need no token: liveness and readiness, for probes.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];

/// The requirements for a client of the admin listener.
#[derive(Debug, Default)]
pub struct Access {
    /// Names under which page and metrics may be read, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The token that everything except health checks requires.
    pub token: Option<Arc<Token>>,
}

/// A secret that operators share with the router, in a file that is read again when it changes. Only its hash is kept.
pub struct Token {
    file: PathBuf,
    hash: ArcSwap<[u8; 32]>,
}

impl Token {
    /// Reads the token in a file, without the white space around it.
    ///
    /// # Errors
    /// The file cannot be read, or its content is too short or cannot be sent in a header.
    pub fn open(file: &Path) -> io::Result<Arc<Self>> {
        let hash = ArcSwap::from_pointee(hash_in(file)?);
        Ok(Arc::new(Self { file: file.to_owned(), hash }))
    }

    /// Follows the file for as long as it is polled. A token that cannot be used is reported and changes nothing.
    pub async fn follow(self: Arc<Self>, interval: Duration) {
        let files = [self.file.clone()];
        // The file may have changed since it was opened, so nothing counts as seen.
        let mut seen = Stamps::new();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = stamps(&files);
            if now == seen {
                continue;
            }
            seen = now;
            match hash_in(&self.file) {
                Ok(hash) if hash == **self.hash.load() => {}
                Ok(hash) => {
                    self.hash.store(Arc::new(hash));
                    info!("admin token applied");
                }
                Err(problem) => error!(%problem, "admin token refused; the live one stays"),
            }
        }
    }

    /// Compares hashes, so that the time taken reveals nothing about the token.
    fn is(&self, shown: &[u8]) -> bool {
        **self.hash.load() == <[u8; 32]>::from(Sha256::digest(shown))
    }

    /// Returns a bearer token, or, because browsers ask for one, a password with any user name.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, shown)) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
        else {
            return false;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(shown.trim().as_bytes());
        }
        let pair = BASE64_STANDARD.decode(shown.trim()).unwrap_or_default();
        let password = pair.iter().position(|byte| *byte == b':').map(|colon| &pair[colon + 1..]);
        scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| self.is(password))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

fn hash_in(file: &Path) -> io::Result<[u8; 32]> {
    let text = token_in(file)?;
    if text.len() < MIN_TOKEN {
        let problem = "the token is shorter than 16 characters; `openssl rand -hex 32` makes a good one";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(Sha256::digest(text).into())
}

/// Returns the token in a file, for a client that presents it.
///
/// # Errors
/// The file can't be read, or what is in it can't be sent in a header.
pub fn token_in(file: &Path) -> io::Result<String> {
    let text = fs::read_to_string(file)?;
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = "expected one token of visible ASCII characters, and nothing else";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(text.to_owned())
}

/// Refuses those without the token, where there is one.
pub(super) async fn with_token(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let is_open = OPEN.contains(&request.uri().path());
    match &access.token {
        Some(token) if !is_open && !token.is_in(request.headers()) => no_token(request.headers()),
        _ => next.run(request).await,
    }
}

fn no_token(headers: &HeaderMap) -> Response {
    const PROBLEM: &str = "the admin listener asks for its token (`authorization: Bearer ...`, --admin-token-file)";
    let is_grpc =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        return Status::unauthenticated(PROBLEM).into_http::<axum::body::Body>();
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"model-router: any user, the token as password\"")];
    (StatusCode::UNAUTHORIZED, challenge, format!("{PROBLEM}\n")).into_response()
}

/// Refuses a page that came to this router under a foreign name: its scripts would read what is here.
pub(super) async fn with_own_host(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => request.headers().get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    match authority {
        Some(authority) if access.is_own(authority.host()) => next.run(request).await,
        _ => {
            let problem = "this router has no such name: ask by address or as `localhost`, or start the router \
                           with --admin-host NAME\n";
            (StatusCode::MISDIRECTED_REQUEST, problem).into_response()
        }
    }
}

impl Access {
    /// Returns whether a host is one of this router's names. An address always means this machine; a name can be made
    /// to mean it.
    fn is_own(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_local = host == "localhost" || host.ends_with(".localhost");
        is_local || address.parse::<IpAddr>().is_ok() || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_opened_by_address_or_by_a_name_of_the_routers() {
        let access = Access { hosts: vec!["Router.example.com".into()], token: None };
        for (host, own) in [
            ("localhost", true),
            ("router.localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("router.example.com", true),
            ("ROUTER.example.com.", true),
            ("example.com", false),
            ("127.0.0.1.example.com", false),
            ("localhost.example.com", false),
            ("", false),
        ] {
            assert_eq!(access.is_own(host), own, "{host}");
        }
    }

    #[test]
    fn the_token_is_shown_as_bearer_or_as_password() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&file, "0123456789abcdef\n").expect("writable");
        let token = Token::open(file.path()).expect("a token");
        let password = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for (value, right) in [
            ("Bearer 0123456789abcdef".to_owned(), true),
            ("bearer 0123456789abcdef".to_owned(), true),
            (password("anyone:0123456789abcdef"), true),
            ("Bearer 0123456789abcdeF".to_owned(), false),
            ("0123456789abcdef".to_owned(), false),
            (password("0123456789abcdef"), false),
            ("Basic 0123456789abcdef".to_owned(), false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().expect("a header"))]);
            assert_eq!(token.is_in(&headers), right, "{value}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for text in ["", " \n", "short", "0123456789abcdef 0123456789abcdef"] {
            fs::write(&file, text).expect("writable");
            assert!(Token::open(file.path()).is_err(), "{text:?}");
        }
    }
}
