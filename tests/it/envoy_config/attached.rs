//! A listener that serves other things, before and after a fragment was added to it.

use std::net::SocketAddr;

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::merged::merged;
use super::socket::{self, Echo};
use super::{host, printed};
use crate::check::{check_error, production, status_of};
use crate::rig::ask::chat;
use crate::rig::client::{self, Answer};
use crate::rig::envoy::Envoy;
use crate::rig::provider::Provider;
use crate::rig::router::Router;
use crate::rig::script::Script;

const TWO_IN_TURN: &str = "
    round_robin:
      suspend: 60s
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west }
";

/// What the listener served before, and mistakes of clients.
const OTHERS: [&str; 13] = [
    "GET /hello HTTP/1.1",
    "GET /moved/away?x=1 HTTP/1.1",
    "GET /other/a?b=%2Fc HTTP/1.1",
    "HEAD /other HTTP/1.1",
    "POST /other/form HTTP/1.1\r\ncontent-length: 13\r\nx-envoy-max-retries: 3\r\nx-envoy-retry-on: 5xx",
    "GET /other/fails HTTP/1.1\r\nx-envoy-retry-on: 5xx\r\nx-envoy-upstream-rq-timeout-ms: 400",
    "GET /other HTTP/1.1\r\nauthorization: Bearer mine\r\ncookie: a=b\r\nx_underscore: 1",
    "GET /v1x/chat/completions HTTP/1.1",
    "GET /nothing HTTP/1.1",
    "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 13",
    "GET /hello HTTP/1.1\r\nexpect: 100-continue",
    "NONSENSE",
    "POST /other/upload HTTP/1.1\r\ncontent-length: 10485760",
];

/// What bodies are made of.
const PIECE: &str = "thirteen byte";

/// The router, its providers, the upstream of the other routes, and an Envoy before them.
struct Attached {
    envoy: Envoy,
    router: Router,
    east: Provider,
    west: Provider,
    other: Provider,
    echo: Echo,
}

/// What a listener answers to everything in [`OTHERS`] and to a websocket, and what its upstreams were sent.
#[derive(Debug, PartialEq)]
struct Seen {
    answers: Vec<String>,
    upstream: Vec<(String, HeaderMap, usize)>,
    socket: (String, Vec<String>),
}

async fn other() -> Provider {
    let other = Provider::named("other").await;
    other.answer(Script::by(|request| match &*request.path {
        "/other/fails" => Script::status(503),
        "/other/upload" => Script::Raw { status: 200, headers: Vec::new(), body: request.body.clone() },
        _ => Script::status_with(200, &[("x-envoy-ratelimited", "true"), ("set-cookie", "a=b")]),
    }));
    other
}

/// How the blocks came into the file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// A person copied them.
    Fragment,
    /// `envoy-config --merge` did.
    Merge,
}

const WAYS: [Way; 2] = [Way::Fragment, Way::Merge];

async fn attached(topology: &str) -> Attached {
    attached_by(Way::Fragment, topology).await
}

async fn attached_by(way: Way, topology: &str) -> Attached {
    let (east, west, other) = (Provider::named("east").await, Provider::named("west").await, other().await);
    let echo = Echo::start().await;
    let policy = [&east, &west].iter().fold(production(TWO_IN_TURN), |text, provider| {
        text.replace(&format!("{{{{{}}}}}", provider.name()), &format!("http://{}", provider.addr()))
    });
    let router = Router::start(&policy).await;
    let address = router.address().to_string();
    let arguments = ["--topology", topology, "--router", &address];
    let upstreams = host::Upstreams { other: other.addr().port(), socket: echo.port };
    let text = match way {
        Way::Fragment => {
            let arguments = [&arguments[..], &["--output", "fragment"]].concat();
            host::with(&printed(&router.policy_file(), &arguments), upstreams)
        }
        Way::Merge => merged(&router.policy_file(), &host::without(upstreams), &arguments),
    };
    let envoy = Envoy::run(&text).await;
    Attached { envoy, router, east, west, other, echo }
}

async fn seen(addr: SocketAddr, Attached { other, echo, .. }: &Attached) -> Seen {
    other.clear();
    let mut answers = Vec::new();
    for request in OTHERS {
        answers.push(exchange(addr, request).await);
    }
    let upstream = other.requests().into_iter().map(|request| (request.path, request.headers, request.body.len()));
    Seen { answers, upstream: upstream.collect(), socket: (socket::talk(addr).await, echo.take_heads()) }
}

/// The bytes of an answer, but for the time of day.
async fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = request.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
    let body: String = PIECE.chars().cycle().take(length.parse().unwrap()).collect();
    let head = "host: shop.test\r\nx-request-id: 7\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{request}\r\n{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

async fn ask(rig: &Attached) -> Answer {
    client::send(rig.envoy.addr(), chat("any").host("llm.test")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_changes_no_byte_of_what_the_listener_served_before() {
    for (topology, way) in super::TOPOLOGIES.into_iter().flat_map(|topology| WAYS.map(|way| (topology, way))) {
        let rig = attached_by(way, topology).await;
        let upstreams = host::Upstreams { other: rig.other.addr().port(), socket: rig.echo.port };
        let before = Envoy::run(&host::without(upstreams)).await;
        let (without, with) = (seen(before.addr(), &rig).await, seen(rig.envoy.addr(), &rig).await);
        for (request, (with, without)) in OTHERS.iter().zip(with.answers.iter().zip(&without.answers)) {
            assert!(with == without, "{topology} {request}: {with:.500} instead of {without:.500}");
            assert!(without.starts_with("HTTP/1.1 "), "{request}: {without:.500}");
        }
        assert_eq!((&with.upstream, &with.socket), (&without.upstream, &without.socket), "{topology}");
        assert!(without.answers[12].len() > 10 << 20, "the upload came back");
        assert!(without.socket.0.starts_with("HTTP/1.1 101 "), "{:?}", without.socket);
        assert_eq!((without.upstream.len(), without.socket.1.len()), (7, 1));
        assert_eq!((rig.east.hits(), rig.west.hits()), (0, 0));
        assert_eq!(rig.router.events("decision").len(), 0);
        assert_eq!(ask(&rig).await.status, 200, "{topology}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_works_through_an_attached_fragment() {
    for (topology, way) in super::TOPOLOGIES.into_iter().flat_map(|topology| WAYS.map(|way| (topology, way))) {
        let rig = attached_by(way, topology).await;
        for _ in 0..4 {
            let answer = ask(&rig).await;
            assert_eq!((answer.status, answer.header("x-shop")), (200, "yes"));
        }
        assert_eq!((rig.east.hits(), rig.west.hits()), (2, 2), "{topology}");
        let request = rig.west.last();
        assert_eq!((&*request.path, &*request.model()), ("/up/v1/chat/completions", "o1-mini"));
        assert_eq!(request.header("authorization"), "Bearer key-west");
        let private =
            |name: &&http::HeaderName| ["x-model-router", "x-envoy"].iter().any(|p| name.as_str().starts_with(p));
        assert_eq!(request.headers.keys().find(private), None, "{topology}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_works_through_an_attached_fragment() {
    let rig = attached("failover").await;
    rig.west.answer(Script::status(503));
    for _ in 0..6 {
        let answer = ask(&rig).await;
        assert_eq!((answer.status, answer.provider()), (200, "east"));
    }
    assert_eq!(rig.west.hits(), 1, "suspended since");
    rig.east.down().await;
    let answer = ask(&rig).await;
    assert_eq!((answer.status, answer.header("x-model-router-retry")), (503, ""));
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_steers_nothing_through_an_attached_fragment() {
    for (topology, way) in super::TOPOLOGIES.into_iter().flat_map(|topology| WAYS.map(|way| (topology, way))) {
        let mut rig = attached_by(way, topology).await;
        rig.east.answer(Script::status(400));
        rig.west.answer(Script::status(400));
        let steering = [("x-envoy-retry-on", "retriable-4xx,retriable-status-codes"), ("x-envoy-max-retries", "5")];
        let steering =
            [&steering[..], &[("x-envoy-retriable-status-codes", "400"), ("x-model-router-cluster", "other")]];
        let ask = || {
            steering.concat().into_iter().fold(chat("m").host("llm.test"), |ask, (name, value)| ask.header(name, value))
        };
        assert_eq!(client::send(rig.envoy.addr(), ask()).await.status, 400);
        assert_eq!(rig.east.hits() + rig.west.hits(), 1, "{topology}: one attempt");
        rig.router.kill();
        assert_eq!(client::send(rig.envoy.addr(), ask()).await.status, 503);
        assert_eq!((rig.east.hits() + rig.west.hits(), rig.other.hits()), (1, 0), "{topology}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_fragment_answers_as_a_gateway_while_the_router_is_down() {
    let mut rig = attached("failover").await;
    rig.router.kill();
    check_error(&ask(&rig).await, 503, "service_unavailable");
}
