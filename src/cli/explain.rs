//! `model-router explain`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::channel::{Address, Peer, Proof};
use super::{Environment, Output, fail, policy, runtime};
use crate::admin::proto::admin_client::AdminClient;
use crate::admin::proto::{ExplainRequest, ExplainResponse};
use crate::classifier;
use crate::dry_run::explain::{RawRequest, explain};
use crate::gateway::router::Router;
use crate::routing::api;

/// The time limit of a router's reply, its classifier included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A longer request is no example.
const MAX_REQUEST_BYTES: u64 = 32 << 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON) or a directory of them; given again, several make up one
    #[arg(
        long,
        env = "MODEL_ROUTER_POLICY",
        value_name = "FILE|DIRECTORY",
        value_delimiter = ':',
        required_unless_present = "against"
    )]
    policy: Vec<PathBuf>,
    /// Ask the running router at this admin listener instead: by its live policy, with what is suspended now
    #[arg(long, value_name = "ADDRESS")]
    against: Option<Peer>,
    #[command(flatten)]
    proof: Proof,
    /// The request, as HTTP/1.1 has it on the wire; `-` for stdin
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The environment, as Envoy would say it
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Ask no classifier: show what it would be asked, and go on as if no rule fitted
    #[arg(long)]
    no_call: bool,
    /// The format of the explanation
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[allow(clippy::print_stdout)] // The explanation is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let explained = read(&arguments.request).and_then(|text| {
        let request = RawRequest::parse(&text).map_err(|why| format!("{}: {why}", arguments.request.display()))?;
        let Some(router) = &arguments.against else { return offline(request, arguments) };
        let router = Address::new(router.clone(), arguments.proof.clone());
        let asked = runtime()?.block_on(live(&router, text, arguments));
        asked.map_err(|problem| format!("no answer from the router at {router}: {problem}"))
    });
    match (explained, arguments.output) {
        (Err(problem), _) => return fail(problem),
        (Ok(ExplainResponse { text, .. }), Output::Text) => print!("{text}"),
        (Ok(ExplainResponse { json, .. }), Output::Json) => println!("{json}"),
    }
    ExitCode::SUCCESS
}

/// Explains by the files of a policy, with nothing suspended.
fn offline(request: RawRequest, arguments: &Arguments) -> Result<ExplainResponse, String> {
    let request = match arguments.environment {
        Some(environment) => request.in_environment(api::Environment::from(environment).name()),
        None => request,
    };
    let (snapshot, registry) = policy::load(&arguments.policy)?;
    let runtime = runtime()?;
    if !arguments.no_call {
        for routes in snapshot.routes() {
            // What has no vectors is explained as it would be served: it takes the default.
            if let Err(problem) = runtime.block_on(classifier::prime(routes, registry.vectors())) {
                anstream::eprintln!("warning: {problem}");
            }
        }
    }
    let router = Arc::new(Router::new(snapshot));
    let explanation = runtime.block_on(explain(router, &request, !arguments.no_call));
    Ok(ExplainResponse { text: explanation.to_string(), json: format!("{:#}", serde_json::json!(explanation)) })
}

/// Explains by a running router.
async fn live(router: &Address, request: Vec<u8>, arguments: &Arguments) -> Result<ExplainResponse, String> {
    let environment = arguments.environment.map(|environment| api::Environment::from(environment).name().to_owned());
    let asked = ExplainRequest { request, environment: environment.unwrap_or_default(), no_call: arguments.no_call };
    let answer = AdminClient::new(router.open(TIMEOUT).await?).explain(asked).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_REQUEST_BYTES + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_REQUEST_BYTES + 1).read_to_end(&mut text))
    };
    match read {
        Err(error) => Err(format!("{}: {error}", path.display())),
        Ok(bytes) if bytes as u64 > MAX_REQUEST_BYTES => {
            Err(format!("{}: a request may have {MAX_REQUEST_BYTES} bytes at most", path.display()))
        }
        Ok(_) => Ok(text),
    }
}
