//! The place of the blocks in a listener: its `http_connection_manager`, and the virtual hosts for a policy's hosts.

use super::{at, child, child_list};
use crate::document::layout::Part;

const MANAGER: &str = "http_connection_manager.v3.HttpConnectionManager";

/// An `http_connection_manager` with virtual hosts.
pub(super) struct Manager<'a> {
    /// Its configuration.
    pub(super) part: &'a Part,
    /// The list of its virtual hosts.
    pub(super) hosts: &'a Part,
    /// The name of its listener.
    pub(super) listener: &'a str,
}

impl<'a> Manager<'a> {
    /// Finds the one in the listener of this name, or the only one that faces clients.
    pub(super) fn find(resources: &'a Part, wanted: Option<&str>) -> Result<Self, String> {
        let listeners = child_list(resources, "listeners")?;
        let mut found = Vec::new();
        for listener in listeners.items().iter().filter(|listener| listener.get("internal_listener").is_none()) {
            let name = listener.get("name").and_then(Part::text).unwrap_or_default();
            if wanted.is_none_or(|wanted| wanted == name) {
                found.extend(managers(listener)?.into_iter().map(|part| (name, part)));
            }
        }
        match &*found {
            [(listener, part)] => Self::of(listener, part),
            [] => {
                let which = wanted.map_or("no listener".to_owned(), |name| format!("no listener named `{name}`"));
                Err(at(listeners, &format!("{which} has an http_connection_manager here")))
            }
            [(first, _), rest @ ..] if rest.iter().all(|(name, _)| name == first) => {
                let problem = "has several http_connection_managers (filter chains)";
                Err(at(
                    listeners,
                    &format!("listener `{first}` {problem}; use --output fragment, and add the blocks by hand"),
                ))
            }
            several => {
                let mut names: Vec<_> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
                names.dedup();
                let names = names.join(", ");
                Err(at(
                    listeners,
                    &format!("several listeners have an http_connection_manager: {names}; choose one with --listener"),
                ))
            }
        }
    }

    fn of(listener: &'a str, part: &'a Part) -> Result<Self, String> {
        if part.get("route_config").is_none() {
            let problem =
                "the routes of this http_connection_manager are not in this file (`rds`); add the route where they are";
            return Err(at(part, &format!("{problem}, and the other blocks by --output fragment")));
        }
        Ok(Self { part, hosts: child_list(child(part, "route_config")?, "virtual_hosts")?, listener })
    }

    /// Returns the virtual hosts with these names, or else those that serve the hosts of a policy.
    pub(super) fn virtual_hosts(&self, names: &[String], hosts: Option<&[String]>) -> Result<Vec<&'a Part>, String> {
        let all = self.hosts.items();
        let named = |name: &String| {
            let found = all.iter().find(|host| host.get("name").and_then(Part::text) == Some(name));
            found.ok_or_else(|| at(self.hosts, &format!("there is no virtual host named `{name}`")))
        };
        let found = match (names, hosts, all) {
            ([_, ..], ..) => names.iter().map(named).collect::<Result<Vec<_>, _>>()?,
            (_, Some(hosts), _) => self.serving(hosts)?,
            (_, None, [only]) => vec![only],
            (_, None, _) => {
                let names: Vec<_> = all.iter().filter_map(|host| host.get("name")?.text()).collect();
                let problem =
                    format!("the policy is for any host, and there are several virtual hosts: {}", names.join(", "));
                return Err(at(
                    self.hosts,
                    &format!("{problem}; choose with --virtual-host, or give the APIs `hosts`"),
                ));
            }
        };
        match found.iter().find(|host| host.is_shared || host.is_flow) {
            None => Ok(found),
            Some(host) => {
                Err(at(host, "this virtual host is an alias, has an anchor or is written in braces; write it out"))
            }
        }
    }

    fn serving(&self, hosts: &[String]) -> Result<Vec<&'a Part>, String> {
        let mut found: Vec<&Part> = Vec::new();
        for host in hosts {
            let best = self.hosts.items().iter().max_by_key(|it| fit(it, host)).filter(|it| fit(it, host).is_some());
            let Some(best) = best else {
                let problem = format!("no virtual host serves `{host}`, for which the policy is");
                return Err(at(self.hosts, &format!("{problem}; add one with at least one route")));
            };
            let below = self.hosts.items().iter().filter(|it| is_below(it, host));
            for it in below.chain([best]) {
                if !found.iter().any(|known| std::ptr::eq(*known, it)) {
                    found.push(it);
                }
            }
        }
        Ok(found)
    }

    /// Returns the virtual host for all hosts.
    pub(super) fn virtual_host_of_all(&self) -> Result<Option<&'a Part>, String> {
        let found = self.hosts.items().iter().find(|host| domains(host).any(|domain| domain == "*"));
        match found {
            Some(host) if host.is_shared || host.is_flow => {
                Err(at(host, "this virtual host is an alias, has an anchor or is written in braces; write it out"))
            }
            found => Ok(found),
        }
    }
}

/// Returns the configurations of a listener's managers.
fn managers(listener: &Part) -> Result<Vec<&Part>, String> {
    let chains = listener.get("filter_chains");
    let each = chains.into_iter().flat_map(Part::items).chain(listener.get("default_filter_chain"));
    let mut found = Vec::new();
    for chain in each {
        let filters = chain.get("filters");
        for filter in filters.into_iter().flat_map(Part::items) {
            let Some(config) = filter.get("typed_config") else { continue };
            if !config.get("@type").and_then(Part::text).is_some_and(|kind| kind.ends_with(MANAGER)) {
                continue;
            }
            let way = [Some(listener), chains, Some(chain), filters, Some(filter), Some(config)];
            if let Some(part) = way.into_iter().flatten().find(|part| part.is_shared || part.is_flow) {
                let problem = "the way to this http_connection_manager has an anchor, an alias, brackets or braces";
                return Err(at(part, &format!("{problem}; write it out")));
            }
            found.push(config);
        }
    }
    Ok(found)
}

fn domains(host: &Part) -> impl Iterator<Item = &str> {
    host.get("domains").into_iter().flat_map(Part::items).filter_map(Part::text)
}

/// Returns how well a virtual host fits a host, as Envoy ranks them: exactly, by its end, by its beginning, as any host.
fn fit(virtual_host: &Part, host: &str) -> Option<(u8, usize)> {
    let rank = |domain: &str| match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        _ if domain.eq_ignore_ascii_case(host) => Some((3, domain.len())),
        (Some(""), _) => Some((0, 0)),
        (Some(end), _) if host.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase()) => Some((2, end.len())),
        (_, Some(start)) if host.to_ascii_lowercase().starts_with(&start.to_ascii_lowercase()) => {
            Some((1, start.len()))
        }
        _ => None,
    };
    domains(virtual_host).filter_map(rank).max()
}

/// Returns whether a virtual host is for some of the hosts of a pattern.
fn is_below(virtual_host: &Part, pattern: &str) -> bool {
    let is_below = |end: &str| domains(virtual_host).any(|domain| domain.to_ascii_lowercase().ends_with(end));
    pattern.strip_prefix('*').is_some_and(|end| is_below(&end.to_ascii_lowercase()))
}
