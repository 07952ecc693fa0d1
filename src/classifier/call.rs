//! One call of a service over HTTP: bounded in time and length, to the URL of the policy file and nowhere else.

use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use url::Url;

/// Connections kept open for the next call.
const MAX_IDLE_CONNECTIONS: usize = 64;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// It took too long.
    Timeout,
    /// It may go better at once.
    Temporary(String),
    /// It will not.
    Permanent(String),
    /// It is this content that the service would not take; others may go well.
    Refused(String),
}

/// Returns a client for one URL. It follows no redirect and reads no proxy from the environment: a prompt goes where
/// the policy file says.
///
/// # Errors
/// The certificates of the system can't be read.
pub(super) fn client(url: &Url) -> Result<Client, String> {
    static PROVIDER: Once = Once::new();
    // Whoever else has installed one has installed what TLS needs.
    PROVIDER.call_once(|| drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default()));
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("model-router/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
    // Where there is no TLS there need be no certificates.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| chain(&error))
}

/// Sends one request and returns the body of its response, which has no more than `most` bytes.
pub(super) async fn call(
    client: &Client,
    url: &Url,
    credential: Option<(&'static str, &str)>,
    body: Vec<u8>,
    (time_limit, most): (Duration, usize),
) -> Result<Vec<u8>, CallError> {
    let mut request = client.post(url.clone()).header("content-type", "application/json").body(body);
    if let Some((name, value)) = credential {
        let mut value = http::HeaderValue::from_str(value).map_err(|_| CallError::Permanent("the key".into()))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let answer = tokio::time::timeout(time_limit, read(request, most)).await;
    answer.unwrap_or(Err(CallError::Timeout))
}

async fn read(request: reqwest::RequestBuilder, most: usize) -> Result<Vec<u8>, CallError> {
    let lost = |error: reqwest::Error| CallError::Temporary(chain(&error.without_url()));
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(of_status(status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > most {
            return Err(CallError::Permanent(format!("an answer of more than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn of_status(status: StatusCode) -> CallError {
    let text = format!("status {}", status.as_u16());
    match status {
        // Azure's content filter answers 400. Were it a failure, one client's words could keep everybody from being
        // classified.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            CallError::Refused(text)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT => {
            CallError::Temporary(text)
        }
        _ if status.is_server_error() => CallError::Temporary(text),
        _ => CallError::Permanent(text),
    }
}

/// Returns an error with its causes: the outermost says nothing. It never holds a body, and the URL has been taken out.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
