//! `model-router import`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::fail;
use crate::policy_file::import::{self, Imported};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What the files are
    #[arg(value_name = "FORMAT")]
    format: Format,
    /// The files, or directories of them
    #[arg(value_name = "FILE|DIRECTORY", required = true)]
    paths: Vec<PathBuf>,
    /// Print the credentials that the files hold; else the policy says where it looks for each
    #[arg(long)]
    inline_secrets: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Whichever of these it is, recognised by content and said on stderr
    Auto,
    /// WSO2 APK: Kubernetes resources (API, HTTPRoute, Backend, AIProvider, APIPolicy, Secret), or `apk-conf`
    Apk,
    /// WSO2 API Manager: api.yaml, endpoints.yaml, AI service providers, deployment.toml
    Apim,
    /// WSO2 API Platform: LlmProxy, LlmProvider, LlmProviderTemplate, RestApi, Secret, config.toml
    ApiPlatform,
}

#[allow(clippy::print_stdout)] // The policy is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let format = match arguments.format {
        Format::Auto => None,
        Format::Apk => Some(import::Format::Apk),
        Format::Apim => Some(import::Format::Apim),
        Format::ApiPlatform => Some(import::Format::ApiPlatform),
    };
    match import::import(format, &arguments.paths, arguments.inline_secrets) {
        Ok(Imported { policy, format: found, warnings }) => {
            if format.is_none() {
                anstream::eprintln!("found {}", found.describe());
            }
            if warnings.count() > 0 {
                anstream::eprintln!("{}", warnings.explained());
            }
            print!("{policy}");
            ExitCode::SUCCESS
        }
        Err(problems) => fail(format!("nothing is imported\n{}", problems.explained())),
    }
}
