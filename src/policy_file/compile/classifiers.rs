//! Classifiers: the names that intelligent policies refer to.

use std::collections::HashMap;
use std::sync::Arc;

use super::endpoints::{Context, Declared};
use super::services::Form;
use crate::classifier::{AnswerForm, Bounds, Classifier, Declaration, ServiceType};
use crate::document::decode::{At, Named};
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::policy_file::raw;

/// Their service.
const FORM: Form = Form {
    article: "a",
    name: "classifier",
    operation: "/chat/completions",
    task: "sorts the requests",
    question: ("messages", "the classifier's instructions are the policy's `prompt`"),
    bounds: Bounds::CLASSIFIER,
};

/// Returns all classifiers by name; `None` is an invalid one, which has been reported.
pub(super) fn classifiers<'a>(
    named: Option<&'a At<Named<raw::Classifier>>>,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Declared<'a, Option<Arc<Classifier>>> {
    let mut names = HashMap::new();
    for (place, name, raw) in named.and_then(At::get).into_iter().flat_map(Named::iter) {
        let made = raw.and_then(|raw| classifier(name, raw, context, report)).map(Arc::new);
        names.insert(name, (place, made));
    }
    // A file without any has no name that could be meant.
    Declared { names, complete: named.is_none_or(|named| named.get().is_some()) }
}

fn classifier(name: &str, raw: &raw::Classifier, context: &mut Context<'_>, report: &mut Report) -> Option<Classifier> {
    let kind = kind(&raw.own.r#type, report);
    let form = match raw.own.answer.as_ref().and_then(At::get) {
        Some(raw::AnswerForm::Text) => AnswerForm::Text,
        Some(raw::AnswerForm::Schema) | None => AnswerForm::Schema,
    };
    let (shared, url) = ((name, &raw.shared), &raw.own.url);
    let declared = FORM.service(shared, (&raw.own.r#type, kind), url, (context, report))?;
    let declaration = Declaration { service: declared.service, model: declared.model, form, edits: declared.edits };
    let classifier = Classifier::new(name, declaration, |key, bounds| context.registry.classifier(key, bounds));
    if let Err(why) = if context.secrets.are_assumed() { Ok(()) } else { classifier.ready() } {
        report.error(url.place, format!("TLS cannot be used here: {why}"));
    }
    Some(classifier)
}

fn kind(at: &At<String>, report: &mut Report) -> Option<ServiceType> {
    let name = at.get()?;
    let known = ServiceType::ALL.iter().find(|(known, _)| known == name).map(|&(_, kind)| kind);
    if known.is_none() {
        let help = instead(name, ServiceType::ALL.iter().map(|(name, _)| *name));
        report.error_with(at.place, format!("unknown type of classifier {}", shown(name)), help);
    }
    known
}
