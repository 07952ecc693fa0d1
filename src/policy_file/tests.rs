mod by_model;
mod header_rules;
mod identity;
mod mangled;
mod rotation;
mod several;

use sha2::{Digest, Sha256};

use super::*;
use crate::routing::api::{Environment, Match};
use crate::routing::endpoint::Credential;
use crate::routing::policy::{Policy, Strategy};
use crate::secret::Secret;

/// Provider and endpoints that most of the policies below share: two lines.
const NAMES: &str = "\
providers: { openai: { type: openai, models: [m, n] }, mistral: { type: mistral, models: [l] } }
endpoints: { east: { provider: openai, url: https://east.example.com/v1, api_key: { env: KEY } }, west: { provider: mistral, url: http://west:8080 } }
";

/// Uses every name, in one line.
const API: &str = "apis: [{ name: a, production: { round_robin: { targets: [{ model: m, endpoint: east }, { model: l, endpoint: west }] } } }]";

fn secrets(missing: MissingSecrets) -> Secrets {
    Secrets::new(
        [("KEY", "sesame"), ("EMPTY", ""), ("BAD", "a b")].map(|(name, value)| (name.into(), value.into())),
        missing,
    )
}

fn compiled(yaml: &str, missing: MissingSecrets, registry: &Registry) -> Result<Compiled, Problems> {
    compile(parse_text(yaml.as_bytes())?, &secrets(missing), registry, 7, &mut Vec::new())
}

/// A file in memory, whose keys are beside it.
const FILE: &str = "tests/policies/x.yaml";

fn parse_text(bytes: &[u8]) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let text = files::text(Path::new(FILE), bytes.to_vec(), &mut report);
    parse(vec![text], Extent::Whole, report)
}

fn report(yaml: &str, missing: MissingSecrets) -> String {
    match compiled(yaml, missing, &Registry::default()) {
        Ok(Compiled { warnings, .. }) => reported(&warnings),
        Err(problems) => reported(&problems),
    }
}

/// Problems that begin with their place in the file.
fn reported(problems: &Problems) -> String {
    problems.to_string().replace(FILE, "")
}

fn check(yaml: &str, expected: &str) {
    assert_eq!(report(yaml, MissingSecrets::Refuse), expected, "{yaml}");
}

/// The only API, with these keys beside its name.
fn check_api(keys: &str, expected: &str) {
    check(&format!("{NAMES}apis: [{{ name: a, {keys} }}]"), expected);
}

/// The only API's policy, which uses every name.
fn check_weights(east: &str, west: &str, expected: &str) {
    let targets =
        format!("{{ model: m, endpoint: east, weight: {east} }}, {{ model: l, endpoint: west, weight: {west} }}");
    check_api(&format!("production: {{ weighted_round_robin: {{ targets: [{targets}] }} }}"), expected);
}

fn policy_of(yaml: &str, environment: Environment) -> Policy {
    let compiled = compiled(yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid");
    let api = compiled.snapshot.apis.iter().next().map(std::sync::Arc::clone);
    drop(compiled);
    let mut api = std::sync::Arc::into_inner(api.expect("an API")).expect("held here alone");
    let policy = match environment {
        Environment::Production => api.production.take(),
        Environment::Sandbox => api.sandbox.take(),
    };
    std::sync::Arc::into_inner(policy.expect("a policy")).expect("held here alone")
}

#[test]
fn a_policy_is_compiled_with_its_own_bounds_over_the_defaults() {
    let yaml = format!(
        "{NAMES}defaults: {{ suspend: 5s, attempts: 2, request_timeout: 1m 30s }}
apis: [{{ name: a, sandbox: {{ round_robin: {{ suspend: 0s, suspend_after: 9, targets: [{{ model: m, endpoint: east }}, {{ model: l, endpoint: west }}] }} }} }}]"
    );
    let Policy { limits, targets, strategy, .. } = policy_of(&yaml, Environment::Sandbox);
    let seconds = [limits.suspend, limits.first_byte_timeout, limits.request_timeout].map(|limit| limit.as_secs());
    assert_eq!((seconds, limits.attempts.get(), limits.suspend_after.get()), ([0, 30, 90], 2, 9));
    assert!(matches!(strategy, Strategy::RoundRobin(_)));
    let described: Vec<_> =
        targets.iter().map(|target| format!("{} {}", target.model, target.endpoint.cluster)).collect();
    assert_eq!(described, ["m east", "l west"]);
    let east = &targets[0].endpoint;
    assert_eq!((&*east.authority, &*east.path), ("east.example.com", "/v1"));
    let bearer = Credential::Header("authorization".into(), Secret::new("Bearer sesame".into()));
    assert_eq!(east.credential, bearer);
    assert_eq!(targets[1].endpoint.credential, Credential::None);
}

#[test]
fn operations_are_those_of_all_provider_types_less_those_that_another_api_names() {
    let yaml = format!(
        "{NAMES}apis:
- {{ name: a, base_path: /v1/, production: {{ round_robin: {{ targets: [{{ model: m, endpoint: east }}, {{ model: l, endpoint: west }}] }} }} }}
- {{ name: b, base_path: /v1, operations: [/embeddings, {{ path: '/x/{{id}}', methods: [GET] }}], production: {{ round_robin: {{ targets: [{{ model: m, endpoint: east }}] }} }} }}"
    );
    let compiled = compiled(&yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid");
    let found = |request: &str| {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        match compiled.snapshot.apis.find(&method.parse().expect("a method"), "any", path, &[]) {
            Match::Operation { api, .. } => api.name.to_string(),
            Match::Other { .. } => "other".to_owned(),
            Match::NoApi(_) => "no API".to_owned(),
        }
    };
    for (request, api) in [
        ("POST /v1/chat/completions", "a"),
        ("POST /v1/embeddings", "b"),
        ("GET /v1/x/1", "b"),
        ("POST /v1/responses", "other"), // Mistral has none
        ("POST /v2/embeddings", "no API"),
    ] {
        assert_eq!(found(request), api, "{request}");
    }
}

#[test]
fn the_state_of_an_endpoint_survives_until_url_or_credential_changes() {
    let registry = Registry::default();
    let yaml = format!("{NAMES}{API}");
    let compile = |yaml: &str| compiled(yaml, MissingSecrets::Refuse, &registry).expect("valid").snapshot;
    let state = |snapshot: &Snapshot| {
        let api = snapshot.apis.iter().next().expect("an API");
        std::sync::Arc::clone(&api.production.as_ref().expect("a policy").targets[0].state)
    };
    let first = compile(&yaml);
    let same = |other: &str| std::sync::Arc::ptr_eq(&state(&first), &state(&compile(other)));
    assert!(same(&yaml.replace("base_path: /v1", "base_path: /v2")));
    assert!(!same(&yaml.replace("east.example.com", "east.example.org")));
    assert!(!same(&yaml.replace("{ env: KEY }", "{ value: other }")));
}

#[test]
fn the_snapshot_has_the_files_hash() {
    let yaml = format!("{NAMES}{API}");
    let snapshot = compiled(&yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid").snapshot;
    let sum = Sha256::digest(yaml.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((snapshot.version, snapshot.hash), (7, sum));
}

#[test]
fn weights() {
    check_weights("3", "0", "");
    check_weights("1000000", "1", "");
    check_weights("1000001", "1", ":3:103: error: a weight must be from 0 to 1000000, found `1000001`");
    check_weights(
        "0",
        "0",
        ":3:66: error: every target has a weight of 0; give at least one target a weight of 1 or more",
    );
}

#[test]
fn secrets_that_are_not_there_are_errors_only_where_they_are_needed() {
    for (source, found) in [
        ("{ env: NONE }", "the environment variable `NONE` is not set"),
        ("{ env: EMPTY }", "the environment variable `EMPTY` is empty"),
        ("{ env: skabc123 }", "the environment variable named here is not set"),
        ("{ file: no.key }", "cannot read the key file `no.key`: No such file or directory (os error 2)"),
    ] {
        let yaml = format!("{NAMES}{API}").replace("{ env: KEY }", source);
        let place = if source.contains("file") { ":2:91" } else { ":2:90" };
        assert_eq!(report(&yaml, MissingSecrets::Refuse), format!("{place}: error: {found}"));
        assert_eq!(report(&yaml, MissingSecrets::Warn), format!("{place}: warning: {found}"));
    }
}

#[test]
fn malformed_secrets_are_always_errors_and_never_shown() {
    for (source, found) in [
        ("{ env: BAD }", "a space"),
        ("{ env: sk-sesame }", "expected the name of an environment variable"),
        ("sk-sesame", "expected `{ env: … }`, `{ file: … }` or `{ value: … }`, found a text"),
        ("[sk-sesame]", "found a list"),
        ("{ sk-sesame: }", "unknown key; expected `env`, `file` or `value`"),
        ("{ value: 'sk sesame' }", "a space"),
        ("{ value: '' }", "the key is empty"),
        ("{ value: [sk-sesame] }", "expected a text, found a list"),
        ("{ value: 1234567 }", "expected a text, found a number; quote it"),
        ("{ file: sk-sesame }", "cannot read the key file named here"),
    ] {
        let report = report(&format!("{NAMES}{API}").replace("{ env: KEY }", source), MissingSecrets::Refuse);
        assert!(report.contains(": error: ") && report.contains(found), "{source}: {report}");
        assert!(!report.contains("sesame") && !report.contains("1234567"), "{report}");
    }
}

#[test]
fn key_files_are_read_beside_the_policy_and_told_to_the_reloader() {
    let directory = tempfile::tempdir().expect("a directory");
    let policy = directory.path().join("policy.yaml");
    let key = directory.path().join("east.key");
    std::fs::write(&policy, format!("{NAMES}{API}").replace("{ env: KEY }", "{ file: east.key }")).expect("written");
    let read = || read(std::slice::from_ref(&policy), &secrets(MissingSecrets::Refuse), &Registry::default(), 1);
    assert!(read().result.is_err());
    assert_eq!(read().files, [policy.clone(), key.clone()]);
    for (content, works) in
        [("sesame\n", true), ("sesame\r\n", true), ("sesame", true), ("sesame\n\n", false), ("\n", false)]
    {
        std::fs::write(&key, content).expect("written");
        assert_eq!(read().result.is_ok(), works, "{content:?}");
    }
}

#[test]
fn names_that_nothing_uses_are_warned_about() {
    let api = "apis: [{ name: a, production: { round_robin: { targets: [{ model: m, endpoint: east }] } } }]";
    check(&format!("{NAMES}{api}"), ":2:99: warning: endpoint `west` is not used by any API");
    let yaml = format!("{NAMES}{API}")
        .replace("provider: mistral, url", "provider: openai, url")
        .replace("model: l", "model: n");
    check(&yaml, ":1:56: warning: provider `mistral` is not used by any endpoint");
}

#[test]
fn apis_that_could_take_the_same_request_are_errors() {
    let api = |name: &str, keys: &str| {
        format!(
            "- {{ name: {name}, {keys}, production: {{ round_robin: {{ targets: [{{ model: m, endpoint: east }}, {{ model: l, endpoint: west }}] }} }} }}\n"
        )
    };
    let check = |one: &str, other: &str, expected: &str| {
        let report = report(&format!("{NAMES}apis:\n{}{}", api("a", one), api("b", other)), MissingSecrets::Refuse);
        assert_eq!(report.split(';').next().unwrap_or_default(), expected, "{one} and {other}");
    };
    check("base_path: /v1", "base_path: /v2", "");
    check("hosts: [a.example]", "hosts: ['*.example']", "");
    check("hosts: [a.example]", "hosts: [b.example]", "");
    check("operations: [/x]", "operations: [{ path: /x, methods: [PUT] }]", "");
    check("operations: [/x]", "base_path: /", "");
    check(
        "operations: [/x/y]",
        "operations: ['/x/{id}']",
        ":5:27: error: APIs `b` and `a` (at 4:11) both take `POST /x/{id}` on any host",
    );
    check(
        "hosts: [A.example]",
        "hosts: [c.example, a.example]",
        ":5:11: error: APIs `b` and `a` (at 4:11) both take `POST /chat/completions` and 3 more on host `a.example`",
    );
    check(
        "hosts: [c.example], sandbox_hosts: ['*.b.example']",
        "hosts: ['*.b.example'], operations: [/embeddings, /x]",
        ":4:49: warning: API `a` has no `sandbox`: requests to these hosts are refused",
    );
    check(
        "base_path: /v1",
        "base_path: /v1/, operations: ['/{x}', '/{x}/{y}']",
        ":4:11: error: API `a` is left with no operations: other APIs name them all",
    );
}

#[test]
fn body_edits_keep_numbers_as_they_are_written() {
    let body = "{ remove: [a], rename: { b: c }, set: { d: 1e400, e: 0x10, f: .5, g: [ '1', ~, true, { h: -0.0 } ], i: 12345678901234567890123 } }";
    let yaml = format!("{NAMES}{API}").replace("endpoint: east }", &format!("endpoint: east, body: {body} }}"));
    let policy = policy_of(&yaml, Environment::Production);
    let edits = &policy.targets[0].edits;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!((&edits.remove[..], &edits.rename[..]), (&["a".to_owned()][..], &[pair("b", "c")][..]));
    let set = [
        pair("d", "1e400"),
        pair("e", "16"),
        pair("f", "0.5"),
        pair("g", r#"["1",null,true,{"h":-0.0}]"#),
        pair("i", "12345678901234567890123"),
    ];
    assert_eq!(edits.set, set);
    assert_eq!(policy.targets[1].edits, crate::body::BodyEdits::default());
}

#[test]
fn the_endpoint_that_keeps_state_has_all_models_of_its_provider() {
    let yaml = format!("{NAMES}{API}").replace("targets:", "stateful_endpoint: east, targets:");
    let stateful = policy_of(&yaml, Environment::Production).stateful.expect("an endpoint");
    let models: Vec<_> = stateful.models.iter().map(crate::model_name::ModelName::as_str).collect();
    assert_eq!((&*stateful.endpoint.name, &models[..]), ("east", &["m", "n"][..]));
    assert!(policy_of(&format!("{NAMES}{API}"), Environment::Production).stateful.is_none());
}

#[test]
fn forwarded_headers_are_in_lower_case() {
    let yaml =
        format!("{NAMES}{API}").replace("name: a,", "name: a, forward_headers: [OpenAI-Project, x-goog-user-project],");
    let compiled = compiled(&yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid");
    assert_eq!(compiled.warnings.count(), 0);
    let api = compiled.snapshot.apis.iter().next().expect("an API");
    assert_eq!(api.forward_headers, ["openai-project", "x-goog-user-project"]);
}

#[test]
fn an_api_that_no_request_reaches_is_an_error() {
    let root = "{ name: r, production: { round_robin: { targets: [{ model: m, endpoint: east }, { model: l, endpoint: west }] } } }";
    let other =
        |base_path: &str| root.replace("name: r", &format!("name: o, operations: [/x], base_path: {base_path}"));
    let check = |root: &str, base_path: &str, expected: &str| {
        let report = report(&format!("{NAMES}apis:\n- {root}\n- {}", other(base_path)), MissingSecrets::Refuse);
        assert_eq!(report.split(':').skip(3).collect::<Vec<_>>().join(":"), expected);
    };
    check(root, "/v1", "");
    check(root, "/chat", " warning: `POST /chat/completions` goes to API `o`, whose base path `/chat` is longer");
    let named = |operations: &str| root.replace("name: r", &format!("name: r, operations: [{operations}]"));
    let never = " error: API `r` never gets `POST /v1/y`: what is below `/v1` goes to API `o`; requests go to the longest base path that fits, and are not looked for elsewhere";
    check(&named("/v1/y, /y"), "/v1", never);
    check(&named("/v1/y, '/{v}/y'"), "/v1", never);
    check(&named("'/v1/{y}'"), "/v1", &never.replace("/v1/y", "/v1/{y}"));
    check(&named("/v10/y"), "/v1", "");
    let hosts = |text: &str, hosts: &str| text.replace("name: r", &format!("name: r, hosts: [{hosts}]"));
    check(&hosts(&named("/v1/y"), "a.example"), "/v1", "");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let path = PathBuf::from("tests/policies/none.yaml");
    let problems = load(&[path], &mut Vec::new()).expect_err("not there").to_string();
    assert_eq!(
        problems,
        "tests/policies/none.yaml: error: cannot read the file: No such file or directory (os error 2)"
    );
    let problems = parse_text(b"a: 1\nb\xff").expect_err("not UTF-8");
    assert_eq!(reported(&problems), ":2:2: error: this is not UTF-8");
    let problems = parse_text(&vec![b'#'; 17 << 20]).expect_err("too large");
    assert_eq!(reported(&problems), ": error: the file is larger than 16 MiB");
}

#[test]
fn debug_output_shows_no_secret() {
    let yaml = format!("{NAMES}{API}").replace("{ env: KEY }", "{ value: hunter2 }");
    let loaded = parse_text(yaml.as_bytes()).expect("valid");
    assert!(!format!("{loaded:?} {:?}", secrets(MissingSecrets::Warn)).contains("hunter2"));
    assert!(!format!("{:?}", secrets(MissingSecrets::Warn)).contains("sesame"));
    let compiled = compiled(&yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid");
    assert!(!format!("{compiled:?}").contains("hunter2"));
}
