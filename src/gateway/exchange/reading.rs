//! Reading a request's body as its operation has it, and what becomes of the model there.

use std::borrow::Cow;

use bytes::Bytes;

use crate::body::coding::{Coding, CodingError};
use crate::body::{BYTE_ORDER_MARK, BodyEdits, BodyError, BodyFacts, ModelEdit, STREAM_OPTIONS};
use crate::gateway::refusal::Refusal;
use crate::gateway::router::{RequestHead, Route};
use crate::routing::operation::{ModelPlace, RequestForm};
use crate::routing::policy::{Policy, Target};

/// Returns a body as its operation can read it, if that is not what came: without its coding, without a byte-order
/// mark.
pub(super) fn readable(
    head: &RequestHead,
    body: &Bytes,
    route: &Route,
    limit: usize,
) -> Result<Option<Bytes>, Refusal> {
    if head.content_encoding.is_none() && !body.starts_with(BYTE_ORDER_MARK) {
        return Ok(None);
    }
    let kind = form_of(route).map(|form| BodyKind::of(head.content_type.as_deref(), form));
    if kind == Some(Some(BodyKind::Opaque)) {
        return Ok(None);
    }
    let decoded = match coding(head) {
        Some(Coding::Identity) | None => None,
        Some(coding) => Some(Bytes::from(coding.decode(body, limit).map_err(|error| match error {
            CodingError::TooLarge => Refusal::TooLarge(limit),
            CodingError::Broken => Refusal::Body(BodyError::broken_coding()),
        })?)),
    };
    let text = decoded.as_ref().unwrap_or(body);
    if text.starts_with(BYTE_ORDER_MARK) {
        return Ok(Some(text.slice(BYTE_ORDER_MARK.len()..)));
    }
    Ok(decoded)
}

/// Returns the coding of a request's body; `None` if it is unknown.
pub(super) fn coding(head: &RequestHead) -> Option<Coding> {
    head.content_encoding.as_deref().map_or(Some(Coding::Identity), Coding::named)
}

/// Returns what a request refers to that exists only at one account, if anything. Where a policy has one endpoint,
/// there is only one account that it can come from.
pub(super) fn state_of(facts: &BodyFacts<'_>, policy: &Policy) -> Option<&'static str> {
    let provider = policy.targets.provider();
    if let Some(member) = facts.member_of(provider.stateful_members) {
        return Some(member);
    }
    let found = facts.nested_of(provider.nested_state.iter().map(|row| (row.within, row.key, row.part)));
    let found = found
        .map(|index| &provider.nested_state[index])
        .map(|nested| if matches!(nested.key, "type" | "id") { nested.part } else { nested.key });
    found.filter(|_| policy.stateful.is_some() || !policy.targets.share_an_endpoint())
}

/// The format of a body, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// JSON, or not said.
    Json,
    /// A multipart form.
    Form,
    /// Something else, of a request whose model is not in the body.
    Opaque,
}

impl BodyKind {
    /// `None` for what the operation's model cannot be read in.
    pub(super) fn of(content_type: Option<&str>, form: &RequestForm) -> Option<Self> {
        let Some(content_type) = content_type else { return Some(Self::Json) };
        if is_json(content_type) {
            return Some(Self::Json);
        }
        if form.multipart && is_form(content_type) {
            return Some(Self::Form);
        }
        (form.model != ModelPlace::Body).then_some(Self::Opaque)
    }
}

fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data")
}

/// `application/json`, with parameters or without, and its relatives with `+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Returns the form of an admitted request's operation.
pub(super) fn form_of(route: &Route) -> Option<&RequestForm> {
    route.operation().map(|operation| &operation.form)
}

/// Reads the facts of a complete request. Where its model is not in the body, the body may be anything.
pub(super) fn facts<'b>(head: &'b RequestHead, body: &'b [u8], route: &Route) -> Result<BodyFacts<'b>, Refusal> {
    let Some(form) = form_of(route) else { return BodyFacts::read(body).map_err(Refusal::Body) };
    let elsewhere = form.model != ModelPlace::Body;
    let content_type = head.content_type.as_deref();
    let mut facts = match BodyKind::of(content_type, form) {
        _ if elsewhere && body.is_empty() => BodyFacts::opaque(body),
        Some(BodyKind::Opaque) => BodyFacts::opaque(body),
        Some(BodyKind::Form) => BodyFacts::read_form(body, content_type.unwrap_or_default()).map_err(Refusal::Body)?,
        Some(BodyKind::Json) | None => BodyFacts::read(body).map_err(Refusal::Body)?,
    };
    facts.streamed |= form.streamed;
    if elsewhere {
        facts.model = route.named_model(head);
    }
    Ok(facts)
}

/// Returns the edit of the model in a body. Where the model is named elsewhere, a body that repeats it must agree.
pub(super) fn model_edit<'t>(target: &'t Target, route: &Route) -> ModelEdit<'t> {
    let model = target.model.as_str();
    match (form_of(route).map(|form| &form.model), target.endpoint.provider.body_prefix) {
        (Some(ModelPlace::Body) | None, _) => ModelEdit::set(model),
        (Some(_), "") => ModelEdit::replace(model),
        (Some(_), prefix) => {
            ModelEdit::replace(format!("{prefix}{model}")).within(target.endpoint.provider.body_members)
        }
    }
}

/// Returns the edits of a target, with one that asks for a stream's usage where the policy says so and the client has
/// not said anything about it.
pub(super) fn body_edits<'t>(facts: &BodyFacts<'_>, target: &'t Target, route: &Route) -> Cow<'t, BodyEdits> {
    let is_asked = route.policy().requests_usage && facts.streamed && states_usage_on_demand(target, route);
    let Some(options) = is_asked.then(|| facts.stream_options_with_usage()).flatten() else {
        return Cow::Borrowed(&target.edits);
    };
    let mut edits = target.edits.clone();
    let is_edited = edits.set.iter().map(|(key, _)| key).chain(&edits.remove).any(|key| key == STREAM_OPTIONS);
    if !is_edited {
        edits.set.push((STREAM_OPTIONS.to_owned(), options));
    }
    Cow::Owned(edits)
}

fn states_usage_on_demand(target: &Target, route: &Route) -> bool {
    let ends = target.endpoint.provider.usage_on_demand;
    route.operation().is_some_and(|operation| ends.iter().any(|end| operation.path.as_str().ends_with(end)))
}
