//! The shipped Envoy files: accepted by Envoy, and safe while no router answers.

use std::fs;
use std::process::Output;

use crate::check::check_error;
use crate::rig::ask::chat;
use crate::rig::client::{self, Client};
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{self, Envoy, RouterAddr, Topology};
use crate::rig::provider::{Provider, Refused};

/// Envoy before a router that is not there.
struct Alone {
    envoy: Envoy,
    provider: Provider,
    _router: Refused,
}

async fn alone(topology: Topology) -> Alone {
    let (provider, router) = (Provider::named("east").await, Refused::new());
    let clusters = [Cluster::plain("east", provider.addr())];
    let envoy = Envoy::start(topology, &RouterAddr::Tcp(router.addr()), &clusters).await;
    Alone { envoy, provider, _router: router }
}

#[track_caller]
fn check_valid(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn shipped_clusters() -> String {
    fs::read_to_string(envoy::root().join("envoy/clusters.yaml")).unwrap()
}

/// Envoy does not read a file for CDS when it validates, so the clusters are put into a bootstrap.
fn validate_clusters(clusters: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bootstrap.yaml");
    fs::write(&file, envoy::bootstrap_of_clusters(clusters)).unwrap();
    envoy::validate(&file)
}

#[track_caller]
fn check_clusters(clusters: &str) {
    check_valid(&validate_clusters(clusters));
}

#[test]
fn envoy_accepts_the_shipped_files() {
    check_valid(&envoy::validate(&Topology::Attach.file()));
    check_valid(&envoy::validate(&Topology::Failover.file()));
}

#[test]
fn envoy_accepts_the_shipped_clusters() {
    check_clusters(&shipped_clusters());
}

#[test]
fn a_mistake_in_clusters_would_be_seen() {
    let mistaken = shipped_clusters().replace("auto_host_sni", "auto_hots_sni");
    assert!(!validate_clusters(&mistaken).status.success());
}

#[tokio::test]
async fn attach_answers_503_while_the_router_is_down() {
    let rig = alone(Topology::Attach).await;
    check_error(&client::send(rig.envoy.addr(), chat("gpt-4o")).await, 503, "service_unavailable");
    assert_eq!(rig.provider.hits(), 0);
}

#[tokio::test]
async fn failover_answers_503_while_the_router_is_down() {
    let rig = alone(Topology::Failover).await;
    check_error(&client::send(rig.envoy.addr(), chat("gpt-4o")).await, 503, "service_unavailable");
    assert_eq!(rig.provider.hits(), 0);
}

#[tokio::test]
async fn the_router_may_be_on_a_unix_socket() {
    for topology in [Topology::Attach, Topology::Failover] {
        let router = RouterAddr::Unix("/no/such/router.sock".into());
        let envoy = Envoy::start(topology, &router, &[]).await;
        check_error(&client::send(envoy.addr(), chat("m")).await, 503, "service_unavailable");
    }
}

#[tokio::test]
async fn a_client_cannot_pick_a_cluster_while_the_router_is_down() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = alone(topology).await;
        let ask = || chat("gpt-4o").header("x-model-router-cluster", "east");
        check_error(&client::send(rig.envoy.addr(), ask()).await, 503, "service_unavailable");
        let answer = Client::http2().send(rig.envoy.addr(), ask()).await.unwrap();
        check_error(&answer, 503, "service_unavailable");
        assert_eq!(rig.provider.hits(), 0, "{topology:?}");
    }
}

#[tokio::test]
async fn stripping_alone_keeps_a_client_from_picking_a_cluster() {
    let (provider, refused) = (Provider::named("east").await, Refused::new());
    let clusters = [Cluster::plain("east", provider.addr())];
    let careless = |text: String| text.replace("failure_mode_allow: false", "failure_mode_allow: true");
    let router = RouterAddr::Tcp(refused.addr());
    let envoy = Envoy::start_edited(Topology::Attach, &router, &clusters, careless).await;
    let answer = client::send(envoy.addr(), chat("m").header("x-model-router-cluster", "east")).await;
    assert_eq!((answer.status, provider.hits()), (503, 0));
}

#[tokio::test]
async fn a_client_cannot_ask_for_attempts() {
    let rig = alone(Topology::Failover).await;
    // With the router away Envoy makes as many attempts as the route allows, whatever a client asks for.
    client::send(rig.envoy.addr(), chat("gpt-4o")).await;
    let ask = chat("gpt-4o").header("x-envoy-retry-on", "5xx").header("x-envoy-max-retries", "2");
    client::send(rig.envoy.addr(), ask.header("x-model-router-retry", "1")).await;
    let lines = rig.envoy.access_log_lines("clients", 2).await;
    assert_eq!(lines[1]["attempts"], lines[0]["attempts"], "{lines:?}");
    assert!(lines[0]["attempts"].as_u64() > Some(3));
}

#[tokio::test]
async fn a_path_that_servers_read_differently_gets_400_before_any_attempt() {
    let rig = alone(Topology::Failover).await;
    let answer = client::send(rig.envoy.addr(), chat("m").path("/v1%2Fadmin")).await;
    check_error(&answer, 400, "bad_request");
}

#[tokio::test]
async fn the_access_log_names_the_request_but_no_credential() {
    let rig = alone(Topology::Failover).await;
    let ask = chat("gpt-4o").path("/v1/chat/completions?key=sk-query").header("authorization", "Bearer sk-header");
    client::send(rig.envoy.addr(), ask).await;
    rig.envoy.access_log_lines("clients", 1).await;
    let lines = rig.envoy.access_log_lines("attempt", 1).await;
    assert_eq!(lines[0]["path"], "/v1/chat/completions");
    assert_eq!(lines[0]["details"], "cluster_not_found");
    assert!(!format!("{:?}", rig.envoy.access_log()).contains("sk-"), "{:?}", rig.envoy.access_log());
}

#[tokio::test]
async fn envoy_takes_new_clusters_while_it_runs() {
    let rig = alone(Topology::Attach).await;
    assert_eq!(rig.envoy.stat("cluster.west.membership_total").await, 0);
    let east = Cluster::plain("east", rig.provider.addr());
    rig.envoy.set_clusters(&[east, Cluster::plain("west", rig.provider.addr())]).await;
    assert_eq!(rig.envoy.stat("cluster_manager.cds.update_rejected").await, 0);
    assert_eq!(rig.envoy.stat("cluster.west.membership_total").await, 1);
}
