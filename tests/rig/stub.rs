//! A stand-in for the router, of a few lines: for tests of the Envoy files alone, where the answer must be exact.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Phase;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ImmediateResponse, ProcessingRequest,
    ProcessingResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::envoy::RouterAddr;

/// What the stub does with each request.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Attempt N goes to the Nth of these clusters; an answer that is an error asks for the next attempt.
    Clusters(Vec<&'static str>),
    /// Answers itself, with these `details`.
    Own { status: i32, details: &'static str, body: &'static str },
}

/// The headers of each request, in the order in which they came.
type Seen = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// A stub that serves until it is dropped.
pub(crate) struct Stub {
    addr: SocketAddr,
    seen: Seen,
    task: JoinHandle<()>,
}

impl Stub {
    /// Starts a stub.
    pub(crate) async fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let seen = Seen::default();
        let service =
            ExternalProcessorServer::new(Service { plan, seen: Arc::clone(&seen) }).max_decoding_message_size(64 << 20);
        let server = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async { server.await.expect("the stub serves") });
        Self { addr, seen, task }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> RouterAddr {
        RouterAddr::Tcp(self.addr)
    }

    /// The headers of each attempt so far, as Envoy showed them.
    pub(crate) fn seen(&self) -> Vec<HashMap<String, String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    plan: Plan,
    seen: Seen,
}

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let (plan, seen) = (self.plan.clone(), Arc::clone(&self.seen));
        let mut from_envoy = request.into_inner();
        let (to_envoy, answers) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut attempt = 1;
            while let Some(Ok(ProcessingRequest { request: Some(phase), .. })) = from_envoy.next().await {
                if let Phase::RequestHeaders(headers) = &phase {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(all(headers));
                }
                // As the router does: nothing more is said once the answer's headers have been.
                let last = matches!(phase, Phase::ResponseHeaders(_));
                let reply = reply(&plan, &mut attempt, phase);
                let sent = to_envoy.send(Ok(ProcessingResponse { response: reply, ..Default::default() })).await;
                if last || sent.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

fn reply(plan: &Plan, attempt: &mut usize, phase: Phase) -> Option<Reply> {
    match phase {
        Phase::RequestHeaders(headers) => {
            *attempt = header(&headers, "x-envoy-attempt-count").parse().unwrap_or(1);
            let remove_headers = vec!["x-model-router-cluster".to_owned()];
            let mutation = HeaderMutation { remove_headers, ..HeaderMutation::default() };
            Some(Reply::RequestHeaders(HeadersResponse { response: Some(change(mutation)) }))
        }
        Phase::RequestBody(_) => Some(match plan {
            Plan::Own { status, details, body } => Reply::ImmediateResponse(own(*status, details, body)),
            Plan::Clusters(clusters) => {
                let cluster = clusters.get(*attempt - 1).copied().unwrap_or_default();
                let mutation = set(&[("x-model-router-cluster", cluster)]);
                Reply::RequestBody(BodyResponse { response: Some(change(mutation)) })
            }
        }),
        Phase::ResponseHeaders(headers) => {
            let failed = !header(&headers, ":status").starts_with('2');
            let more = matches!(plan, Plan::Clusters(clusters) if *attempt < clusters.len());
            let mutation = if failed && more { set(&[("x-model-router-retry", "1")]) } else { set(&[]) };
            Some(Reply::ResponseHeaders(HeadersResponse { response: Some(change(mutation)) }))
        }
        _ => None,
    }
}

fn own(status: i32, details: &str, body: &str) -> ImmediateResponse {
    ImmediateResponse {
        status: Some(HttpStatus { code: status }),
        headers: Some(set(&[("content-type", "application/json"), ("retry-after", "7")])),
        body: body.as_bytes().to_vec(),
        details: details.to_owned(),
        ..ImmediateResponse::default()
    }
}

fn change(mutation: HeaderMutation) -> CommonResponse {
    CommonResponse { header_mutation: Some(mutation), clear_route_cache: true, ..CommonResponse::default() }
}

fn set(headers: &[(&str, &str)]) -> HeaderMutation {
    let option = |(key, value): &(&str, &str)| HeaderValueOption {
        header: Some(HeaderValue {
            key: (*key).to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..Default::default()
        }),
        append_action: 2, // OVERWRITE_IF_EXISTS_OR_ADD
        ..HeaderValueOption::default()
    };
    HeaderMutation { set_headers: headers.iter().map(option).collect(), ..HeaderMutation::default() }
}

fn header(headers: &HttpHeaders, name: &str) -> String {
    all(headers).remove(name).unwrap_or_default()
}

fn all(headers: &HttpHeaders) -> HashMap<String, String> {
    let text = |h: &HeaderValue| (h.key.clone(), String::from_utf8_lossy(&h.raw_value).into_owned());
    headers.headers.iter().flat_map(|map| &map.headers).map(text).collect()
}
