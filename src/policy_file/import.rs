//! Import: the configuration of other gateways, as a policy of our own.
//!
//! Each format is read into trees and becomes a draft: our own policy file as a tree, in which every value has the
//! place of the one that it was made of. A draft is decoded as a file is, so that all checks and their places are the
//! same; or it is printed.

mod apim;
mod apk;
mod credential;
mod draft;
mod honoured;
mod operations;
mod print;
mod tree;

use std::path::PathBuf;

use crate::document::problem::Report;
use crate::document::yaml::{self, Node};
use crate::policy_file::{self, Problems, files};
pub(crate) use apk::is_manifest;
pub(crate) use draft::{Draft, Part, Reference};

/// Translates Kubernetes manifests that are files of a policy. Where they are all of the policy, one without an API is
/// reported.
pub(crate) fn manifests(documents: &[Node], alone: bool, report: &mut Report) -> Draft {
    let draft = apk::translate(documents, report);
    if let Some(first) = documents.first().filter(|_| alone && draft.apis.is_empty() && !report.has_errors()) {
        apk::nothing(first, report);
    }
    draft
}

/// Another gateway's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Kubernetes resources of WSO2 APK.
    Apk,
    /// What WSO2 API Manager exports: APIs, endpoints, AI service providers, and its `deployment.toml`.
    Apim,
}

/// What was read.
#[derive(Debug)]
pub struct Imported {
    /// A policy file of ours.
    pub policy: String,
    /// What its author should know: what has no equivalent here, first of all.
    pub warnings: Problems,
}

/// Reads files, or directories of them, and makes a policy file of ours. Credentials are in it only with
/// `inline_secrets`; else it says where it looks for each.
///
/// # Errors
/// All problems, warnings included, if one of them is an error.
pub fn import(format: Format, paths: &[PathBuf], inline_secrets: bool) -> Result<Imported, Problems> {
    let mut report = Report::default();
    let documents = documents(format, paths, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    let draft = match format {
        Format::Apk => apk::translate(&documents, &mut report),
        Format::Apim => apim::translate(&documents, &mut report),
    };
    if let Some(first) = documents.first().filter(|_| draft.apis.is_empty() && !report.has_errors()) {
        match format {
            Format::Apk => apk::nothing(first, &mut report),
            Format::Apim => apim::nothing(first, &mut report),
        }
    }
    let Some(first) = documents.first().filter(|_| !report.has_errors()) else { return Err(report.into_problems()) };
    let warnings = policy_file::check(&draft.root(first.place), report)?;
    Ok(Imported { policy: print::print(&draft, inline_secrets), warnings })
}

fn documents(format: Format, paths: &[PathBuf], report: &mut Report) -> Vec<Node> {
    let mut documents = Vec::new();
    let settings = paths.iter().map(|path| path.join(apim::SETTINGS)).filter(|path| path.is_file());
    let settings: Vec<_> = settings.filter(|_| format == Format::Apim).collect();
    for path in files::find(paths, &mut Vec::new(), report).into_iter().chain(settings) {
        let Some(text) = files::read(&path, report) else { continue };
        report.may_hold_secrets(text.file);
        if format == Format::Apim && path.extension().is_some_and(|extension| extension == "toml") {
            documents.extend(apim::settings(&text.text, text.file, report));
            continue;
        }
        let has_others = if format == Format::Apk { apk::is_manifest } else { |_: &Node| true };
        for document in yaml::documents(&text.text, text.file, has_others, report).unwrap_or_default() {
            if format == Format::Apk && !apk::is_manifest(&document) {
                report.error(document.place, "this is no Kubernetes manifest; it needs `apiVersion` and `kind`");
                continue;
            }
            documents.push(document);
        }
    }
    documents
}

#[cfg(test)]
mod tests;
