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
use tonic::{Request, Response, Status, Streaming};

use super::ext_proc::METADATA_NAMESPACE;
use crate::gateway::Gateway;
use crate::gateway::breaks::BrokenResponse;

/// The service.
#[derive(Clone, Debug)]
pub struct AccessLog {
    gateway: Arc<Gateway>,
}

impl AccessLog {
    /// Creates the service, ready to be added to a server.
    #[must_use]
    pub fn server(gateway: Arc<Gateway>) -> AccessLogServiceServer<Self> {
        AccessLogServiceServer::new(Self { gateway })
    }
}

#[tonic::async_trait]
impl AccessLogService for AccessLog {
    /// Takes one message and ends the stream: an open one would hold up a graceful stop. Envoy opens the next one with
    /// the next response that breaks off.
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let message = request.into_inner().message().await?;
        if let Some(LogEntries::HttpLogs(logs)) = message.and_then(|message| message.log_entries) {
            let broken = logs.log_entry.iter().filter_map(broken);
            broken.for_each(|broken| self.gateway.broke(&broken, Instant::now()));
        }
        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}

/// Returns what a log entry says of a response, if the router chose its target and the provider broke it off.
fn broken(entry: &HttpAccessLogEntry) -> Option<BrokenResponse<'_>> {
    let common = entry.common_properties.as_ref()?;
    let flags = common.response_flags.as_ref()?;
    let by_provider =
        flags.upstream_connection_termination || flags.upstream_remote_reset || flags.upstream_protocol_error;
    let status = u16::try_from(entry.response.as_ref()?.response_code.as_ref()?.value).ok()?;
    // Below 400 the provider had begun to answer; what failed before was judged by its headers.
    if !by_provider || status >= 400 {
        return None;
    }
    Some(BrokenResponse {
        api: text(common, "api")?,
        environment: text(common, "environment")?,
        endpoint: text(common, "endpoint")?,
        model: text(common, "model")?,
        status,
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
