//! Checks that several themes share.

use serde_json::Value;

use crate::rig::client::Answer;

/// The answer is an error in OpenAI's shape, with this status and this code.
#[track_caller]
pub(crate) fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code);
    assert!(
        error["message"].is_string() && error["type"].is_string(),
        "{error}"
    );
    assert_eq!(error.get("param"), Some(&Value::Null));
}
