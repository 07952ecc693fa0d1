//! The exporter: a task that takes ended attempts from the queue and sends them to a collector.

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
/// The time for which a span waits for others: meanwhile the queue holds the spans of 40 000 attempts a second.
const PAUSE: Duration = Duration::from_millis(200);
/// The time limit of an export.
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
            if ended.len() < BATCH && !self.waiting.is_closed() {
                // One wake-up for all that come meanwhile, not one for each.
                tokio::select! {
                    _ = &mut stopped => self.waiting.close(),
                    () = tokio::time::sleep(PAUSE) => {}
                }
                while ended.len() < BATCH
                    && let Ok(next) = self.waiting.try_recv()
                {
                    ended.push(next);
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
