//! Servers and services that speak OpenAI's API. Which of them an endpoint is, is not known: all rows apply.

use super::Fault::{Endpoint, Filter, Length, Operation, Overloaded, Quota, Request, Target};
use super::openai::{OPENINGS, OWN as OPENAI, WITHOUT_STATUS};
use super::{Known, Responses, anthropic, bedrock, both, code, gemini, says};

const VLLM: &str = "vllm: vllm/entrypoints";
const SGLANG: &str = "sglang: python/sglang/srt/managers";
const OLLAMA: &str = "ollama: server/routes.go";
const LLAMA: &str = "llama.cpp: tools/server/README.md";
const TGI: &str = "text-generation-inference: router/src/validation.rs";
const TRITON: &str = "triton: python/openai/openai_frontend";
const PORTKEY: &str = "portkey: src/handlers";
const LMSTUDIO: &str = "LM Studio's server, as users report it";
const LITELLM: &str = "https://docs.litellm.ai/docs/exception_mapping";
const GROQ: &str = "https://console.groq.com/docs/errors";
const OPENROUTER: &str = "https://openrouter.ai/docs/api-reference/errors";
const TOGETHER: &str = "https://docs.together.ai/docs/error-codes";
const FIREWORKS: &str = "https://docs.fireworks.ai/guides/inference-error-codes";
const DEEPSEEK: &str = "https://api-docs.deepseek.com/quick_start/error_codes";
const XAI: &str = "https://docs.x.ai/docs/key-information/debugging";
const COHERE: &str = "https://docs.cohere.com/reference/errors";
const MINIMAX: &str = "https://www.minimax.io/platform/document/error_code";
const ZHIPU: &str = "https://docs.bigmodel.cn/cn/faq/api-code";
const DASHSCOPE: &str = "https://www.alibabacloud.com/help/en/model-studio/error-code";
const MOONSHOT: &str = "https://platform.moonshot.ai/docs/api/chat";
const DATABRICKS: &str = "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference";
const CLOUDFLARE: &str = "https://developers.cloudflare.com/workers-ai/platform/errors/";
const CEREBRAS: &str = "https://inference-docs.cerebras.ai/support/error";
const NVIDIA: &str = "https://docs.api.nvidia.com/nim/reference";
const HUGGINGFACE: &str = "https://huggingface.co/docs/inference-providers/pricing";
const PERPLEXITY: &str = "https://docs.perplexity.ai/guides/perplexity-sdk-error-handling";
const GITHUB: &str = "https://docs.github.com/en/github-models";
const REPLICATE: &str = "https://replicate.com/docs/topics/billing";
const WATSONX: &str = "https://cloud.ibm.com/apidocs/watsonx-ai";

/// Servers that people run themselves.
pub(super) const SERVERS: &[Known] = &[
    says("maximum context length", Length, VLLM),
    says("longer than the maximum model length", Length, VLLM),
    says("is longer than the model's context length", Length, SGLANG),
    says("exceeds the model's maximum context length", Length, SGLANG),
    says("exceeds the maximum allowed length", Length, SGLANG),
    says("max_tokens must be at least 1, got -", Length, VLLM),
    code("no_available_workers", Overloaded, SGLANG),
    says("is longer than the context length", Length, OLLAMA),
    says("ollama cloud is disabled", Endpoint, OLLAMA),
    says("input length exceeds the context length", Length, OLLAMA),
    code("exceed_context_size_error", Length, LLAMA),
    says("exceeds the available context size", Length, LLAMA),
    says("is too large to process", Length, LLAMA),
    says("`inputs` must have less than", Length, TGI),
    says("`inputs` tokens + `max_new_tokens` must be", Length, TGI),
    says("tokens + `max_new_tokens` must be", Length, TGI),
    code("overloaded", Overloaded, TGI),
    says("greater than the context length", Length, LMSTUDIO),
    says("trying to keep the first", Length, LMSTUDIO),
    says("context size has been exceeded", Length, LMSTUDIO),
    says("unknown model:", Target, TRITON),
    says("not found, try pulling it first", Target, OLLAMA),
    both("NotFoundError", "does not exist", Target, VLLM),
    both("not_found_error", "model", Target, OLLAMA),
    says("requires more system memory", Overloaded, OLLAMA),
    says("no models loaded", Target, LMSTUDIO),
    says("model unloaded", Target, LMSTUDIO),
    says("does not support chat", Operation, OLLAMA),
    says("does not support generate", Operation, OLLAMA),
    says("does not support chat completions api", Operation, VLLM),
    says("does not support embeddings api", Operation, VLLM),
];

/// Services.
pub(super) const HOSTED: &[Known] = &[
    // OpenAI's code for an empty account is here a limit of tokens a minute, unless the quota was a free one.
    says("free allocated quota exceeded", Endpoint, DASHSCOPE),
    says("allocated quota exceeded", Quota, DASHSCOPE),
    code("limit_requests", Quota, DASHSCOPE),
    code("invalid_api_key", Endpoint, DASHSCOPE),
    code("access_denied", Target, DASHSCOPE),
    // Moonshot says "overloaded" for the limit of a plan, too.
    code("insufficient_balance_error", Endpoint, MINIMAX),
    says("insufficient balance (1008)", Endpoint, MINIMAX),
    says("usage limit exceeded", Quota, MINIMAX),
    says("context window exceeds limit", Length, MINIMAX),
    code("incorrect_api_key_error", Endpoint, MOONSHOT),
    both("resource_not_found_error", "model", Target, MOONSHOT),
    says("exceededbudget:", Endpoint, LITELLM),
    says("exceeded budget", Endpoint, LITELLM),
    says("all deployments for selected model are in cooldown", Overloaded, LITELLM),
    says("no healthy deployments for this model", Overloaded, LITELLM),
    says("invalid model name passed in model=", Target, LITELLM),
    says("not found for account", Target, NVIDIA),
    says("degraded function cannot be invoked", Overloaded, NVIDIA),
    says("worker local total request limit reached", Overloaded, NVIDIA),
    says("cloud credits expired", Endpoint, NVIDIA),
    says("exceeded your monthly included credits", Endpoint, HUGGINGFACE),
    says("is not supported by any provider you have enabled", Target, HUGGINGFACE),
    code("authentication_token_expired", Endpoint, WATSONX),
    code("user_authorization_failed", Endpoint, WATSONX),
    code("authorization_rejected", Endpoint, WATSONX),
    code("queue_exceeded", Overloaded, CEREBRAS),
    both("invalid_model", "invalid model", Target, PERPLEXITY),
    code("tokens_limit_reached", Length, GITHUB),
    code("unknown_model", Target, GITHUB),
    says("insufficient credit", Endpoint, REPLICATE),
    code("ContextWindowExceededError", Length, LITELLM),
    says("contextwindowexceedederror", Length, LITELLM),
    code("ContentPolicyViolationError", Filter, LITELLM),
    says("contentpolicyviolationerror", Filter, LITELLM),
    code("budget_exceeded", Endpoint, LITELLM),
    says("budget has been exceeded", Endpoint, LITELLM),
    says("no deployments available", Quota, LITELLM),
    code("model_decommissioned", Target, GROQ),
    says("has been decommissioned", Target, GROQ),
    says("has been retired", Target, GROQ),
    code("model_not_active", Target, GROQ),
    code("organization_restricted", Endpoint, GROQ),
    says("reduce the length of the messages", Length, GROQ),
    code("capacity_exceeded", Overloaded, GROQ),
    says("no endpoints found", Target, OPENROUTER),
    says("is not a valid model id", Target, OPENROUTER),
    says("key limit exceeded", Endpoint, OPENROUTER),
    both("403", "flagged", Filter, OPENROUTER),
    says("input is too long for requested model", Length, OPENROUTER),
    says("no instances available", Overloaded, OPENROUTER),
    says("unable to access model", Target, TOGETHER),
    says("must be less than the context length", Length, TOGETHER),
    code("hooks_failed", Filter, PORTKEY),
    says("model not found, inaccessible, and/or not deployed", Target, FIREWORKS),
    says("account is suspended", Endpoint, FIREWORKS),
    says("is suspended, possibly due to reaching the monthly spending limit", Endpoint, FIREWORKS),
    says("the prompt is too long", Length, FIREWORKS),
    says("insufficient balance", Endpoint, DEEPSEEK),
    says("model not exist", Target, DEEPSEEK),
    says("content exists risk", Filter, DEEPSEEK),
    says("maximum prompt length is", Length, XAI),
    says("has either used all available credits", Endpoint, XAI),
    says("doesn't have any credits", Endpoint, XAI),
    says("incorrect api key provided", Endpoint, XAI),
    says("does not exist or your team", Target, XAI),
    says("too many tokens: total number of tokens", Length, COHERE),
    says("total number of tokens (prompt and prediction) cannot exceed", Length, COHERE),
    says("make sure the correct model id was used", Target, COHERE),
    code("token_quota_exceeded", Quota, CEREBRAS),
    code("request_quota_exceeded", Quota, CEREBRAS),
    code("wrong_api_key", Endpoint, CEREBRAS),
    code("base_resp.1002", Quota, MINIMAX),
    code("base_resp.1004", Endpoint, MINIMAX),
    code("base_resp.1008", Endpoint, MINIMAX),
    code("base_resp.2049", Endpoint, MINIMAX),
    code("base_resp.2056", Quota, MINIMAX),
    code("base_resp.1026", Filter, MINIMAX),
    code("base_resp.1027", Filter, MINIMAX),
    code("base_resp.1039", Quota, MINIMAX),
    code("base_resp.2013", Request, MINIMAX),
    code("1110", Endpoint, ZHIPU),
    code("1112", Endpoint, ZHIPU),
    code("1113", Endpoint, ZHIPU),
    code("1211", Target, ZHIPU),
    code("1121", Endpoint, ZHIPU),
    code("1212", Operation, ZHIPU),
    code("1220", Endpoint, ZHIPU),
    code("1221", Operation, ZHIPU),
    code("1222", Operation, ZHIPU),
    code("1234", Overloaded, ZHIPU),
    code("1300", Filter, ZHIPU),
    code("1261", Length, ZHIPU),
    code("1301", Filter, ZHIPU),
    code("1302", Quota, ZHIPU),
    code("1303", Quota, ZHIPU),
    code("1304", Quota, ZHIPU),
    code("1305", Overloaded, ZHIPU),
    code("1308", Quota, ZHIPU),
    code("1309", Endpoint, ZHIPU),
    code("1310", Quota, ZHIPU),
    code("1311", Target, ZHIPU),
    code("1312", Overloaded, ZHIPU),
    code("1313", Endpoint, ZHIPU),
    code("Arrearage", Endpoint, DASHSCOPE),
    code("InvalidApiKey", Endpoint, DASHSCOPE),
    code("AllocationQuota.FreeTierOnly", Endpoint, DASHSCOPE),
    code("ModelNotFound", Target, DASHSCOPE),
    code("Model.AccessDenied", Target, DASHSCOPE),
    code("data_inspection_failed", Filter, DASHSCOPE),
    code("DataInspectionFailed", Filter, DASHSCOPE),
    says("range of input length should be", Length, DASHSCOPE),
    code("Throttling", Quota, DASHSCOPE),
    code("Throttling.RateQuota", Quota, DASHSCOPE),
    code("Throttling.AllocationQuota", Quota, DASHSCOPE),
    code("exceeded_current_quota_error", Endpoint, MOONSHOT),
    code("invalid_authentication_error", Endpoint, MOONSHOT),
    code("engine_overloaded_error", Overloaded, MOONSHOT),
    code("rate_limit_reached_error", Quota, MOONSHOT),
    says("exceeded model token limit", Length, MOONSHOT),
    says("input token length too long", Length, MOONSHOT),
    says("the request was rejected because it was considered high risk", Filter, MOONSHOT),
    code("ENDPOINT_NOT_FOUND", Target, DATABRICKS),
    code("RESOURCE_DOES_NOT_EXIST", Target, DATABRICKS),
    code("REQUEST_LIMIT_EXCEEDED", Quota, DATABRICKS),
    says("exceeds the maximum input length", Length, DATABRICKS),
    code("5007", Target, CLOUDFLARE),
    code("3036", Endpoint, CLOUDFLARE),
    code("4006", Endpoint, CLOUDFLARE),
    code("3040", Overloaded, CLOUDFLARE),
    code("3023", Endpoint, CLOUDFLARE),
    code("3041", Target, CLOUDFLARE),
    code("3042", Target, CLOUDFLARE),
    code("5005", Operation, CLOUDFLARE),
    code("5016", Target, CLOUDFLARE),
    code("5018", Target, CLOUDFLARE),
    code("token_quota_reached", Endpoint, WATSONX),
    code("model_not_supported", Target, WATSONX),
    code("model_no_support_for_function", Operation, WATSONX),
];

pub(in super::super) const COMPATIBLE: Responses = Responses {
    known: &[HOSTED, OPENAI, SERVERS, anthropic::OWN, gemini::OWN, bedrock::OWN],
    without_status: WITHOUT_STATUS,
    openings: OPENINGS,
};
