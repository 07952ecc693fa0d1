//! Import: the configuration of other gateways, as a policy of our own.
//!
//! Each format is read into trees and becomes a draft: our own policy file as a tree, in which every value has the
//! place of the one that it was made of. A draft is decoded as a file is, so that all checks and their places are the
//! same; or it is printed.

mod apim;
mod apk;
mod credential;
mod draft;
mod format;
mod honoured;
mod names;
mod objects;
mod operations;
mod platform;
mod print;
mod routes;
mod seconds;
mod secrets;
mod settings;
mod tree;

use std::path::PathBuf;

use crate::document::problem::{Place, Report};
use crate::document::yaml::{self, Node};
use crate::policy_file::{self, Problems, files};
pub(crate) use draft::{Draft, Part, Reference};
pub use format::Format;

/// Returns whether a document is a Kubernetes manifest, one in that form or an `apk-conf`, rather than a policy file.
pub(crate) fn is_manifest(document: &Node) -> bool {
    is_resource(document) || apk::is_conf(document)
}

fn is_resource(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

/// Translates manifests that are files of a policy: one draft for each format that is among them. Where they are all of
/// the policy, those without an API are reported.
pub(crate) fn manifests(documents: Vec<Node>, alone: bool, report: &mut Report) -> Vec<Draft> {
    let (of_platform, of_apk) = sorted(documents);
    let first = of_platform.first().or(of_apk.first()).map(|document| document.place);
    let mut drafts = Vec::new();
    let mut add = |draft: Draft, nothing: fn(Place, &mut Report), report: &mut Report| {
        if let Some(first) = first.filter(|_| alone && draft.apis.is_empty() && !report.has_errors()) {
            nothing(first, report);
        }
        drafts.push(draft);
    };
    if !of_apk.is_empty() {
        add(apk::translate(&of_apk, report), apk::nothing, report);
    }
    if !of_platform.is_empty() {
        add(platform::translate(&of_platform, alone, report), platform::nothing, report);
    }
    drafts
}

/// Separates the documents of API Platform from those of APK. Secrets beside documents of the former are of both.
fn sorted(documents: Vec<Node>) -> (Vec<Node>, Vec<Node>) {
    let (mut of_platform, mut of_apk): (Vec<_>, Vec<_>) = documents.into_iter().partition(platform::is_document);
    let is_secret = |document: &Node| document.get("kind").and_then(Node::text) == Some("Secret");
    if !of_platform.is_empty() {
        of_platform.extend(of_apk.iter().filter(|document| is_secret(document)).cloned());
        if of_apk.iter().all(is_secret) {
            of_apk.clear();
        }
    }
    (of_platform, of_apk)
}

/// What was read.
#[derive(Debug)]
pub struct Imported {
    /// A policy file of ours.
    pub policy: String,
    /// The format of what was read.
    pub format: Format,
    /// What its author should know: what has no equivalent here, first of all.
    pub warnings: Problems,
}

/// Reads files, or directories of them, and returns them as a policy file. If no `format` is given, the content shows it.
/// Credentials are in the file only with `inline_secrets`; else it says where it looks for each.
///
/// # Errors
/// All problems, warnings included, if one of them is an error.
pub fn import(format: Option<Format>, paths: &[PathBuf], inline_secrets: bool) -> Result<Imported, Problems> {
    let mut report = Report::default();
    let documents = documents(format, paths, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    let Some(format) = format.or_else(|| Format::of_all(&documents, &mut report)) else {
        return Err(report.into_problems());
    };
    let draft = match format {
        Format::Apk => apk::translate(&documents, &mut report),
        Format::Apim => apim::translate(&documents, &mut report),
        Format::ApiPlatform => platform::translate(&documents, true, &mut report),
    };
    if let Some(first) = documents.first().filter(|_| draft.apis.is_empty() && !report.has_errors()) {
        match format {
            Format::Apk => apk::nothing(first.place, &mut report),
            Format::Apim => apim::nothing(first.place, &mut report),
            Format::ApiPlatform => platform::nothing(first.place, &mut report),
        }
    }
    let Some(first) = documents.first().filter(|_| !report.has_errors()) else { return Err(report.into_problems()) };
    let warnings = policy_file::check(&draft.root(first.place), report)?;
    Ok(Imported { policy: print::print(&draft, inline_secrets), format, warnings })
}

fn documents(format: Option<Format>, paths: &[PathBuf], report: &mut Report) -> Vec<Node> {
    let mut documents = Vec::new();
    let settings = paths.iter().flat_map(|path| Format::settings(format).iter().map(|name| path.join(name)));
    let settings: Vec<_> = settings.filter(|path| path.is_file()).collect();
    for path in files::find(paths, &mut Vec::new(), report).into_iter().chain(settings) {
        let Some(text) = files::read(&path, report) else { continue };
        report.may_hold_secrets(text.file);
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if is_toml && !Format::settings(format).is_empty() {
            documents.extend(settings::read(&text.text, text.file, report));
            continue;
        }
        let has_others = if matches!(format, None | Some(Format::Apim)) { |_: &Node| true } else { is_manifest };
        for document in yaml::documents(&text.text, text.file, has_others, report).unwrap_or_default() {
            match format.and_then(|format| format.foreign(&document)) {
                Some(message) => report.error(document.place, message),
                None => documents.push(document),
            }
        }
    }
    documents
}

#[cfg(test)]
mod tests;
