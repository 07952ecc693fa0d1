//! Envoy's access-log service: how the router hears of responses that broke off after they had begun.
//!
//! The ext_proc stream has ended by then, so that no byte of a response depends on it. The shipped files log such
//! responses, and only those, to this service.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use envoy_types::pb::envoy::data::accesslog::v3::{AccessLogCommon, HttpAccessLogEntry};
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use envoy_types::pb::envoy::service::accesslog::v3::{StreamAccessLogsMessage, StreamAccessLogsResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::ext_proc::METADATA_NAMESPACE;
use crate::gateway::Gateway;
use crate::gateway::breaks::BrokenResponse;

/// The service.
#[derive(Clone, Debug)]
pub struct AccessLog {
    gateway: Arc<Gateway>,
    /// Whether the router is stopping.
    stopped: watch::Receiver<bool>,
}

impl AccessLog {
    /// Creates the service, ready to be added to a server.
    #[must_use]
    pub fn server(gateway: Arc<Gateway>, stopped: watch::Receiver<bool>) -> AccessLogServiceServer<Self> {
        AccessLogServiceServer::new(Self { gateway, stopped })
    }
}

#[tonic::async_trait]
impl AccessLogService for AccessLog {
    /// Reads until Envoy or the router stops. A stream that ended with each message would lose those that are on their
    /// way meanwhile.
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let (mut messages, mut stopped) = (request.into_inner(), self.stopped.clone());
        loop {
            let message = tokio::select! {
                message = messages.message() => message?,
                // An error would mean that the sender is gone, which is a stop as well.
                _ = stopped.wait_for(|stopped| *stopped) => None,
            };
            let Some(message) = message else { return Ok(Response::new(StreamAccessLogsResponse {})) };
            if let Some(LogEntries::HttpLogs(logs)) = message.log_entries {
                let broken = logs.log_entry.iter().filter_map(broken);
                broken.for_each(|broken| self.gateway.broke(&broken, Instant::now()));
            }
        }
    }
}

/// How Envoy's details begin of a response that broke off after its headers.
const AFTER_START: &str = "upstream_reset_after_response_started";

/// Returns what a log entry says of a response, if the router chose its target and the provider broke it off.
fn broken(entry: &HttpAccessLogEntry) -> Option<BrokenResponse<'_>> {
    let common = entry.common_properties.as_ref()?;
    let flags = common.response_flags.as_ref()?;
    let by_provider =
        flags.upstream_connection_termination || flags.upstream_remote_reset || flags.upstream_protocol_error;
    let response = entry.response.as_ref()?;
    let status = u16::try_from(response.response_code.as_ref()?.value).ok()?;
    // What failed before its start was judged by its headers. Where Envoy had sent the client nothing yet, the status is
    // that of its own error.
    let is_after_start = status < 400 || response.response_code_details.starts_with(AFTER_START);
    if !by_provider || !is_after_start {
        return None;
    }
    Some(BrokenResponse {
        api: text(common, "api")?,
        environment: text(common, "environment")?,
        endpoint: text(common, "endpoint")?,
        model: text(common, "model")?,
        status: if status < 400 { status } else { 200 },
        attempt: text(common, "attempt")?.parse().ok()?,
        request_id: entry.request.as_ref().map_or("", |request| &request.request_id),
        at: SystemTime::now(),
    })
}

/// Returns a text of the decision that the router gave Envoy as dynamic metadata.
fn text<'e>(common: &'e AccessLogCommon, name: &str) -> Option<&'e str> {
    let metadata = common.metadata.as_ref()?.filter_metadata.get(METADATA_NAMESPACE)?;
    match metadata.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}
