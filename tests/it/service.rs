//! The process: its listeners, its admin API, how it starts, refuses to start, and stops.

use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Body as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model_router::admin::proto::ListTargetsRequest;
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::check::{admin, channel, production};
use crate::rig::ask::chat;
use crate::rig::client::stream;
use crate::rig::clusters::Cluster;
use crate::rig::envoy::Topology;
use crate::rig::envoy::{Envoy, RouterAddr};
use crate::rig::load::{Tally, load};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

const ONE: &str = "    round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] }";

fn policy() -> String {
    production(ONE).replace("{{east}}", "http://127.0.0.1:1").replace("{{west}}", "http://127.0.0.1:1")
}

fn run(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().unwrap()
}

async fn health(router: &Router, service: &str) -> Result<i32, tonic::Code> {
    let mut client = HealthClient::new(channel(router).await);
    let answer = client.check(HealthCheckRequest { service: service.into() }).await;
    answer.map(|answer| answer.into_inner().status).map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_serves_envoy() {
    let settings = Settings { listen: "unix:{dir}/router.sock".into(), ..Settings::default() };
    let rig = Rig::start_with(Topology::Failover, &production(ONE), &["east", "west"], settings).await;
    assert_eq!(rig.send(chat("any")).await.status, 200);
}

/// Whether the answer on Envoy's listener is all in its headers, as gRPC has it for an error without a message.
async fn ends_with_its_headers(router: &Router, service: &str) -> bool {
    let RouterAddr::Tcp(listen) = router.address() else { panic!("TCP") };
    let message = HealthCheckRequest { service: service.to_owned() }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = Full::<Bytes>::from([&[0][..], &length, &message].concat());
    let request = Request::post(format!("http://{listen}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let socket = TokioIo::new(TcpStream::connect(listen).await.unwrap());
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    let answer = client.send_request(request.body(body).unwrap()).await.unwrap();
    answer.headers().contains_key("grpc-status") && answer.body().is_end_stream()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_served_and_reflection_lists_the_services() {
    let router = Router::start(&policy()).await;
    for service in ["", "envoy.service.ext_proc.v3.ExternalProcessor"] {
        assert_eq!(health(&router, service).await, Ok(ServingStatus::Serving as i32));
    }
    assert_eq!(health(&router, "nothing").await, Err(tonic::Code::NotFound));
    assert!(ends_with_its_headers(&router, "nothing").await);
    assert_eq!(reflected(&router).await, ["grpc.health.v1.Health", "model_router.admin.v1.Admin"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_command_succeeds_only_while_the_router_serves() {
    let settings = Settings { args: vec!["--drain-timeout".into(), "20s".into()], ..Settings::default() };
    let mut rig = Rig::start_with(Topology::Failover, &production(ONE), &["east", "west"], settings).await;
    let address = rig.router.admin().to_string();
    let health = |timeout: &str| run(&["health", "--admin", &address, "--timeout", timeout]);
    let healthy = health("5s");
    assert_eq!((healthy.status.code(), &*healthy.stdout), (Some(0), &b"SERVING\n"[..]));

    rig.router.kill();
    let gone = health("5s");
    assert_eq!(gone.status.code(), Some(1));
    let told = String::from_utf8(gone.stderr).unwrap();
    assert!(told.starts_with("model-router: no answer from the router at 127.0.0.1:"), "{told}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let told = String::from_utf8(run(&["health", "--admin", &silent, "--timeout", "100ms"]).stderr).unwrap();
    assert!(told.starts_with("model-router: no answer from the router at 127.0.0.1:"), "{told}");
    assert_eq!(run(&["health", "--timeout", "0s"]).status.code(), Some(2));
}

async fn reflected(router: &Router) -> Vec<String> {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let mut client = ServerReflectionClient::new(channel(router).await);
    let ask = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    names.retain(|name| !name.starts_with("grpc.reflection"));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_policy_and_targets_as_a_table_and_as_json() {
    let rig = Rig::start(Topology::Failover, &production(ONE), &["east", "west"]).await;
    rig.provider("east").answer(Script::status_with(429, &[("retry-after", "60")]));
    rig.send(chat("any")).await;
    let address = rig.router.admin().to_string();
    let json = run(&["status", "--admin", &address, "--output", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["policy"]["version"], &json["last_refused_reload"]), (&1.into(), &Value::Null));
    let target = &json["targets"][0];
    assert_eq!((&target["model"], &target["endpoint"]), (&"gpt-4o".into(), &"east".into()));
    assert_eq!(
        (&target["state"], &target["dispatched"], &target["failed"]),
        (&"suspended".into(), &1.into(), &1.into())
    );
    assert!(target["remaining_ms"].as_u64().unwrap() > 50_000);
    assert_eq!(target["used_by"], serde_json::json!(["chat/production"]));

    let table = String::from_utf8(run(&["status", "--admin", &address]).stdout).unwrap();
    for text in ["policy.yaml", "version 1", "gpt-4o", "east", "suspended", "chat/production"] {
        assert!(table.contains(text), "{table}");
    }
}

#[test]
fn status_without_a_router_says_where_it_looked() {
    let output = run(&["status", "--admin", "127.0.0.1:1"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("127.0.0.1:1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_streams_finish_and_ends_with_success() {
    let mut rig = Rig::start(Topology::Failover, &production(ONE), &["east", "west"]).await;
    let thinking = Script::Ok(Completion::default()).after(Duration::from_millis(500));
    rig.provider("east").answer(thinking);
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { crate::rig::client::send(addr, chat("any")).await });
    eventually("the provider to think", async || (rig.provider("east").hits() == 1).then_some(())).await;
    assert_eq!(rig.router.stop().await.code(), Some(0));
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(rig.router.events("stopped").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_no_longer_than_its_bound() {
    let settings = Settings { args: vec!["--drain-timeout".into(), "300ms".into()], ..Settings::default() };
    let mut rig = Rig::start_with(Topology::Failover, &production(ONE), &["east", "west"], settings).await;
    rig.provider("east").answer(Script::Hang);
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { stream(addr, chat("any")).await.status });
    eventually("the provider to hang", async || (rig.provider("east").hits() == 1).then_some(())).await;
    assert_eq!(rig.router.stop().await.code(), Some(0));
    waiting.abort();
}

#[test]
fn an_address_that_is_not_loopback_needs_a_word() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), policy()).unwrap();
    let output = run(&["serve", "--policy", file.path().to_str().unwrap(), "--listen", "0.0.0.0:0"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("--insecure-plaintext"), "{text}");
}

#[test]
fn a_policy_that_cannot_be_used_stops_the_start_with_its_problems() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), policy().replace("endpoint: east", "endpoint: eats")).unwrap();
    let output = run(&["serve", "--policy", file.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("`eats`") && text.contains("`east`"), "{text}");
}

#[test]
fn check_reports_on_stdout_and_by_its_exit_status() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(file.path(), policy()).unwrap();
    let output = run(&["check", path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::fs::write(file.path(), policy().replace("endpoint: east", "endpoint: eats")).unwrap();
    let output = run(&["check", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("`eats`"));
}

#[test]
fn every_flag_of_serve_can_be_given_by_the_environment() {
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    let flags = help.matches("\n      --").count();
    assert_eq!(help.matches("[env: MODEL_ROUTER_").count(), flags, "{help}");

    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), "apis: 7").unwrap();
    let output = Command::new(binary()).arg("serve").env("MODEL_ROUTER_POLICY", file.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("{}:1:7: error", file.path().display())), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_listed_once_with_all_their_users() {
    let text = policy();
    let both =
        text.replace("    production:", "    sandbox_hosts: [s.test]\n    production:") + "\n    sandbox:\n  " + ONE;
    let router = Router::start(&both).await;
    let targets = admin(&router).await.list_targets(ListTargetsRequest {}).await.unwrap().into_inner().targets;
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].used_by, ["chat/production", "chat/sandbox"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_stalls_or_leaves_holds_up_no_request() {
    for reader in [Reader::Stalls, Reader::Leaves] {
        let provider = Provider::named("east").await;
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        let url = format!("http://{}", provider.addr());
        std::fs::write(file.path(), production(ONE).replace("{{east}}", &url)).unwrap();
        let socket = file.path().with_extension("sock");
        let mut router = Command::new(binary())
            .args(["serve", "--log-format", "json", "--admin-listen", "127.0.0.1:0"])
            .arg("--policy")
            .arg(file.path())
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = router.stderr.take();
        let stalled = match reader {
            Reader::Stalls => stderr,
            Reader::Leaves => None,
        };
        eventually("the socket", async || socket.exists().then_some(())).await;
        let clusters = [Cluster::plain("east", provider.addr())];
        let envoy = Envoy::start(Topology::Failover, &RouterAddr::Unix(socket.clone()), &clusters).await;
        // Some hundred bytes for each request: far more than a pipe takes.
        let answers = load(envoy.addr(), 1_000, 8, |_| chat("any")).await;
        assert_eq!(Tally::of(&answers).statuses.get(&200), Some(&1_000));
        let id = router.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        eventually("the end", async || router.try_wait().unwrap()).await;
        drop(stalled);
    }
}

#[derive(Clone, Copy)]
enum Reader {
    Stalls,
    Leaves,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_drains_leaves_its_successors_socket_alone() {
    let settings = Settings { listen: "unix:{dir}/router.sock".into(), ..Settings::default() };
    let mut rig = Rig::start_with(Topology::Failover, &production(ONE), &["east", "west"], settings).await;
    rig.provider("east").answer(Script::ok().after(Duration::from_millis(1_500)));
    let addr = rig.envoy.addr();
    let waiting = tokio::spawn(async move { crate::rig::client::send(addr, chat("any")).await });
    eventually("the provider to think", async || (rig.provider("east").hits() == 1).then_some(())).await;
    let RouterAddr::Unix(socket) = rig.router.address() else { panic!("a socket") };
    rig.router.process().signal("TERM");
    rig.router.logged("the drain", |line| line.contains("stopping")).await;
    let settings = Settings { listen: format!("unix:{}", socket.display()), ..Settings::default() };
    let successor = eventually("the successor", async || {
        // Until the first router has let go of the socket, it is another process's.
        std::os::unix::net::UnixStream::connect(&socket).is_err().then_some(())
    });
    successor.await;
    let _successor = Router::start_with(&policy(), settings).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    eventually("the end", async || rig.router.process().ended()).await;
    assert!(socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_no_regular_file_holds_up_nothing() {
    let args = vec!["--reload-interval".into(), "5ms".into()];
    let mut router = Router::start_with(&policy(), Settings { args, ..Settings::default() }).await;
    let file = router.policy_file();
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let refused = eventually("the refusal", async || crate::check::status(&router).await.last_refused_reload).await;
    assert!(
        refused.report.contains("no regular file") || refused.report.contains("No such file"),
        "{}",
        refused.report
    );
    assert_eq!(router.stop().await.code(), Some(0));
}
