//! Envoy's side, written for a policy: a whole configuration, what to add to one that exists, or the clusters' file.
//!
//! The shipped `envoy/attach.yaml` and `envoy/failover.yaml` are the templates: they run as they are, and what is
//! written here differs from them only in addresses and clusters. The shipped `envoy/clusters.yaml` is what is written
//! for `envoy/policies/round-robin.yaml`.

mod clusters;
mod file;
mod fragment;
mod merge;
mod route;
mod template;
mod text;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::address::ListenAddress;
use crate::routing::snapshot::Snapshot;
pub use file::ClustersFile;
pub use merge::{Merged, Target, merge};

/// The trusted authorities on Debian.
pub const CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The client listener of the shipped files.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);
/// The address of Envoy's admin interface in the shipped files.
pub const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);

/// The topology by which the router is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topology {
    /// One filter and one route: a target that fails is suspended, the next request goes elsewhere
    Attach,
    /// A route with attempts before an internal listener: a request that fails is tried at the next target
    Failover,
}

/// The part of Envoy's configuration that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A whole configuration, with a listener hardened for the open network
    Bootstrap,
    /// What to add to a configuration that exists, and where
    Fragment,
    /// The file of clusters that Envoy follows (file CDS)
    Clusters,
}

/// The settings of a configuration, except for the policy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The topology by which the router is attached.
    pub topology: Topology,
    /// The router's address.
    pub router: ListenAddress,
    /// The client listener; for a whole configuration.
    pub listen: SocketAddr,
    /// The address of Envoy's admin interface; for a whole configuration.
    pub admin: SocketAddr,
    /// The file that Envoy reads the clusters from; `None` puts them into the configuration itself.
    pub clusters_file: Option<PathBuf>,
    /// The authorities that providers' certificates are checked against (PEM), where Envoy runs.
    pub ca_file: PathBuf,
    /// Whether the router gets copies of responses, from which it reads their usage.
    pub usage: bool,
}

/// Why no clusters can be written for a policy, one line for each reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(Vec<String>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Default for Settings {
    /// Creates the settings of the shipped `envoy/failover.yaml`.
    fn default() -> Self {
        Self {
            topology: Topology::Failover,
            router: ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 18_000))),
            listen: LISTEN,
            admin: ADMIN,
            clusters_file: None,
            ca_file: CA_FILE.into(),
            usage: true,
        }
    }
}

/// Returns a whole configuration.
///
/// # Errors
/// If clusters of the policy contradict each other, or those of the router.
pub fn bootstrap(snapshot: &Snapshot, settings: &Settings) -> Result<String, Conflicts> {
    let clusters = clusters::of(&[snapshot])?;
    Ok(template::fill(settings, &clusters::list(&clusters, &settings.ca_file)))
}

/// Returns the blocks to add to an existing configuration.
///
/// # Errors
/// If clusters of the policy contradict each other, or those of the router.
pub fn fragment(snapshot: &Snapshot, settings: &Settings) -> Result<String, Conflicts> {
    let whole = bootstrap(snapshot, settings)?;
    Ok(fragment::of(&route::narrow(&whole, &snapshot.apis)))
}

/// Returns the file of clusters for file CDS.
///
/// # Errors
/// If clusters of the policy contradict each other, or those of the router.
pub fn clusters(snapshot: &Snapshot, ca_file: &Path) -> Result<String, Conflicts> {
    Ok(clusters::file(&clusters::of(&[snapshot])?, ca_file))
}

/// Writes a whole configuration, `envoy.yaml`, that follows the clusters' file in the same directory; makes that file,
/// without clusters, if it is not there, because Envoy does not start without it.
///
/// # Errors
/// The directory is not there, or may not be written to.
pub fn write_into(directory: &Path, settings: Settings) -> Result<(), String> {
    let clusters = ClustersFile::new(directory.to_owned(), settings.ca_file.clone());
    clusters.make()?;
    let text = template::fill(&Settings { clusters_file: Some(clusters.path()), ..settings }, "");
    let path = directory.join("envoy.yaml");
    std::fs::write(&path, text).map_err(|error| format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
