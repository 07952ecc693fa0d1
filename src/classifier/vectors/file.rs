//! The cache file of vectors: safetensors, with a pair of tensors for each number of dimensions. It holds hashes of
//! texts, and no text.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::VectorKey;
use crate::classifier::vector::{MAX_DIMENSIONS, Vector};

/// A larger file is not read: it would hold more vectors than any policy has utterances.
const MAX_BYTES: u64 = 4 << 30;

/// The length of a key.
const KEY_BYTES: usize = 32;

/// Why a cache file cannot be used.
#[derive(Debug)]
pub struct CacheError {
    file: PathBuf,
    why: String,
}

impl std::fmt::Display for CacheError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the cache of embeddings {}: {}", self.file.display(), self.why)
    }
}

/// Reads a file; one that is not there holds nothing.
pub(super) fn read(file: &Path) -> Result<HashMap<VectorKey, Vector>, CacheError> {
    let error = |why: String| CacheError { file: file.to_owned(), why };
    let mut bytes = Vec::new();
    match File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(trouble) => return Err(error(format!("cannot be read: {trouble}"))),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => return Err(error("has more than 4 GiB".to_owned())),
        Ok(_) => {}
    }
    let help = "delete it, or name another file: it is written anew";
    parse(&bytes).map_err(|why| error(format!("is not one that this program wrote ({why}); {help}")))
}

fn parse(bytes: &[u8]) -> Result<HashMap<VectorKey, Vector>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut known = HashMap::new();
    for (name, vectors) in tensors.tensors() {
        let Some(dimensions) = name.strip_prefix("vectors.") else { continue };
        let keys = tensors.tensor(&format!("keys.{dimensions}")).map_err(|error| error.to_string())?;
        let [count, numbers] = vectors.shape()[..] else { return Err(format!("`{name}` is no table")) };
        let fits = keys.shape() == [count, KEY_BYTES] && keys.dtype() == Dtype::U8 && vectors.dtype() == Dtype::I16;
        if !fits || !(1..=MAX_DIMENSIONS).contains(&numbers) {
            return Err(format!("`{name}` and its keys do not fit each other"));
        }
        let rows = vectors.data().chunks_exact(numbers * 2);
        for (key, row) in keys.data().as_chunks::<KEY_BYTES>().0.iter().zip(rows) {
            let (pairs, _) = row.as_chunks::<2>();
            let vector = Vector::from_fixed(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect());
            known.insert(*key, vector.ok_or_else(|| format!("`{name}` holds something else than directions"))?);
        }
    }
    Ok(known)
}

/// Replaces a file as a whole: whoever reads it sees the old one or the new one.
pub(super) fn write(file: &Path, known: &HashMap<VectorKey, Vector>) -> Result<(), CacheError> {
    let error = |why: String| CacheError { file: file.to_owned(), why };
    let bytes = bytes(known).map_err(error)?;
    let written = || {
        let temporary = file.with_extension("tmp");
        let mut output = File::create(&temporary)?;
        output.set_permissions(Permissions::from_mode(0o600))?;
        output.write_all(&bytes)?;
        output.sync_all()?;
        fs::rename(&temporary, file)
    };
    written().map_err(|trouble| error(format!("cannot be written: {trouble}")))
}

fn bytes(known: &HashMap<VectorKey, Vector>) -> Result<Vec<u8>, String> {
    let mut tables: BTreeMap<usize, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    let mut sorted: Vec<_> = known.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| **key);
    for (key, vector) in sorted {
        let (keys, vectors) = tables.entry(vector.dimensions()).or_default();
        keys.extend_from_slice(key);
        vectors.extend(vector.as_fixed().iter().flat_map(|number| number.to_le_bytes()));
    }
    let mut views = Vec::new();
    for (dimensions, (keys, vectors)) in &tables {
        let count = keys.len() / KEY_BYTES;
        let view = |dtype, width, data| TensorView::new(dtype, vec![count, width], data);
        let keys = view(Dtype::U8, KEY_BYTES, keys).map_err(|error| error.to_string())?;
        let vectors = view(Dtype::I16, *dimensions, vectors).map_err(|error| error.to_string())?;
        views.extend([(format!("keys.{dimensions}"), keys), (format!("vectors.{dimensions}"), vectors)]);
    }
    serialize(views, &None).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_anything_else_is_refused() {
        let vector = |numbers: &[f32]| Vector::of(numbers).expect("a direction");
        let known = HashMap::from([
            ([1; 32], vector(&[1.0, 2.0])),
            ([2; 32], vector(&[-1.0, 0.5])),
            ([3; 32], vector(&[1.0, 2.0, 3.0])),
        ]);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("embeddings");
        assert_eq!(read(&file).expect("a file that is not there"), HashMap::new());
        write(&file, &known).expect("a file");
        assert_eq!(read(&file).expect("the file"), known);
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        let good = fs::read(&file).expect("the file");
        for end in [0, 7, 20, good.len() - 1] {
            fs::write(&file, &good[..end]).expect("a file");
            let error = read(&file).expect_err("a part of a file").to_string();
            assert!(error.contains("is not one that this program wrote"), "{error}");
        }
    }
}
