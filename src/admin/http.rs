//! The admin listener's routes: gRPC, the page, metrics for Prometheus, liveness and readiness; and those of a listener
//! for metrics alone.

use std::sync::Arc;

use axum::Router as Routes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;

use super::access::{self, Access};
use super::page;
use super::service::AdminService;
use crate::gateway::Gateway;
use crate::policy_file::PolicyStatus;
use crate::telemetry::Live;

/// Source: the OpenMetrics specification.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The state that the routes report.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The status of its policy.
    pub policy: Arc<PolicyStatus>,
    /// Whether it is about to stop.
    pub stopping: watch::Receiver<bool>,
}

/// Returns all of it, for those who may use it. `grpc` has the services.
pub fn routes(watched: Watched, service: AdminService, grpc: Routes, access: Access) -> Routes {
    let access = Arc::new(access);
    let page = with_own_host(page::routes(service), Arc::clone(&access));
    metrics_and_probes(watched, Arc::clone(&access))
        .merge(page)
        .merge(http2_only(grpc))
        .layer(middleware::from_fn_with_state(access, access::with_token))
}

/// Returns what a scraper and probes ask for, and nothing else: no page, no decision, no service.
pub fn metrics_routes(watched: Watched, hosts: Vec<String>) -> Routes {
    let nothing = async || (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
    metrics_and_probes(watched, Arc::new(Access { hosts, token: None })).fallback(nothing)
}

fn metrics_and_probes(watched: Watched, access: Arc<Access>) -> Routes {
    let metrics = Routes::new().route("/metrics", get(metrics)).with_state(watched.clone());
    Routes::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(watched)
        .merge(with_own_host(metrics, access))
}

fn with_own_host(routes: Routes, access: Arc<Access>) -> Routes {
    routes.layer(middleware::from_fn_with_state(access, access::with_own_host))
}

/// Refuses HTTP/1.1 to what can change something. Browsers speak nothing else without TLS, so no web page reaches it,
/// not even one whose name has come to mean this machine.
fn http2_only(grpc: Routes) -> Routes {
    grpc.layer(middleware::from_fn(async |request: Request, next: Next| {
        if request.version() < Version::HTTP_2 {
            return (StatusCode::NOT_FOUND, "there are /, /metrics, /healthz and /readyz; gRPC needs HTTP/2\n")
                .into_response();
        }
        next.run(request).await
    }))
}

async fn metrics(State(watched): State<Watched>) -> impl IntoResponse {
    let Watched { gateway, policy, .. } = watched;
    let status = policy.get();
    let live = Live {
        snapshot: gateway.router.snapshot(),
        open_requests: gateway.capacity.requests(),
        held_body_bytes: gateway.capacity.bytes(),
        read_responses: gateway.reading.requests(),
        applied_at: status.applied_at,
        refused: status.refused.is_some(),
        refusals: status.refusals,
    };
    ([(header::CONTENT_TYPE, OPENMETRICS)], gateway.telemetry.openmetrics(live))
}

/// Not ready once the signal to stop has come: requests under way go on, new ones should go elsewhere.
async fn ready(State(watched): State<Watched>) -> (StatusCode, &'static str) {
    match *watched.stopping.borrow() {
        false => (StatusCode::OK, "ready\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}
