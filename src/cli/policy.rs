//! The policy of a subcommand that tries it out.

use std::path::PathBuf;
use std::sync::Arc;

use crate::policy_file::{self, Compiled, MissingSecrets, Secrets};
use crate::routing::registry::Registry;
use crate::routing::snapshot::Snapshot;

/// Reads a policy; its warnings go to stderr, missing secrets among them.
pub(super) fn load(paths: &[PathBuf]) -> Result<(Snapshot, Arc<Registry>), String> {
    let secrets = Secrets::new(std::env::vars_os(), MissingSecrets::Warn);
    let registry = Arc::new(Registry::default());
    match policy_file::read(paths, &secrets, &registry, 1).result {
        Ok(Compiled { snapshot, warnings }) => {
            for warning in warnings.iter() {
                anstream::eprintln!("{warning}");
            }
            Ok((snapshot, registry))
        }
        Err(problems) => Err(format!("the policy can't be used\n{}", problems.explained())),
    }
}
