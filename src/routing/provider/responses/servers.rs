//! Servers that people run themselves, and that speak OpenAI's API.

use super::Fault::{Endpoint, Length, Operation, Overloaded, Target};
use super::{Known, both, code, says};

const VLLM: &str = "vllm: vllm/entrypoints";
const SGLANG: &str = "sglang: python/sglang/srt/managers";
const OLLAMA: &str = "ollama: server/routes.go";
const LLAMA: &str = "llama.cpp: tools/server/README.md";
const TGI: &str = "text-generation-inference: router/src/validation.rs";
const TRITON: &str = "triton: python/openai/openai_frontend";
const LMSTUDIO: &str = "LM Studio's server, as users report it";
const TENSORRT: &str = "tensorrt-llm: tensorrt_llm/executor";
const PROXIES: &str = "responses of proxies, as users report them";

/// Servers that people run themselves.
pub(super) const SERVERS: &[Known] = &[
    says("maximum context length", Length, VLLM),
    says("the model's context length is only", Length, VLLM),
    says("is too long and exceeds limit of", Length, VLLM),
    says("too long to fit into the model", Length, VLLM),
    says("exceeds maximum input length", Length, TENSORRT),
    says("longer than the maximum model length", Length, VLLM),
    says("is longer than the model's context length", Length, SGLANG),
    says("exceeds the model's maximum context length", Length, SGLANG),
    says("exceeds the maximum allowed length", Length, SGLANG),
    says("max_tokens must be at least 1, got -", Length, VLLM),
    code("no_available_workers", Overloaded, SGLANG),
    says("is longer than the context length", Length, OLLAMA),
    says("ollama cloud is disabled", Endpoint, OLLAMA),
    says("input length exceeds the context length", Length, OLLAMA),
    says("exceeded max context length", Length, OLLAMA),
    code("exceed_context_size_error", Length, LLAMA),
    says("exceeds the available context size", Length, LLAMA),
    says("is too large to process", Length, LLAMA),
    says("`inputs` must have less than", Length, TGI),
    says("inputs must have less than", Length, TGI),
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
    says("does not support completions api", Operation, VLLM),
    says("does not support responses api", Operation, VLLM),
    says("does not support embeddings api", Operation, VLLM),
    says("does not support pooling api", Operation, VLLM),
    says("does not support classification api", Operation, VLLM),
    says("does not support score api", Operation, VLLM),
    says("does not support rerank", Operation, VLLM),
    says("does not support transcriptions api", Operation, VLLM),
    says("does not support translations api", Operation, VLLM),
    says("does not support tokenization", Operation, VLLM),
    // What proxies make of any of these.
    says("context length exceeded", Length, PROXIES),
    says("exceeds the model context window", Length, PROXIES),
    says("exceeds the context window", Length, PROXIES),
    says("exceeds the context length", Length, PROXIES),
];
