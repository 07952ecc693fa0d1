//! Services: what classifiers and embedders have in common.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::base_url;
use super::edits;
use super::endpoints::Context;
use super::limits::{SUSPEND, SUSPEND_AFTER, count, interval, number};
use crate::body::BodyEdits;
use crate::classifier::{Bounds, ServiceDeclaration, ServiceType};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::policy_file::raw;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
const CACHE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 24 * 3600);

/// What the shipped Envoy files give the router for each answer: their `message_timeout`.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// What differs between a classifier's service and an embedder's.
pub(super) struct Form {
    /// What it is called, and with which article.
    pub(super) article: &'static str,
    pub(super) name: &'static str,
    /// How the URL of the operation ends, whoever serves it.
    pub(super) operation: &'static str,
    /// What its model does.
    pub(super) task: &'static str,
    /// The key of a request that holds the question, and who gives it.
    pub(super) question: (&'static str, &'static str),
    /// The bounds that it has when it sets none.
    pub(super) bounds: Bounds,
}

/// What is declared of a service.
pub(super) struct Declared {
    pub(super) service: ServiceDeclaration,
    pub(super) model: Option<String>,
    pub(super) edits: BodyEdits,
}

impl Form {
    /// Compiles a service; `None` if that cannot be done, which is then reported.
    pub(super) fn service(
        &self,
        (name, raw): (&str, &raw::Service),
        (r#type, kind): (&At<String>, Option<ServiceType>),
        at: &At<String>,
        (context, report): (&mut Context<'_>, &mut Report),
    ) -> Option<Declared> {
        let url = at.get().and_then(|text| self.url(text).map_err(|message| report.error(at.place, message)).ok());
        let key = raw.api_key.as_ref().and_then(|key| context.secrets.key(key, report));
        let bounds = self.bounds(raw, report);
        let edits = raw.body.as_ref().map_or_else(BodyEdits::default, |body| self.edits(body, report));
        let model = raw.model.as_ref().and_then(|model| self.model(model, report));
        if kind.is_some_and(ServiceType::needs_model) && raw.model.is_none() {
            let help = format!("name the model that {}", self.task);
            report.error_with(r#type.place, format!("{} {} has no `model`", self.name, shown(name)), help);
        }
        let (kind, url) = kind.zip(url)?;
        self.check_url(&url, at, report);
        Some(Declared { service: ServiceDeclaration { kind, url, key, bounds }, model, edits })
    }

    fn model(&self, at: &At<String>, report: &mut Report) -> Option<String> {
        let name = at.get()?;
        if name.trim().is_empty() {
            let help = format!("name the model that {}", self.task);
            report.error_with(at.place, "the name of a model is empty", help);
        }
        Some(name.clone())
    }

    /// Changes of the request, which must still ask something.
    fn edits(&self, body: &At<raw::Edits>, report: &mut Report) -> BodyEdits {
        let edits = edits::edits(body, report);
        let (question, giver) = self.question;
        let is_renamed = edits.rename.iter().any(|(old, new)| old == question || new == question);
        let is_set = edits.set.iter().any(|(key, _)| key == question);
        let is_edited = is_renamed || is_set || edits.remove.iter().any(|key| key == question);
        if is_edited {
            report.error_with(body.place, format!("`{question}` cannot be edited"), giver.to_owned());
        }
        edits
    }

    /// Reads the whole URL of a service. Errors never show it: a query or a password in it may be secret.
    fn url(&self, text: &str) -> Result<Url, String> {
        let expected = format!("expected a URL such as `https://api.openai.com/v1{}`", self.operation);
        let url = base_url::http(text, &expected)?;
        if url.fragment().is_some() {
            return Err("a URL that is asked cannot have a `#`".to_owned());
        }
        Ok(url)
    }

    /// Warns of what works and is hardly meant.
    fn check_url(&self, url: &Url, at: &At<String>, report: &mut Report) {
        let Self { article, name, operation, .. } = self;
        if !url.path().trim_end_matches('/').ends_with(operation) {
            let help = format!("it is used as it is: end it with `{operation}`, unless the server differs");
            report.warning(at.place, format!("the URL of {article} {name} is the whole one, with the operation"), help);
        }
        if let Some(host) = base_url::in_the_clear(url) {
            let message = format!("requests are shown to {} unencrypted", shown(host));
            report.warning(at.place, message, "write `https://`".to_owned());
        }
    }

    pub(super) fn bounds(&self, raw: &raw::Service, report: &mut Report) -> Bounds {
        let usual = self.bounds;
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
            concurrency: count(raw.concurrency.as_ref(), "concurrency", &(1..=10_000), report)
                .unwrap_or(usual.concurrency),
            suspend_after: count(raw.suspend_after.as_ref(), "suspend_after", &SUSPEND_AFTER, report)
                .unwrap_or(usual.suspend_after),
            suspend: interval(raw.suspend.as_ref(), "suspend", &SUSPEND, report).unwrap_or(usual.suspend),
            retries: number(raw.retries.as_ref(), "retries", &(0..=3), report).unwrap_or(usual.retries),
            cache_ttl: interval(raw.cache.as_ref(), "cache", &CACHE, report).unwrap_or(usual.cache_ttl),
            cache_entries: cache_entries.map_or(usual.cache_entries, u64::from),
            max_content_chars: max_content.map_or(usual.max_content_chars, |most| most as usize),
        }
    }
}
