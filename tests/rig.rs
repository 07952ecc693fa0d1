//! The rig: scripted providers, the real router and a real Envoy on the files that we ship, for tests and for the demo.
//!
//! Nothing here picks a port in advance: each part binds port 0 and tells. Each process and each temporary directory
//! goes away with the value that holds it.

#![allow(dead_code)] // Included by two binaries, each of which uses its own part.

#[path = "rig/ask.rs"]
pub(crate) mod ask;
#[path = "rig/authority.rs"]
pub(crate) mod authority;
#[path = "rig/client.rs"]
pub(crate) mod client;
#[path = "rig/clusters.rs"]
pub(crate) mod clusters;
#[path = "rig/envoy.rs"]
pub(crate) mod envoy;
#[path = "rig/ext_proc.rs"]
pub(crate) mod ext_proc;
#[path = "rig/load.rs"]
pub(crate) mod load;
#[path = "rig/process.rs"]
pub(crate) mod process;
#[path = "rig/provider.rs"]
pub(crate) mod provider;
#[path = "rig/remote.rs"]
mod remote;
#[path = "rig/router.rs"]
pub(crate) mod router;
#[path = "rig/script.rs"]
pub(crate) mod script;
#[path = "rig/serve.rs"]
pub(crate) mod serve;
#[path = "rig/stub.rs"]
pub(crate) mod stub;
#[path = "rig/tls.rs"]
pub(crate) mod tls;
#[path = "rig/upload.rs"]
pub(crate) mod upload;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ask::Ask;
use client::Answer;
use clusters::Cluster;
use envoy::{Envoy, Topology};
use provider::Provider;
use router::{Router, Settings};

/// How long anything that should happen soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// One Envoy, one router and a provider for each endpoint.
///
/// Fields are dropped in this order, so that Envoy is gone before what it talks to.
pub(crate) struct Rig {
    pub(crate) envoy: Envoy,
    pub(crate) router: Router,
    providers: BTreeMap<String, Provider>,
}

impl Rig {
    /// Starts everything. In `policy`, `{{east}}` stands for the URL of the endpoint named `east`, without a path,
    /// `{{east.host}}` and `{{east.port}}` for its parts.
    pub(crate) async fn start(topology: Topology, policy: &str, endpoints: &[&str]) -> Self {
        Self::start_with(topology, policy, endpoints, Settings::default()).await
    }

    /// As [`Rig::start`], with settings for the router.
    pub(crate) async fn start_with(topology: Topology, policy: &str, endpoints: &[&str], settings: Settings) -> Self {
        Self::start_edited(topology, policy, endpoints, settings, |text| text).await
    }

    /// As [`Rig::start_with`], with one more change to the text of Envoy's file.
    pub(crate) async fn start_edited(
        topology: Topology,
        policy: &str,
        endpoints: &[&str],
        settings: Settings,
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        let mut providers = BTreeMap::new();
        for name in endpoints {
            providers.insert((*name).to_owned(), Provider::named(name).await);
        }
        let router = Router::start_with(&fill(policy, &providers), settings).await;
        let envoy = Envoy::start_edited(topology, &router.address(), &clusters(&providers), edit).await;
        Self { envoy, router, providers }
    }

    /// The provider behind an endpoint.
    pub(crate) fn provider(&self, endpoint: &str) -> &Provider {
        self.providers.get(endpoint).unwrap_or_else(|| panic!("no endpoint `{endpoint}` in this rig"))
    }

    /// All providers, in the order of their names.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// How many requests each provider has had, in the order of their names.
    pub(crate) fn hits(&self) -> Vec<usize> {
        self.providers().map(Provider::hits).collect()
    }

    /// Forgets what the providers have seen.
    pub(crate) fn clear(&self) {
        self.providers().for_each(Provider::clear);
    }

    /// Sends one request through Envoy.
    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        client::send(self.envoy.addr(), ask).await
    }

    /// A policy with the URLs of this rig's providers in it, for [`Router::write_policy`].
    pub(crate) fn fill(&self, policy: &str) -> String {
        fill(policy, &self.providers)
    }
}

fn fill(policy: &str, providers: &BTreeMap<String, Provider>) -> String {
    let url = |p: &Provider| format!("http://{}", p.addr());
    let ends = |text: String, name: &str, p: &Provider| {
        let text = text.replace(&format!("{{{{{name}.host}}}}"), &p.addr().ip().to_string());
        text.replace(&format!("{{{{{name}.port}}}}"), &p.addr().port().to_string())
    };
    providers
        .iter()
        .fold(policy.to_owned(), |text, (name, p)| ends(text, name, p).replace(&format!("{{{{{name}}}}}"), &url(p)))
}

fn clusters(providers: &BTreeMap<String, Provider>) -> Vec<Cluster> {
    providers.iter().map(|(name, provider)| Cluster::plain(name, provider.addr())).collect()
}

/// Asks again and again until there is an answer, and fails the test when there is none [`SOON`].
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {SOON:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
