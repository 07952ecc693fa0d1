//! The way to a running router's admin listener.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::server::ListenAddress;

/// A connection, and each answer on it, within this time.
pub(super) async fn open(address: &ListenAddress, timeout: Duration) -> Result<Channel, String> {
    let uri = match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| error.to_string())?;
    endpoint.timeout(timeout).connect_timeout(timeout).connect().await.map_err(|error| error_chain(&error))
}

/// An error with its causes: the outermost of a connection's errors says nothing.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") } // some only repeat theirs
    })
}
