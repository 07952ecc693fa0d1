//! The connection that all clients share, and the limits along the way: what one client or one provider does costs
//! nobody else an answer.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::StreamExt;

use crate::check::{check_error, production};
use crate::rig::ask::{Ask, chat, get};
use crate::rig::client::{self, Client, stream};
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{self, Envoy, RouterAddr, Topology};
use crate::rig::provider::Refused;
use crate::rig::router::Settings;
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

const BOTH: [Topology; 2] = [Topology::Attach, Topology::Failover];

/// A provider that answers each request with these bytes, whatever HTTP thinks of them.
struct Odd {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Odd {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                // The end of a JSON body.
                while !request.ends_with(b"}") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { addr, task }
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `/v1` is served by `east`, `/odd` by the cluster `odd`.
const TWO_APIS: &str = "providers: { openai: { type: openai, models: [gpt-4o] } }
endpoints:
  east: { provider: openai, url: '{{east}}/v1', api_key: { value: key-east } }
  odd: { provider: openai, url: 'http://odd.test/v1', api_key: { value: key-odd } }
apis:
  - name: chat
    base_path: /v1
    production: { round_robin: { targets: [ { model: gpt-4o, endpoint: east } ] } }
  - name: odd
    base_path: /odd
    production: { round_robin: { targets: [ { model: gpt-4o, endpoint: odd } ] } }
";

async fn rig(topology: Topology, edit: fn(String) -> String) -> Rig {
    let rig = Rig::start_edited(topology, TWO_APIS, &["east"], Settings::default(), edit).await;
    let completion = Completion { chunks: 10, gap: Duration::from_millis(200), ..Completion::default() };
    rig.provider("east").answer(Script::Ok(completion));
    rig
}

/// Streams that other clients read, and that must come to their end.
struct Others(JoinSet<Vec<Result<String, String>>>);

impl Others {
    async fn start(rig: &Rig) -> Self {
        let mut all = JoinSet::new();
        for _ in 0..3 {
            let stream = stream(rig.envoy.addr(), chat("any").streamed()).await;
            assert_eq!(stream.status, 200);
            all.spawn(async { stream.events().await.into_iter().map(|(_, event)| event).collect() });
        }
        Self(all)
    }

    async fn check_whole(mut self, what: &str) {
        while let Some(events) = self.0.join_next().await {
            let events = events.unwrap();
            assert_eq!(events.last(), Some(&Ok("[DONE]".to_owned())), "{what}: {events:?}");
        }
    }
}

/// A request as bytes, with this `Host`.
fn request(host: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}")
}

/// Sends bytes and reads until the other side closes.
async fn exchange(addr: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Without the route that refuses hosts.
fn any_host(text: String) -> String {
    let Some((before, rest)) = text.split_once("safe_regex: { regex: '") else {
        return text;
    };
    let (_, after) = rest.split_once('\'').unwrap();
    format!("{before}safe_regex: {{ regex: '.*'{after}")
}

#[tokio::test]
async fn a_host_that_http2_does_not_allow_cuts_nobody_elses_answer() {
    for topology in BOTH {
        for edit in [any_host as fn(String) -> String, |text| text] {
            let rig = rig(topology, edit).await;
            let others = Others::start(&rig).await;
            for host in ["", "a@b"] {
                let before = rig.provider("east").hits();
                let answer = exchange(rig.envoy.addr(), &request(host)).await;
                assert!(answer.starts_with("HTTP/1.1 "), "{topology:?} `{host}`: {answer}");
                assert!(rig.provider("east").hits() <= before + 1);
            }
            others.check_whole(&format!("{topology:?}")).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_http2_does_not_allow_cuts_nobody_elses() {
    let body = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let answers = [
        ("te", format!("HTTP/1.1 200 OK\r\nte: gzip\r\n{body}"), "200"),
        ("1000", format!("HTTP/1.1 1000 X\r\n{body}"), ""),
        ("101", "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".to_owned(), ""),
        // HTTP/2 packs most letters. This one it cannot.
        ("70 KB", format!("HTTP/1.1 200 OK\r\nx-large: {}\r\n{body}", "~".repeat(70_000)), "502"),
    ];
    for topology in BOTH {
        let rig = rig(topology, |text| text).await;
        for (name, answer, status) in &answers {
            let odd = Odd::start(answer.clone()).await;
            rig.envoy
                .set_clusters(&[Cluster::plain("east", rig.provider("east").addr()), Cluster::plain("odd", odd.addr)])
                .await;
            let others = Others::start(&rig).await;
            let seen = exchange(rig.envoy.addr(), &request("h.test").replace("/v1/", "/odd/")).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status}")), "{topology:?} {name}: {seen}");
            others.check_whole(&format!("{topology:?} {name}")).await;
        }
    }
}

#[tokio::test]
async fn clients_that_leave_at_once_cut_nobody_elses_answer() {
    for topology in BOTH {
        let rig = rig(topology, |text| text).await;
        let others = Others::start(&rig).await;
        let reset = "http.attempt.downstream_rq_rx_reset";
        let whole = request("h.test");
        for _ in 0..600 {
            let mut client = TcpStream::connect(rig.envoy.addr()).await.unwrap();
            client.write_all(&whole.as_bytes()[..whole.len() - 1]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        others.check_whole(&format!("{topology:?}")).await;
        if topology == Topology::Failover {
            eventually("requests that were broken off", async || (rig.envoy.stat(reset).await > 300).then_some(()))
                .await;
        }
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_refused_before_any_attempt_in_failover() {
    let rig = rig(Topology::Failover, |text| text).await;
    for host in ["", "u:SECRET@h.test", "h.test:x"] {
        let answer = exchange(rig.envoy.addr(), &request(host)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "`{host}`: {answer}");
        assert!(answer.contains(r#""code":"bad_request""#), "`{host}`: {answer}");
    }
    assert_eq!(rig.provider("east").hits(), 0);
    rig.provider("east").answer(Script::ok());
    for host in ["h", "h.test", "h_1.test:8443", "[::1]", "[::1]:80", "192.0.2.1:80"] {
        let answer = exchange(rig.envoy.addr(), &request(host)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "`{host}`: {answer}");
    }
}

#[tokio::test]
async fn a_password_in_a_host_is_not_logged() {
    for topology in BOTH {
        let router = Refused::new();
        let envoy = Envoy::start(topology, &RouterAddr::Tcp(router.addr()), &[]).await;
        exchange(envoy.addr(), &request("u:SECRET@h.test")).await;
        exchange(envoy.addr(), &request("h.test:80")).await;
        let lines = envoy.access_log_lines("clients", 2).await;
        assert_eq!((&lines[0]["host"], &lines[1]["host"]), (&"user@host".into(), &"h.test:80".into()));
        assert!(envoy.access_log().iter().all(|line| !line.to_string().contains("SECRET")), "{lines:?}");
    }
}

/// The most attempts that a policy may ask for, and Envoy's `num_retries`: see `attempts` in the policy file.
#[tokio::test]
async fn as_many_attempts_as_a_policy_may_ask_for_are_made() {
    let names: Vec<_> = (0..10).map(|n| format!("m{n}")).collect();
    let targets: Vec<_> = names.iter().map(|name| format!("{{ model: {name}, endpoint: east }}")).collect();
    let policy = production(&format!("    round_robin: {{ attempts: 10, targets: [ {} ] }}", targets.join(", ")));
    let policy = policy.replace("models: [", &format!("models: [{}, ", names.join(", ")));
    let rig = Rig::start(Topology::Failover, &policy, &["east"]).await;
    rig.provider("east").answer(Script::status(500));
    assert_eq!(Client::new().send(rig.envoy.addr(), chat("any")).await.unwrap().status, 500);
    assert_eq!(rig.hits(), [10]);
}

fn with_headers(ask: Ask, count: usize) -> Ask {
    (0..count).fold(ask, |ask, n| ask.header(&format!("x-{n}"), "v"))
}

async fn two_targets(topology: Topology) -> Rig {
    let targets = "{ model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west }";
    let policy = production(&format!("    round_robin: {{ suspend_after: 100, targets: [ {targets} ] }}"));
    Rig::start(topology, &policy, &["east", "west"]).await
}

#[tokio::test]
async fn what_the_listener_takes_reaches_the_provider_and_more_gets_431() {
    // hyper's server takes a hundred headers, those of Envoy and the router included.
    let odd = Odd::start("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
    for topology in BOTH {
        let rig = rig(topology, |text| text).await;
        rig.envoy.set_clusters(&[Cluster::plain("odd", odd.addr)]).await;
        let ask = || chat("any").path("/odd/chat/completions");
        let large = |bytes| ask().header("x-large", &"~".repeat(bytes));
        // Host, content-type and content-length are there as well: 100 in all.
        for much in [with_headers(ask(), 97), large(59_000)] {
            assert_eq!(rig.send(much).await.status, 200, "{topology:?}");
        }
        for too_much in [with_headers(ask(), 201), large(62_000)] {
            let answer = Client::new().send(rig.envoy.addr(), too_much).await;
            // In attach Envoy shows its refusal to the filter first, and closes the connection meanwhile.
            if topology == Topology::Failover {
                check_error(&answer.unwrap(), 431, "request_headers_too_large");
            }
        }
        let statuses: Vec<_> =
            rig.envoy.access_log_lines("clients", 4).await.iter().map(|l| l["status"].clone()).collect();
        assert_eq!(statuses, [200, 200, 431, 431], "{topology:?}");
        check_no_mutation_rejected(&rig).await;
    }
}

async fn check_no_mutation_rejected(rig: &Rig) {
    for listener in ["clients", "attempt"] {
        assert_eq!(rig.envoy.stat(&format!("http.{listener}.ext_proc.rejected_header_mutations")).await, 0);
    }
}

#[tokio::test]
async fn an_answer_with_many_headers_reaches_the_client() {
    for topology in BOTH {
        let rig = two_targets(topology).await;
        for count in [97, 300] {
            let headers: Vec<_> = (0..count).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
            let body = "{}".into();
            rig.providers().for_each(|provider| {
                provider.answer(Script::Raw {
                    status: 200,
                    headers: headers.clone(),
                    body: bytes::Bytes::clone(&body),
                });
            });
            // HTTP/2: hyper's HTTP/1.1 client takes a hundred headers.
            let answer = Client::http2().send(rig.envoy.addr(), chat("any")).await.unwrap();
            assert_eq!((answer.status, answer.header("x-96")), (200, "v"), "{topology:?} {count}");
        }
        check_no_mutation_rejected(&rig).await;
    }
}

/// Around the limit of 60 KiB, to a few bytes. What the one end takes, the connection between the listeners takes too.
#[tokio::test]
async fn no_size_of_a_request_passes_one_end_only() {
    let rig = two_targets(Topology::Failover).await;
    for bytes in (60_900..61_440).step_by(20) {
        let answer = rig.send(chat("any").header("x-large", &"~".repeat(bytes))).await;
        assert!([200, 431].contains(&answer.status), "{bytes}: {}", answer.status);
    }
}

#[tokio::test]
async fn no_size_of_an_answer_passes_one_end_only() {
    let policy = TWO_APIS.replace("targets:", "suspend_after: 100, targets:");
    let rig = Rig::start(Topology::Failover, &policy, &["east"]).await;
    for bytes in (61_180..61_440).step_by(20) {
        // Without a date: Envoy adds one on the way.
        let large = "~".repeat(bytes);
        let odd = Odd::start(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-large: {large}\r\n\r\n{{}}")).await;
        rig.envoy.set_clusters(&[Cluster::plain("odd", odd.addr)]).await;
        let answer = rig.send(chat("any").path("/odd/chat/completions")).await;
        // 500: there was no room for what the router adds. 502: the provider's answer was not taken.
        assert!([200, 500, 502].contains(&answer.status), "{bytes}: {}", answer.status);
    }
}

#[tokio::test]
async fn an_answer_whose_headers_are_too_large_is_failed_over() {
    let rig = two_targets(Topology::Failover).await;
    rig.provider("east").answer(Script::ok_with(&[("x-large", &"~".repeat(70_000))]));
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
    assert_eq!(rig.hits(), [1, 1]);
}

#[test]
fn the_rigs_clusters_have_the_shipped_limits() {
    let shipped = fs::read_to_string(envoy::root().join("envoy/clusters.yaml")).unwrap();
    let rig = crate::rig::clusters::file(&[Cluster::plain("any", SocketAddr::from(([127, 0, 0, 1], 1)))]);
    for limit in ["max_headers_count: 500", "max_response_headers_kb: 60"] {
        assert_eq!((shipped.matches(limit).count(), rig.matches(limit).count()), (1, 1), "{limit}");
    }
}

#[tokio::test]
async fn a_providers_words_to_envoy_reach_nobody() {
    const NAMES: [&str; 9] = [
        "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
        "x-envoy-degraded",
        "x-envoy-immediate-health-check-fail",
        "x-envoy-overloaded",
        "x-envoy-ratelimited",
        "x-envoy-upstream-canary",
        "x-envoy-upstream-healthchecked-cluster",
        "x-envoy-upstream-service-time",
    ];
    let words = NAMES.map(|name| (name, "true"));
    for topology in BOTH {
        let rig = two_targets(topology).await;
        rig.providers().for_each(|provider| provider.answer(Script::ok_with(&words)));
        let answer = rig.send(chat("any")).await;
        let told: Vec<_> = answer.headers.keys().filter(|name| name.as_str().starts_with("x-envoy-")).collect();
        assert_eq!((answer.status, told), (200, vec![]), "{topology:?}");
    }
    // x-envoy-ratelimited alone would make Envoy give up.
    let rig = two_targets(Topology::Failover).await;
    rig.provider("east").answer(Script::status_with(429, &words));
    assert_eq!(rig.send(chat("any")).await.provider(), "west");
}

/// Requests on connections of a hundred each, whose bodies are held back until `go`, and are no JSON then: statuses of
/// their answers.
async fn held_back(addr: SocketAddr, connections: usize, go: watch::Receiver<bool>) -> Vec<u16> {
    let mut all = JoinSet::new();
    for _ in 0..connections {
        let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..100 {
            let (mut sender, go) = (sender.clone(), go.clone());
            let body = tokio_stream::once(()).then(move |()| {
                let mut go = go.clone();
                async move {
                    go.wait_for(|go| *go).await.unwrap();
                    Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))
                }
            });
            let request = Request::post(format!("http://{addr}/v1/chat/completions"))
                .header("content-type", "application/json")
                .body(BodyExt::boxed_unsync(StreamBody::new(body)))
                .unwrap();
            all.spawn(async move { sender.send_request(request).await.map_or(0, |answer| answer.status().as_u16()) });
        }
    }
    all.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_more_requests_than_one_inner_connection_takes_fails_none() {
    let rig = rig(Topology::Failover, |text| text).await;
    let (tell, go) = watch::channel(false);
    let answers = tokio::spawn(held_back(rig.envoy.addr(), 24, go));
    let admin = rig.router.admin();
    let open = async || {
        let metrics = client::send(admin, get("/metrics")).await.text();
        metrics.lines().any(|line| line == "model_router_open_requests 2400").then_some(())
    };
    let all = tokio::time::timeout(Duration::from_secs(10), eventually("all to be open", open)).await;
    tell.send_replace(true);
    let statuses = answers.await.unwrap();
    let failed: Vec<_> = statuses.iter().filter(|status| **status != 400).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), statuses.len());
    assert!(all.is_ok(), "all at once");
}
