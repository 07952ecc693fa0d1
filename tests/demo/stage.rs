//! What the demo starts: providers, the router, Envoy. They end when the stage is dropped, Envoy first.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::progress::Progress;
use crate::rig::ask::get;
use crate::rig::client::Client;
use crate::rig::envoy::{self, Envoy, Topology};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};

/// The policy of the walk; `{{east}}` stands for the URL of the provider behind that endpoint.
const POLICY: &str = include_str!("policy.yaml");
/// The static model that `make demo` installs.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/models/wordllama");
/// The endpoints in it.
const ENDPOINTS: [&str; 2] = ["east", "west"];

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    pub(crate) router: Router,
    /// Where the router keeps Envoy's clusters.
    _clusters: TempDir,
    /// Empty with a policy of the reader's own.
    pub(crate) providers: Vec<Provider>,
    /// The policy file that the router follows.
    pub(crate) policy_file: PathBuf,
    /// What it says.
    pub(crate) policy: String,
    /// What to ask for, if it takes chat completions at all.
    pub(crate) example: Option<Example>,
}

/// A chat request that the policy serves, and the hosts to name where they matter.
#[derive(Clone)]
pub(crate) struct Example {
    pub(crate) base_path: String,
    pub(crate) model: String,
    pub(crate) host: Option<String>,
    pub(crate) sandbox_host: Option<String>,
}

impl Stage {
    /// Scripted providers with the demo's own policy.
    pub(crate) async fn scripted() -> Self {
        Progress::new().begin("starting scripted providers, the router and Envoy");
        let mut providers = Vec::new();
        for name in ENDPOINTS {
            providers.push(Provider::named(name).await);
        }
        let clusters = directory();
        let url = |p: &Provider| format!("http://{}", p.addr());
        let policy = providers.iter().fold(POLICY.replace("{{model}}", MODEL), |text, p| {
            text.replace(&format!("{{{{{}}}}}", p.name()), &url(p))
        });
        let env = ENDPOINTS.map(|name| (format!("{}_KEY", name.to_uppercase()), format!("key-of-{name}"))).to_vec();
        let router =
            Router::start_with(&policy, Settings { env, args: arguments(&clusters), ..Settings::default() }).await;
        let envoy = envoy(&router, &clusters).await;
        Progress::new().end();
        let example = Example {
            base_path: "/v1".into(),
            model: "any".into(),
            host: None,
            sandbox_host: Some("sandbox.llm.example.com".into()),
        };
        Self {
            envoy,
            _clusters: clusters,
            policy_file: router.policy_file(),
            router,
            providers,
            policy,
            example: Some(example),
        }
    }

    /// A policy file of the reader's own, which stays where it is.
    pub(crate) async fn own(file: &Path, example: Option<Example>) -> Self {
        Progress::new().begin("starting the router and Envoy");
        // Given twice, the last one counts: the rig's own is a file in a temporary directory.
        let clusters = directory();
        let args = [arguments(&clusters), vec!["--policy".into(), file.display().to_string()]].concat();
        let router = Router::start_with("", Settings { args, ..Settings::default() }).await;
        let envoy = envoy(&router, &clusters).await;
        Progress::new().end();
        Self {
            envoy,
            router,
            _clusters: clusters,
            providers: Vec::new(),
            policy_file: file.to_owned(),
            policy: String::new(),
            example,
        }
    }

    /// The provider behind an endpoint.
    pub(crate) fn provider(&self, endpoint: &str) -> Result<&Provider, String> {
        self.providers.iter().find(|p| p.name() == endpoint).ok_or_else(|| format!("there is no provider {endpoint}"))
    }

    /// Where clients connect.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.envoy.addr()
    }

    /// Envoy's version, as it says itself.
    pub(crate) async fn envoy_version(&self) -> Result<String, String> {
        let info = Client::new().send(self.envoy.admin(), get("/server_info")).await?.json();
        let version = info["version"].as_str().and_then(|version| version.split('/').nth(1));
        Ok(version.ok_or("Envoy does not tell its version")?.to_owned())
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The rig reads the router's addresses out of its log, and the demo the probes: a filter in the environment would
/// hide them.
fn arguments(clusters: &TempDir) -> Vec<String> {
    let clusters = clusters.path().display().to_string();
    vec!["--log".into(), "info".into(), "--envoy-clusters-dir".into(), clusters]
}

/// Envoy on what `envoy-config` writes, so that an endpoint that is added to the policy is served at once.
async fn envoy(router: &Router, clusters: &TempDir) -> Envoy {
    let file = clusters.path().join("clusters.yaml");
    Envoy::run(&envoy::shipped(Topology::Failover, &router.address(), &file)).await
}

/// The router's binary as one would type it here.
pub(crate) fn router_binary() -> String {
    let binary = binary();
    let here = std::env::current_dir().unwrap_or_default();
    binary.strip_prefix(here).unwrap_or(&binary).display().to_string()
}
