//! The routes of a listener that belong to the router: the base paths of a policy.

use super::template::END;
use super::text::{indented, scalar};
use crate::routing::api::{Api, Apis, HostPattern};

/// The first line of the block with the route.
const PLACE: &str = "# -- COPY into the virtual host";
const EVERYTHING: &str = "- match: { prefix: / }\n";

/// What the attach topology needs as well. The router sets path and host together with the cluster, and Envoy then
/// looks for the route anew, by these: in another virtual host, and by a path that is the provider's.
const CHOSEN: &str = "\
# -- COPY into the virtual host with `domains: [\"*\"]`; add one if there is none: the same, once the router has chosen --
# By now path and host are the provider's, and Envoy looks for the route again. A client that sends this header is shown
# to the router as well, which takes it away.
- match: { prefix: /, headers: [{ name: x-model-router-cluster, present_match: true }] }
";

/// Returns the configuration with a route that leaves other requests of a listener alone.
pub(super) fn narrow(whole: &str, apis: &Apis) -> String {
    let (before, rest) = whole.split_at(whole.find(PLACE).expect("a test looks for it"));
    let (route, after) = rest.split_at(rest.find(END).expect("a block ends") + END.len());
    let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
    let (head, settings) = route.split_once(EVERYTHING).expect("a test looks for it");
    let for_hosts = |hosts: Vec<_>| format!("# The policy is for these hosts: {}\n", hosts.join(", "));
    let hosts = hosts(apis).map_or(String::new(), for_hosts);
    let narrow = format!("{hosts}- match: {{ {} }} # the base paths of the policy\n", matcher(apis));
    let mut text = format!("{before}{head}{}{settings}", indented(&narrow, column).trim_start());
    if settings.contains("cluster_header:") {
        let settings =
            settings.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("# ") || line.ends_with(END));
        text.push_str(&indented(CHOSEN, column));
        text.extend(settings);
    }
    text + after
}

/// Returns the hosts of the policy; `None` if an API is for any host.
pub(super) fn hosts(apis: &Apis) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for api in apis.iter() {
        if api.hosts.is_empty() {
            return None;
        }
        hosts.extend(api.hosts.iter().chain(&api.sandbox_hosts).map(host));
    }
    hosts.sort();
    hosts.dedup();
    Some(hosts)
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(domain) => format!("*.{domain}"),
    }
}

fn matcher(apis: &Apis) -> String {
    let mut paths: Vec<&str> = apis.iter().map(|api: &std::sync::Arc<Api>| &*api.base_path).collect();
    paths.sort_unstable();
    paths.dedup();
    match &*paths {
        [] | ["", ..] => "prefix: /".to_owned(),
        [path] => format!("path_separated_prefix: {}", scalar(path)),
        paths => {
            let paths: Vec<_> = paths.iter().map(|path| escaped(path)).collect();
            format!("safe_regex: {{ regex: '({})(/.*)?' }}", paths.join("|"))
        }
    }
}

/// Literally, within a regular expression within single quotes.
fn escaped(path: &str) -> String {
    let escape = |c: char| match c {
        '\'' => "''".to_owned(),
        c if c.is_ascii_alphanumeric() || "/-_~%!".contains(c) => c.to_string(),
        c => format!("\\{c}"),
    };
    path.chars().map(escape).collect()
}
