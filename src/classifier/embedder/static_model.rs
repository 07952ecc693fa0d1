//! A static model: a table of a vector for each token. A text's vector is the mean of its tokens' vectors, so there is
//! no network to ask and no order of words.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;
use tokenizers::models::ModelWrapper;

use super::words::Words;
use crate::classifier::vector::{MAX_DIMENSIONS, Vector};
use crate::classifier::vectors::Space;

/// The files of a model, as Model2Vec writes them.
pub const FILES: [&str; 3] = ["tokenizer.json", "model.safetensors", "config.json"];

/// The names under which the table is stored. Source: Model2Vec, sentence-transformers' static embeddings, WordLlama.
const TABLES: [&str; 3] = ["embeddings", "embedding.weight", "0"];

/// A model in this process.
pub struct StaticModel {
    directory: PathBuf,
    space: Space,
    words: Words,
    /// The token for what the vocabulary does not have; it means nothing.
    unknown: Option<u32>,
    table: Table,
}

/// The vectors of tokens, a row each.
struct Table {
    numbers: Vec<f32>,
    dimensions: usize,
    /// Weights of tokens, and rows of tokens, where the model was made smaller after training.
    weights: Option<Vec<f32>>,
    mapping: Option<Vec<usize>>,
}

impl fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticModel").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl StaticModel {
    /// Loads a model out of the contents of its [`FILES`]. `space` is the identity that they have.
    ///
    /// # Errors
    /// They are no model: the file, and what is wrong with it.
    pub fn load(directory: &Path, [tokenizer, model, config]: &[Vec<u8>; 3], space: Space) -> Result<Self, String> {
        let in_file = |file: usize| move |why: String| format!("{}: {why}", FILES[file]);
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(config)
            .map_err(|error| in_file(2)(format!("expected a JSON object: {error}")))?;
        let table = Table::read(model).map_err(in_file(1))?;
        let (words, unknown) = self::tokenizer(tokenizer).map_err(in_file(0))?;
        let loaded = Self { directory: directory.to_owned(), space, words, unknown, table };
        // What a tokenizer does with its own file's mistakes shows only when it is used.
        let sample = catch_unwind(AssertUnwindSafe(|| loaded.embed("a sample of some words")));
        match sample {
            Ok(Ok(_)) => Ok(loaded),
            Ok(Err(why)) => Err(format!("the files do not fit each other: {why}")),
            Err(_) => Err("the files do not fit each other".to_owned()),
        }
    }

    /// Returns the identity of files with these contents.
    #[must_use]
    pub fn space_of(files: &[Vec<u8>; 3]) -> Space {
        let hash = |hash: Sha256, file: &Vec<u8>| hash.chain_update(file.len().to_be_bytes()).chain_update(file);
        files.iter().fold(Sha256::new_with_prefix("static"), hash).finalize().into()
    }

    /// Returns the identity of its vectors.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Returns the directory that it came from.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the number of dimensions of its vectors.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.table.dimensions
    }

    /// Returns the vector of a text, which is like no other if none of its words means anything to the model.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn embed(&self, text: &str) -> Result<Vector, String> {
        let mut sum = vec![0.0; self.table.dimensions];
        self.words.tokens(text, |token| {
            if Some(token) != self.unknown {
                self.table.add(token as usize, &mut sum);
            }
        })?;
        Ok(Vector::of(&sum).unwrap_or_else(|_| Vector::zero(self.table.dimensions)))
    }
}

/// Reads a tokenizer, and finds the token that it uses for unknown words.
fn tokenizer(bytes: &[u8]) -> Result<(Words, Option<u32>), String> {
    let loaded = catch_unwind(|| Tokenizer::from_bytes(bytes)).unwrap_or_else(|_| Err("it is malformed".into()));
    let mut tokenizer = loaded.map_err(|error| format!("expected a Hugging Face tokenizer: {error}"))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    let unknown = match tokenizer.get_model() {
        ModelWrapper::BPE(model) => model.unk_token.clone(),
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::Unigram(_) => unigram_unknown(bytes),
    };
    let unknown = unknown.and_then(|token| tokenizer.token_to_id(&token));
    let words = catch_unwind(AssertUnwindSafe(|| Words::new(tokenizer)));
    Ok((words.unwrap_or_else(|_| Err("it fails on an ordinary text".to_owned()))?, unknown))
}

/// A unigram model keeps the position of its unknown token to itself, so it is read from the file.
fn unigram_unknown(bytes: &[u8]) -> Option<String> {
    let file: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let position = usize::try_from(file["model"]["unk_id"].as_u64()?).ok()?;
    file["model"]["vocab"][position][0].as_str().map(str::to_owned)
}

impl Table {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("expected safetensors: {error}"))?;
        let Some(table) = TABLES.iter().find_map(|name| tensors.tensor(name).ok()) else {
            let found = tensors.names();
            let expected = "expected a tensor `embeddings` of Model2Vec, or `embedding.weight`";
            return Err(format!("{expected}, found {found:?}: this is no static model"));
        };
        let [rows, dimensions] = table.shape()[..] else {
            return Err(format!("expected a table of tokens, found a tensor of shape {:?}", table.shape()));
        };
        if rows == 0 || !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(format!("a table of {rows} tokens with {dimensions} dimensions cannot be used"));
        }
        let weights = tensors.tensor("weights").ok().map(|tensor| floats(&tensor)).transpose()?;
        let mapping = tensors.tensor("mapping").ok().map(|tensor| positions(&tensor)).transpose()?;
        let numbers = floats(&table)?;
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err("the table holds numbers that are not finite".to_owned());
        }
        if mapping.as_ref().is_some_and(|mapping| mapping.iter().any(|row| *row >= rows)) {
            return Err(format!("`mapping` names a row beyond the {rows} that there are"));
        }
        Ok(Self { numbers, dimensions, weights, mapping })
    }

    /// Adds a token's vector to a sum; a token beyond the table adds nothing.
    fn add(&self, token: usize, sum: &mut [f32]) {
        let row = self.mapping.as_ref().map_or(Some(token), |mapping| mapping.get(token).copied());
        let weight = self.weights.as_ref().map_or(1.0, |weights| weights.get(token).copied().unwrap_or(1.0));
        let start = row.map_or(usize::MAX, |row| row * self.dimensions);
        let Some(numbers) = self.numbers.get(start..start.saturating_add(self.dimensions)) else { return };
        sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number * weight);
    }
}

#[allow(clippy::cast_possible_truncation)] // weights are stored with more digits than they have
fn floats(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F64 => data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::I8 => data.iter().map(|byte| f32::from(i8::from_le_bytes([*byte]))).collect(),
        other => return Err(format!("numbers of type {other:?} are not supported; expected F32, F16 or I8")),
    })
}

fn positions(tensor: &TensorView<'_>) -> Result<Vec<usize>, String> {
    let data = tensor.data();
    let position = |number: i64| usize::try_from(number).map_err(|_| "`mapping` has a negative row".to_owned());
    match tensor.dtype() {
        Dtype::I64 => data.as_chunks::<8>().0.iter().map(|bytes| position(i64::from_le_bytes(*bytes))).collect(),
        Dtype::I32 => data.as_chunks::<4>().0.iter().map(|bytes| position(i32::from_le_bytes(*bytes).into())).collect(),
        other => Err(format!("`mapping` is of type {other:?}; expected I64 or I32")),
    }
}
