//! The rules of the house, held to the source: rooms in order, Envoy's types, clocks, sizes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use model_router::routing::provider::ProviderType;

/// The rooms and, below them, the leaves, from top to bottom. Code imports only from a room further down.
const ROOMS: [&str; 18] = [
    "cli",
    "server",
    "admin",
    "dry_run",
    "envoy",
    "gateway",
    "telemetry",
    "policy_file",
    "routing",
    "classifier",
    "document",
    "body",
    "gate",
    "secret",
    "model_name",
    "address",
    "file_watch",
    "lib",
];

/// The files that may read a clock. All others take the time as a parameter.
const CLOCKS: [&str; 21] = [
    "admin/service.rs",             // an operator asks about this moment
    "classifier/embedder.rs",       // when a call is given up
    "classifier/route_question.rs", // how long a call took
    "classifier/rule_question.rs",  // how long a call took
    "classifier/service.rs",        // how much time a call has left
    "classifier/state.rs",          // whether a breaker is open at this moment
    "classifier/verdict.rs",        // how long a request waited for its classification
    "cli/targets.rs",               // how long a suspension still lasts
    "dry_run/explain.rs",           // plays the part of the stream
    "envoy/access_log.rs",          // stamps every broken response
    "envoy/ext_proc.rs",            // stamps every event
    "envoy/ext_proc/message.rs",    // how long until a quota resets
    "envoy/ext_proc/observer.rs",   // stamps every part of a copied response
    "gateway/exchange/request.rs",  // how long the router itself worked on a request
    "gateway/record.rs",            // the wall-clock time of a decision
    "gateway/usage.rs",             // how long a response took, and how long it was silent
    "server/listen.rs",             // a name for a temporary directory
    "server/reload.rs",             // when a policy was applied
    "telemetry.rs",                 // the minute in which a response ended
    "telemetry/live.rs",            // metrics of this moment
    "telemetry/traces/exporter.rs", // how long a span has waited for its response's end
];

const MAX_LINES: usize = 400;

/// A source file below `src/`, without its tests and comments.
struct Source {
    path: PathBuf,
    code: String,
    lines: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 100, "the source is somewhere else: {}", found.len());
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            found.push(Source { path: path.strip_prefix(root()).unwrap().to_owned(), code: production(&text), lines });
        }
    }
}

/// The text without line comments and without what follows the first test module.
fn production(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = |line: &&str| !line.trim_start().starts_with("//");
    before_tests.lines().filter(code).collect::<Vec<_>>().join("\n")
}

impl Source {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    }

    /// The room: the first part of the path.
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    /// The top-level modules that the code names.
    fn imports(&self) -> BTreeSet<String> {
        let name = |rest: &str| {
            rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect::<String>()
        };
        self.code.split("crate::").skip(1).map(name).collect()
    }
}

/// Production code, file by file.
fn production_sources() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| !source.is_test())
}

/// The imports that do not lead downward, as `file -> room`.
fn upward(source: &Source) -> Vec<String> {
    let position = |room: &str| ROOMS.iter().position(|known| *known == room);
    let from = source.room();
    let own = position(&from);
    let leads_up = |to: &String| *to != from && own.zip(position(to)).is_none_or(|(own, other)| other < own);
    source.imports().into_iter().filter(leads_up).map(|to| format!("{} -> {to}", source.name())).collect()
}

#[test]
fn a_room_imports_only_from_rooms_below_it() {
    let upward: Vec<_> =
        production_sources().filter(|source| source.name() != "main.rs").flat_map(|it| upward(&it)).collect();
    assert!(upward.is_empty(), "move what is shared further down, or return it as a value:\n{}", upward.join("\n"));
}

#[test]
fn an_upward_import_would_be_found() {
    let source = |path: &str, text: &str| Source { path: path.into(), code: production(text), lines: 1 };
    let found = |path: &str, text: &str| upward(&source(path, text));
    assert_eq!(found("routing/api.rs", "use crate::gateway::Gateway;"), ["routing/api.rs -> gateway"]);
    assert_eq!(found("body.rs", "fn a() { crate::routing::api() }"), ["body.rs -> routing"]);
    assert_eq!(found("body.rs", "use crate::unknown::Thing;"), ["body.rs -> unknown"]);
    assert!(found("routing/api.rs", "use crate::body::BodyEdits;\nuse crate::routing::policy;").is_empty());
    assert!(
        found("body.rs", "// see crate::gateway\n#[cfg(test)]\nmod tests { use crate::gateway::Gateway; }").is_empty()
    );
}

#[test]
fn the_list_of_rooms_is_the_source_directory() {
    let rooms: BTreeSet<_> = sources().iter().map(Source::room).collect();
    let known: BTreeSet<_> = ROOMS.iter().copied().chain(["main"]).map(str::to_owned).collect();
    assert_eq!(rooms, known);
}

#[test]
fn only_the_envoy_room_knows_envoys_types() {
    let elsewhere: Vec<_> = sources()
        .iter()
        .filter(|source| source.code.contains("envoy_types") && source.room() != "envoy")
        .map(Source::name)
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn clocks_are_where_the_list_says() {
    let reads = |source: &Source| {
        ["Instant::now", "SystemTime::now", ".elapsed()"].iter().any(|clock| source.code.contains(clock))
    };
    let found: BTreeSet<_> = production_sources().filter(reads).map(|source| source.name()).collect();
    assert_eq!(found, CLOCKS.iter().map(|&file| file.to_owned()).collect(), "take the time as a parameter instead");
}

/// Where vendors are named, and why.
const VENDORS_NAMED: [&str; 5] = [
    "classifier/service.rs",      // the types of classifiers
    "policy_file/compile/",       // what other tools call them, and their hosts
    "policy_file/import/",        // what WSO2 calls them
    "routing/decision/traced.rs", // what OpenTelemetry calls them
    "routing/provider/",          // the tables
];

#[test]
fn no_code_outside_the_tables_asks_which_vendor_it_is() {
    let names: Vec<_> = ProviderType::ALL.iter().map(|kind| format!("\"{}\"", kind.name)).collect();
    let elsewhere = production_sources().filter(|it| !VENDORS_NAMED.iter().any(|place| it.name().starts_with(place)));
    let naming = elsewhere.filter(|source| names.iter().any(|name| source.code.contains(name)));
    let found: Vec<_> = naming.map(|source| source.name()).collect();
    assert!(found.is_empty(), "make it a row or a column of the tables: {found:?}");
}

#[test]
fn no_file_is_longer_than_a_reader_holds_in_mind() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|source| source.lines > MAX_LINES)
        .map(|source| format!("{}: {}", source.name(), source.lines))
        .collect();
    assert!(long.is_empty(), "a file is one noun; split what is two: {long:?}");
}
