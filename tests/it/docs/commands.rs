//! Commands in the documentation: what is run by another test, what is parsed here, what neither.

use std::fs;

use clap::{CommandFactory, Parser};
use model_router::cli::Cli;

use super::{pages, shell};
use crate::rig::envoy::root;

/// Folders of the repository; a path that begins with one of them is there.
const FOLDERS: [&str; 10] =
    ["envoy/", "deploy/", "docs/", "tests/", "src/", "examples/", "benches/", "proto/", ".ci/", "fuzz/"];

#[derive(Default)]
struct Counts {
    /// By `make test-compose`, which runs the blocks marked `compose`.
    run: usize,
    /// Against the command line's definition, or the Makefile's targets.
    parsed: usize,
    not_run: usize,
    problems: Vec<String>,
}

/// The blocks of a page in a shell's language: whether each is run by a test, and its text.
fn blocks(text: &str) -> impl Iterator<Item = (bool, String)> {
    let parts = text.split("```sh").skip(1);
    parts.filter_map(|rest| {
        let (mark, rest) = rest.split_once('\n')?;
        Some((mark.trim() == "compose", rest.split("```").next()?.to_owned()))
    })
}

fn make_targets() -> Vec<String> {
    let text = fs::read_to_string(root().join("Makefile")).expect("readable");
    let target = |line: &str| line.split_once(':').map(|(name, _)| name.to_owned());
    text.lines()
        .filter(|line| line.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .filter_map(target)
        .collect()
}

impl Counts {
    fn command(&mut self, page: &str, words: &[String], is_run: bool) {
        let line = words.join(" ");
        for path in words.iter().filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))) {
            if !root().join(path).exists() {
                self.problems.push(format!("{page}: {line}: there is no {path}"));
            }
        }
        let is_assignment = |word: &&String| word.contains('=') && !word.starts_with('-');
        let start = words.iter().take_while(is_assignment).count();
        let router = words.iter().position(|word| word == "model-router");
        let known = match (words.get(start).map(String::as_str), router) {
            (_, Some(at)) => Cli::try_parse_from(&words[at..]).err().map(|error| error.to_string()),
            (Some("make"), None) => {
                let targets = words[start + 1..].iter().filter(|word| !word.contains('='));
                let unknown = targets.into_iter().find(|target| !make_targets().contains(target));
                unknown.map(|target| format!("there is no target {target}"))
            }
            _ if is_run => None,
            _ => {
                self.not_run += 1;
                return;
            }
        };
        *(if is_run { &mut self.run } else { &mut self.parsed }) += 1;
        self.problems.extend(known.map(|problem| format!("{page}: {line}: {problem}")));
    }

    /// A span of code in a sentence may have placeholders, so only its flags are looked at.
    fn span(&mut self, page: &str, span: &str) {
        let mut words = span.split_whitespace().map(|word| word.trim_matches(['[', ']']));
        let (Some("model-router"), Some(name)) = (words.next(), words.next()) else { return };
        if name.starts_with('-') || name.chars().any(char::is_uppercase) {
            return;
        }
        self.parsed += 1;
        let mut cli = Cli::command();
        cli.build();
        let Some(command) = cli.find_subcommand(name) else {
            return self.problems.push(format!("{page}: {span}: there is no {name}"));
        };
        let known = |flag: &str| command.get_arguments().any(|arg| arg.get_long() == Some(flag));
        let flags = words.filter_map(|word| word.strip_prefix("--")).map(|flag| flag.split('=').next().unwrap_or(flag));
        let unknown = flags.filter(|flag| !known(flag)).map(|flag| format!("{page}: {span}: there is no --{flag}"));
        self.problems.extend(unknown);
    }
}

#[test]
fn every_command_in_the_docs_is_one_that_there_is() {
    let mut counts = Counts::default();
    for page in pages().iter().filter(|page| page.name() != "CHANGELOG.md") {
        for (is_run, block) in blocks(&page.text) {
            for words in shell::commands(&block) {
                counts.command(&page.name(), &words, is_run);
            }
        }
        let prose = page.prose().collect::<Vec<_>>().join("\n");
        prose.split('`').skip(1).step_by(2).for_each(|span| counts.span(&page.name(), span));
    }
    let Counts { run, parsed, not_run, problems } = counts;
    println!("commands: {run} run by `make test-compose`, {parsed} parsed, {not_run} not run");
    assert!(run >= 5 && parsed >= 20, "{run} run, {parsed} parsed");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
