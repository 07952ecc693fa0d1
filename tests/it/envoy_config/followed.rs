//! Clusters that the router writes and Envoy follows, while the policy changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{TOPOLOGIES, printed};
use crate::check::{production, status};
use crate::rig::ask::chat;
use crate::rig::client::{self, Answer};
use crate::rig::envoy::Envoy;
use crate::rig::eventually;
use crate::rig::load::load;
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};
use crate::rig::script::{Completion, Script};

/// A router that keeps the clusters of an Envoy in a directory.
struct Followed {
    envoy: Envoy,
    router: Router,
    directory: TempDir,
}

impl Followed {
    async fn start(topology: &str, policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let args = ["--envoy-clusters-dir", &path, "--reload-interval", "10ms"].map(str::to_owned).to_vec();
        let router = Router::start_with(policy, Settings { args, ..Settings::default() }).await;
        let (address, clusters) = (router.address().to_string(), format!("{path}/clusters.yaml"));
        let arguments = ["--topology", topology, "--router", &address, "--clusters-file", &clusters];
        let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let envoy = Envoy::run(&printed(&router.policy_file(), &[&arguments[..], &free].concat())).await;
        Self { envoy, router, directory }
    }

    fn clusters(&self) -> String {
        fs::read_to_string(self.directory.path().join("clusters.yaml")).unwrap()
    }

    /// Changes the policy and waits until it is live.
    async fn apply(&self, policy: &str) {
        let before = self.version().await;
        self.router.write_policy(policy);
        eventually("the new policy", async || (self.version().await > before).then_some(())).await;
    }

    async fn version(&self) -> u64 {
        status(&self.router).await.policy.unwrap().version
    }

    /// Sends requests, 8 at a time, until it is told to end.
    fn load(&self) -> Load {
        let (end, addr) = (Arc::new(AtomicBool::new(false)), self.envoy.addr());
        Load { task: tokio::spawn(until(Arc::clone(&end), addr)), end }
    }
}

/// Requests that are being sent.
struct Load {
    end: Arc<AtomicBool>,
    task: JoinHandle<Vec<Result<Answer, String>>>,
}

async fn until(end: Arc<AtomicBool>, addr: SocketAddr) -> Vec<Result<Answer, String>> {
    let mut answers = Vec::new();
    while !end.load(Ordering::SeqCst) {
        answers.extend(load(addr, 40, 8, |_| chat("any")).await);
    }
    answers
}

impl Load {
    /// All answers so far; fails the test if one is not a success.
    async fn all_served(self) -> usize {
        self.end.store(true, Ordering::SeqCst);
        let answers = self.task.await.unwrap();
        for answer in &answers {
            assert_eq!(answer.as_ref().map(|answer| answer.status), Ok(200), "{answer:?}");
        }
        answers.len()
    }
}

/// One target at this provider, as the endpoint of this name.
fn at(endpoint: &str, provider: &Provider) -> String {
    let policy = format!("    round_robin: {{ targets: [ {{ model: gpt-4o, endpoint: {endpoint} }} ] }}");
    filled(&production(&policy), &[(endpoint, provider)])
}

fn filled(policy: &str, providers: &[(&str, &Provider)]) -> String {
    let url = |provider: &Provider| format!("http://{}", provider.addr());
    providers.iter().fold(policy.to_owned(), |text, (name, p)| text.replace(&format!("{{{{{name}}}}}"), &url(p)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_endpoint_is_served_without_a_restart_and_no_request_is_lost() {
    for topology in TOPOLOGIES {
        let (east, west) = (Provider::named("east").await, Provider::named("west").await);
        let rig = Followed::start(topology, &at("east", &east)).await;
        let load = rig.load();
        eventually("requests", async || (east.hits() > 100).then_some(())).await;
        rig.apply(&at("west", &west)).await;
        eventually("requests to the new endpoint", async || (west.hits() > 100).then_some(())).await;
        let served = load.all_served().await;
        eventually("the old cluster to go", async || (!rig.clusters().contains("name: \"east@")).then_some(())).await;
        assert_eq!(rig.envoy.stat("cluster_manager.cds.update_rejected").await, 0);
        println!("{topology}: {served} requests while an endpoint was replaced, none lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_never_follows_its_endpoints_name_to_another_place() {
    let (old, new) = (Provider::named("old").await, Provider::named("new").await);
    let rig = Followed::start("failover", &at("east", &old)).await;
    let load = rig.load();
    for round in 0..3 {
        let place = if round % 2 == 0 { &new } else { &old };
        let key = if round % 2 == 0 { "key-new" } else { "key-east" };
        let before = place.hits();
        rig.apply(&at("east", place).replace("key-east", key)).await;
        eventually("requests", async || (place.hits() > before + 100).then_some(())).await;
    }
    load.all_served().await;
    for (provider, key) in [(&old, "Bearer key-east"), (&new, "Bearer key-new")] {
        let requests = provider.requests();
        assert!(requests.len() > 100 && requests.iter().all(|request| request.header("authorization") == key));
    }
    assert!(rig.envoy.stat("cluster.east.upstream_rq_total").await > 100, "counted under the endpoint's name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_when_its_cluster_is_taken_away() {
    let (east, west) = (Provider::named("east").await, Provider::named("west").await);
    let slow = Completion { chunks: 16, gap: Duration::from_millis(300), ..Completion::default() };
    east.answer(Script::Ok(slow));
    let rig = Followed::start("failover", &at("east", &east)).await;
    let stream = client::stream(rig.envoy.addr(), chat("any").streamed()).await;
    rig.apply(&at("west", &west)).await;
    eventually("the old cluster to go", async || (!rig.clusters().contains("name: \"east@")).then_some(())).await;
    let gone = async || (rig.envoy.stat("cluster_manager.cluster_removed").await >= 1).then_some(());
    eventually("Envoy to take it away", gone).await;
    assert_eq!(east.in_flight(), 1, "the stream is not at its end yet");
    let events = stream.events().await;
    assert_eq!((events.len(), events.last().unwrap().1.as_deref()), (17, Ok("[DONE]")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_attempt_under_the_policy_before_finds_its_cluster() {
    let [east, middle, west] =
        [Provider::named("east").await, Provider::named("middle").await, Provider::named("west").await];
    east.answer(Script::status(503).after(Duration::from_secs(3)));
    let policy = "
    failover:
      entries: [ { primary: { model: gpt-4o, endpoint: east }, fallbacks: [ { model: gpt-4o, endpoint: middle } ] } ]";
    let policy = filled(&production(policy), &[("east", &east), ("middle", &middle)]);
    let rig = Followed::start("failover", &policy).await;
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { client::send(addr, chat("gpt-4o")).await });
    eventually("the first attempt", async || (east.hits() == 1).then_some(())).await;
    rig.apply(&at("west", &west)).await;
    assert!(rig.clusters().contains("name: \"middle@"), "kept for the request under way");
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.provider()), (200, "middle"));
    eventually("the old clusters to go", async || (!rig.clusters().contains("name: \"middle@")).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_clusters_cannot_be_written_is_refused_and_the_live_one_stays() {
    let (east, west) = (Provider::named("east").await, Provider::named("west").await);
    let rig = Followed::start("failover", &at("east", &east)).await;
    let (place, aside) = (rig.directory.path().to_owned(), rig.directory.path().with_extension("aside"));
    fs::rename(&place, &aside).unwrap();
    rig.router.write_policy(&at("west", &west));
    let refused = eventually("the refusal", async || status(&rig.router).await.last_refused_reload).await;
    assert!(refused.report.contains("clusters.yaml: No such file"), "{}", refused.report);
    assert_eq!(client::send(rig.envoy.addr(), chat("any")).await.provider(), "east");
    fs::rename(&aside, &place).unwrap();
    eventually("another try", async || (rig.version().await == 2).then_some(())).await;
    assert_eq!(client::send(rig.envoy.addr(), chat("any")).await.provider(), "west");
    assert_eq!(rig.router.events("policy refused; the live one stays").len(), 1, "told once");
}

#[test]
fn a_directory_that_cannot_be_written_stops_the_start() {
    let policy = crate::rig::envoy::root().join("envoy/policies/round-robin.yaml");
    let mut command = process::Command::new(binary());
    command.arg("serve").arg("--policy").arg(policy).args(["--envoy-clusters-dir", "/no/such/directory"]);
    let output = command.envs([("OPENAI_EAST_KEY", "a"), ("OPENAI_WEST_KEY", "b")]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("--envoy-clusters-dir: Envoy's clusters can't be written to"),
        "{text}"
    );
}

/// Endpoints, all at one provider, in turn.
fn many(count: usize, provider: &Provider) -> String {
    let url = format!("http://{}/up/v1", provider.addr());
    let endpoints: String = (0..count)
        .map(|n| format!("  e{n}: {{ provider: openai, url: '{url}', api_key: {{ value: key-{n} }} }}\n"))
        .collect();
    let targets: Vec<_> = (0..count).map(|n| format!("{{ model: gpt-4o, endpoint: e{n} }}")).collect();
    format!(
        "providers: {{ openai: {{ type: openai, models: [gpt-4o] }} }}\nendpoints:\n{endpoints}apis: [ {{ name: a, base_path: /v1, \
         production: {{ round_robin: {{ targets: [ {} ] }} }} }} ]\n",
        targets.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_endpoints_are_generated_reloaded_and_followed_without_a_lost_request() {
    let provider = Provider::named("all").await;
    let rig = Followed::start("failover", &many(200, &provider)).await;
    let began = Instant::now();
    let text = printed(&rig.router.policy_file(), &["--output", "clusters"]);
    let (generate, bytes) = (began.elapsed(), text.len());
    let load = rig.load();
    eventually("requests", async || (provider.hits() > 200).then_some(())).await;

    let began = Instant::now();
    rig.router.write_policy(&many(201, &provider));
    eventually("the clusters' file", async || rig.clusters().contains("name: \"e200@").then_some(())).await;
    let written = began.elapsed();
    let known = async || (rig.envoy.stat("cluster.e200.membership_total").await == 1).then_some(());
    eventually("Envoy to know the new cluster", known).await;
    let followed = began.elapsed();
    eventually("the new policy", async || (rig.version().await == 2).then_some(())).await;
    let applied = began.elapsed();
    let new = || provider.requests().iter().any(|request| request.header("authorization") == "Bearer key-200");
    eventually("a request to the new endpoint", async || new().then_some(())).await;
    let served = began.elapsed();
    let requests = load.all_served().await;
    println!(
        "200 endpoints: {bytes} bytes generated in {generate:?}; one more: file written after {written:?}, taken by \
         Envoy after {followed:?}, policy applied after {applied:?}, first request there after {served:?}; {requests} \
         requests meanwhile, 0 lost"
    );
    assert!(generate < Duration::from_secs(5) && followed < Duration::from_secs(5), "{generate:?} {followed:?}");
}
