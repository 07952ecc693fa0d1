//! `model-router status`.

use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use serde_json::json;

use super::admin::{self, instant, table};
use super::channel::Address;
use super::targets::{self, remaining, remaining_ms, state};
use super::watch::{Format, Shown, show};
use crate::admin::proto::{
    Classifier, GetStatusRequest, GetStatusResponse, ListClassifiersRequest, ListTargetsRequest, Target,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Address,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    show(&arguments.router, arguments.format, async || {
        let answers = ask(&arguments.router).await?;
        Ok(Shown { text: text(&answers), json: to_json(&answers) })
    })
}

/// The router's status.
struct Answers {
    status: GetStatusResponse,
    targets: Vec<Target>,
    classifiers: Vec<Classifier>,
}

async fn ask(address: &Address) -> Result<Answers, String> {
    let mut admin = admin::connect(address).await?;
    let lost = |status: tonic::Status| status.message().to_owned();
    let status = admin.get_status(GetStatusRequest {}).await.map_err(lost)?.into_inner();
    let targets = admin.list_targets(ListTargetsRequest {}).await.map_err(lost)?.into_inner().targets;
    let classifiers = admin.list_classifiers(ListClassifiersRequest {}).await.map_err(lost)?.into_inner().classifiers;
    Ok(Answers { status, targets, classifiers })
}

fn text(answers: &Answers) -> String {
    let mut text = format!("{}\n\n{}", summary(&answers.status), targets::table(&answers.targets));
    if !answers.classifiers.is_empty() {
        text += &format!("\n\n{}", classifier_table(&answers.classifiers));
    }
    text
}

fn summary(status: &GetStatusResponse) -> String {
    let policy = status.policy.clone().unwrap_or_default();
    let mut text = format!(
        "model-router {}, started {}\npolicy {} version {}, applied {}\n       sha256 {}",
        status.router_version,
        instant(status.started_at),
        policy.file,
        policy.version,
        instant(policy.applied_at),
        policy.sha256,
    );
    if let Some(refused) = &status.last_refused_reload {
        text += &format!("\n\nTHE FILE HAS CHANGES THAT WERE REFUSED at {}:\n{}", instant(refused.at), refused.report);
    }
    text
}

fn classifier_table(classifiers: &[Classifier]) -> Table {
    let mut table = table(["asked", "kind", "state", "for", "calls", "shared", "requests", "used by"]);
    for classifier in classifiers {
        let mut verdicts: Vec<_> = classifier.verdicts.iter().filter(|(_, count)| **count > 0).collect();
        verdicts.sort_by_key(|(label, count)| (std::cmp::Reverse(**count), (*label).clone()));
        table.add_row([
            classifier.name.clone(),
            classifier.kind.clone(),
            state(classifier.state()).to_owned(),
            remaining(classifier.remaining),
            classifier.calls.to_string(),
            classifier.shared.to_string(),
            verdicts.iter().map(|(label, count)| format!("{label} {count}")).collect::<Vec<_>>().join(", "),
            classifier.used_by.join(", "),
        ]);
    }
    table
}

fn to_json(Answers { status, targets, classifiers }: &Answers) -> serde_json::Value {
    let policy = status.policy.clone().unwrap_or_default();
    let refused = status.last_refused_reload.as_ref();
    json!({
        "router_version": status.router_version,
        "started_at": instant(status.started_at),
        "policy": {
            "file": policy.file,
            "version": policy.version,
            "sha256": policy.sha256,
            "applied_at": instant(policy.applied_at),
        },
        "last_refused_reload": refused.map(|refused| json!({ "at": instant(refused.at), "report": refused.report })),
        "targets": targets.iter().map(targets::to_json).collect::<Vec<_>>(),
        "classifiers": classifiers.iter().map(classifier_json).collect::<Vec<_>>(),
    })
}

fn classifier_json(classifier: &Classifier) -> serde_json::Value {
    json!({
        "name": classifier.name,
        "kind": classifier.kind,
        "state": state(classifier.state()).replace(' ', "_"),
        "remaining_ms": remaining_ms(classifier.remaining),
        "calls": classifier.calls,
        "shared": classifier.shared,
        "verdicts": classifier.verdicts,
        "used_by": classifier.used_by,
    })
}
