//! What the command line says of itself and of policies: help, exit statuses, formats.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::check::production;
use crate::operator::ENTRIES;
use crate::rig::envoy::Topology;
use crate::rig::router::binary;
use crate::rig::{Rig, eventually};

const COMMANDS: [&str; 14] = [
    "serve",
    "check",
    "envoy-config",
    "evaluate",
    "explain",
    "import",
    "health",
    "schema",
    "status",
    "targets",
    "decisions",
    "suspend",
    "resume",
    "completions",
];

fn run(arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn help_groups_the_commands_and_gives_each_an_example_and_its_exit_statuses() {
    let help = text(&run(&["--help"], ""));
    for task in ["Write a policy:", "Run:", "Look at a running router:", "Intervene:", "Other:", "Options:"] {
        assert!(help.contains(task), "{task}: {help}");
    }
    for command in COMMANDS {
        assert_eq!(help.lines().filter(|line| line.starts_with(&format!("  {command} "))).count(), 1, "{help}");
        let own = text(&run(&[command, "--help"], ""));
        let example = own.contains("Example: ") && own.contains(&format!("model-router {command}"));
        assert!(example && own.contains("Exit status: 0"), "{own}");
    }
}

#[test]
fn a_policy_comes_from_stdin_too() {
    let policy = production(ENTRIES).replace("{{", "https://").replace("}}/up", ".test");
    let good = run(&["check", "-"], &policy);
    assert!(good.status.success() && text(&good).contains("-: good (1 API)"), "{}", text(&good));
    let bad = run(&["check", "-"], &policy.replace("endpoint: west", "endpoint: wst"));
    assert!(bad.status.code() == Some(1) && text(&bad).contains("stdin:"), "{}", text(&bad));
}

#[test]
fn a_part_of_a_policy_is_checked_for_what_it_has() {
    let apis = "apis: [{ name: a, production: { round_robin: { targets: [{ model: m, endpoint: elsewhere }] } } }]";
    let whole = run(&["check", "-"], apis);
    assert!(whole.status.code() == Some(1) && text(&whole).contains("are missing"), "{}", text(&whole));
    let part = run(&["check", "--part", "-"], apis);
    assert!(part.status.success() && text(&part).contains("good as a part"), "{}", text(&part));
    let endpoints = "endpoints: { a: { provider: elsewhere, url: https://a.test/v1 } }";
    let part = run(&["check", "--part", "-"], endpoints);
    assert!(part.status.success(), "{}", text(&part));
    let mistaken = run(&["check", "--part", "-"], &apis.replace("round_robin", "round_robbin"));
    assert!(mistaken.status.code() == Some(1) && text(&mistaken).contains("did you mean"), "{}", text(&mistaken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_fails_where_something_would_change_if_it_is_asked_to() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &["east", "west", "middle"]).await;
    let admin = rig.router.admin().to_string();
    let live = std::fs::read_to_string(rig.router.policy_file()).unwrap();
    let check =
        |policy: &str, more: &[&str]| run(&[&["check", "-", "--against", &admin], more].concat(), policy).status.code();
    let other = live.replace("{ model: gpt-4o-mini, endpoint: west }, ", "");
    assert_eq!(check(&live, &["--exit-code"]), Some(0));
    assert_eq!(check(&other, &[]), Some(0));
    assert_eq!(check(&other, &["--exit-code"]), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_printed_again_every_second_until_interrupted() {
    let rig = Rig::start(Topology::Failover, &production(ENTRIES), &["east", "west", "middle"]).await;
    for command in ["status", "targets", "decisions"] {
        let printed = tempfile::NamedTempFile::new().unwrap();
        let mut watching = Command::new(binary());
        watching.args([command, "--watch", "--output", "json", "--admin", &rig.router.admin().to_string()]);
        let mut watching = watching.stdout(printed.reopen().unwrap()).spawn().unwrap();
        let lines = || std::fs::read_to_string(printed.path()).unwrap();
        eventually("two documents", async || (lines().lines().count() >= 2).then_some(())).await;
        assert!(Command::new("kill").args(["-INT", &watching.id().to_string()]).status().unwrap().success());
        let ended = eventually("the end", async || watching.try_wait().unwrap()).await;
        assert!(ended.success(), "{command}: {ended:?}");
        assert!(lines().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", lines());
    }
}

#[test]
fn the_words_for_formats_are_the_same_everywhere() {
    for command in ["check", "evaluate", "explain", "status", "targets", "decisions", "suspend", "resume"] {
        let help = text(&run(&[command, "-h"], ""));
        assert!(help.contains("[possible values: text, json]"), "{command}: {help}");
    }
}
