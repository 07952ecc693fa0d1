//! One client's requests, whatever they ask for, keep no target from the others.

use serde_json::{Value, json};

use crate::check::in_turn as rig;
use crate::rig::ask::{Ask, post};
use crate::rig::script::Script;

fn ask(path: &str) -> Ask {
    post(&format!("/all{path}")).json(&json!({ "model": "one", "messages": [] }))
}

/// A vendor's type, the path of its endpoints' URLs, another operation and the one that others use, and what the first
/// is answered.
type Case<'c> = (&'c str, &'c str, &'c str, &'c str, u16, Value);

fn openai(message: &str, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } })
}

fn cases() -> Vec<Case<'static>> {
    let (chat, speech, embeddings) = ("/chat/completions", "/audio/speech", "/embeddings");
    let gemini = "models/one is not found for API version v1beta, or is not supported for embedContent.";
    let gemini = json!({ "error": { "code": 404, "message": gemini, "status": "NOT_FOUND" } });
    let mistral =
        json!({ "object": "error", "message": "Invalid model: one", "type": "invalid_model", "code": "1500" });
    let anthropic = json!({ "type": "error", "error": { "type": "not_found_error", "message": "Not Found" } });
    vec![
        ("openai", "/v1", speech, chat, 404, openai("Invalid URL (POST /v1/audio/speech)", None)),
        ("openai", "/v1", speech, chat, 404, openai("The model `one` does not exist.", Some("model_not_found"))),
        (
            "openai",
            "/v1",
            embeddings,
            chat,
            403,
            openai("You are not allowed to generate embeddings from this model", None),
        ),
        ("openai", "/v1", speech, chat, 401, openai("You have insufficient permissions for this operation.", None)),
        ("openai_compatible", "/v1", speech, chat, 405, json!({ "detail": "Method Not Allowed" })),
        ("openai_compatible", "/v1", speech, chat, 501, json!({ "detail": "Not Implemented" })),
        (
            "openai_compatible",
            "/v1",
            embeddings,
            chat,
            404,
            json!({ "object": "error", "message": "The model `one` does not exist.", "type": "NotFoundError", "code": 404 }),
        ),
        ("mistral", "/v1", embeddings, chat, 400, mistral),
        (
            "azure_openai",
            "/openai",
            "/deployments/one/chat/completions?api-version=1900-01-01",
            "/deployments/one/chat/completions?api-version=2024-10-21",
            404,
            json!({ "error": { "code": "404", "message": "Resource not found" } }),
        ),
        ("anthropic", "/v1", "/messages/count_tokens", "/messages", 404, anthropic),
        ("gemini", "/v1beta", "/models/one:embedContent", "/models/one:generateContent", 404, gemini),
        (
            "aws_bedrock",
            "",
            "/model/one/count-tokens",
            "/model/one/converse",
            400,
            json!({ "message": "The provided model doesn't support counting tokens." }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_no_target_has_closes_none_of_the_others() {
    for (kind, url, other, main, status, body) in cases() {
        let rig = rig(kind, url).await;
        let is_other = other.to_owned();
        let refused = Script::json(status, &body);
        let served = Script::json(200, &json!({ "choices": [] }));
        let decide = Script::by(move |request| match request.path.ends_with(&is_other) {
            true => refused.clone(),
            false => served.clone(),
        });
        rig.providers().for_each(|provider| provider.answer(decide.clone()));
        for _ in 0..5 {
            assert_ne!(rig.send(ask(other)).await.status, 200);
        }
        rig.clear();
        for _ in 0..4 {
            let answer = rig.send(ask(main)).await;
            assert_eq!(answer.status, 200, "{kind} {status} {body}: {}", answer.text());
        }
        assert_eq!(rig.hits(), [2, 2], "{kind} {status} {body}");
        rig.check_clean().await;
    }
}

/// What one client can make a vendor say of the operation that all use: none of it suspends anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_refers_to_and_what_it_says_close_nothing() {
    let echo = |message: &str| openai(message, None);
    for (kind, status, body) in [
        ("openai", 404, openai("Item with id 'rs_1' not found.", None)),
        ("openai", 404, json!({ "error": { "message": "Not here", "param": "previous_response_id", "code": null } })),
        ("openai", 404, openai("No such File object: file-1", None)),
        ("openai", 400, echo("Unrecognized request argument supplied: billing hard limit has been reached")),
        ("openai_compatible", 400, echo("insufficient balance: Extra inputs are not permitted")),
        ("openai_compatible", 400, echo(r"Bad value 'a\' insufficient balance'.")),
        ("openai_compatible", 400, echo("Invalid type for 'a': your credit balance is too low")),
    ] {
        let rig = rig(kind, "/v1").await;
        rig.providers().for_each(|provider| provider.answer(Script::json(status, &body)));
        for _ in 0..8 {
            assert_eq!(rig.send(ask("/chat/completions")).await.status, status, "{body}");
        }
        rig.providers().for_each(|provider| provider.answer(Script::json(200, &json!({ "choices": [] }))));
        rig.clear();
        for _ in 0..4 {
            assert_eq!(rig.send(ask("/chat/completions")).await.status, 200, "{kind} {status} {body}");
        }
        assert_eq!(rig.hits(), [2, 2], "{kind} {status} {body}");
        rig.check_clean().await;
    }
}
