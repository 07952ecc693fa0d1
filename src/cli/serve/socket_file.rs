//! The file of a unix socket, which is removed at the end.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::address::ListenAddress;

/// A socket that this process has made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Returns the socket of an address that was bound; a port has none.
    pub(super) fn of(address: &ListenAddress) -> Option<Self> {
        let ListenAddress::Unix(path) = address else { return None };
        identity(path).map(|identity| Self { path: path.clone(), identity })
    }

    /// Removes it, unless another router has put its own in the place: it may have started while this one drained.
    pub(super) fn remove(self) {
        if identity(&self.path) == Some(self.identity) {
            // Already removed: nothing to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
