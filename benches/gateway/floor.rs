//! The floor: an external processor that does nothing, on tonic's gRPC server.
//!
//! Each message is answered with a mutation that was made before; the body goes back as it came, unread and moved, not
//! copied. There is no task, no channel, no state and no log. What it costs is what gRPC and Envoy cost.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Told;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Answer;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpBody, ProcessingRequest,
    ProcessingResponse, StreamedBodyResponse, TrailersResponse,
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// As the router's own server has them.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const MAX_STREAMS: u32 = 10_000;
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Serves until the process is ended; prints the address first.
pub(crate) async fn serve(listen: &str) -> Result<(), String> {
    let processor = ExternalProcessorServer::new(Floor(Arc::new(fixed()))).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let server = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(processor);
    let served = match listen.strip_prefix("unix:") {
        Some(path) => {
            let listener = UnixListener::bind(PathBuf::from(path)).map_err(|error| error.to_string())?;
            println!("{listen}");
            server.serve_with_incoming(UnixListenerStream::new(listener)).await
        }
        None => {
            let listener = TcpListener::bind(listen).await.map_err(|error| error.to_string())?;
            println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
            server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))).await
        }
    };
    served.map_err(|error| error.to_string())
}

/// What every request gets: as many headers as the router sets.
fn fixed() -> HeaderMutation {
    let set = [
        ("x-model-router-cluster", "east"),
        (":scheme", "http"),
        (":authority", "127.0.0.1:10000"),
        (":path", "/v1/chat/completions"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "300000"),
        ("authorization", "Bearer east-key-of-nobody-0123456789"),
    ];
    HeaderMutation { set_headers: set.iter().map(|(name, value)| header(name, value)).collect(), ..Default::default() }
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.into(), raw_value: value.into(), ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

#[derive(Debug)]
struct Floor(Arc<HeaderMutation>);

#[tonic::async_trait]
impl ExternalProcessor for Floor {
    type ProcessStream = Answers;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Answers>, Status> {
        let (messages, fixed) = (request.into_inner(), Arc::clone(&self.0));
        Ok(Response::new(Answers { messages, fixed, full_duplex: false, ended: false }))
    }
}

#[derive(Debug)]
struct Answers {
    messages: Streaming<ProcessingRequest>,
    fixed: Arc<HeaderMutation>,
    full_duplex: bool,
    ended: bool,
}

impl Stream for Answers {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match std::task::ready!(Pin::new(&mut self.messages).poll_next(context)) {
            Some(Ok(message)) => {
                let response = self.answer(message);
                Poll::Ready(response.map(|it| Ok(ProcessingResponse { response: Some(it), ..Default::default() })))
            }
            _ => Poll::Ready(None),
        }
    }
}

impl Answers {
    fn answer(&mut self, message: ProcessingRequest) -> Option<Answer> {
        if let Some(config) = &message.protocol_config {
            self.full_duplex = config.request_body_mode == BodySendMode::FullDuplexStreamed as i32;
        }
        Some(match message.request? {
            Told::RequestHeaders(_) => {
                Answer::RequestHeaders(HeadersResponse { response: self.full_duplex.then(|| self.mutation(None)) })
            }
            Told::RequestBody(body) => Answer::RequestBody(self.body(body)),
            Told::RequestTrailers(_) => Answer::RequestTrailers(TrailersResponse::default()),
            Told::ResponseHeaders(_) => {
                // Envoy does without it from here on.
                self.ended = true;
                Answer::ResponseHeaders(HeadersResponse::default())
            }
            Told::ResponseBody(_) => Answer::ResponseBody(BodyResponse::default()),
            Told::ResponseTrailers(_) => Answer::ResponseTrailers(TrailersResponse::default()),
        })
    }

    fn body(&self, HttpBody { body, end_of_stream, .. }: HttpBody) -> BodyResponse {
        let response = if self.full_duplex {
            let chunk = StreamedBodyResponse { body, end_of_stream, ..StreamedBodyResponse::default() };
            let body_mutation = Some(BodyMutation { mutation: Some(Mutation::StreamedResponse(chunk)) });
            CommonResponse { body_mutation, ..CommonResponse::default() }
        } else {
            self.mutation(Some(body))
        };
        BodyResponse { response: Some(response) }
    }

    fn mutation(&self, body: Option<Vec<u8>>) -> CommonResponse {
        CommonResponse {
            header_mutation: Some(HeaderMutation::clone(&self.fixed)),
            body_mutation: body.map(|body| BodyMutation { mutation: Some(Mutation::Body(body)) }),
            clear_route_cache: true,
            ..CommonResponse::default()
        }
    }
}
