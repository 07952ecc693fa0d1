//! The policy file, or several of them: read, checked as a whole, and compiled into a [`Snapshot`].
//!
//! Two stages without network I/O, shared by start, `check` and reload: [`load`] makes a [`Config`] of all files, and
//! [`compile()`] makes a snapshot of that. All problems of both are reported together; [`read`] runs the two.

mod compile;
pub(crate) mod files;
pub mod import;
mod merge;
pub mod outline;
pub mod raw;
mod schema;
mod secrets;
mod status;

use std::path::{Path, PathBuf};

pub use crate::document::decode::{At, Named};
pub use crate::document::excerpt::Explained;
use crate::document::problem::Report;
pub use crate::document::problem::{Problem, Problems, Severity};
use crate::document::yaml::Node;
use crate::document::{decode, yaml};
use crate::routing::registry::Registry;
use crate::routing::snapshot::{ClusterNames, Snapshot};
use compile::endpoints::Context;
use files::Text;
pub use raw::Config;
pub use schema::schema;
use secrets::Resolver;
pub use secrets::{MissingSecrets, Secrets};
pub use status::{PolicyStatus, Refused, Status};

/// A policy as it is written, with the problems found so far.
#[derive(Debug)]
pub struct Loaded {
    /// The files' content; parts with mistakes are empty.
    pub config: Config,
    /// SHA-256 in hex: of the file, or of what `sha256sum` prints of the files, without their directories.
    pub hash: String,
    report: Report,
}

/// A policy that can be used.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub snapshot: Snapshot,
    /// Warnings for its author.
    pub warnings: Problems,
}

/// The result of reading a policy, good or bad.
#[derive(Debug)]
pub struct Reading {
    /// The files and directories that it depends on, those that could not be read included; key files come last.
    pub files: Vec<PathBuf>,
    /// The policy, or why there is none.
    pub result: Result<Compiled, Problems>,
}

/// Loads and compiles a policy: a file, or several that make up one, or directories of them. `version` is the new
/// snapshot's.
pub fn read(paths: &[PathBuf], secrets: &Secrets, registry: &Registry, version: u64) -> Reading {
    let mut files = Vec::new();
    let result = load(paths, &mut files).and_then(|loaded| compile(loaded, secrets, registry, version, &mut files));
    Reading { files, result }
}

/// How much of a policy some files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// A part: what is not declared there may be declared in others.
    Part,
}

/// Loads and compiles a policy, or a part of one, that nobody follows; the path `-` is stdin.
///
/// # Errors
/// All problems, warnings included, if one of them is an error.
pub fn examine(paths: &[PathBuf], secrets: &Secrets, extent: Extent) -> Result<Compiled, Problems> {
    let (mut report, mut files) = (Report::default(), Vec::new());
    let found = files::find(paths, &mut files, &mut report);
    let text = |path: &PathBuf| {
        if path == Path::new("-") { files::stdin(&mut report) } else { files::read(path, &mut report) }
    };
    let texts = found.iter().map(text).collect();
    let loaded = parse(texts, extent, report)?;
    compile_as((extent, Depth::Thorough), loaded, secrets, &Registry::default(), 1, &mut files)
}

/// Loads and compiles a policy file that is in memory. Nothing else is read: secrets are assumed to exist.
///
/// # Errors
/// All problems of the file, warnings included, if one of them is an error.
pub fn read_bytes(name: &str, bytes: &[u8], registry: &Registry) -> Result<Compiled, Problems> {
    let mut report = Report::default();
    let text = files::text(Path::new(name), bytes.to_vec(), &mut report);
    compile(parse(vec![text], Extent::Whole, report)?, &Secrets::assumed(), registry, 1, &mut Vec::new())
}

/// Reads the files of a policy, and adds them to `files`, with the directories among the paths.
///
/// # Errors
/// Their problems, if nothing can be made of one of them at all; others are kept for [`compile()`] to report with its
/// own.
pub fn load(paths: &[PathBuf], files: &mut Vec<PathBuf>) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let found = files::find(paths, files, &mut report);
    let texts = found.iter().map(|path| files::read(path, &mut report)).collect();
    parse(texts, Extent::Whole, report)
}

/// Compiles a policy; key files are read, each relative to the file that names it, and added to `files`.
///
/// # Errors
/// All problems of the policy, warnings included, if one of them is an error.
pub fn compile(
    loaded: Loaded,
    secrets: &Secrets,
    registry: &Registry,
    version: u64,
    files: &mut Vec<PathBuf>,
) -> Result<Compiled, Problems> {
    compile_as((Extent::Whole, Depth::Fast), loaded, secrets, registry, version, files)
}

/// Whether somebody waits for warnings that take a while to find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Fast,
    Thorough,
}

fn compile_as(
    (extent, depth): (Extent, Depth),
    loaded: Loaded,
    secrets: &Secrets,
    registry: &Registry,
    version: u64,
    files: &mut Vec<PathBuf>,
) -> Result<Compiled, Problems> {
    let Loaded { config, hash, mut report } = loaded;
    let secrets = Resolver::new(secrets, files, &hash);
    let mut context = Context { secrets, registry, extent, thorough: depth == Depth::Thorough };
    let apis = compile::compile(&config, &mut context, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    Ok(Compiled {
        snapshot: Snapshot {
            apis,
            version,
            hash,
            fingerprint: context.secrets.fingerprint(),
            cluster_names: ClusterNames::default(),
        },
        warnings: report.into_problems(),
    })
}

/// Checks a draft as if it were a file, with secrets taken to be there.
///
/// # Errors
/// All problems, warnings included, if one of them is an error.
pub(crate) fn check(draft: &Node, report: Report) -> Result<Problems, Problems> {
    let (config, report) = decode::decode(draft, raw::ELSEWHERE, report);
    let Some(config) = config else { return Err(report.into_problems()) };
    let loaded = Loaded { config, hash: String::new(), report };
    let compiled = compile(loaded, &Secrets::assumed(), &Registry::default(), 1, &mut Vec::new())?;
    Ok(compiled.warnings)
}

/// Parses all files and puts them together. `None` is one that could not be read, which has been reported.
///
/// Kubernetes manifests make up one file of the policy, whatever files they are in.
fn parse(texts: Vec<Option<Text>>, extent: Extent, mut report: Report) -> Result<Loaded, Problems> {
    let (mut roots, mut manifests, mut complete) = (Vec::new(), Vec::new(), !texts.is_empty());
    for text in &texts {
        let documents =
            text.as_ref().and_then(|text| yaml::documents(&text.text, text.file, import::is_manifest, &mut report));
        match documents {
            Some(documents) if documents.first().is_some_and(import::is_manifest) => manifests.extend(documents),
            Some(documents) => roots.extend(documents),
            None => complete = false,
        }
    }
    if let Some(first) = manifests.first().map(|first| first.place) {
        let drafts = import::manifests(manifests, roots.is_empty(), &mut report);
        // What was wrong is missing in the drafts, which is not another mistake.
        complete &= !report.has_errors();
        roots.extend(drafts.iter().map(|draft| draft.root(first)));
    }
    let mut configs = Vec::new();
    for root in &roots {
        let config;
        (config, report) = decode::decode(root, raw::ELSEWHERE, report);
        configs.extend(config);
    }
    let all: Option<Vec<Text>> = texts.into_iter().collect();
    match all.filter(|_| complete && roots.len() == configs.len()) {
        Some(texts) => {
            let config = merge::merge(configs, &roots, extent, &mut report);
            Ok(Loaded { config, hash: files::hash(&texts), report })
        }
        // What the unreadable file says is unknown, so nothing more can be said of the others.
        None => Err(report.into_problems()),
    }
}

#[cfg(test)]
mod tests;
