//! Amazon Bedrock.

use super::Fault::{Endpoint, Filter, Length, Operation, Overloaded, Quota, Region, Request, Target};
use super::{Known, Responses, both, code, says};

const COMMON: &str = "https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html";
const CONVERSE: &str = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html";
const TROUBLES: &str = "https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html";
const LIFECYCLE: &str = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-lifecycle.html";
const SEEN: &str = "responses of the API, as users report them";

pub(super) const OWN: &[Known] = &[
    code("ExpiredTokenException", Endpoint, COMMON),
    code("ExpiredToken", Endpoint, COMMON),
    code("IncompleteSignatureException", Endpoint, COMMON),
    code("IncompleteSignature", Endpoint, COMMON),
    code("InvalidSignatureException", Endpoint, COMMON),
    code("InvalidClientTokenId", Endpoint, COMMON),
    code("MissingAuthenticationTokenException", Endpoint, COMMON),
    code("MissingAuthenticationToken", Endpoint, COMMON),
    code("UnrecognizedClientException", Endpoint, COMMON),
    code("NotAuthorized", Endpoint, COMMON),
    code("OptInRequired", Endpoint, COMMON),
    code("RequestExpired", Endpoint, COMMON),
    says("security token included in the request is", Endpoint, TROUBLES),
    says("invalid_payment_instrument", Endpoint, SEEN),
    both("AccessDeniedException", "invalid api key", Endpoint, SEEN),
    says("make sure your api key is valid", Endpoint, SEEN),
    says("use case details have not been submitted", Target, SEEN),
    says("your account is not authorized to invoke this api operation", Operation, SEEN),
    both("ValidationException", "operation not allowed", Target, SEEN),
    says("unsupported countries, regions, or territories", Region, SEEN),
    says("access to the model", Target, TROUBLES),
    says("access to this model", Target, SEEN),
    says("model access is denied", Target, SEEN),
    says("on-demand throughput isn", Target, TROUBLES),
    says("provided model identifier is invalid", Target, TROUBLES),
    says("end of its life", Target, LIFECYCLE),
    says("marked by provider as legacy", Target, LIFECYCLE),
    says("could not resolve the foundation model", Target, SEEN),
    both("ResourceNotFoundException", "model", Target, CONVERSE),
    code("UnknownOperationException", Operation, COMMON),
    // Not what a model does not support of a request: tools, system messages, documents.
    says("model doesn't support counting tokens", Operation, SEEN),
    says("model doesn't support on-demand throughput", Target, SEEN),
    says("is unsupported for streaming", Operation, SEEN),
    says("doesn't support response streaming", Operation, SEEN),
    says("this action doesn't support the model", Operation, SEEN),
    says("operation is not recognized by the service", Operation, SEEN),
    both("ThrottlingException", "service-wide limitations", Overloaded, SEEN),
    code("ThrottlingException", Quota, CONVERSE),
    code("Throttling", Quota, COMMON),
    code("ServiceQuotaExceededException", Quota, CONVERSE),
    code("ModelNotReadyException", Overloaded, CONVERSE),
    code("ModelStreamErrorException", Overloaded, CONVERSE),
    code("ModelErrorException", Overloaded, CONVERSE),
    code("ModelTimeoutException", Overloaded, CONVERSE),
    says("input is too long for requested model", Length, TROUBLES),
    says("input is too long", Length, SEEN),
    says("prompt is too long", Length, SEEN),
    says("too many input tokens", Length, SEEN),
    says("exceed context limit", Length, SEEN),
    says("maximum context length", Length, SEEN),
    says("input tokens exceeded", Length, SEEN),
    says("too large for model", Length, SEEN),
    both("ValidationException", "expected maxlength:", Length, SEEN),
    code("content_filter", Filter, CONVERSE),
    code("guardrail_intervened", Filter, CONVERSE),
    code("content_filtered", Filter, CONVERSE),
];

pub(in super::super) const BEDROCK: Responses = Responses {
    known: &[OWN],
    // Exceptions of an event stream begin with a small letter.
    without_status: &[
        ("throttlingException", Quota),
        ("internalServerException", Overloaded),
        ("serviceUnavailableException", Overloaded),
        ("modelStreamErrorException", Overloaded),
        ("modelTimeoutException", Overloaded),
        ("validationException", Request),
        ("ValidationException", Request),
    ],
    openings: &["messageStart", "contentBlockStart", "initial-response", "message_start", "content_block_start"],
};
