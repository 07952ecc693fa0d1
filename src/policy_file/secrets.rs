//! Secrets: environment variables and key files, as the policy file refers to them. No message ever shows a value.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::raw::ApiKey;
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::{shown, variable_of};
use crate::secret::Secret;

/// A longer key file holds something else.
const KEY_FILE_BYTES: u64 = 64 * 1024;

/// Where credentials come from.
#[derive(Clone)]
pub struct Secrets {
    variables: HashMap<OsString, OsString>,
    missing: MissingSecrets,
    /// Whether every secret is assumed to exist, so that nothing is looked up.
    assumed: bool,
}

/// How a missing secret is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingSecrets {
    /// As a warning: the file is checked on a machine that does not have the secrets.
    Warn,
    /// As an error: the file cannot be used.
    Refuse,
}

/// Why there is no key.
enum Trouble {
    Missing(String),
    Malformed(&'static str),
}

impl Secrets {
    /// Secrets out of these environment variables and out of files.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, missing: MissingSecrets) -> Self {
        Self { variables: variables.into_iter().collect(), missing, assumed: false }
    }

    /// Creates secrets that are assumed to exist: neither the environment nor a file is read.
    #[must_use]
    pub fn assumed() -> Self {
        Self { variables: HashMap::new(), missing: MissingSecrets::Warn, assumed: true }
    }

    fn find(&self, source: &At<ApiKey>, files: &mut Vec<PathBuf>, report: &mut Report) -> Option<Secret> {
        let (place, found) = match source.get()? {
            ApiKey::Env(name) => (name.place, self.variable(name.get()?)),
            ApiKey::File(path) if self.assumed => (path.place, Ok(Secret::assumed().expose().to_owned())),
            ApiKey::File(path) => {
                let path_in_file = path.get()?;
                let full = report.directory(path.place).join(path_in_file);
                let found = key_file(&full, path_in_file);
                files.push(full);
                (path.place, found)
            }
            ApiKey::Value(value) if value.get().is_some_and(|key| variable_of(key.expose()).is_some()) => {
                let variable = value.get().and_then(|key| variable_of(key.expose())).flatten();
                Self::report_reference(value.place, variable, report);
                return None;
            }
            ApiKey::Value(value) => {
                let help = "write `{ env: NAME }` or `{ file: PATH }`".to_owned();
                if !report.holds_secrets(value.place) {
                    report.warning(value.place, "a key in the policy file is read by all who read the file", help);
                }
                (value.place, Ok(value.get()?.expose().to_owned()))
            }
        };
        match found.and_then(checked) {
            Ok(key) => Some(Secret::new(key)),
            Err(trouble) => {
                self.report(place, trouble, report);
                None
            }
        }
    }

    /// Reports a key that refers to something which nobody puts in its place, as other tools would.
    fn report_reference(place: Place, variable: Option<&str>, report: &mut Report) {
        let message = "the key is a reference such as other tools fill in, and would be sent as it is";
        report.error_with(place, message, format!("write `{{ env: {} }}`", variable.unwrap_or("NAME")));
    }

    fn report(&self, place: Place, trouble: Trouble, report: &mut Report) {
        match (trouble, self.missing) {
            (Trouble::Missing(message), MissingSecrets::Warn) => report.warning(place, message, None),
            (Trouble::Missing(message), MissingSecrets::Refuse) => report.error(place, message),
            (Trouble::Malformed(message), _) => report.error(place, message),
        }
    }

    fn variable(&self, name: &str) -> Result<String, Trouble> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.starts_with('$') {
            return Err(Trouble::Malformed(
                "expected the name of an environment variable; write it without `$` and braces",
            ));
        }
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(Trouble::Malformed("expected the name of an environment variable, such as `OPENAI_KEY`"));
        }
        // A key that was written instead of the name is not printed: a key has lower-case letters.
        let label = if name.bytes().any(|byte| byte.is_ascii_lowercase()) { "named here".into() } else { shown(name) };
        if self.assumed {
            return Ok(Secret::assumed().expose().to_owned());
        }
        match self.variables.get(OsStr::new(name)).map(|value| value.to_str()) {
            None => Err(Trouble::Missing(format!("the environment variable {label} is not set"))),
            Some(Some("")) => Err(Trouble::Missing(format!("the environment variable {label} is empty"))),
            Some(Some(value)) => Ok(value.to_owned()),
            Some(None) => Err(Trouble::Malformed(NO_HEADER)),
        }
    }
}

/// The only way to a secret while a policy is compiled. Whatever it finds becomes part of the policy's fingerprint, so
/// a policy whose secrets have changed is never taken for the same one, whichever kind of secret it is.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    secrets: &'a Secrets,
    files: &'a mut Vec<PathBuf>,
    fingerprint: Sha256,
}

impl<'a> Resolver<'a> {
    /// Starts the fingerprint of a policy with the hash of its files. Key files are added to `files`.
    pub(super) fn new(secrets: &'a Secrets, files: &'a mut Vec<PathBuf>, hash: &str) -> Self {
        Self { secrets, files, fingerprint: Sha256::new_with_prefix(hash) }
    }

    /// Returns the key that a policy refers to, or reports why there is none.
    pub(super) fn key(&mut self, source: &At<ApiKey>, report: &mut Report) -> Option<Secret> {
        let found = self.secrets.find(source, self.files, report);
        // Length first, so that no two lists of secrets look alike.
        let value = found.as_ref().map_or("", Secret::expose);
        self.fingerprint.update(value.len().to_be_bytes());
        self.fingerprint.update(value);
        found
    }

    /// Adds a file on which the policy depends.
    pub(super) fn follow(&mut self, file: PathBuf) {
        self.files.push(file);
    }

    /// Makes the contents of such files a part of the policy's fingerprint.
    pub(super) fn identify(&mut self, contents: &[u8; 32]) {
        self.fingerprint.update(contents);
    }

    /// Returns whether secrets are assumed to exist, so that nothing but the policy file may be read.
    pub(super) fn are_assumed(&self) -> bool {
        self.secrets.assumed
    }

    /// Returns the fingerprint over the policy's files and every secret that was resolved.
    pub(super) fn fingerprint(self) -> [u8; 32] {
        self.fingerprint.finalize().into()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("missing", &self.missing).finish_non_exhaustive()
    }
}

const NO_HEADER: &str = "the key cannot be part of a header: it has a space, a line break or a character beyond ASCII";

fn key_file(path: &Path, label: &str) -> Result<String, Trouble> {
    // A key that was written instead of the path is not printed: a path has a slash or a dot.
    let label = if label.contains(['/', '.']) { shown(label) } else { "named here".to_owned() };
    let bytes = read(path).map_err(|error| Trouble::Missing(format!("cannot read the key file {label}: {error}")))?;
    if bytes.len() as u64 > KEY_FILE_BYTES {
        return Err(Trouble::Malformed("the key file holds more than a key: it has more than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| Trouble::Malformed(NO_HEADER))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(Trouble::Missing(format!("the key file {label} is empty"))),
        key => Ok(key.to_owned()),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    super::files::regular(path)?.take(KEY_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn checked(key: String) -> Result<String, Trouble> {
    if key.is_empty() {
        return Err(Trouble::Malformed("the key is empty; leave `api_key` out for an endpoint that wants none"));
    }
    if key.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return Err(Trouble::Malformed("the key starts with `Bearer `; give the key alone"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Malformed(NO_HEADER));
    }
    Ok(key)
}
