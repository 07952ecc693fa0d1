//! Spans of attempts, as a collector receives them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::check::production;
use crate::rig::ask::{Ask, chat, get};
use crate::rig::authority::{Authority, Signed};
use crate::rig::client::send;
use crate::rig::envoy::Topology;
use crate::rig::router::Settings;
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

const POLICY: &str = "    failover:
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west }, { model: o1-mini, endpoint: middle } ]
";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A message and its `x-tenant` header.
type Received = (Option<String>, ExportTraceServiceRequest);

/// A collector that keeps what it receives.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<Received>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let tenant = request.metadata().get("x-tenant").and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.0.lock().unwrap().push((tenant, request.into_inner()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) async fn start(&self) -> SocketAddr {
        self.start_on(Server::builder()).await
    }

    async fn start_on(&self, mut server: Server) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let service =
            server.add_service(TraceServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip));
        tokio::spawn(service.serve_with_incoming(TcpIncoming::from(listener)));
        addr
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        let scopes =
            all.iter().flat_map(|(_, request)| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    pub(crate) async fn spans_once(&self, count: usize) -> Vec<Span> {
        eventually("the spans", async || Some(self.spans()).filter(|spans| spans.len() >= count)).await
    }
}

async fn rig(topology: Topology, collector: SocketAddr) -> Rig {
    let args = vec!["--otlp-endpoint".into(), format!("http://{collector}")];
    let settings = Settings { args, ..Settings::default() };
    Rig::start_with(topology, &production(POLICY), &["east", "west", "middle"], settings).await
}

/// A request that its client traces.
pub(crate) fn traced(ask: Ask) -> Ask {
    ask.header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
}

fn attributes(list: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.clone().and_then(|value| value.value).map(|value| text(&value));
    list.iter().map(|pair| (&*pair.key, value(pair).unwrap_or_default())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_a_span_below_the_clients() {
    let collector = Collector::default();
    let rig = rig(Topology::Failover, collector.start().await).await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(Script::status_with(429, &[("retry-after", "30")]));
    assert_eq!(rig.send(traced(chat("gpt-4o").say("a secret of the client's"))).await.status, 200);
    let mut spans = collector.spans_once(3).await;
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let of = attributes(&span.attributes);
            let failed = span.status.as_ref().map(|status| status.code);
            assert_eq!((&*hex(&span.trace_id), &*hex(&span.parent_span_id)), (TRACE, PARENT));
            assert!(span.end_time_unix_nano > span.start_time_unix_nano);
            let text = [
                "model_router.attempt",
                "gen_ai.request.model",
                "model_router.endpoint",
                "http.response.status_code",
                "model_router.outcome",
                "model_router.reason",
            ]
            .map(|name| of[name].clone());
            (text.join(" "), failed)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("1 gpt-4o east 503 failed first choice".to_owned(), Some(2)),
            ("2 gpt-4o-mini west 429 rate_limited after gpt-4o@east: failed".to_owned(), Some(2)),
            ("3 o1-mini middle 200 served after gpt-4o-mini@west: rate_limited".to_owned(), Some(0)),
        ]
    );
    let first = attributes(&spans[0].attributes);
    let called = ["gen_ai.operation.name", "gen_ai.provider.name", "server.address", "server.port"];
    let port = rig.provider("east").addr().port().to_string();
    assert_eq!(called.map(|name| &*first[name]), ["chat", "openai", "127.0.0.1", &port]);
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), 3);

    // What is passed over is an event.
    rig.provider("middle").answer(Script::ok());
    assert_eq!(rig.send(traced(chat("gpt-4o"))).await.status, 200);
    let spans = collector.spans_once(4).await;
    let events: Vec<_> = spans[3].events.iter().map(|event| (&*event.name, attributes(&event.attributes))).collect();
    let targets: Vec<_> = events.iter().map(|(name, of)| (*name, &*of["model_router.target"])).collect();
    assert_eq!(targets, [("passed over", "gpt-4o@east"), ("passed over", "gpt-4o-mini@west")]);
    assert!(events[0].1["model_router.reason"].starts_with("suspended for "), "{events:?}");

    let all = format!("{:?}", collector.0.lock().unwrap());
    for kept in ["a secret of the client's", "Say hello", "key-east", "key-west"] {
        assert!(!all.contains(kept), "{kept}");
    }
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_own_variables_and_tls_are_understood() {
    let authority = Authority::new("the collector's authority");
    let Signed { certificate, key } = authority.sign("collector", "127.0.0.1");
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    let collector = Collector::default();
    let addr = collector.start_on(Server::builder().tls_config(tls).unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, authority.certificate()).unwrap();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://{addr}")),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca_file.to_str().unwrap().to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=team%20one".to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test".to_owned()),
        ("OTEL_SERVICE_NAME", "gateway".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let settings = Settings { env, ..Settings::default() };
    let rig = Rig::start_with(Topology::Failover, &production(POLICY), &["east", "west", "middle"], settings).await;
    assert_eq!(rig.send(traced(chat("gpt-4o"))).await.status, 200);
    collector.spans_once(1).await;
    let received = collector.0.lock().unwrap();
    let (tenant, request) = &received[0];
    assert_eq!(tenant.as_deref(), Some("team one"));
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    let of = attributes(&resource.attributes);
    assert_eq!(["service.name", "deployment.environment"].map(|name| &*of[name]), ["gateway", "test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_the_client_is_the_parent_as_well() {
    let collector = Collector::default();
    let rig = rig(Topology::Attach, collector.start().await).await;
    assert_eq!(rig.send(traced(chat("gpt-4o"))).await.status, 200);
    let spans = collector.spans_once(1).await;
    assert_eq!((&*hex(&spans[0].trace_id), &*hex(&spans[0].parent_span_id)), (TRACE, PARENT));
    assert_eq!(attributes(&spans[0].attributes)["model_router.endpoint"], "east");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_no_span_and_the_last_ones_are_sent_at_the_stop() {
    let collector = Collector::default();
    let mut rig = rig(Topology::Failover, collector.start().await).await;
    let untraced = format!("00-{TRACE}-{PARENT}-00");
    for ask in [chat("gpt-4o"), chat("gpt-4o").header("traceparent", &untraced), traced(chat("gpt-4o"))] {
        assert_eq!(rig.send(ask).await.status, 200);
    }
    assert_eq!(rig.router.stop().await.code(), Some(0));
    assert_eq!(collector.spans().len(), 1, "sent before the end, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_no_request() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = rig(Topology::Failover, closed).await;
    for _ in 0..20 {
        assert_eq!(rig.send(traced(chat("gpt-4o"))).await.status, 200);
    }
    eventually("the failures", async || {
        let metrics = send(rig.router.admin(), get("/metrics")).await.text();
        metrics.contains("model_router_spans_total{result=\"failed\"} 20").then_some(())
    })
    .await;
    assert_eq!(rig.router.events("spans could not be sent").len(), 1);
}
