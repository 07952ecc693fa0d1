//! Providers over TLS, through generated clusters: only who shows a certificate for the URL's host is sent anything.

use std::fs;

use http::Version;
use tempfile::TempDir;

use super::{TOPOLOGIES, printed};
use crate::check::check_error;
use crate::rig::ask::chat;
use crate::rig::authority::{Authority, Signed};
use crate::rig::client::{self, Answer};
use crate::rig::envoy::Envoy;
use crate::rig::provider::Provider;
use crate::rig::router::Router;
use crate::rig::tls::TlsFront;

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// A provider behind TLS, and the host by which it is called.
struct Secured {
    provider: Provider,
    front: TlsFront,
    host: &'static str,
}

impl Secured {
    async fn start(name: &str, host: &'static str, signed: &Signed, protocols: &[&str]) -> Self {
        let provider = Provider::named(name).await;
        let front = TlsFront::start(&provider, signed, protocols).await;
        Self { provider, front, host }
    }

    fn endpoint(&self) -> String {
        let (name, host, port) = (self.provider.name(), self.host, self.front.addr().port());
        format!("  {name}: {{ provider: p, url: 'https://{host}:{port}/v1', api_key: {{ value: key-{name} }} }}\n")
    }
}

/// An Envoy with generated clusters that trusts `ours`, and a policy that tries these in their order.
struct Rig {
    envoy: Envoy,
    _router: Router,
    _directory: TempDir,
}

impl Rig {
    async fn start(topology: &str, ours: &Authority, all: &[&Secured]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        fs::write(&ca, ours.certificate()).unwrap();
        let endpoints: String = all.iter().map(|secured| secured.endpoint()).collect();
        let targets: Vec<_> =
            all.iter().map(|secured| format!("{{ model: m, endpoint: {} }}", secured.provider.name())).collect();
        let policy = format!(
            "providers: {{ p: {{ type: openai, models: [m] }} }}\nendpoints:\n{endpoints}apis: [ {{ name: a, base_path: /v1, \
             production: {{ failover: {{ entries: [ {{ primary: {}, fallbacks: [ {} ] }} ] }} }} }} ]\n",
            targets[0],
            targets[1..].join(", ")
        );
        let router = Router::start(&policy).await;
        let (address, ca) = (router.address().to_string(), ca.display().to_string());
        let arguments = ["--topology", topology, "--router", &address, "--ca-file", &ca];
        let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let envoy = Envoy::run(&printed(&router.policy_file(), &[&arguments[..], &free].concat())).await;
        Self { envoy, _router: router, _directory: directory }
    }

    async fn ask(&self) -> Answer {
        client::send(self.envoy.addr(), chat("m")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whose_certificate_is_for_its_host_is_served_and_asked_for_by_name() {
    let ours = Authority::new("ours");
    for topology in TOPOLOGIES {
        for (protocols, version) in [(&BOTH[..], Version::HTTP_2), (&BOTH[1..], Version::HTTP_11)] {
            let east = Secured::start("east", "localhost", &ours.sign("east", "localhost"), protocols).await;
            let rig = Rig::start(topology, &ours, &[&east]).await;
            let answer = rig.ask().await;
            assert_eq!((answer.status, answer.provider()), (200, "east"), "{topology} {}", answer.text());
            let request = east.provider.last();
            assert_eq!((request.version, request.header("authorization")), (version, "Bearer key-east"));
            assert_eq!(east.front.asked(), [Some("localhost".to_owned())]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_provider_sees_the_scheme_of_its_url() {
    let ours = Authority::new("ours");
    for topology in TOPOLOGIES {
        let east = Secured::start("east", "localhost", &ours.sign("east", "localhost"), &BOTH).await;
        let rig = Rig::start(topology, &ours, &[&east]).await;
        assert_eq!(rig.ask().await.status, 200);
        assert_eq!(east.provider.last().scheme, "https", "{topology}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_at_an_address_needs_a_certificate_for_the_address() {
    let ours = Authority::new("ours");
    let named = Secured::start("named", "127.0.0.1", &ours.sign("named", "localhost"), &BOTH).await;
    let right = Secured::start("right", "127.0.0.1", &ours.sign("right", "127.0.0.1"), &BOTH).await;
    let rig = Rig::start("failover", &ours, &[&named, &right]).await;
    assert_eq!(rig.ask().await.provider(), "right");
    assert_eq!((named.provider.hits(), right.front.asked()), (0, vec![None]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_or_a_strange_authority_is_refused_and_failed_over() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let wrong = Secured::start("wrong", "localhost", &ours.sign("wrong", "elsewhere.test"), &BOTH).await;
    let strange = Secured::start("strange", "localhost", &theirs.sign("strange", "localhost"), &BOTH).await;
    let right = Secured::start("right", "localhost", &ours.sign("right", "localhost"), &BOTH).await;
    let rig = Rig::start("failover", &ours, &[&wrong, &strange, &right]).await;
    let answer = rig.ask().await;
    assert_eq!((answer.status, answer.provider()), (200, "right"), "{}", answer.text());
    assert_eq!(answer.header("x-model-router-attempts"), "3");
    assert_eq!((wrong.provider.hits(), strange.provider.hits()), (0, 0), "no byte of a request");

    let rig = Rig::start("attach", &ours, &[&wrong]).await;
    check_error(&rig.ask().await, 503, "service_unavailable");
    assert_eq!(wrong.provider.hits(), 0);
}
