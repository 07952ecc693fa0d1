//! Google's Gemini API and Vertex AI.

use super::Fault::{Endpoint, Filter, Length, Operation, Overloaded, Quota, Region, Request, Target};
use super::{Known, Responses, both, code, says};

const ERRORS: &str = "https://ai.google.dev/gemini-api/docs/troubleshooting";
const REASONS: &str = "https://cloud.google.com/apis/design/errors#error_info";
const REGIONS: &str = "https://ai.google.dev/gemini-api/docs/available-regions";
const BLOCKED: &str = "https://ai.google.dev/api/generate-content#BlockReason";
const SEEN: &str = "responses of the API, as users report them";

pub(super) const OWN: &[Known] = &[
    code("API_KEY_INVALID", Endpoint, REASONS),
    code("API_KEY_SERVICE_BLOCKED", Endpoint, REASONS),
    code("API_KEY_HTTP_REFERRER_BLOCKED", Endpoint, REASONS),
    code("API_KEY_IP_ADDRESS_BLOCKED", Endpoint, REASONS),
    code("API_KEY_ANDROID_APP_BLOCKED", Endpoint, REASONS),
    code("API_KEY_IOS_APP_BLOCKED", Endpoint, REASONS),
    code("ACCESS_TOKEN_EXPIRED", Endpoint, REASONS),
    code("ACCESS_TOKEN_TYPE_UNSUPPORTED", Endpoint, REASONS),
    code("CREDENTIALS_MISSING", Endpoint, REASONS),
    code("BILLING_DISABLED", Endpoint, REASONS),
    code("CONSUMER_SUSPENDED", Endpoint, REASONS),
    code("CONSUMER_INVALID", Endpoint, REASONS),
    code("SERVICE_DISABLED", Endpoint, REASONS),
    code("IAM_PERMISSION_DENIED", Endpoint, REASONS),
    code("accessNotConfigured", Endpoint, SEEN),
    code("UNAUTHENTICATED", Endpoint, REASONS),
    says("disabled in this account for violation", Endpoint, SEEN),
    says("prepayment credits are depleted", Endpoint, SEEN),
    says("exceeded its monthly spending cap", Endpoint, SEEN),
    says("dunning decision is deny", Endpoint, SEEN),
    says("your project has been denied access", Endpoint, SEEN),
    says("has not been used in project", Endpoint, SEEN),
    says("api key not found", Endpoint, SEEN),
    // What the request refers to is not there, or is another account's.
    says("permission to access the file", Request, SEEN),
    says("cachedcontent not found", Request, SEEN),
    says("is not allowed to use publisher model", Target, SEEN),
    both("RESOURCE_EXHAUSTED", "limit: 0,", Target, SEEN),
    says("api key not valid", Endpoint, ERRORS),
    says("api key expired", Endpoint, SEEN),
    says("reported as leaked", Endpoint, SEEN),
    says("doesn't allow unregistered callers", Endpoint, SEEN),
    says("enable billing on your project", Endpoint, ERRORS),
    says("requires billing to be enabled", Endpoint, SEEN),
    says("user location is not supported", Region, REGIONS),
    says("exceeds the maximum number of tokens", Length, ERRORS),
    says("input context is too long", Length, ERRORS),
    says("the input token count is", Length, SEEN),
    says("request payload size exceeds the limit", Length, SEEN),
    says("is not servable in region", Target, SEEN),
    both("NOT_FOUND", "or is not supported for", Operation, ERRORS),
    both("NOT_FOUND", "is not found for api version", Target, ERRORS),
    both("NOT_FOUND", "publisher model", Target, SEEN),
    both("NOT_FOUND", "is no longer available", Target, SEEN),
    both("NOT_FOUND", "models/", Target, ERRORS),
    code("content_filter", Filter, BLOCKED),
    says("unsupported countries, regions, or territories", Region, SEEN),
    code("PROHIBITED_CONTENT", Filter, BLOCKED),
    code("SAFETY", Filter, BLOCKED),
    code("BLOCKLIST", Filter, BLOCKED),
    code("IMAGE_SAFETY", Filter, BLOCKED),
    code("SPII", Filter, BLOCKED),
    code("RECITATION", Filter, BLOCKED),
    code("MODEL_ARMOR", Filter, BLOCKED),
    code("OTHER", Filter, BLOCKED),
];

pub(in super::super) const GEMINI: Responses = Responses {
    known: &[OWN],
    without_status: &[
        ("UNAVAILABLE", Overloaded),
        ("INTERNAL", Overloaded),
        ("DEADLINE_EXCEEDED", Overloaded),
        ("RESOURCE_EXHAUSTED", Quota),
        ("INVALID_ARGUMENT", Request),
        ("FAILED_PRECONDITION", Request),
    ],
    openings: &[],
};
