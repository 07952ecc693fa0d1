//! `model-router check`.

mod against;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::channel::{Address, Peer, Proof};
use super::{Output, fail};
use crate::policy_file::{self, Compiled, Extent, MissingSecrets, Problem, Problems, Secrets};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON), several that make up one, or a directory of them; `-` for stdin
    #[arg(value_name = "FILE|DIRECTORY", required = true)]
    paths: Vec<PathBuf>,
    /// Take a secret that is not there for an error, as `serve` does
    #[arg(long)]
    strict: bool,
    /// The files are a part of a policy: what they lack may be in its other files
    #[arg(long, conflicts_with = "against")]
    part: bool,
    /// The format of the problems: for people, each with its line; for editors and CI, one array of objects
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// Tell what this policy would change in the running router at this admin listener, before it goes live
    #[arg(long, value_name = "ADDRESS")]
    against: Option<Peer>,
    /// Exit with 1 if something would change there
    #[arg(long, requires = "against")]
    exit_code: bool,
    #[command(flatten)]
    proof: Proof,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let missing = if arguments.strict { MissingSecrets::Refuse } else { MissingSecrets::Warn };
    let secrets = Secrets::new(std::env::vars_os(), missing);
    let extent = if arguments.part { Extent::Part } else { Extent::Whole };
    let (problems, verdict) = match policy_file::examine(&arguments.paths, &secrets, extent) {
        Ok(Compiled { warnings, snapshot }) => (warnings, Ok(snapshot)),
        Err(problems) => (problems, Err("can't be used")),
    };
    let policy = named(&arguments.paths);
    let comparing = arguments.against.is_some();
    match arguments.output {
        Output::Text => anstream::print!("{}", text(&problems)),
        Output::Json if comparing => anstream::eprint!("{}", text(&problems)),
        Output::Json => anstream::println!("{:#}", problems.iter().map(to_json).collect::<Value>()),
    }
    let snapshot = match verdict {
        Ok(snapshot) => snapshot,
        Err(bad) => return fail(format!("{policy} {bad}")),
    };
    let good = if arguments.part { GOOD_PART.to_owned() } else { good(snapshot.apis.iter().count()) };
    match arguments.output {
        Output::Text => anstream::println!("{policy}: {good}"),
        Output::Json => anstream::eprintln!("{policy}: {good}"),
    }
    match &arguments.against {
        Some(router) => {
            let router = Address::new(router.clone(), arguments.proof.clone());
            let would_change = against::run(&router, &snapshot, problems.count() > 0, arguments.output);
            match would_change {
                Ok(would_change) if would_change && arguments.exit_code => ExitCode::FAILURE,
                Ok(_) => ExitCode::SUCCESS,
                Err(problem) => fail(problem),
            }
        }
        None => ExitCode::SUCCESS,
    }
}

/// The verdict on a part of a policy.
const GOOD_PART: &str = "good as a part; names that it does not declare are not checked";

fn named(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn good(apis: usize) -> String {
    format!("good ({apis} {})", if apis == 1 { "API" } else { "APIs" })
}

fn text(problems: &Problems) -> String {
    if problems.count() == 0 { String::new() } else { format!("{}\n", problems.explained()) }
}

/// Line and column are `null` for a problem of a file as a whole.
fn to_json(problem: &Problem) -> Value {
    let place = |number: usize| (number > 0).then_some(number);
    json!({
        "file": &*problem.file,
        "line": place(problem.line),
        "column": place(problem.column),
        "severity": problem.severity.to_string(),
        "message": problem.message,
        "help": problem.help,
    })
}
