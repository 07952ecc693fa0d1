//! Vendors' hosts whose API is below a path that an endpoint's URL easily lacks.

use url::Host;

use super::base_url::BaseUrl;
use crate::routing::provider::{ProviderType, Shape};

/// Hosts of OpenAI's API and of APIs like it, each with the path below which its operations are. Source: the base URL
/// in the vendors' documentation, or as their users report it.
const BASE_PATHS: &[(&str, &str)] = &[
    ("ai-gateway.vercel.sh", "/v1"),
    ("api.ai21.com", "/studio/v1"),
    ("api.anthropic.com", "/v1"),
    ("api.cerebras.ai", "/v1"),
    ("api.cohere.ai", "/compatibility/v1"),
    ("api.cohere.com", "/compatibility/v1"),
    ("api.deepinfra.com", "/v1/openai"),
    ("api.fireworks.ai", "/inference/v1"),
    ("api.groq.com", "/openai/v1"),
    ("api.hunyuan.cloud.tencent.com", "/v1"),
    ("api.minimax.io", "/v1"),
    ("api.minimaxi.com", "/v1"),
    ("api.mistral.ai", "/v1"),
    ("api.moonshot.ai", "/v1"),
    ("api.moonshot.cn", "/v1"),
    ("api.novita.ai", "/v3/openai"),
    ("api.openai.com", "/v1"),
    ("api.sambanova.ai", "/v1"),
    ("api.siliconflow.cn", "/v1"),
    ("api.siliconflow.com", "/v1"),
    ("api.stepfun.com", "/v1"),
    ("api.together.ai", "/v1"),
    ("api.together.xyz", "/v1"),
    ("api.tokenfactory.nebius.com", "/v1"),
    ("api.venice.ai", "/api/v1"),
    ("api.x.ai", "/v1"),
    ("api.z.ai", "/api/paas/v4"),
    ("ark.cn-beijing.volces.com", "/api/v3"),
    ("dashscope-intl.aliyuncs.com", "/compatible-mode/v1"),
    ("dashscope.aliyuncs.com", "/compatible-mode/v1"),
    ("generativelanguage.googleapis.com", "/v1beta/openai"),
    ("inference.baseten.co", "/v1"),
    ("integrate.api.nvidia.com", "/v1"),
    ("llm.chutes.ai", "/v1"),
    ("open.bigmodel.cn", "/api/paas/v4"),
    ("openrouter.ai", "/api/v1"),
    ("qianfan.baidubce.com", "/v2"),
];

/// Returns the URL that an endpoint was probably meant to have, if its host is a vendor's and its path lacks what that
/// vendor needs. Other vendors' own APIs have their versions in their operations.
pub(super) fn completed(url: &BaseUrl, kind: &ProviderType) -> Option<String> {
    if kind.shape != Shape::OpenAi || kind.is_custom() || kind.name.starts_with("azure") {
        return None;
    }
    let Host::Domain(host) = &url.origin.host else { return None };
    let (host, base) = BASE_PATHS.iter().find(|(known, _)| known == host)?;
    // A path that says more than a part of what is needed is meant so: a gateway of the vendor's, or a newer version.
    let is_part = base.ends_with(&*url.path) || base.starts_with(&*url.path);
    (is_part && url.path != *base).then(|| format!("{}://{host}{base}", url.origin.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_url_without_its_version_is_completed() {
        for (kind, url, expected) in [
            ("openai", "https://api.openai.com", Some("https://api.openai.com/v1")),
            ("openai", "https://api.openai.com/v1", None),
            ("mistral", "https://api.mistral.ai/", Some("https://api.mistral.ai/v1")),
            ("openai_compatible", "https://api.groq.com/openai", Some("https://api.groq.com/openai/v1")),
            ("openai_compatible", "https://api.groq.com/v1", Some("https://api.groq.com/openai/v1")),
            ("openai_compatible", "https://openrouter.ai/api/v1", None),
            ("openai_compatible", "https://open.bigmodel.cn", Some("https://open.bigmodel.cn/api/paas/v4")),
            ("openai_compatible", "https://api.cohere.com/v1", Some("https://api.cohere.com/compatibility/v1")),
            ("openai_compatible", "https://api.together.xyz/v2", None),
            ("openai_compatible", "http://localhost:8000", None),
            ("anthropic", "https://api.anthropic.com", None),
            ("gemini", "https://generativelanguage.googleapis.com", None),
        ] {
            let kind = ProviderType::named(kind).expect("a type");
            let parsed = BaseUrl::parse(url, None).expect("valid");
            assert_eq!(completed(&parsed, kind).as_deref(), expected, "{url}");
        }
    }
}
