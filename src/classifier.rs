//! Which rule or route a request fits, by an LLM or by meaning. Every failure mode is a named `Verdict`; none of them
//! becomes a client error.

mod answer;
mod call;
mod completion;
pub mod content;
mod embedder;
mod index;
mod llm;
mod priming;
mod prompt;
mod question;
mod route_question;
mod routes;
mod rule_question;
mod service;
mod state;
mod vector;
mod vectors;
mod verdict;

pub use answer::fold;
pub use embedder::{Embedder, EmbedderState, FILES, RemoteDeclaration, StaticModel};
pub use index::{Index, RouteScore, Scores, Stray, Survey, Threshold};
pub use llm::{AnswerForm, Classifier, ClassifierState, Declaration};
pub use priming::{prime, prime_at_once};
pub use prompt::{NONE, RULES_MARK, Rules, WORDING, bounded, user_message};
pub use question::{Asked, Classify, Question, Sorter};
pub use routes::{Route, Routes, Unsure};
pub use service::{ServiceDeclaration, ServiceType};
pub use state::{Bounds, ServiceCounts, ServiceKey, ServiceKind, ServiceState};
pub use vector::{MAX_DIMENSIONS, Vector};
pub use vectors::{CacheError, VectorKey, Vectors};
pub use verdict::{Classification, Second, Verdict};
