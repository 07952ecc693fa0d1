//! `model-router status`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};

use serde_json::json;
use tonic::transport::{Channel, Endpoint};

use super::fail;
use crate::admin::proto::admin_client::AdminClient;
use crate::admin::proto::{GetStatusRequest, GetStatusResponse, ListTargetsRequest, State, Target};
use crate::server::ListenAddress;

/// How long a router may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The router's admin listener: ADDRESS:PORT or unix:PATH
    #[arg(long, env = "MODEL_ROUTER_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:18001")]
    admin: ListenAddress,
    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[allow(clippy::print_stdout)] // The status is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("can't start: {error}")),
    };
    match runtime.block_on(ask(&arguments.admin)) {
        Ok((status, targets)) => {
            match arguments.output {
                Output::Table => println!("{}\n{}", summary(&status), table(&targets)),
                Output::Json => println!("{:#}", to_json(&status, &targets)),
            }
            ExitCode::SUCCESS
        }
        Err(problem) => fail(format!("no answer from the router at {}: {problem}", arguments.admin)),
    }
}

async fn ask(address: &ListenAddress) -> Result<(GetStatusResponse, Vec<Target>), String> {
    let uri = match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| error.to_string())?;
    let channel: Channel =
        endpoint.timeout(TIMEOUT).connect_timeout(TIMEOUT).connect().await.map_err(|error| error_chain(&error))?;
    let mut admin = AdminClient::new(channel);
    let status = admin.get_status(GetStatusRequest {}).await.map_err(|error| error.message().to_owned())?;
    let targets = admin.list_targets(ListTargetsRequest {}).await.map_err(|error| error.message().to_owned())?;
    Ok((status.into_inner(), targets.into_inner().targets))
}

/// An error with its causes: the outermost of a connection's errors says nothing.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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

fn table(targets: &[Target]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["model", "endpoint", "state", "for", "dispatched", "served", "failed", "used by"]);
    for target in targets {
        table.add_row([
            target.model.clone(),
            target.endpoint.clone(),
            state(target).to_owned(),
            target.remaining.map(|remaining| format!("{} s", remaining.seconds + 1)).unwrap_or_default(),
            target.dispatched.to_string(),
            target.served.to_string(),
            target.failed.to_string(),
            target.used_by.join(", "),
        ]);
    }
    table
}

fn state(target: &Target) -> &'static str {
    match target.state() {
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::ProbeDue => "probe due",
        State::Probing => "probing",
        State::Unspecified => "unknown",
    }
}

fn to_json(status: &GetStatusResponse, targets: &[Target]) -> serde_json::Value {
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
        "targets": targets.iter().map(target_json).collect::<Vec<_>>(),
    })
}

fn target_json(target: &Target) -> serde_json::Value {
    let remaining = target.remaining.and_then(|remaining| Duration::try_from(remaining).ok());
    json!({
        "model": target.model,
        "endpoint": target.endpoint,
        "state": state(target).replace(' ', "_"),
        "remaining_ms": remaining.map(|remaining| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)),
        "dispatched": target.dispatched,
        "served": target.served,
        "failed": target.failed,
        "used_by": target.used_by,
    })
}

/// RFC 3339, to the second.
fn instant(timestamp: Option<prost_types::Timestamp>) -> String {
    let time = timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok());
    time.map(|time| humantime::format_rfc3339_seconds(time).to_string()).unwrap_or_default()
}
