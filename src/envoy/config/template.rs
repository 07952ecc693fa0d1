//! The shipped files as templates: the places in them that tie them to one machine.

use std::net::SocketAddr;
use std::path::Path;

use super::text::{indented, scalar};
use super::{Settings, Topology};
use crate::address::ListenAddress;

const ATTACH: &str = include_str!("../../../envoy/attach.yaml");
const FAILOVER: &str = include_str!("../../../envoy/failover.yaml");

/// Each is in both files exactly once, but for the router's, which two clusters have.
const LISTEN: &str = "socket_address: { address: 127.0.0.1, port_value: 10000 }";
const ADMIN: &str = "socket_address: { address: 127.0.0.1, port_value: 9901 }";
const ROUTER: &str = "socket_address: { address: 127.0.0.1, port_value: 18000 }";
const CLUSTERS_FILE: &str = "path: envoy/clusters.yaml\n      watched_directory: { path: envoy }\n";

/// The marks of a block without which the router gets no copies of responses.
const USAGE: &str = "# -- USAGE";
const USAGE_END: &str = "# -- end of USAGE --\n";

/// The mark of a block to copy; its destination follows in the same line.
pub(super) const COPY: &str = "# -- COPY";
/// The line after it.
pub(super) const END: &str = "# -- end of COPY --\n";

/// Returns the topology's file with these settings, and with these clusters unless there is a file for them.
pub(super) fn fill(settings: &Settings, clusters: &str) -> String {
    let template = match settings.topology {
        Topology::Attach => ATTACH,
        Topology::Failover => FAILOVER,
    };
    let text = template.replace(LISTEN, &socket(settings.listen)).replace(ADMIN, &socket(settings.admin));
    let text = text.replace(ROUTER, &address(&settings.router));
    let text = if settings.usage { text } else { without_usage(&text) };
    match &settings.clusters_file {
        Some(path) => text.replace(CLUSTERS_FILE, &clusters_file(path)),
        None => with_clusters(&text, clusters),
    }
}

/// Returns the text without the blocks by which the router gets copies of responses.
fn without_usage(text: &str) -> String {
    let mut is_inside = false;
    let is_kept = |line: &&str| {
        let line = line.trim_start();
        is_inside |= line.starts_with(USAGE);
        let is_kept = !is_inside;
        is_inside &= line != USAGE_END;
        is_kept
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}

fn socket(address: SocketAddr) -> String {
    format!("socket_address: {{ address: {}, port_value: {} }}", scalar(&address.ip().to_string()), address.port())
}

fn address(router: &ListenAddress) -> String {
    match router {
        ListenAddress::Tcp(address) => socket(*address),
        ListenAddress::Unix(path) => format!("pipe: {{ path: {} }}", scalar(&path.display().to_string())),
    }
}

fn clusters_file(path: &Path) -> String {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let [path, directory] = [path, directory].map(|path| scalar(&path.display().to_string()));
    format!("path: {path}\n      watched_directory: {{ path: {directory} }}\n")
}

/// Without the block that names a clusters' file, and with the clusters at the end.
fn with_clusters(text: &str, clusters: &str) -> String {
    let place = text.find(CLUSTERS_FILE).expect("a test looks for it");
    let begin = text[..place].rfind(COPY).expect("the block has a beginning");
    let end = place + text[place..].find(END).expect("the block has an end") + END.len();
    let rest = text[end..].trim_start_matches('\n');
    let clusters = indented(clusters, 2);
    format!("{}{rest}\n  {COPY} into static_resources.clusters: the providers' --\n{clusters}  {END}", &text[..begin])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_in_both_files() {
        for template in [ATTACH, FAILOVER] {
            for (place, count) in [(LISTEN, 1), (ADMIN, 1), (ROUTER, 2), (CLUSTERS_FILE, 1)] {
                assert_eq!(template.matches(place).count(), count, "{place}");
            }
        }
    }

    #[test]
    fn a_shipped_file_is_what_is_written_for_its_own_settings() {
        for (topology, template) in [(Topology::Attach, ATTACH), (Topology::Failover, FAILOVER)] {
            let clusters_file = Some("envoy/clusters.yaml".into());
            assert_eq!(fill(&Settings { topology, clusters_file, ..Settings::default() }, ""), template);
        }
    }

    #[test]
    fn without_usage_nothing_of_it_is_left() {
        for topology in [Topology::Attach, Topology::Failover] {
            let text = fill(&Settings { topology, usage: false, ..Settings::default() }, "");
            assert!(!text.to_lowercase().contains("usage"), "{text}");
        }
    }

    #[test]
    fn addresses_take_their_places() {
        let settings = Settings {
            router: "unix:/run/router.sock".parse().expect("an address"),
            listen: "[::]:443".parse().expect("an address"),
            clusters_file: Some("clusters.yaml".into()),
            ..Settings::default()
        };
        let text = fill(&settings, "");
        for line in [
            "pipe: { path: /run/router.sock }\n",
            "socket_address: { address: \"::\", port_value: 443 }\n",
            "path: clusters.yaml\n      watched_directory: { path: \".\" }\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
