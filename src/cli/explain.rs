//! `model-router explain`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Environment, Output, fail, policy, runtime};
use crate::api;
use crate::explain::{RawRequest, explain};
use crate::router::Router;

/// A longer request is no example.
const MAX_REQUEST_BYTES: u64 = 32 << 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON) or a directory of them; given again, several make up one
    #[arg(long, env = "MODEL_ROUTER_POLICY", value_name = "FILE|DIRECTORY", value_delimiter = ':', required = true)]
    policy: Vec<PathBuf>,
    /// The request, as HTTP/1.1 has it on the wire; `-` for stdin
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The environment, as Envoy would say it
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Ask no classifier: show what it would be asked, and go on as if no rule fitted
    #[arg(long)]
    no_call: bool,
    /// How the explanation is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[allow(clippy::print_stdout)] // The explanation is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let explained = read(&arguments.request).and_then(|text| {
        let request = RawRequest::parse(&text).map_err(|why| format!("{}: {why}", arguments.request.display()))?;
        let request = match arguments.environment {
            Some(environment) => request.in_environment(api::Environment::from(environment).name()),
            None => request,
        };
        let (snapshot, registry) = policy::load(&arguments.policy)?;
        let router = Arc::new(Router::new(snapshot, registry));
        Ok(runtime()?.block_on(explain(router, &request, !arguments.no_call)))
    });
    match (explained, arguments.output) {
        (Err(problem), _) => return fail(problem),
        (Ok(explanation), Output::Text) => print!("{explanation}"),
        (Ok(explanation), Output::Json) => println!("{:#}", serde_json::json!(explanation)),
    }
    ExitCode::SUCCESS
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
