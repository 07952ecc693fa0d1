//! The policy file: read, checked as a whole, and compiled into a [`Snapshot`].
//!
//! Two stages without network I/O, shared by start, `check` and reload: [`load`] makes a [`Config`] of a file, and
//! [`compile()`] makes a snapshot of that. All problems of both are reported together; [`read`] runs the two.

mod compile;
mod decode;
mod problem;
pub mod raw;
mod secrets;
mod words;
mod yaml;

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::health::Registry;
use crate::snapshot::Snapshot;
use compile::endpoints::Means;
pub use decode::{At, Named};
use problem::{Place, Report};
pub use problem::{Problem, Problems, Severity};
pub use raw::Config;
pub use secrets::{MissingSecrets, Secrets};

/// A larger policy file is a mistake.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A policy file as it is written, with the problems found so far.
#[derive(Debug)]
pub struct Loaded {
    /// What the file says; the parts that were wrong are empty.
    pub config: Config,
    /// SHA-256 of the file, in hex.
    pub hash: String,
    directory: PathBuf,
    report: Report,
}

/// A policy that can be used.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub snapshot: Snapshot,
    /// What its author should know all the same.
    pub warnings: Problems,
}

/// The result of reading a policy file, good or bad.
#[derive(Debug)]
pub struct Reading {
    /// The files that it depends on, those that could not be read included: the policy file, then key files.
    pub files: Vec<PathBuf>,
    /// The policy, or why there is none.
    pub result: Result<Compiled, Problems>,
}

/// Loads and compiles a policy file. `version` is the new snapshot's.
pub fn read(path: &Path, secrets: &Secrets, registry: &Registry, version: u64) -> Reading {
    let mut files = vec![path.to_owned()];
    let result = load(path).and_then(|loaded| compile(loaded, secrets, registry, version, &mut files));
    Reading { files, result }
}

/// Reads a policy file.
///
/// # Errors
/// Its problems, if nothing can be made of it at all; others are kept for [`compile()`] to report with its own.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&path.display().to_string(), &bytes(path)?, directory)
}

/// Compiles a policy file; key files are read, relative to its directory, and added to `files`.
///
/// # Errors
/// All problems of the file, warnings included, if one of them is an error.
pub fn compile(
    loaded: Loaded,
    secrets: &Secrets,
    registry: &Registry,
    version: u64,
    files: &mut Vec<PathBuf>,
) -> Result<Compiled, Problems> {
    let Loaded { config, hash, directory, mut report } = loaded;
    let mut means = Means { secrets, directory: &directory, files, registry };
    let apis = compile::compile(&config, &mut means, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    Ok(Compiled { snapshot: Snapshot { apis, version, hash }, warnings: report.into_problems() })
}

/// Parses a policy file's bytes. `name` stands in problems; key files are relative to `directory`.
fn parse(name: &str, bytes: &[u8], directory: PathBuf) -> Result<Loaded, Problems> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(alone(name, Place::default(), "the file is larger than 4 MiB"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(alone(name, end_of(&bytes[..error.valid_up_to()]), "this is not UTF-8")),
    };
    let mut report = Report::new(name);
    let Some(root) = yaml::parse(text, &mut report) else { return Err(report.into_problems()) };
    match decode::decode(&root, raw::LATER, report) {
        (Some(config), report) => Ok(Loaded { config, hash: hash(bytes), directory, report }),
        (None, report) => Err(report.into_problems()),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, Problems> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    let unreadable =
        |error| alone(&path.display().to_string(), Place::default(), &format!("cannot read the file: {error}"));
    read.map_err(unreadable)?;
    Ok(bytes)
}

/// The one problem of a file of which nothing can be made.
fn alone(name: &str, place: Place, message: &str) -> Problems {
    let mut report = Report::new(name);
    report.error(place, message);
    report.into_problems()
}

/// The place after these bytes, which are text.
fn end_of(bytes: &[u8]) -> Place {
    let text = String::from_utf8_lossy(bytes);
    let last = text.rsplit('\n').next().unwrap_or_default();
    Place { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

/// What `sha256sum` prints.
fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

#[cfg(test)]
mod tests;
