//! An embedder behind an API: the request, and what its response must hold.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::EmbedderState;
use crate::body::BodyEdits;
use crate::classifier::index::Scores;
use crate::classifier::llm::edit;
use crate::classifier::service::{Failure, Service, ServiceDeclaration, ServiceType};
use crate::classifier::state::{Bounds, Breaker, ServiceKey};
use crate::classifier::vector::Vector;
use crate::classifier::vectors::Space;

/// The most bytes of a response for each text: a vector of 4096 numbers with 20 digits each, and what is around it.
const MAX_BYTES_EACH: usize = 96 << 10;

/// The declaration of an embedder behind an API. It has no `Debug`, because the query of its URL may hold a credential.
pub struct RemoteDeclaration {
    /// The service that it is.
    pub service: ServiceDeclaration,
    /// The model, where requests name one.
    pub model: Option<String>,
    /// The number of dimensions that is asked for; the model's own when absent.
    pub dimensions: Option<u32>,
    /// Changes of the request.
    pub edits: BodyEdits,
}

/// An embedder behind an API.
pub(super) struct Remote {
    pub(super) service: Service<Scores>,
    pub(super) space: Space,
    kind: ServiceType,
    model: Option<String>,
    dimensions: Option<u32>,
    edits: BodyEdits,
}

/// A response, as far as it matters. Source: OpenAI's API reference; Mistral and Azure answer the same.
#[derive(Deserialize)]
struct Response {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Vec<f32>,
    /// The position of its text among the inputs; servers that leave it out keep the order.
    index: Option<usize>,
}

impl Remote {
    pub(super) fn new(
        name: &str,
        declaration: RemoteDeclaration,
        state_of: impl FnOnce(&ServiceKey, &Bounds) -> Arc<EmbedderState>,
    ) -> Self {
        let RemoteDeclaration { service, model, dimensions, edits } = declaration;
        let kind = service.kind;
        // Not the key: another account of the same API gives the same vectors.
        let space = format!("{kind:?}\0{}\0{model:?}\0{dimensions:?}\0{edits:?}", service.url);
        let own = format!("{model:?}\0{dimensions:?}\0{edits:?}");
        let service = Service::new(name, service, &own, state_of);
        Self { service, space: Sha256::digest(space).into(), kind, model, dimensions, edits }
    }

    /// Returns the request that embeds these texts.
    pub(super) fn request(&self, texts: &[&str]) -> Value {
        let mut request = json!({});
        if let Some(model) = &self.model {
            request["model"] = model.as_str().into();
        }
        request["input"] = match texts {
            [text] => (*text).into(),
            texts => texts.into(),
        };
        if let Some(dimensions) = self.dimensions {
            // Source: the API references of OpenAI and Mistral.
            let key = if self.kind == ServiceType::Mistral { "output_dimension" } else { "dimensions" };
            request[key] = dimensions.into();
        }
        edit(&mut request, &self.edits);
        request
    }

    /// Asks for the vectors of these texts, all of `dimensions` numbers if that is known already.
    pub(super) async fn embed(
        &self,
        texts: &[&str],
        dimensions: Option<usize>,
        bounds: (Instant, Breaker),
    ) -> Result<Vec<Vector>, Failure> {
        let declared = self.dimensions.map(|number| number as usize);
        let body = || self.request(texts).to_string().into_bytes();
        let read = |body: &[u8]| vectors(body, texts.len(), dimensions.or(declared));
        self.service.ask(bounds, body, (MAX_BYTES_EACH * texts.len(), read)).await
    }
}

/// Reads a response with as many vectors as there were texts, in the order of the texts.
fn vectors(body: &[u8], texts: usize, dimensions: Option<usize>) -> Result<Vec<Vector>, String> {
    let response: Response = serde_json::from_slice(body).map_err(|_| "an answer without embeddings".to_owned())?;
    if response.data.len() != texts {
        return Err(format!("{} vectors for {texts} texts", response.data.len()));
    }
    let mut ordered = vec![None; texts];
    let mut expected = dimensions;
    for (position, Item { embedding, index }) in response.data.into_iter().enumerate() {
        let vector = Vector::of(&embedding)?;
        let wanted = *expected.get_or_insert(vector.dimensions());
        if vector.dimensions() != wanted {
            return Err(format!("a vector of {} numbers instead of {wanted}", vector.dimensions()));
        }
        let place = ordered.get_mut(index.unwrap_or(position)).filter(|place| place.is_none());
        *place.ok_or("vectors whose `index` is wrong")? = Some(vector);
    }
    Ok(ordered.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_gives_one_vector_of_the_right_length_for_each_text() {
        let second_first = r#"{"data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0]}]}"#;
        let read = vectors(second_first.as_bytes(), 2, None).expect("vectors");
        let expected = [[1.0, 0.0], [0.0, 1.0]].map(|numbers| Vector::of(&numbers).expect("a direction"));
        assert_eq!(read, expected);
        for (body, dimensions, why) in [
            (r#"{"data":[{"embedding":[1,0]}]}"#, None, "1 vectors for 2 texts"),
            (r#"{"data":[{"embedding":[1,0]},{"embedding":[1]}]}"#, None, "a vector of 1 numbers instead of 2"),
            (r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#, Some(2), "a vector of 1 numbers instead of 2"),
            (r#"{"data":[{"embedding":[0]},{"embedding":[1]}]}"#, None, "a vector of zeros"),
            (r#"{"data":[{"embedding":[]},{"embedding":[1]}]}"#, None, "a vector without numbers"),
            (r#"{"data":[{"embedding":[NaN]},{"embedding":[1]}]}"#, None, "an answer without embeddings"),
            (r#"{"data":[{"embedding":[1e99]},{"embedding":[1]}]}"#, None, "an answer without embeddings"),
            (
                r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
                None,
                "vectors whose `index` is wrong",
            ),
            (
                r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#,
                None,
                "vectors whose `index` is wrong",
            ),
            (r#"{"error":{"message":"no"}}"#, None, "an answer without embeddings"),
        ] {
            assert_eq!(vectors(body.as_bytes(), 2, dimensions), Err(why.to_owned()), "{body}");
        }
    }
}
