//! Refusals: every reply that the router gives instead of a provider's response, in the error shape of the API that the
//! client speaks.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use crate::body::BodyError;
use crate::routing::api::Environment;
use crate::routing::provider::Shape;

/// Why a request goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No API is at that host and path.
    NoApi {
        /// What was asked for.
        path: String,
        /// Method and path of the operation that was probably meant.
        nearest: Option<String>,
    },
    /// The API has no such operation.
    NoOperation {
        /// The request's method.
        method: Method,
        /// What was asked for.
        path: String,
        /// Method and path of the operation that was probably meant.
        nearest: Option<String>,
    },
    /// The environment header has a value that is neither.
    UnknownEnvironment,
    /// The API has no targets for the environment.
    NoTargets {
        /// The API's name.
        api: String,
        /// The environment.
        environment: Environment,
    },
    /// The body is not JSON by its content type.
    ContentType(String),
    /// The body is encoded, so that its model can't be read.
    ContentEncoding(String),
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body can't be used.
    Body(BodyError),
    /// Every target is suspended.
    AllSuspended {
        /// The time until the first comes back.
        remaining: Duration,
        /// Why some of them are: `gpt-4o@east: 429 rate_limit_exceeded`.
        causes: Vec<String>,
    },
    /// The request exists only at the account that made what it refers to, and the policy names none.
    Stateful {
        /// The path, or the member of the body, that refers to it.
        what: String,
    },
    /// The model asked for is served by none of the targets that it could go to.
    UnknownModel {
        /// The model asked for; empty if none was.
        asked: String,
        /// The values that exist.
        served: Vec<String>,
    },
    /// The client wants another protocol.
    Upgrade,
    /// Envoy asks for more attempts than the policy allows.
    AttemptsUsedUp,
    /// The body did not arrive in time.
    Late,
    /// The router holds as much as it may.
    OverCapacity,
    /// Envoy's filter sends bodies in a way that the router does not serve.
    BodyMode,
}

/// A complete answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Creates the answer to a preflight of a browser, or another `OPTIONS`, that no filter of Envoy's answered: it
    /// grants nothing to other origins, which is for Envoy's `cors` filter to do.
    #[must_use]
    pub fn options(methods: &str) -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: vec![("allow", methods.to_owned())], body: Vec::new() }
    }

    /// Creates a JSON answer.
    #[must_use]
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }
}

impl Refusal {
    /// Returns the answer to the client. `Retry-After` is in whole seconds, rounded up, so that who obeys it finds a
    /// target.
    #[must_use]
    pub fn reply(&self, shape: Shape) -> Reply {
        let (status, kind, code, param) = self.classify();
        let message = self.message();
        let mut reply = match shape {
            Shape::OpenAi => {
                let error = json!({ "message": message, "type": kind, "code": code, "param": param });
                Reply::json(status, &json!({ "error": error }))
            }
            Shape::Anthropic => {
                let error = json!({ "type": anthropic_type(status), "message": message });
                Reply::json(status, &json!({ "type": "error", "error": error }))
            }
            Shape::Gemini => {
                let error = json!({ "code": status.as_u16(), "message": message, "status": google_status(status) });
                Reply::json(status, &json!({ "error": error }))
            }
            Shape::Bedrock => {
                let mut reply = Reply::json(status, &json!({ "message": message }));
                reply.headers.push(("x-amzn-errortype", aws_type(status).to_owned()));
                reply
            }
        };
        let retry_after = match self {
            Self::AllSuspended { remaining, .. } => Some(*remaining),
            Self::OverCapacity => Some(Duration::from_secs(1)),
            _ => None,
        };
        if *self == Self::Upgrade {
            // RFC 9110, 15.5.22: a 426 names the protocol to use.
            reply.headers.push(("upgrade", "HTTP/1.1".to_owned()));
        }
        if let Some(retry_after) = retry_after {
            reply.headers.push(("retry-after", seconds_rounded_up(retry_after).to_string()));
        }
        reply
    }

    /// Returns a stable label for logs, metrics and the error's `code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.classify().2
    }

    /// Status, error type, error code and the parameter at fault.
    fn classify(&self) -> (StatusCode, &'static str, &'static str, Option<&'static str>) {
        const REQUEST: &str = "invalid_request_error";
        match self {
            Self::NoApi { .. } => (StatusCode::NOT_FOUND, REQUEST, "unknown_api", None),
            Self::NoOperation { .. } => (StatusCode::NOT_FOUND, REQUEST, "unknown_operation", None),
            Self::UnknownEnvironment => (StatusCode::BAD_REQUEST, REQUEST, "unknown_environment", None),
            Self::NoTargets { .. } => (StatusCode::FORBIDDEN, REQUEST, "no_targets", None),
            Self::ContentType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, REQUEST, "content_type", None),
            Self::ContentEncoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, REQUEST, "content_encoding", None),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "body_too_large", None),
            Self::Body(_) => (StatusCode::BAD_REQUEST, REQUEST, "invalid_body", None),
            Self::AllSuspended { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "server_error", "all_targets_suspended", None)
            }
            Self::Stateful { .. } => (StatusCode::BAD_REQUEST, REQUEST, "stateful_request", None),
            Self::UnknownModel { .. } => (StatusCode::NOT_FOUND, REQUEST, "model_not_found", Some("model")),
            Self::Upgrade => (StatusCode::UPGRADE_REQUIRED, REQUEST, "websocket", None),
            Self::AttemptsUsedUp => (StatusCode::BAD_GATEWAY, "server_error", "attempts_used_up", None),
            Self::Late => (StatusCode::REQUEST_TIMEOUT, REQUEST, "request_timeout", None),
            Self::OverCapacity => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "over_capacity", None),
            Self::BodyMode => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "unsupported_body_mode", None),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NoApi { path, nearest } => {
                format!("no API is served at `{path}`{}", did_you_mean(nearest.as_deref()))
            }
            Self::NoOperation { method, path, nearest } => {
                format!("no model serves `{method} {path}`{}", did_you_mean(nearest.as_deref()))
            }
            Self::UnknownEnvironment => "unknown environment; expected `production` or `sandbox`".into(),
            Self::NoTargets { api, environment } => format!("the API `{api}` has no {} targets", environment.name()),
            Self::ContentType(found) => format!(
                "unsupported content type `{found}`; expected `application/json`, or `multipart/form-data` where a file is sent"
            ),
            Self::ContentEncoding(found) => format!("unsupported content encoding `{found}`; send the body unencoded"),
            Self::TooLarge(limit) => format!("the body is longer than {limit} bytes"),
            Self::Body(error) => error.to_string(),
            Self::AllSuspended { remaining, causes } => {
                let why = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join("; ")) };
                format!("every target is suspended; try again in {} s{why}", seconds_rounded_up(*remaining))
            }
            Self::Stateful { what } => format!(
                "`{what}` exists only at the account that made it, and requests here go to several; \
                 the policy needs a `stateful_endpoint` to serve it"
            ),
            Self::UnknownModel { asked, served } => {
                let served = served.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
                match asked.as_str() {
                    "" => format!("the request names no model; there are {served}"),
                    asked => format!("there is no model `{asked}`; there are {served}"),
                }
            }
            Self::Upgrade => "WebSockets and the Realtime API are not served here; use requests over HTTP".into(),
            Self::AttemptsUsedUp => "no provider gave a response that could be returned".into(),
            Self::Late => "the request's body did not come in time".into(),
            Self::OverCapacity => "too many requests at once; try again in a second".into(),
            Self::BodyMode => {
                "Envoy's ext_proc filter must have `request_body_mode: BUFFERED` or `FULL_DUPLEX_STREAMED`".into()
            }
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// Source: Anthropic's "Errors".
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Returns the status name of Google's errors. Source: `google.rpc.Code` and its mapping to HTTP.
fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 => "DEADLINE_EXCEEDED",
        500 => "INTERNAL",
        502.. => "UNAVAILABLE",
        _ => "INVALID_ARGUMENT",
    }
}

/// Source: the errors of `Converse` in the Amazon Bedrock Runtime API reference.
fn aws_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        500 => "InternalServerException",
        502.. => "ServiceUnavailableException",
        _ => "ValidationException",
    }
}

/// At least 1.
fn seconds_rounded_up(duration: Duration) -> u128 {
    duration.as_millis().div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_shape_of_openais_errors() {
        let causes = vec!["gpt-4o@east: 429 rate_limit_exceeded".to_owned()];
        let reply = Refusal::AllSuspended { remaining: Duration::from_millis(2_001), causes }.reply(Shape::OpenAi);
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers[1], ("retry-after", "3".to_owned()));
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let error = json!({
            "message": "every target is suspended; try again in 3 s (gpt-4o@east: 429 rate_limit_exceeded)",
            "type": "server_error", "code": "all_targets_suspended", "param": null
        });
        assert_eq!(body, json!({ "error": error }));
    }

    #[test]
    fn a_refusal_has_the_shape_of_the_api_that_the_client_speaks() {
        let reply = |shape| Refusal::UnknownModel { asked: "x".into(), served: vec!["y".into()] }.reply(shape);
        let message = "there is no model `x`; there are `y`";
        for (shape, expected) in [
            (Shape::Anthropic, json!({ "type": "error", "error": { "type": "not_found_error", "message": message } })),
            (Shape::Gemini, json!({ "error": { "code": 404, "message": message, "status": "NOT_FOUND" } })),
            (Shape::Bedrock, json!({ "message": message })),
        ] {
            let reply = reply(shape);
            assert_eq!(reply.status, 404);
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&reply.body).expect("JSON"), expected);
            let kind = reply.headers.iter().find(|(name, _)| *name == "x-amzn-errortype");
            assert_eq!(kind.map(|(_, kind)| &**kind), (shape == Shape::Bedrock).then_some("ResourceNotFoundException"));
        }
    }
}
