//! Usage and cost of responses, read from the copies that Envoy sends, in both topologies; nothing depends on them.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{production, status_of};
use crate::rig::ask::{Ask, chat, get};
use crate::rig::client::{send, stream};
use crate::rig::envoy::Topology;
use crate::rig::load::{Tally, load};
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};
use crate::telemetry::command;

mod cost;
mod independence;

const PRICES: &str = "prices:
  openai:
    gpt-4o: { input: 2.5, cached_input: 1.25, output: 10 }
    o1-mini: { input: 3, output: 12, currency: EUR }
";

/// A policy for two endpoints, `east` and `west`, with prices.
fn policy(options: &str) -> String {
    let targets = "{ model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west }";
    let policy = format!("    round_robin: {{ {options} targets: [ {targets} ] }}");
    format!("{PRICES}{}", production(&policy))
}

async fn rig(topology: Topology, options: &str) -> Rig {
    Rig::start(topology, &policy(options), &["east", "west"]).await
}

/// The lines of the log about usage, once there are so many.
async fn used(rig: &Rig, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines of usage"), async || {
        let lines = rig.router.events("usage");
        (lines.len() >= count).then_some(lines)
    })
    .await
}

fn raw(content_type: &str, encoding: &str, body: Vec<u8>) -> Script {
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    if !encoding.is_empty() {
        headers.push(("content-encoding".to_owned(), encoding.to_owned()));
    }
    Script::Raw { status: 200, headers, body: body.into() }
}

const STREAM: &str = "data: {\"model\":\"gpt-4o-2024\",\"choices\":[{\"delta\":{\"content\":\"Hi there\"}}]}\n\n\
                      data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                      data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":200,\
                      \"total_tokens\":1200,\"prompt_tokens_details\":{\"cached_tokens\":400}}}\n\ndata: [DONE]\n\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_costs_are_reported_everywhere() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = rig(topology, "").await;
        rig.provider("east").answer(raw("text/event-stream", "", STREAM.into()));
        rig.provider("west").answer(raw("text/event-stream", "gzip", gzip(STREAM)));
        for _ in 0..4 {
            assert_eq!(rig.send(chat("any").streamed()).await.status, 200);
        }
        let lines = used(&rig, 4).await;
        for line in &lines {
            let fields = &line["fields"];
            let is_east = fields["endpoint"] == "east";
            let expected = json!({
                "known": "reported", "input": 1000, "cached_input": 400, "output": 200, "attempt": 1, "ended": true,
                "model": if is_east { "gpt-4o" } else { "o1-mini" }, "response_model": "gpt-4o-2024",
                "currency": if is_east { "USD" } else { "EUR" }, "environment": "production",
            });
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(fields[key], *value, "{key} in {line}");
            }
            assert!(fields["request_id"].is_string(), "{line}");
            let cost = if is_east { 0.6e-3 * 2.5 + 0.4e-3 * 1.25 + 0.2e-3 * 10.0 } else { 1e-3 * 3.0 + 0.2e-3 * 12.0 };
            assert!((fields["cost"].as_f64().unwrap() - cost).abs() < 1e-12, "{line}");
        }
        let metrics = send(rig.router.admin(), get("/metrics")).await.text();
        for line in [
            "model_router_tokens_total{api=\"chat\",environment=\"production\",model=\"gpt-4o\",endpoint=\"east\",kind=\"input\"} 2000",
            "model_router_tokens_total{api=\"chat\",environment=\"production\",model=\"o1-mini\",endpoint=\"west\",kind=\"output\"} 400",
            "model_router_usage_responses_total{api=\"chat\",environment=\"production\",model=\"gpt-4o\",endpoint=\"east\",known=\"reported\"} 2",
            "model_router_first_byte_seconds_count{model=\"gpt-4o\",endpoint=\"east\"} 2",
        ] {
            assert!(metrics.contains(line), "{line} in\n{}", only(&metrics, "tokens_total"));
        }
        rig.check_clean().await;
    }
}

/// The lines of a text that have a word.
fn only(text: &str, word: &str) -> String {
    text.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n")
}

/// What a stream's log line says of how its usage is known, and of its tokens.
fn known(line: &Value) -> (String, u64, u64) {
    let fields = &line["fields"];
    (
        fields["known"].as_str().unwrap().to_owned(),
        fields["input"].as_u64().unwrap(),
        fields["output"].as_u64().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_usage_is_estimated_or_asked_for_it() {
    for (options, known_as, asks) in [("", "estimated", false), ("stream_usage: request,", "reported", true)] {
        let rig = rig(Topology::Failover, options).await;
        let answer = |request: &crate::rig::provider::Recorded| {
            let is_asked = request.json()["stream_options"]["include_usage"] == true;
            let stream = if is_asked {
                STREAM.to_owned()
            } else {
                STREAM.replace(
                    &STREAM[STREAM.find("data: {\"choices\":[],").unwrap()..STREAM.find("data: [DONE]").unwrap()],
                    "",
                )
            };
            raw("text/event-stream", "", stream.into())
        };
        rig.providers().for_each(|provider| provider.answer(Script::by(answer)));
        let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
        assert_eq!(events.len(), if asks { 4 } else { 3 });
        let (how, input, output) = known(&used(&rig, 1).await[0]);
        assert_eq!(how, known_as);
        if !asks {
            assert!(input > 0 && output == 2, "{input} {output}: 8 bytes were said");
        }
        // Not for what is no stream.
        rig.send(chat("any")).await;
        assert!(rig.provider("west").last().json().get("stream_options").is_none());
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_usage_itself_is_left_alone() {
    let rig = rig(Topology::Failover, "stream_usage: request,").await;
    for (sent, expected) in [
        (r#"{"include_usage":false}"#, r#"{"include_usage":false}"#),
        (r#"{"include_usage": true }"#, r#"{"include_usage": true }"#),
        (r#"{ "include_obfuscation" : false }"#, r#"{ "include_obfuscation" : false ,"include_usage":true}"#),
        ("{}", r#"{"include_usage":true}"#),
        ("null", r#"{"include_usage":true}"#),
    ] {
        let body = format!(r#"{{"model":"any","messages":[],"stream":true,"stream_options":{sent}}}"#);
        assert_eq!(rig.send(chat("any").body(body)).await.status, 200);
        let seen = rig.providers().flat_map(|it| it.requests()).last().unwrap();
        let text = String::from_utf8(seen.body.to_vec()).unwrap();
        assert!(text.ends_with(&format!(r#""stream_options":{expected}}}"#)), "{text}");
        rig.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_early_leaves_an_incomplete_usage() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = rig(topology, "").await;
        let slow = Completion { chunks: 1_000, gap: Duration::from_millis(20), ..Completion::default() };
        rig.providers().for_each(|provider| provider.answer(Script::Ok(slow.clone())));
        let mut events = stream(rig.envoy.addr(), chat("any").streamed()).await;
        assert!(events.piece().await.is_some());
        drop(events);
        let line = &used(&rig, 1).await[0];
        assert_eq!(
            (&line["fields"]["known"], &line["fields"]["ended"]),
            (&json!("incomplete"), &json!(false)),
            "{line}"
        );
        let metrics = send(rig.router.admin(), get("/metrics")).await.text();
        assert!(metrics.contains("known=\"incomplete\"} 1"), "{}", only(&metrics, "usage_responses"));
        assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "ready");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_streams_state_an_error_or_lack_their_end_is_suspended() {
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"Upstream broke\",\"code\":502}}\n\n";
    let reason = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n";
    for (topology, end) in
        [(Topology::Attach, error), (Topology::Failover, error), (Topology::Failover, reason), (Topology::Attach, "")]
    {
        let rig = rig(topology, "").await;
        let failing = format!("{begun}{end}");
        rig.provider("east").answer(raw("text/event-stream", "", failing.clone().into()));
        rig.provider("west").answer(raw("text/event-stream", "", STREAM.into()));
        eventually("suspended", async || {
            stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
            (status_of(&rig.router, "gpt-4o", "east").await == "suspended").then_some(())
        })
        .await;
        let before = rig.provider("east").hits();
        assert!(before <= 4, "asked {before} times");
        let tally = Tally::of(&load(rig.envoy.addr(), 50, 4, |_| chat("any").streamed()).await);
        assert_eq!((tally.statuses, rig.provider("east").hits()), ([(200, 50)].into(), before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_clients_own_key_keeps_no_target_from_the_others() {
    let policy = policy("").replace("api_key: { value: key-east }", "auth: passthrough");
    let rig = Rig::start(Topology::Failover, &policy, &["east", "west"]).await;
    let limited = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n\
                   data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit reached\"}}\n\n";
    rig.providers().for_each(|provider| provider.answer(raw("text/event-stream", "", limited.into())));
    for _ in 0..16 {
        assert_eq!(rig.send(ask()).await.status, 200);
    }
    eventually("the other one, whose key is ours, suspended", async || {
        (status_of(&rig.router, "o1-mini", "west").await == "suspended").then_some(())
    })
    .await;
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_failed_have_no_usage() {
    let rig = rig(Topology::Failover, "").await;
    rig.provider("east").answer(Script::status(503));
    rig.provider("west").answer(raw("text/event-stream", "", STREAM.into()));
    assert_eq!(rig.send(chat("any").streamed()).await.status, 200);
    let lines = used(&rig, 1).await;
    assert_eq!((lines.len(), &lines[0]["fields"]["endpoint"]), (1, &json!("west")));
    assert_eq!(lines[0]["fields"]["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_of_a_thousand_responses_equal_a_table_computed_apart() {
    const COUNT: u64 = 1_000;
    let rig = rig(Topology::Failover, "").await;
    // The numbers come from the request, so that each response has its own.
    let answer = |request: &crate::rig::provider::Recorded| {
        let n = request.json()["seed"].as_u64().unwrap();
        let usage = json!({
            "prompt_tokens": 100 + n, "completion_tokens": 7 * n % 997, "total_tokens": 100 + n + 7 * n % 997,
            "prompt_tokens_details": { "cached_tokens": n % 101 },
        });
        Script::json(200, &json!({ "model": "m", "choices": [], "usage": usage }))
    };
    rig.providers().for_each(|provider| provider.answer(Script::by(answer)));
    let ask = |n: usize| chat("any").body(format!(r#"{{"model":"any","messages":[],"seed":{n}}}"#));
    let tally = Tally::of(&load(rig.envoy.addr(), COUNT as usize, 8, ask).await);
    assert_eq!(tally.statuses, [(200, COUNT as usize)].into());
    used(&rig, COUNT as usize).await;
    let mut expected = [(0.0, "east", 2.5, 1.25, 10.0), (0.0, "west", 3.0, 3.0, 12.0)];
    for (sum, endpoint, input, cached, output) in &mut expected {
        for request in rig.provider(endpoint).requests() {
            let n = request.json()["seed"].as_f64().unwrap();
            let in_cache = n % 101.0;
            *sum += ((100.0 + n - in_cache) * *input + in_cache * *cached + (7.0 * n % 997.0) * *output) / 1e6;
        }
    }
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    for (sum, endpoint, ..) in expected {
        let line = metrics.lines().find(|line| line.starts_with("model_router_cost_total{") && line.contains(endpoint));
        let value: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!((value - sum).abs() < 1e-9, "{endpoint}: {value} and not {sum}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_cannot_be_read_is_counted_as_that() {
    let rig = rig(Topology::Failover, "").await;
    for (content_type, encoding, body, reason) in [
        ("audio/mpeg", "", b"sound".to_vec(), "format"),
        ("application/json", "gzip", b"no such thing as gzip".to_vec(), "coding"),
        ("application/json", "compress", b"{}".to_vec(), "coding"),
    ] {
        rig.providers().for_each(|provider| provider.answer(raw(content_type, encoding, body.clone())));
        let before = rig.router.events("usage").len();
        assert_eq!(rig.send(chat("any")).await.status, 200);
        let lines = used(&rig, before + 1).await;
        assert_eq!(lines.last().unwrap()["fields"]["unread"], reason);
    }
}

fn ask() -> Ask {
    chat("any").streamed()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_listed_by_the_command_and_with_decisions() {
    let rig = rig(Topology::Failover, "").await;
    rig.providers().for_each(|provider| provider.answer(raw("text/event-stream", "", STREAM.into())));
    for _ in 0..4 {
        rig.send(ask()).await;
    }
    used(&rig, 4).await;
    let run = async |arguments: &[&str]| {
        let (success, text) = command(&rig, arguments).await;
        assert!(success, "{text}");
        text
    };
    let json = async |arguments: &[&str]| -> Value { serde_json::from_str(&run(arguments).await).unwrap() };
    let table = run(&["usage", "--by", "model", "--since", "15m"]).await;
    assert!(table.contains("0.0080 USD") && table.contains("0.0108 EUR"), "{table}");
    let listed = json(&["usage", "--by", "endpoint", "--output", "json"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(
        (&listed[0]["endpoint"], &listed[0]["input"], &listed[0]["output"]),
        (&json!("east"), &json!(2000), &json!(400))
    );
    let decisions = json(&["decisions", "--output", "json"]).await;
    let usage = &decisions[0]["usage"];
    assert_eq!(
        (&usage["known"], &usage["input"], &usage["output"]),
        (&json!("reported"), &json!(1000), &json!(200)),
        "{decisions}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_always_breaks_off_is_asked_three_times() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = rig(topology, "suspend: 1h,").await;
        rig.provider("east").answer(Script::Ok(Completion { cut_after: Some(1), ..Completion::default() }));
        let (mut cut, mut reported) = (0, 0);
        for _ in 0..300 {
            let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
            cut += usize::from(events.last().is_none_or(|(_, event)| event.is_err()));
            // Each break is reported, and none is lost.
            let asked = rig.provider("east").hits();
            if asked > reported {
                let all = async || (rig.router.events("response broken off").len() == asked).then_some(());
                eventually("the report", all).await;
                reported = asked;
            }
        }
        let asked = rig.provider("east").hits();
        println!(
            "{topology:?}: 300 requests at two targets, of which one always breaks off: {asked} asked it, {cut} were cut"
        );
        assert_eq!(asked, 3, "{topology:?}: three suspend it");
    }
}

/// Bodies in every dialect, each with 12 tokens of input and 8 of output.
fn dialects() -> [(&'static str, String); 6] {
    let anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":2,\
                     \"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\
                     \"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":8}}\n\n\
                     event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let responses = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\
                     \"completed\",\"usage\":{\"input_tokens\":12,\"output_tokens\":8,\"total_tokens\":20}}}\n\n";
    let gemini = json!([
        { "candidates": [], "usageMetadata": { "promptTokenCount": 12, "totalTokenCount": 12 } },
        { "candidates": [{ "finishReason": "STOP" }],
          "usageMetadata": { "promptTokenCount": 12, "candidatesTokenCount": 3, "thoughtsTokenCount": 5, "totalTokenCount": 20 } },
    ]);
    let converse =
        json!({ "stopReason": "end_turn", "usage": { "inputTokens": 12, "outputTokens": 8, "totalTokens": 20 } });
    let mistral =
        json!({ "choices": [], "usage": { "prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20 } });
    let spaced = format!("{mistral:#}");
    [
        ("text/event-stream", anthropic.to_owned()),
        ("text/event-stream; charset=utf-8", responses.to_owned()),
        ("application/json", gemini.to_string()),
        ("application/json", converse.to_string()),
        ("application/json", mistral.to_string()),
        ("application/json", spaced),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_is_read_through_envoy_in_small_pieces() {
    let rig = rig(Topology::Failover, "").await;
    let mut count = 0;
    for (content_type, body) in dialects() {
        for size in [1, 7, 10_000] {
            let pieces = body.as_bytes().chunks(size).map(|piece| (Duration::ZERO, piece.to_vec().into())).collect();
            let script = Script::Pieces { content_type: content_type.to_owned(), pieces };
            rig.providers().for_each(|provider| provider.answer(script.clone()));
            assert_eq!(rig.send(chat("any").streamed()).await.text(), body);
            count += 1;
            let lines = used(&rig, count).await;
            assert_eq!(known(&lines[count - 1]), ("reported".to_owned(), 12, 8), "{body} in pieces of {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_has_the_usage_and_ends_with_the_response() {
    let collector = crate::traces::Collector::default();
    let args = vec!["--otlp-endpoint".into(), format!("http://{}", collector.start().await)];
    let settings = crate::rig::router::Settings { args, ..Default::default() };
    let rig = Rig::start_with(Topology::Failover, &policy(""), &["east", "west"], settings).await;
    let (begin, end) = STREAM.split_once("data: {\"choices\":[],").unwrap();
    let pieces = [(0, begin.to_owned()), (300, format!("data: {{\"choices\":[],{end}"))];
    let pieces: Vec<_> = pieces.iter().map(|(pause, text)| (*pause, &**text)).collect();
    rig.providers().for_each(|provider| provider.answer(Script::pieces("text/event-stream", &pieces)));
    // Nobody waits for copies before the first one has come.
    rig.send(ask()).await;
    used(&rig, 1).await;
    rig.send(crate::traces::traced(ask())).await;
    let span = collector.spans_once(1).await.remove(0);
    let has = |key: &str| span.attributes.iter().find(|it| it.key == key).map(|it| format!("{:?}", it.value));
    for (key, value) in [
        ("gen_ai.usage.input_tokens", "1000"),
        ("gen_ai.usage.output_tokens", "200"),
        ("gen_ai.response.model", "gpt-4o-2024"),
    ] {
        assert!(has(key).is_some_and(|found| found.contains(value)), "{key}: {span:?}");
    }
    assert!(span.end_time_unix_nano - span.start_time_unix_nano > 290_000_000, "{span:?}");
}
