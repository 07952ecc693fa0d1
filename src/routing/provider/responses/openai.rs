//! OpenAI, and Microsoft's two services that speak its API.

use super::Fault::{Endpoint, Filter, Length, Operation, Overloaded, Quota, Region, Request, Target};
use super::hosted::HOSTED;
use super::servers::SERVERS;
use super::{Fault, Known, Responses, both, code, says};

const ERRORS: &str = "https://platform.openai.com/docs/guides/error-codes";
const REFERENCE: &str = "https://platform.openai.com/docs/api-reference/responses/object";
const AZURE_ERRORS: &str = "https://learn.microsoft.com/azure/ai-foundry/openai/reference";
const AZURE_FILTER: &str = "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter";
const AZURE_NETWORK: &str = "https://learn.microsoft.com/azure/ai-services/cognitive-services-virtual-networks";
const SEEN: &str = "responses of the API, as users report them";

/// OpenAI's own errors.
pub(super) const OWN: &[Known] = &[
    says("request too large", Length, SEEN),
    says("configured limit of", Length, SEEN),
    // What the request refers to is not there: an item, a response, a container, a prompt.
    says(" with id '", Request, SEEN),
    says("no such file object", Request, SEEN),
    says("vector store", Request, SEEN),
    says("container is expired", Request, SEEN),
    // One that the client named.
    says("mcp server", Request, SEEN),
    code("external_connector_error", Request, SEEN),
    says("insufficient permissions for this operation", Operation, SEEN),
    says("you are not allowed to generate embeddings", Operation, SEEN),
    says("flagged as potentially violating", Filter, SEEN),
    code("cyber_policy", Filter, SEEN),
    code("bio_policy", Filter, SEEN),
    code("misalignment_policy_violation", Filter, SEEN),
    says("billing hard limit has been reached", Endpoint, SEEN),
    code("insufficient_quota", Endpoint, ERRORS),
    code("billing_hard_limit_reached", Endpoint, ERRORS),
    code("credit_balance_exhausted", Endpoint, ERRORS),
    code("organization_spend_limit_exceeded", Endpoint, ERRORS),
    code("project_spend_limit_exceeded", Endpoint, ERRORS),
    code("organization_usage_limit_exceeded", Endpoint, ERRORS),
    code("billing_not_active", Endpoint, ERRORS),
    code("account_deactivated", Endpoint, ERRORS),
    code("organization_deactivated", Endpoint, SEEN),
    code("access_terminated", Endpoint, SEEN),
    code("invalid_api_key", Endpoint, ERRORS),
    code("invalid_organization", Endpoint, ERRORS),
    code("mismatched_organization", Endpoint, ERRORS),
    code("mismatched_project", Endpoint, ERRORS),
    code("ip_not_authorized", Endpoint, ERRORS),
    code("model_not_found", Target, ERRORS),
    code("model_not_available", Target, SEEN),
    code("deprecated_model", Target, SEEN),
    code("context_length_exceeded", Length, ERRORS),
    code("string_above_max_length", Length, ERRORS),
    code("unsupported_country_region_territory", Region, ERRORS),
    code("content_policy_violation", Filter, ERRORS),
    code("moderation_blocked", Filter, ERRORS),
    code("content_filter", Filter, AZURE_FILTER),
    code("server_is_overloaded", Overloaded, ERRORS),
    code("slow_down", Overloaded, ERRORS),
    both("unsupported_value", "is not supported with the responses api", Operation, SEEN),
    says("this is not a chat model", Operation, SEEN),
    says("only supported in v1/responses", Operation, SEEN),
    says("maximum context length", Length, SEEN),
    says("exceeds the context window", Length, REFERENCE),
    says("has been deprecated", Target, ERRORS),
    says("country, region, or territory not supported", Region, ERRORS),
];

/// Microsoft's errors, beside OpenAI's.
const MICROSOFT: &[Known] = &[
    code("ResponsibleAIPolicyViolation", Filter, AZURE_FILTER),
    code("DeploymentNotFound", Target, AZURE_ERRORS),
    code("unknown_model", Target, SEEN),
    code("ModelDeprecated", Target, SEEN),
    code("OperationNotSupported", Operation, AZURE_ERRORS),
    code("unavailable_model", Target, SEEN),
    code("AccountDisabled", Endpoint, SEEN),
    code("SubscriptionDisabled", Endpoint, SEEN),
    code("invalid_subscription_key", Endpoint, SEEN),
    code("tokens_limit_reached", Length, SEEN),
    code("contentFilter", Filter, SEEN),
    says("denied due to virtual network/firewall rules", Endpoint, AZURE_NETWORK),
    says("public access is disabled", Endpoint, AZURE_NETWORK),
    says("has been retired", Target, SEEN),
    says("lacks the required data action", Operation, SEEN),
    says("server responded with status 429", Quota, SEEN),
    says("currently experiencing high demand", Overloaded, SEEN),
    says("invalid subscription key or wrong api endpoint", Endpoint, SEEN),
    says("out of call volume quota", Endpoint, SEEN),
    says("filtered due to the prompt triggering", Filter, AZURE_FILTER),
    says("the api deployment for this resource does not exist", Target, AZURE_ERRORS),
];

/// Codes of a Responses object's `error`, and types of errors in a stream. `invalid_prompt` and the image codes are the
/// request's.
pub(super) const WITHOUT_STATUS: &[(&str, Fault)] = &[
    ("server_error", Overloaded),
    ("rate_limit_exceeded", Quota),
    ("rate_limit_error", Quota),
    ("overloaded", Overloaded),
    ("overloaded_error", Overloaded),
    ("authentication_error", Endpoint),
    ("vector_store_timeout", Overloaded),
    ("invalid_prompt", Request),
    ("invalid_request_error", Request),
    ("BadRequestError", Request),
    ("invalid_image", Request),
    ("invalid_image_format", Request),
    ("invalid_base64_image", Request),
    ("invalid_image_url", Request),
    ("image_too_large", Request),
    ("image_content_policy_violation", Filter),
];

/// Source: the streaming events of OpenAI's Responses API, where an item and a part are empty when they are added. Chat
/// completions begin with a chunk that has no content.
pub(super) const OPENINGS: &[&str] = &[
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
];

pub(in super::super) const OPENAI: Responses =
    Responses { known: &[OWN], without_status: WITHOUT_STATUS, openings: OPENINGS };
pub(in super::super) const AZURE: Responses = Responses { known: &[MICROSOFT, OWN], ..OPENAI };
/// Foundry also serves other vendors' models, with their servers' words.
pub(in super::super) const FOUNDRY: Responses = Responses { known: &[MICROSOFT, OWN, HOSTED, SERVERS], ..OPENAI };
