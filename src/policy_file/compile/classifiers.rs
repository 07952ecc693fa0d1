//! Classifiers: the names that intelligent policies refer to.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::base_url;
use super::edits;
use super::endpoints::{Context, Declared};
use super::limits::{SUSPEND, SUSPEND_AFTER, count, interval, number};
use crate::body::BodyEdits;
use crate::classifier::{AnswerForm, Bounds, Classifier, ClassifierType, Declaration};
use crate::document::decode::{At, Named};
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::policy_file::raw;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
const CACHE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 24 * 3600);

/// What the shipped Envoy files give the router for each answer: their `message_timeout`.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How the URL of a chat completion ends, whoever serves it.
const OPERATION: &str = "/chat/completions";

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
    let kind = kind(&raw.r#type, report);
    let url = raw.url.get().and_then(|text| url(text).map_err(|message| report.error(raw.url.place, message)).ok());
    let key = raw.api_key.as_ref().and_then(|key| context.secrets.key(key, report));
    let bounds = bounds(raw, report);
    let edits = raw.body.as_ref().map_or_else(BodyEdits::default, |body| request_edits(body, report));
    let model = raw.model.as_ref().and_then(|model| model_name(model, report));
    if kind.is_some_and(ClassifierType::needs_model) && raw.model.is_none() {
        let help = "name the model that sorts the requests".to_owned();
        report.error_with(raw.r#type.place, format!("classifier {} has no `model`", shown(name)), help);
    }
    let form = match raw.answer.as_ref().and_then(At::get) {
        Some(raw::AnswerForm::Text) => AnswerForm::Text,
        Some(raw::AnswerForm::Schema) | None => AnswerForm::Schema,
    };
    let (kind, url) = kind.zip(url)?;
    odd_url(&url, raw, report);
    let declaration = Declaration { kind, url, model, key, form, edits, bounds };
    let classifier = Classifier::new(name, declaration, |key, bounds| context.registry.classifier(key, bounds));
    if let Err(why) = if context.secrets.are_assumed() { Ok(()) } else { classifier.ready() } {
        report.error(raw.url.place, format!("TLS cannot be used here: {why}"));
    }
    Some(classifier)
}

fn model_name(at: &At<String>, report: &mut Report) -> Option<String> {
    let name = at.get()?;
    if name.trim().is_empty() {
        report.error_with(
            at.place,
            "the name of a model is empty",
            "name the model that sorts the requests".to_owned(),
        );
    }
    Some(name.clone())
}

/// Changes of the request, which must still ask something.
fn request_edits(body: &At<raw::Edits>, report: &mut Report) -> BodyEdits {
    let edits = edits::edits(body, report);
    let renamed = edits.rename.iter().flat_map(|(old, new)| [old, new]);
    let keys: Vec<_> = edits.remove.iter().chain(renamed).chain(edits.set.iter().map(|(key, _)| key)).collect();
    if keys.iter().any(|key| *key == "messages") {
        let help = "the classifier's instructions are the policy's `prompt`".to_owned();
        report.error_with(body.place, "`messages` cannot be edited", help);
    }
    edits
}

fn kind(at: &At<String>, report: &mut Report) -> Option<ClassifierType> {
    let name = at.get()?;
    let known = ClassifierType::ALL.iter().find(|(known, _)| known == name).map(|&(_, kind)| kind);
    if known.is_none() {
        let help = instead(name, ClassifierType::ALL.iter().map(|(name, _)| *name));
        report.error_with(at.place, format!("unknown type of classifier {}", shown(name)), help);
    }
    known
}

/// Reads the whole URL of a classifier. Errors never show it: a query or a password in it may be secret.
fn url(text: &str) -> Result<Url, String> {
    let url = base_url::http(text, "expected a URL such as `https://api.openai.com/v1/chat/completions`")?;
    if url.fragment().is_some() {
        return Err("a URL that is asked cannot have a `#`".to_owned());
    }
    Ok(url)
}

/// What works and is hardly meant.
fn odd_url(url: &Url, raw: &raw::Classifier, report: &mut Report) {
    if !url.path().trim_end_matches('/').ends_with(OPERATION) {
        let help = format!("it is used as it is: end it with `{OPERATION}`, unless the server differs");
        report.warning(raw.url.place, "the URL of a classifier is the whole one, with the operation", help);
    }
    if let Some(host) = base_url::in_the_clear(url) {
        let message = format!("requests are shown to {} unencrypted", shown(host));
        report.warning(raw.url.place, message, "write `https://`".to_owned());
    }
}

fn bounds(raw: &raw::Classifier, report: &mut Report) -> Bounds {
    let usual = Bounds::default();
    let timeout = interval(raw.timeout.as_ref(), "timeout", &TIMEOUT, report).unwrap_or(usual.timeout);
    if let Some(at) = raw.timeout.as_ref().filter(|_| timeout >= MESSAGE_TIMEOUT) {
        let limit = humantime::format_duration(MESSAGE_TIMEOUT);
        let help = "shorten it, or raise the filter's `message_timeout` above it".to_owned();
        report.warning(at.place, format!("the shipped Envoy files wait {limit} for the router's reply"), help);
    }
    let cache_entries = number(raw.cache_entries.as_ref(), "cache_entries", &(1..=1_000_000), report);
    let max_content = number(raw.max_content.as_ref(), "max_content", &(100..=1_000_000), report);
    Bounds {
        timeout,
        concurrency: count(raw.concurrency.as_ref(), "concurrency", &(1..=10_000), report).unwrap_or(usual.concurrency),
        suspend_after: count(raw.suspend_after.as_ref(), "suspend_after", &SUSPEND_AFTER, report)
            .unwrap_or(usual.suspend_after),
        suspend: interval(raw.suspend.as_ref(), "suspend", &SUSPEND, report).unwrap_or(usual.suspend),
        retries: number(raw.retries.as_ref(), "retries", &(0..=3), report).unwrap_or(usual.retries),
        cache_ttl: interval(raw.cache.as_ref(), "cache", &CACHE, report).unwrap_or(usual.cache_ttl),
        cache_entries: cache_entries.map_or(usual.cache_entries, u64::from),
        max_content_chars: max_content.map_or(usual.max_content_chars, |most| most as usize),
    }
}
