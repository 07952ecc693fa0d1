//! What `--help` says beside the options: subcommands by task, and an example and the exit statuses of each.

use std::fmt::Write;

/// The subcommands by what somebody wants to do.
const TASKS: [(&str, &[&str]); 4] = [
    ("Write a policy", &["check", "explain", "evaluate", "import", "schema"]),
    ("Run", &["serve", "envoy-config", "health"]),
    ("Look at a running router", &["status", "targets", "decisions", "usage"]),
    ("Intervene", &["suspend", "resume"]),
];

pub(super) const SERVE: &str = "\
Example: model-router serve --policy policy.yaml --listen unix:/run/model-router/router.sock

Exit status: 0 after SIGTERM or SIGINT, 1 if it can't start, 2 for wrong arguments";
pub(super) const CHECK: &str = "\
Example: model-router check policy.yaml --against 127.0.0.1:18001

Exit status: 0 if the policy can be used, 1 if it can't, if the router does not answer, or, with --exit-code, if something
would change there, 2 for wrong arguments";
pub(super) const ENVOY_CONFIG: &str = "\
Example: model-router envoy-config --policy policy.yaml > envoy.yaml
         model-router envoy-config --policy policy.yaml --merge envoy.yaml > merged.yaml

Exit status: 0, or 1 if the policy can't be used, Envoy can't be configured for it or a file can't be merged into, 2 for
wrong arguments";
pub(super) const EVALUATE: &str = "\
Example: model-router evaluate --policy policy.yaml --api chat --cases cases.jsonl --min-accuracy 0.9

Exit status: 0, or 1 if policy or cases can't be used or fewer are right than --min-accuracy, 2 for wrong arguments";
pub(super) const EXPLAIN: &str = "\
Example: model-router explain --policy policy.yaml --request request.http

Exit status: 0 whatever becomes of the request, 1 if it or the policy can't be used or the router does not answer, 2 for
wrong arguments";
pub(super) const IMPORT: &str = "\
Example: model-router import apk manifests/ > policy.yaml

Exit status: 0, perhaps with warnings, or 1 if nothing is imported, 2 for wrong arguments";
pub(super) const HEALTH: &str = "\
Example: model-router health --admin 127.0.0.1:18001

Exit status: 0 if the router serves, 1 if it does not, 2 for wrong arguments";
pub(super) const SCHEMA: &str = "\
Example: model-router schema > policy.schema.json

Exit status: 0, or 2 for wrong arguments";
pub(super) const STATUS: &str = "\
Example: model-router status --watch

Exit status: 0, or 1 if the router does not answer, 2 for wrong arguments";
pub(super) const TARGETS: &str = "\
Example: model-router targets --not-ready --watch

Exit status: 0, or 1 if the router does not answer, 2 for wrong arguments";
pub(super) const DECISIONS: &str = "\
Example: model-router decisions --request 5b2f6f3c-8d0e-4f5e-9a59-3c2b3d1f0c11

Exit status: 0, even if there are none, or 1 if the router does not answer, 2 for wrong arguments";
pub(super) const USAGE: &str = "\
Example: model-router usage --by model --since 24h

Exit status: 0, even if there is none, or 1 if the router does not answer, 2 for wrong arguments";
pub(super) const SUSPEND: &str = "\
Example: model-router suspend openai-east --for 30m --reason 'maintenance'

Exit status: 0, or 1 if there is no such endpoint or model or the router does not answer, 2 for wrong arguments";
pub(super) const RESUME: &str = "\
Example: model-router resume openai-east

Exit status: 0, even if it was not suspended, or 1 if there is no such endpoint or model or the router does not answer, 2
for wrong arguments";
pub(super) const COMPLETIONS: &str = "\
Example: source <(model-router completions bash)

Exit status: 0, or 2 for wrong arguments";

/// Returns the command with its subcommands grouped by task in its help.
pub(super) fn grouped(command: clap::Command) -> clap::Command {
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    let line = |text: &mut String, name: &str| {
        let about = command.find_subcommand(name).and_then(clap::Command::get_about);
        let _ = writeln!(text, "  {name:13} {}", about.cloned().unwrap_or_default());
    };
    for (task, names) in TASKS {
        let _ = writeln!(text, "\n{task}:");
        names.iter().for_each(|name| line(&mut text, name));
    }
    let grouped = |name: &str| TASKS.iter().any(|(_, names)| names.contains(&name));
    text += "\nOther:\n";
    command.get_subcommands().map(clap::Command::get_name).filter(|name| !grouped(name)).for_each(|name| {
        line(&mut text, name);
    });
    text += "  help          Print this, or the help of a subcommand\n";
    command.help_template(text + "\nOptions:\n{options}{after-help}")
}
