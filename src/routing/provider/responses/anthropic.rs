//! Anthropic.

use super::Fault::{Endpoint, Filter, Length, Overloaded, Quota, Region, Request, Target};
use super::hosted::HOSTED;
use super::{Known, Responses, both, code, says};

const ERRORS: &str = "https://docs.anthropic.com/en/api/errors";
const WINDOWS: &str = "https://docs.anthropic.com/en/docs/build-with-claude/context-windows";
const LIMITS: &str = "https://docs.anthropic.com/en/api/rate-limits";
const FILES: &str = "https://docs.anthropic.com/en/docs/build-with-claude/files";
const REFUSALS: &str = "the reason that inspection adds to the vendor's own";
const SEEN: &str = "responses of the API, as users report them";

pub(super) const OWN: &[Known] = &[
    says("credit balance is too low", Endpoint, SEEN),
    says("reached your specified api usage limits", Endpoint, LIMITS),
    says("reached your specified workspace api usage limits", Endpoint, LIMITS),
    says("organization has been disabled", Endpoint, SEEN),
    says("this credential is only authorized for use with", Endpoint, SEEN),
    says("not allowed for this organization", Endpoint, SEEN),
    says("your account has been disabled", Endpoint, SEEN),
    says("out of extra usage", Endpoint, SEEN),
    says("your account does not have access to claude", Endpoint, SEEN),
    code("enforced_spend_limit_reached", Endpoint, LIMITS),
    code("authentication_error", Endpoint, ERRORS),
    code("billing_error", Endpoint, ERRORS),
    says("prompt is too long", Length, WINDOWS),
    says("exceed context limit", Length, WINDOWS),
    says("required for long context requests", Length, SEEN),
    says("long context beta is not yet available", Length, SEEN),
    code("request_too_large", Length, ERRORS),
    says("blocked by content filtering policy", Filter, SEEN),
    code("refusal", Filter, ERRORS),
    code("content_filter", Filter, REFUSALS),
    says("unsupported countries, regions, or territories", Region, SEEN),
    both("forbidden", "request not allowed", Region, SEEN),
    both("not_found_error", "file not found:", Request, FILES),
    both("not_found_error", "container", Request, FILES),
    both("not_found_error", "skill", Request, FILES),
    both("not_found_error", "model:", Target, ERRORS),
    both("not_found_error", "model ", Target, SEEN),
    both("not_found_error", "is not available. please use", Target, SEEN),
];

pub(in super::super) const ANTHROPIC: Responses = Responses {
    // Others serve Anthropic's API, too: MiniMax, Moonshot, Zhipu, DeepSeek.
    known: &[OWN, HOSTED],
    without_status: &[
        ("overloaded_error", Overloaded),
        ("api_error", Overloaded),
        ("timeout_error", Overloaded),
        ("rate_limit_error", Quota),
        ("permission_error", Request),
        ("not_found_error", Request),
        ("invalid_request_error", Request),
    ],
    // Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming. `content_block_start` opens an empty
    // block: its first delta is the first content.
    openings: &["message_start", "content_block_start"],
};
