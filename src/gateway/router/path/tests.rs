//! Tests that a path comes out with another model and otherwise unchanged.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use url::Url;

use super::*;
use crate::gateway::router::{Admission, Router};
use crate::policy_file::{self, MissingSecrets, Secrets};
use crate::routing::registry::Registry;

/// An endpoint of each kind, of which the last is asked.
fn router(providers: &str, endpoints: &str, apis: &str) -> Router {
    let policy = format!("providers: {{ {providers} }}\nendpoints: {{ {endpoints} }}\napis: [ {apis} ]\n");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(policy.as_bytes()).expect("written");
    let registry = Arc::new(Registry::default());
    let secrets = Secrets::new([], MissingSecrets::Refuse);
    let read = policy_file::read(&[file.path().into()], &secrets, &registry, 1).result;
    Router::new(read.unwrap_or_else(|problems| panic!("{problems}")).snapshot)
}

fn of_type(kind: &str, url_path: &str, auth: &str) -> Router {
    router(
        &format!("p: {{ {kind}, models: [m] }}"),
        &format!("e: {{ provider: p, url: 'https://up.test{url_path}', {auth} }}"),
        "{ name: a, base_path: /base, production: { round_robin: { targets: [ { model: m, endpoint: e } ] } } }",
    )
}

/// What is asked for, and the path at the endpoint once this model has been chosen.
fn routed(router: &Router, path: &str, model: &str) -> (Option<String>, String) {
    let mut head = RequestHead { method: http::Method::POST, path: path.into(), ..RequestHead::default() };
    head.headers.push(("x-model".into(), "asked".into()));
    let Admission::First(route) = router.admit(&mut head, std::time::Instant::now()) else { panic!("{path}") };
    let endpoint = &route.policy().targets[0].endpoint;
    (route.named_model(&head), route.upstream_path(endpoint, path, Some(model)))
}

fn check(router: &Router, path: &str, model: &str, asked: Option<&str>, expected: &str) {
    let (found, upstream) = routed(router, path, model);
    assert_eq!((found.as_deref(), &*upstream), (asked, expected), "{path}");
}

const KEY: &str = "api_key: { value: s3cret }";

#[test]
fn the_model_in_a_path_is_rewritten_and_nothing_else() {
    let bedrock = of_type("type: aws_bedrock", "", KEY);
    check(
        &bedrock,
        "/base/model/any%3A0/converse?a=%2F&&b=?c",
        "us.meta.llama3-3-70b-instruct-v1:0",
        Some("any:0"),
        "/model/us.meta.llama3-3-70b-instruct-v1%3A0/converse?a=%2F&&b=?c",
    );
    check(
        &bedrock,
        "/base/model/x/invoke",
        "arn:aws:bedrock:us-east-1:1:inference-profile/m",
        Some("x"),
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fm/invoke",
    );
    check(
        &of_type("type: gemini", "/v1beta", KEY),
        "/base/models/gemini-pro:streamGenerateContent?alt=sse&key=client",
        "gemini-2.5-flash",
        Some("gemini-pro"),
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    );
    let azure = of_type("type: azure_openai", "/openai", KEY);
    check(
        &azure,
        "/base/deployments/any/chat/completions?api-version=2024-10-21",
        "gpt 4%2Fo",
        Some("any"),
        "/openai/deployments/gpt%204%252Fo/chat/completions?api-version=2024-10-21",
    );
    check(&azure, "/base/v1/chat/completions?", "m", None, "/openai/v1/chat/completions?");
}

#[test]
fn a_model_may_be_in_a_header_or_in_the_query() {
    let header = of_type("type: custom, operations: [/go], model: { header: X-Model }", "", KEY);
    check(&header, "/base/go?x=1", "m", Some("asked"), "/go?x=1");
    let query = of_type("type: custom, operations: [/go], model: { query: model }", "", KEY);
    for (asked, model, expected) in [
        ("?a=1&model=x%20y&b=2", Some("x y"), "?a=1&model=n%26m&b=2"),
        ("?a=1", None, "?a=1&model=n%26m"),
        ("", None, "?model=n%26m"),
        ("?model=x&model=y&mod%65l=z", Some("x"), "?model=n%26m"),
    ] {
        check(&query, &format!("/base/go{asked}"), "n&m", model, &format!("/go{expected}"));
    }
}

#[test]
fn a_credential_in_the_query_is_the_endpoints_own() {
    let query = of_type("type: openai", "/v1", &format!("{KEY}, auth: {{ query: token }}"));
    for (asked, expected) in [
        ("", "?token=s3cret"),
        ("?", "?token=s3cret"),
        ("?a=b&&token=client&key=client", "?a=b&&token=s3cret"),
        ("?t%6Fken=client", "?token=s3cret"),
    ] {
        check(&query, &format!("/base/chat/completions{asked}"), "m", None, &format!("/v1/chat/completions{expected}"));
    }
    let clients = of_type("type: gemini", "", "auth: passthrough");
    check(&clients, "/base/models/x:countTokens?key=c&api-key=d", "m", Some("x"), "/models/m:countTokens?key=c");
}

/// Whole segments and parts of them that servers like to read in different ways.
fn segment() -> impl Strategy<Value = String> {
    let odd =
        ["%2F", "%2f", "%3A", "%3a", ":", "%25", "%252F", "é", "🦀", ".", "..", "%2e%2e", " ", "+", "@", "~", "a", "="];
    prop::collection::vec(prop::sample::select(odd.to_vec()), 1..5).prop_map(|parts| parts.concat())
}

fn query() -> impl Strategy<Value = String> {
    let odd = ["?", "&", "=", "%26", "a", "é", "%", "+", "/", "??", "&&"];
    prop::collection::vec(prop::sample::select(odd.to_vec()), 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Judged by the `url` crate, which knows nothing of this one: the model comes out as it is named, between the same
    /// neighbours, before the same query.
    #[test]
    fn models_stay_intact_among_odd_paths(asked in segment(), model in segment(), query in prop::option::of(query())) {
        // Neither would a client's library send it, nor is it a model.
        prop_assume!(!asked.contains(' ') && !matches!(&*model, "." | ".."));
        let bedrock = of_type("type: aws_bedrock", "/at", KEY);
        let suffix = query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let (found, upstream) = routed(&bedrock, &format!("/base/model/{asked}/converse{suffix}"), &model);
        let once = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        prop_assert_eq!(found, Some(once(&asked)));
        let ending = format!("/converse{suffix}");
        prop_assert!(upstream.ends_with(&ending));

        let url = Url::parse(&format!("https://up.test{upstream}")).expect("a URL");
        let segments: Vec<_> = url.path_segments().expect("segments").collect();
        prop_assert_eq!(segments.len(), 4, "{}", upstream);
        prop_assert_eq!((segments[0], segments[1], segments[3]), ("at", "model", "converse"));
        prop_assert_eq!(once(segments[2]), &*model);
        prop_assert!(segments[2].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        prop_assert_eq!(url.query().map(once), query.as_deref().map(once));
        let pairs = |query: &str| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>();
        prop_assert_eq!(pairs(url.query().unwrap_or_default()), pairs(query.as_deref().unwrap_or_default()));
    }

    /// What no operation matches is never sent on; what one matches has no more segments than it.
    #[test]
    fn odd_segments_around_a_model_match_nothing(before in segment(), after in segment()) {
        prop_assume!(!before.contains(' ') && !after.contains(' '));
        let bedrock = of_type("type: aws_bedrock", "", KEY);
        for path in [format!("/base/{before}/m/converse"), format!("/base/model//{after}"), format!("/base//model/m/{after}")] {
            let mut head = RequestHead { method: http::Method::POST, path, ..RequestHead::default() };
            let refused = matches!(bedrock.admit(&mut head, std::time::Instant::now()), Admission::Refuse(_));
            prop_assert!(refused, "{}", head.path);
        }
    }
}

/// The same encoding as AWS's own clients have: RFC 3986's unreserved characters stay.
#[test]
fn models_are_encoded_as_aws_signs_them() {
    let known: HashMap<_, _> = [
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic.claude-3-5-sonnet-20241022-v2%3A0"),
        ("a~b_c.d-e", "a~b_c.d-e"),
        ("a+b c/d@e", "a%2Bb%20c%2Fd%40e"),
        ("é", "%C3%A9"),
    ]
    .into();
    for (model, encoded) in known {
        assert_eq!(utf8_percent_encode(model, ENCODED).to_string(), encoded);
    }
}
