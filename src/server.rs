//! The listeners: where Envoy and operators reach the router, and how it stops.

mod connection;
mod listen;
mod local;
pub mod reload;
mod threads;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::service::Routes as GrpcRoutes;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::admin::{self, Access, AdminService, Watched};
use crate::envoy::access_log::AccessLog;
use crate::envoy::ext_proc::{EnvoyService, Processor};
use crate::gateway::Gateway;
use crate::policy_file::PolicyStatus;
pub use listen::Listener;
pub use tls::{Tls, TlsError, TlsFiles};

/// Per stream and per connection: a whole prompt in flight without waiting for a window update.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// The silence after which a connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The bound listeners of the service.
#[derive(Debug)]
pub struct Listeners {
    /// Serves Envoy.
    pub envoy: Listener,
    /// Serves operators.
    pub admin: Listener,
    /// Serves metrics and probes alone, if there is one.
    pub metrics: Option<Listener>,
}

/// Bounds of the service.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Streams at once on one connection; Envoy has one connection for each of its threads.
    pub max_streams: u32,
    /// Threads that serve Envoy's connections.
    pub threads: usize,
    /// The time for which streams may continue after the signal to stop.
    pub drain_timeout: Duration,
}

/// Serves until `stop` resolves, then drains: health says NOT_SERVING, connections get a GOAWAY, and streams
/// end by themselves within the bound.
///
/// # Errors
/// A listener failed.
pub async fn serve(
    listeners: Listeners,
    access: Access,
    gateway: Arc<Gateway>,
    policy: Arc<PolicyStatus>,
    bounds: Bounds,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<Processor>().await;
    let processor = Processor::new(Arc::clone(&gateway));
    let (stopping, stopped) = watch::channel(false);
    let access_log = AccessLog::server(Arc::clone(&gateway), stopped.clone());
    let others = GrpcRoutes::new(health_service.clone()).add_service(access_log);
    let ext_proc = EnvoyService::new(processor, others);
    let watched = Watched { gateway: Arc::clone(&gateway), policy: Arc::clone(&policy), stopping: stopped.clone() };
    let service = AdminService::new(gateway, policy);
    let grpc = GrpcRoutes::new(health_service).add_service(reflection()?).add_service(service.clone().server());
    let metrics_routes = admin::metrics_routes(watched.clone(), access.hosts.clone());
    let admin_routes = admin::routes(watched, service, grpc.into_axum_router(), access);

    let serving = async {
        let metrics = async {
            match listeners.metrics {
                Some(listener) => threads::serve_here(http(metrics_routes), listener, stopped.clone()).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(
            threads::serve(ext_proc, listeners.envoy, bounds, stopped.clone()),
            threads::serve_here(http(admin_routes), listeners.admin, stopped.clone()),
            metrics
        )
    };
    let draining = async {
        stop.await;
        announce_stop(&health).await;
        stopping.send_replace(true);
        tokio::time::sleep(bounds.drain_timeout).await;
        warn!("streams were still open at the end of the drain timeout");
    };
    tokio::select! {
        served = serving => served.map(|_| ()),
        () = draining => Ok(()),
    }
}

/// Returns a server of HTTP/1.1 and HTTP/2.
fn http(routes: axum::Router) -> tonic::transport::server::Router {
    Server::builder().accept_http1(true).http2_keepalive_interval(Some(KEEPALIVE)).add_routes(routes.into())
}

fn reflection()
-> io::Result<tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>>
{
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(admin::proto::DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)
}

async fn announce_stop(health: &HealthReporter) {
    info!("stopping");
    health.set_not_serving::<Processor>().await;
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
}

/// Resolves when the service is to stop.
async fn stop(mut stopped: watch::Receiver<bool>) {
    // An error would mean that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
