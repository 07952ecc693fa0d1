//! The policy of a subcommand that tries it out.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{self, Compiled, MissingSecrets, Secrets};
use crate::registry::Registry;
use crate::snapshot::Snapshot;

/// Reads a policy; its warnings go to stderr, missing secrets among them.
pub(super) fn load(paths: &[PathBuf]) -> Result<(Snapshot, Arc<Registry>), String> {
    let secrets = Secrets::new(std::env::vars_os(), MissingSecrets::Warn);
    let registry = Arc::new(Registry::default());
    match config::read(paths, &secrets, &registry, 1).result {
        Ok(Compiled { snapshot, warnings }) => {
            for warning in warnings.iter() {
                anstream::eprintln!("{warning}");
            }
            Ok((snapshot, registry))
        }
        Err(problems) => Err(format!("the policy can't be used\n{}", problems.explained())),
    }
}
