//! The exporter: takes ended attempts off the queue and sends them to a collector, apart from all requests.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tracing::warn;

use super::Ended;
use super::span::{self, Spans};
use crate::telemetry::metrics;

/// Spans in one message.
const BATCH: usize = 512;
/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The queue's other end.
#[derive(Debug)]
pub struct Export {
    waiting: mpsc::Receiver<Ended>,
    counted: metrics::Spans,
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    pub(super) fn new(waiting: mpsc::Receiver<Ended>, counted: metrics::Spans) -> Self {
        Self { waiting, counted }
    }

    /// Sends to a collector from now on, as this service. A collector that is away costs its spans and nothing else.
    #[must_use]
    pub fn to(self, collector: Endpoint, service: &str) -> Exporter {
        let (stop, stopped) = oneshot::channel();
        let collector = TraceServiceClient::new(collector.timeout(TIMEOUT).connect_timeout(TIMEOUT).connect_lazy());
        let resource = Resource {
            attributes: vec![
                span::text("service.name", service),
                span::text("service.version", env!("CARGO_PKG_VERSION")),
            ],
            ..Resource::default()
        };
        Exporter { stop, task: tokio::spawn(self.run(collector, resource, stopped)) }
    }

    async fn run(
        mut self,
        mut collector: TraceServiceClient<Channel>,
        resource: Resource,
        stopped: oneshot::Receiver<()>,
    ) {
        let (mut spans, mut ended) = (Spans::default(), Vec::with_capacity(BATCH));
        let mut stopped = std::pin::pin!(stopped);
        let mut is_away = false;
        loop {
            tokio::select! {
                _ = &mut stopped, if !self.waiting.is_closed() => self.waiting.close(),
                count = self.waiting.recv_many(&mut ended, BATCH) => if count == 0 { return },
            }
            if ended.is_empty() {
                continue;
            }
            let deadline = tokio::time::Instant::now() + EVERY;
            while ended.len() < BATCH && !self.waiting.is_closed() {
                let room = BATCH - ended.len();
                tokio::select! {
                    _ = &mut stopped => self.waiting.close(),
                    () = tokio::time::sleep_until(deadline) => break,
                    count = self.waiting.recv_many(&mut ended, room) => if count == 0 { break },
                }
            }
            let batch: Vec<_> = ended.drain(..).map(|ended| spans.of(&ended)).collect();
            let count = batch.len() as u64;
            match collector.export(message(batch, &resource)).await {
                Ok(_) => {
                    self.counted.exported(count);
                    is_away = false;
                }
                Err(status) => {
                    self.counted.failed(count);
                    // Once for each time that it goes away.
                    if !std::mem::replace(&mut is_away, true) {
                        warn!(code = ?status.code(), problem = status.message(), "spans could not be sent");
                    }
                }
            }
        }
    }
}

impl Exporter {
    /// Sends what waits, for no longer than this.
    pub async fn stop(self, within: Duration) {
        let _ = self.stop.send(());
        // What is late is lost, and a router that stops must stop.
        let _ = tokio::time::timeout(within, self.task).await;
    }
}

fn message(spans: Vec<Span>, resource: &Resource) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}
