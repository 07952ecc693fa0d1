//! The router on another host: only who shows a certificate of the right authority is served.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::check::production;
use crate::rig::ask::chat;
use crate::rig::authority::Authority;
use crate::rig::client::send;
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{Envoy, Topology};
use crate::rig::eventually;
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};

/// Writes `OWNER.pem`, `OWNER.key` and, as `AUTHORITY.pem`, the authority's own certificate.
fn sign(directory: &Path, (name, authority): (&str, &Authority), owner: &str) {
    let signed = authority.sign(owner, "router.test");
    for (file, text) in [
        (format!("{owner}.pem"), &*signed.certificate),
        (format!("{owner}.key"), &*signed.key),
        (format!("{name}.pem"), authority.certificate()),
    ] {
        let fresh = directory.join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, directory.join(file)).unwrap();
    }
}

/// A router that `ours` signed and that serves clients of `ours`.
async fn router(directory: &TempDir, provider: &Provider) -> Router {
    let file = |name: &str| directory.path().join(name).display().to_string();
    let policy = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    let args = [
        ("--tls-certificate", file("router.pem")),
        ("--tls-key", file("router.key")),
        ("--tls-client-ca", file("ours.pem")),
        ("--reload-interval", "20ms".to_owned()),
    ];
    let args = args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
    let policy = policy.replace("{{east}}", &format!("http://{}", provider.addr()));
    Router::start_with(&policy, Settings { args, ..Settings::default() }).await
}

/// An Envoy that trusts `ours` and shows the certificate of this owner.
async fn envoy(directory: &TempDir, router: &Router, provider: &Provider, owner: &str) -> Envoy {
    let file = |name: &str| directory.path().join(name).display().to_string();
    let socket = format!(
        "transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          alpn_protocols: [h2]
          tls_certificates:
          - {{ certificate_chain: {{ filename: {} }}, private_key: {{ filename: {} }} }}
          validation_context: {{ trusted_ca: {{ filename: {} }} }}
    ",
        file(&format!("{owner}.pem")),
        file(&format!("{owner}.key")),
        file("ours.pem"),
    );
    let clusters = [Cluster::plain("east", provider.addr())];
    let edit = |text: String| {
        let at = text.rfind("  - name: model-router\n").expect("the router's cluster");
        let at = at + text[at..].find("connect_timeout:").expect("its first setting");
        format!("{}{socket}{}", &text[..at], &text[at..])
    };
    Envoy::start_edited(Topology::Failover, &router.address(), &clusters, edit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_of_our_authority_is_served() {
    let (directory, provider) = (tempfile::tempdir().unwrap(), Provider::named("east").await);
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    sign(directory.path(), ("ours", &ours), "router");
    sign(directory.path(), ("ours", &ours), "envoy");
    sign(directory.path(), ("theirs", &theirs), "stranger");
    let router = router(&directory, &provider).await;
    let friend = envoy(&directory, &router, &provider, "envoy").await;
    assert_eq!(send(friend.addr(), chat("any")).await.status, 200);
    let stranger = envoy(&directory, &router, &provider, "stranger").await;
    assert_eq!(send(stranger.addr(), chat("any")).await.status, 503);
    assert_eq!(provider.hits(), 1);
    router.logged("the refusal", |line| line.contains("TLS handshake failed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_when_they_change() {
    let (directory, provider) = (tempfile::tempdir().unwrap(), Provider::named("east").await);
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    sign(directory.path(), ("theirs", &theirs), "router");
    sign(directory.path(), ("ours", &ours), "envoy");
    let router = router(&directory, &provider).await;
    let envoy = envoy(&directory, &router, &provider, "envoy").await;
    assert_eq!(send(envoy.addr(), chat("any")).await.status, 503, "Envoy does not trust the router");
    fs::write(directory.path().join("router.key"), "no key").unwrap();
    router.logged("the refusal", |line| line.contains("certificates refused") && line.contains("router.key")).await;
    sign(directory.path(), ("ours", &ours), "router");
    eventually("the new certificate", async || (send(envoy.addr(), chat("any")).await.status == 200).then_some(()))
        .await;
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    let text = production("    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }");
    fs::write(&policy, text.replace("{{east}}", "http://127.0.0.1:1")).unwrap();
    let missing = directory.path().join("missing.pem").display().to_string();
    let mut command = std::process::Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--policy"]).arg(&policy);
    command.args(["--tls-certificate", &missing, "--tls-key", &missing, "--tls-client-ca", &missing]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains(&missing), "{text}");
}
