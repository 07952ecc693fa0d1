//! Stamps of files, by which a change is noticed without reading them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Identity, times and size of each file that the policy depends on; `None` for one that cannot be read. Symlinks are
/// followed, so the swap of a ConfigMap's directory shows as another file. A directory changes when a file in it comes
/// or goes.
pub(crate) type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Reads the stamp of each file.
pub(crate) fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
