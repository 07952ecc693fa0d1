//! `model-router evaluate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Environment, Output, fail, policy, runtime};
use crate::classifier;
use crate::dry_run::evaluate::{Case, Report, evaluate, fit, rules};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy: a file (YAML or JSON) or a directory of them; given again, several make up one
    #[arg(long, env = "MODEL_ROUTER_POLICY", value_name = "FILE|DIRECTORY", value_delimiter = ':', required = true)]
    policy: Vec<PathBuf>,
    /// The API whose rules are tried
    #[arg(long, value_name = "NAME")]
    api: String,
    /// Its environment
    #[arg(long, value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Of a `by_model` policy: the model whose entry is tried; needed where several entries classify requests
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The cases: a line each, such as {"content": "Sort this list", "rule": "Coding"}; without `rule`, none fits
    #[arg(long, value_name = "FILE.jsonl")]
    cases: PathBuf,
    /// Questions at once
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Exit with 1 if a smaller share of the cases, from 0 to 1, is sorted as expected
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    min_accuracy: f64,
    /// Of a semantic policy: print the thresholds that fit the cases best, as YAML to paste, instead of a report
    #[arg(long, conflicts_with_all = ["output", "min_accuracy"])]
    fit: bool,
    /// The format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[allow(clippy::print_stdout)] // The report is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let report = match evaluated(arguments) {
        Ok(Evaluated::Report(report)) => report,
        Ok(Evaluated::Fitted(yaml)) => {
            print!("{yaml}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => return fail(problem),
    };
    match arguments.output {
        Output::Text => print!("{report}"),
        Output::Json => println!("{:#}", serde_json::json!(report)),
    }
    if report.accuracy < arguments.min_accuracy {
        let (found, wanted) = (report.accuracy * 100.0, arguments.min_accuracy * 100.0);
        return fail(format!("{found:.1} % of the cases are sorted as expected, less than {wanted:.1} %"));
    }
    ExitCode::SUCCESS
}

enum Evaluated {
    Report(Box<Report>),
    Fitted(String),
}

fn evaluated(arguments: &Arguments) -> Result<Evaluated, String> {
    let (snapshot, registry) = policy::load(&arguments.policy)?;
    let rules = rules(&snapshot, &arguments.api, arguments.environment.into(), arguments.model.as_deref())?;
    let in_file = |why| format!("{}: {why}", arguments.cases.display());
    let text = std::fs::read_to_string(&arguments.cases).map_err(|error| in_file(error.to_string()))?;
    let cases = Case::read(&text, &rules.sorter).map_err(in_file)?;
    let bar = progress_bar(cases.len());
    let runtime = runtime()?;
    if let Some(routes) = rules.sorter.routes() {
        runtime.block_on(classifier::prime(routes, registry.vectors()))?;
    }
    let results = evaluate(rules, cases, usize::from(arguments.concurrency), || bar.inc(1));
    let results = runtime.block_on(results);
    bar.finish_and_clear();
    if arguments.fit {
        return fit(&rules.sorter, &results).map(Evaluated::Fitted);
    }
    Ok(Evaluated::Report(Box::new(Report::of(&rules.sorter, &results))))
}

/// On stderr, and only on a terminal.
fn progress_bar(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1, such as 0.9".into()),
    }
}
