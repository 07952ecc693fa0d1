//! The files of a policy: their paths, their contents and the hash over them.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::document::problem::{Place, Report};

/// A larger policy file is a mistake.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// The extensions of policy files in a directory.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "json", "apk-conf"];

/// Joins the paths of a policy's files and directories as `MODEL_ROUTER_POLICY` does.
pub(crate) fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(":")
}

/// A policy file's content, and its number in the report.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) file: usize,
    /// Its name without directories.
    name: String,
}

/// Returns the policy files that these paths name, in order, each once. Directories are added to `seen` before their
/// files. What cannot be read is reported.
pub(crate) fn find(paths: &[PathBuf], seen: &mut Vec<PathBuf>, report: &mut Report) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            seen.push(path.clone());
            files.push(path.clone());
            continue;
        }
        seen.push(path.clone());
        match policy_files(path) {
            Ok(list) if list.is_empty() => {
                whole(
                    path,
                    "the directory holds no policy file; none ends in `.yaml`, `.yml`, `.json` or `.apk-conf`",
                    report,
                );
            }
            Ok(list) => {
                seen.extend(list.iter().cloned());
                files.extend(list);
            }
            Err(error) => whole(path, &format!("cannot read the directory: {error}"), report),
        }
    }
    let mut known = std::collections::HashSet::new();
    files.retain(|file| known.insert(file.clone()));
    files
}

/// Returns those of a directory itself, sorted. Names with a dot in front are an editor's, or Kubernetes' (`..data`).
fn policy_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        !hidden && EXTENSIONS.contains(&extension) && !path.is_dir()
    });
    files.sort();
    Ok(files)
}

/// Opens a file that ends: to read a pipe could take for ever, and nothing would follow the policy meanwhile.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    File::open(path)
}

/// Reads a policy file; `None` if that cannot be done, which is then reported.
pub(crate) fn read(path: &Path, report: &mut Report) -> Option<Text> {
    let mut bytes = Vec::new();
    let read = regular(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        whole(path, &format!("cannot read the file: {error}"), report);
        return None;
    }
    text(path, bytes, report)
}

/// Reads a policy file from stdin, as [`read`] does.
pub(super) fn stdin(report: &mut Report) -> Option<Text> {
    let (path, mut bytes) = (Path::new("stdin"), Vec::new());
    if let Err(error) = io::stdin().take(FILE_BYTES + 1).read_to_end(&mut bytes) {
        whole(path, &format!("cannot read it: {error}"), report);
        return None;
    }
    text(path, bytes, report)
}

/// Returns a policy file of these bytes, in memory.
pub(super) fn text(path: &Path, bytes: Vec<u8>, report: &mut Report) -> Option<Text> {
    if bytes.len() as u64 > FILE_BYTES {
        whole(path, &format!("the file is larger than {} MiB", FILE_BYTES >> 20), report);
        return None;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (full_name, directory) = (path.display().to_string(), path.parent().unwrap_or(Path::new("")));
    match String::from_utf8(bytes) {
        Ok(text) => Some(Text { file: report.add_file(&full_name, directory, &text), text, name }),
        Err(error) => {
            let file = report.add_file(&full_name, directory, "");
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            report.error(end_of(valid, file), "this is not UTF-8");
            None
        }
    }
}

/// SHA-256 in hex: of one file what `sha256sum` prints, of several that of what `sha256sum` prints of them all.
pub(super) fn hash(texts: &[Text]) -> String {
    match texts {
        [one] => sha256(one.text.as_bytes()),
        several => {
            let line = |text: &Text| format!("{}  {}\n", sha256(text.text.as_bytes()), text.name);
            sha256(several.iter().map(line).collect::<String>().as_bytes())
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

/// Reports a file or directory as a whole.
fn whole(path: &Path, message: &str, report: &mut Report) {
    let file = report.add_file(&path.display().to_string(), Path::new(""), "");
    report.error(Place { file, ..Place::default() }, message);
}

/// Returns the place after these bytes, which are text.
fn end_of(bytes: &[u8], file: usize) -> Place {
    let text = String::from_utf8_lossy(bytes);
    let last = text.rsplit('\n').next().unwrap_or_default();
    Place { file, line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}
