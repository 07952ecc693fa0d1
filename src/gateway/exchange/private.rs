//! Headers that the router, Envoy and clients agree on.

/// On a request: the cluster that serves it; Envoy's route reads it.
pub const CLUSTER: &str = "x-model-router-cluster";
/// On a response: asks the outer listener for another attempt.
pub const RETRY: &str = "x-model-router-retry";
/// On a request: the id that all its attempts share; the outer listener sets it.
pub const STREAM: &str = "x-model-router-stream";
/// On a request: production or sandbox; Envoy sets it.
pub const ENVIRONMENT: &str = "x-model-router-environment";
/// The headers that only Envoy and the router use. None of them may reach a provider.
pub const ALL: [&str; 4] = [CLUSTER, RETRY, STREAM, ENVIRONMENT];
/// On a response to a client: the model that served it.
pub const SERVED_MODEL: &str = "x-model-router-model";
/// On a response to a client: the endpoint that served it.
pub const SERVED_ENDPOINT: &str = "x-model-router-endpoint";
/// On a response to a client: the number of attempts.
pub const SERVED_ATTEMPTS: &str = "x-model-router-attempts";
/// On a response to a client: the result of classifying its request.
pub const SERVED_CLASSIFICATION: &str = "x-model-router-classification";
/// How close it was: the best route with its score and what that must reach, and the second best.
pub const SERVED_SCORES: &str = "x-model-router-scores";
/// On a response to a client: Envoy's id of its request, by which logs and `decisions` name it.
pub const REQUEST_ID: &str = "x-model-router-request-id";
/// The headers that only the router may add to a client's response.
pub const SERVED: [&str; 6] =
    [SERVED_MODEL, SERVED_ENDPOINT, SERVED_ATTEMPTS, SERVED_CLASSIFICATION, SERVED_SCORES, REQUEST_ID];
