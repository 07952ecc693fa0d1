//! The store of vectors: what embedders made of utterances, kept across reloads and, if wanted, in a file.

mod file;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::vector::Vector;
pub use file::CacheError;

/// The space in which an embedder's vectors can be compared: a hash over its API, its model and its dimensions.
pub(super) type Space = [u8; 32];

/// The identity of a vector: a hash over its space and its text.
pub type VectorKey = [u8; 32];

/// Returns the identity of a text's vector.
#[must_use]
pub(super) fn key(space: &Space, text: &str) -> VectorKey {
    Sha256::new_with_prefix(space).chain_update(text).finalize().into()
}

/// All vectors that are known.
#[derive(Debug, Default)]
pub struct Vectors {
    known: Mutex<HashMap<VectorKey, Vector>>,
    /// Where they are kept across restarts.
    file: Option<PathBuf>,
}

impl Vectors {
    /// Creates a store that is kept in a file, with what the file holds. One that is not there yet holds nothing.
    ///
    /// # Errors
    /// The file cannot be read, or was not written by this program.
    pub fn open(file: PathBuf) -> Result<Self, CacheError> {
        let known = file::read(&file)?;
        Ok(Self { known: Mutex::new(known), file: Some(file) })
    }

    /// Returns a vector, if it is known.
    #[must_use]
    pub fn get(&self, key: &VectorKey) -> Option<Vector> {
        self.lock().get(key).cloned()
    }

    /// Adds vectors.
    pub fn add(&self, vectors: impl IntoIterator<Item = (VectorKey, Vector)>) {
        self.lock().extend(vectors);
    }

    /// Forgets all vectors but these, so that the store is bounded by the policies that use it.
    pub fn keep(&self, used: &HashSet<VectorKey>) {
        self.lock().retain(|key, _| used.contains(key));
    }

    /// Returns how many vectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the file, if there is one.
    ///
    /// # Errors
    /// It cannot be written; the one that was there stays.
    pub fn save(&self) -> Result<(), CacheError> {
        let Some(file) = &self.file else { return Ok(()) };
        let known = self.lock().clone();
        file::write(file, &known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<VectorKey, Vector>> {
        self.known.lock().expect("no panic while the vectors are held")
    }
}
