//! `model-router check --against`: what a policy would change in a running router.

use serde_json::{Value, json};

use crate::admin::proto::GetOutlineRequest;
use crate::cli::channel::Address;
use crate::cli::{Output, admin, runtime};
use crate::policy_file::outline::{Difference, Outline, differences, outline};
use crate::routing::snapshot::Snapshot;

/// Prints the differences, and returns whether there are any. `may_lack_keys`: the policy was read with warnings, of
/// keys that are not here, perhaps.
#[allow(clippy::print_stdout)] // They are the result.
pub(super) fn run(router: &Address, snapshot: &Snapshot, may_lack_keys: bool, output: Output) -> Result<bool, String> {
    let asked = runtime().and_then(|runtime| runtime.block_on(ask(router)));
    let (live, salt) = asked.map_err(|problem| format!("no answer from the router at {router}: {problem}"))?;
    let (unknown, differences): (Vec<_>, Vec<_>) = differences(&live, &outline(snapshot, &salt))
        .into_iter()
        .partition(|it| may_lack_keys && is_credential(it) && it.new.is_none());
    match output {
        Output::Json => println!("{:#}", differences.iter().map(to_json).collect::<Value>()),
        Output::Text => {
            if differences.is_empty() {
                println!("nothing would change in the router at {router}");
            }
            differences.iter().for_each(|difference| println!("{}", text(difference)));
            unknown.iter().for_each(|it| println!("? {}: not here, so not compared", it.name));
        }
    }
    Ok(!differences.is_empty())
}

async fn ask(router: &Address) -> Result<(Outline, Vec<u8>), String> {
    let mut admin = admin::connect(router).await?;
    let answer = admin.get_outline(GetOutlineRequest {}).await.map_err(|status| status.message().to_owned())?;
    let answer = answer.into_inner();
    Ok((answer.things.into_iter().collect(), answer.salt))
}

fn text(Difference { name, old, new }: &Difference) -> String {
    match (old, new) {
        (None, Some(new)) if new == "there" => format!("+ {name}"),
        (None, Some(new)) => format!("+ {name}: {new}"),
        (Some(_), None) => format!("- {name}"),
        (old, new) => {
            let of = |value: &Option<String>| value.clone().unwrap_or_default();
            let resets = if resets(name) { "; what is known of it is forgotten" } else { "" };
            format!("~ {name}: {} -> {}{resets}", of(old), of(new))
        }
    }
}

fn to_json(difference: &Difference) -> Value {
    let Difference { name, old, new } = difference;
    json!({ "name": name, "old": old, "new": new, "resets_state": old.is_some() && new.is_some() && resets(name) })
}

fn is_credential(difference: &Difference) -> bool {
    difference.name.starts_with("endpoint ") && difference.name.ends_with(" credential")
}

/// Describes the changes of an endpoint. Its state is kept while its URL and credential stay the same.
fn resets(name: &str) -> bool {
    name.starts_with("endpoint ") && (name.ends_with(" URL") || name.ends_with(" credential"))
}
