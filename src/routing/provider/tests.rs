//! The table, asked.

use super::*;

fn of(name: &str) -> &'static ProviderType {
    ProviderType::named(name).expect(name)
}

fn paths(name: &str, url_path: &str) -> Vec<String> {
    of(name).operations_at(url_path).iter().map(|operation| operation.path.to_string()).collect()
}

#[test]
fn what_exists_at_one_account_is_known_by_its_path() {
    for (name, url_path, path, stateful) in [
        ("openai", "", "/files", true),
        ("openai", "", "/files/f1/content", true),
        ("openai", "", "/filesystem", false),
        ("openai", "", "/responses/r1", true),
        ("openai", "", "/responses", false),
        ("openai", "", "/responses/", false),
        ("openai", "", "/chat/completions", false),
        ("azure_openai", "", "/openai/v1/files/f1", true),
        ("azure_openai", "", "/openai/batches", true),
        ("azure_openai", "", "/openai/deployments/files", false),
        ("azure_openai", "/x/openai", "/v1/files/f1", true),
        ("azure_openai", "/openai/v1", "/files", true),
        ("anthropic", "", "/messages/batches", true),
        ("anthropic", "", "/messages", false),
        ("gemini", "", "/cachedContents/c1", true),
        ("aws_bedrock", "", "/async-invoke", true),
    ] {
        assert_eq!(of(name).is_stateful(url_path, path), stateful, "{name} at {url_path}: {path}");
    }
}

#[test]
fn an_endpoints_url_may_end_in_a_part_of_the_operations() {
    let has = |name, url_path, path: &str| paths(name, url_path).iter().any(|known| known == path);
    for (name, url_path, path, there) in [
        ("azure_openai", "", "/openai/deployments/{model}/chat/completions", true),
        ("azure_openai", "", "/openai/v1/chat/completions", true),
        ("azure_openai", "", "/chat/completions", false),
        ("azure_openai", "/team/openai", "/deployments/{model}/chat/completions", true),
        ("azure_openai", "/team/openai", "/v1/chat/completions", true),
        ("azure_openai", "/openai/v1", "/chat/completions", true),
        ("azure_openai", "/openai/v1", "/deployments/{model}/chat/completions", false),
        ("azure_ai_foundry", "/models", "/chat/completions", true),
        ("azure_ai_foundry", "/openai/v1", "/responses", true),
        ("openai", "/openai/v1", "/chat/completions", true),
        ("anthropic", "", "/v1/messages", true),
        ("anthropic", "/v1", "/messages", true),
        ("anthropic", "/v1", "/v1/messages", false),
        ("gemini", "", "/v1/models/{model}:generateContent", true),
        ("gemini", "/v1beta", "/models/{model}:generateContent", true),
        ("gemini", "/v1beta", "/v1/models/{model}:generateContent", false),
        ("gemini", "/v1/projects/p/locations/l/publishers/google", "/models/{model}:generateContent", true),
    ] {
        assert_eq!(has(name, url_path, path), there, "{name} at {url_path}: {path}");
    }
}

#[test]
fn where_the_model_is_and_whether_the_answer_streams_comes_with_the_operation() {
    for (name, path, model, streamed, multipart) in [
        ("openai", "/chat/completions", ModelPlace::Body, false, false),
        ("openai", "/audio/transcriptions", ModelPlace::Body, false, true),
        ("azure_openai", "/openai/deployments/{model}/audio/translations", ModelPlace::Path, false, true),
        ("gemini", "/models/{model}:streamGenerateContent", ModelPlace::Path, true, false),
        ("aws_bedrock", "/model/{model}/converse-stream", ModelPlace::Path, true, false),
        ("aws_bedrock", "/model/{model}/invoke", ModelPlace::Path, false, false),
    ] {
        let operations = of(name).operations_at("");
        let form = &operations.iter().find(|operation| operation.path.as_str() == path).expect(path).form;
        assert_eq!(*form, RequestForm { model, streamed, multipart }, "{name} {path}");
    }
}

#[test]
fn the_list_of_models_is_at_each_root() {
    for (name, url_path, path, is_list) in [
        ("openai", "", "/models", true),
        ("openai", "", "/models/gpt", false),
        ("azure_openai", "", "/openai/v1/models", true),
        ("azure_ai_foundry", "", "/models", true),
        ("azure_openai", "/openai", "/v1/models", true),
        ("azure_openai", "/openai/v1", "/models", true),
        ("azure_ai_foundry", "/models", "/models", true),
        ("gemini", "", "/models", true),
        ("gemini", "", "/v1/models", true),
        ("aws_bedrock", "", "/models", false),
    ] {
        assert_eq!(of(name).is_models(url_path, path), is_list, "{name} {path}");
    }
}

#[test]
fn every_row_can_be_used() {
    for kind in ProviderType::ALL {
        assert!(!kind.operations_at("").is_empty(), "{}", kind.name);
        for root in kind.roots {
            assert!(!kind.operations_at(root).is_empty(), "{} {root}", kind.name);
        }
        let header = match kind.auth {
            DefaultAuth::Bearer => "authorization",
            DefaultAuth::Header(name) => name,
        };
        assert!(kind.client_headers.contains(&header), "{}", kind.name);
        assert!(kind.client_headers.iter().all(|name| CLIENT_HEADERS_REMOVED.contains(name)), "{}", kind.name);
        assert!(kind.client_parameters.iter().all(|name| is_credential_parameter(name)), "{}", kind.name);
    }
    for shape in Shape::ALL {
        assert!(ProviderType::custom(shape).is_custom());
    }
}
