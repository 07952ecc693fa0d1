//! The blocks of a fragment, put where they belong in an Envoy file that exists. Lines are only inserted: every line of
//! the file stays as it is, comments included. What is not understood is refused.

mod changes;
mod items;
mod manager;

use super::fragment::{self, Block};
use super::route;
use super::{Settings, bootstrap};
use crate::document::layout::{self, Part};
use crate::routing::snapshot::Snapshot;
use changes::Changes;
use items::Items;
use manager::Manager;

/// The virtual host that the attach topology needs, where no other is for all hosts.
const CHOSEN_HOST: &str = "- name: model-router-chosen\n  domains: [\"*\"]\n  routes:\n";
/// A filter that ends the list, by its name or the end of its type.
const ROUTER: &str = "envoy.filters.http.router";
const ROUTER_TYPE: &str = "extensions.filters.http.router.v3.Router";

/// The file that is added to, and where.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Its name, for messages.
    pub file: String,
    /// The listener, where several have an `http_connection_manager`.
    pub listener: Option<String>,
    /// The virtual hosts that get the route; by the hosts of the policy where none is given.
    pub virtual_hosts: Vec<String>,
}

/// A file with the blocks in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The whole file.
    pub text: String,
    /// What was inserted, as a unified diff; empty if everything was there.
    pub diff: String,
    /// The listener and the virtual hosts that have the route.
    pub place: String,
}

/// Returns a file with the blocks that a policy needs; those that it has already are left alone.
///
/// # Errors
/// The policy's clusters contradict each other, or there is no place for a block, with the line where that shows.
pub fn merge(existing: &str, target: &Target, snapshot: &Snapshot, settings: &Settings) -> Result<Merged, String> {
    let whole = bootstrap(snapshot, settings)
        .map_err(|conflicts| format!("Envoy can't be configured for this policy\n{conflicts}"))?;
    let blocks = fragment::blocks(&route::narrow(&whole, &snapshot.apis));
    let hosts = route::hosts(&snapshot.apis);
    let insert = |text: &str| {
        insert(text, target, &blocks, hosts.as_deref()).map_err(|problem| format!("{}:{problem}", target.file))
    };
    let merged = insert(existing)?;
    // Envoy would notice a mistake as well, but would not say whose it is.
    if insert(&merged.text)?.diff.is_empty() {
        return Ok(merged);
    }
    Err(format!("{}: this file is not understood; use --output fragment, and add the blocks by hand", target.file))
}

fn insert(existing: &str, target: &Target, blocks: &[Block], hosts: Option<&[String]>) -> Result<Merged, String> {
    let root = layout::read(existing)?;
    if root.is_flow {
        return Err(at(
            &root,
            "the file is written in braces (JSON); write it as YAML blocks, or use --output fragment",
        ));
    }
    let resources = child(&root, "static_resources")?;
    let manager = Manager::find(resources, target.listener.as_deref())?;
    let virtual_hosts = manager.virtual_hosts(&target.virtual_hosts, hosts)?;
    let mut merger = Merger { changes: Changes::of(existing), root: &root, resources, manager: &manager };
    for block in blocks {
        merger.block(block, &virtual_hosts)?;
    }
    let names: Vec<_> = virtual_hosts.iter().filter_map(|host| host.get("name")?.text()).collect();
    let place = format!("listener {}, virtual host {}", manager.listener, names.join(", "));
    let (text, diff) = merger.changes.apply();
    Ok(Merged { text, diff, place })
}

struct Merger<'a> {
    changes: Changes<'a>,
    root: &'a Part,
    resources: &'a Part,
    manager: &'a Manager<'a>,
}

impl Merger<'_> {
    fn block(&mut self, block: &Block, virtual_hosts: &[&Part]) -> Result<(), String> {
        let Block { place, text } = block;
        let manager = self.manager.part;
        match place {
            _ if place.starts_with("top level") => self.top_level(text),
            _ if place.starts_with("into static_resources.listeners") => self.append(self.resources, "listeners", text),
            _ if place.starts_with("into static_resources.clusters") => self.append(self.resources, "clusters", text),
            _ if place.starts_with("into your http_connection_manager") => self.keys(manager, text),
            _ if place.starts_with("into access_log") => self.append(manager, "access_log", text),
            _ if place.starts_with("into http_filters") => self.filter(text),
            _ if place.starts_with("into the virtual host with") => self.chosen(text),
            _ if place.starts_with("into the virtual host of") => {
                virtual_hosts.iter().try_for_each(|host| self.route(host, text))
            }
            _ => Err(format!("there is no rule for a block {place}")),
        }
    }

    fn top_level(&mut self, text: &str) -> Result<(), String> {
        let block = Items::read(text);
        for (key, value, lines) in block.entries() {
            match (key, self.root.get(key)) {
                (_, None) => self.changes.end_of(self.root, &lines),
                (_, Some(known)) if known.is_same(value) => {}
                ("node", Some(known)) if known.get("id").is_some() && known.get("cluster").is_some() => {}
                ("layered_runtime", Some(known)) => {
                    let layers = value.get("layers").expect("the block has layers");
                    self.append_items(child_list(known, "layers")?, &block.of(layers))?;
                }
                ("bootstrap_extensions", Some(known)) => self.append_items(list(known, key)?, &block.of(value))?,
                (_, Some(known)) => {
                    let problem = format!("`{key}` is there already, and is not what is to be added");
                    return Err(at(known, &format!("{problem}; use --output fragment, and add that block by hand")));
                }
            }
        }
        Ok(())
    }

    /// Adds the items of a block to the list at a key, which is made where it is missing.
    fn append(&mut self, map: &Part, key: &str, text: &str) -> Result<(), String> {
        let block = Items::read(text);
        let Some(known) = map.get(key) else {
            self.changes.end_of(map, &format!("{key}:\n{text}"));
            return Ok(());
        };
        self.append_items(list(known, key)?, &block.items())
    }

    fn append_items(&mut self, known: &Part, items: &[(&Part, String)]) -> Result<(), String> {
        for (item, lines) in items {
            if !is_there(known, item)? {
                self.changes.end_of_list(known, lines)?;
            }
        }
        Ok(())
    }

    /// Adds keys to a map, or their items to the lists that are there.
    fn keys(&mut self, map: &Part, text: &str) -> Result<(), String> {
        let block = Items::read(text);
        for (key, value, lines) in block.entries() {
            match map.get(key) {
                None => self.changes.end_of(map, &lines),
                Some(known) => self.append_items(list(known, key)?, &block.of(value))?,
            }
        }
        Ok(())
    }

    fn filter(&mut self, text: &str) -> Result<(), String> {
        let filters = child_list(self.manager.part, "http_filters")?;
        let block = Items::read(text);
        let is_router = |filter: &&Part| {
            let kind = filter.get("typed_config").and_then(|config| config.get("@type")?.text());
            filter.get("name").and_then(Part::text) == Some(ROUTER) || kind.is_some_and(|it| it.ends_with(ROUTER_TYPE))
        };
        let router = filters.items().iter().find(is_router);
        let router = router.ok_or_else(|| at(filters, "no filter here is `envoy.filters.http.router`"))?;
        for (item, lines) in block.items() {
            if !is_there(filters, item)? {
                self.changes.before(router, &lines)?;
            }
        }
        Ok(())
    }

    /// Adds the route before those of the virtual host.
    fn route(&mut self, host: &Part, text: &str) -> Result<(), String> {
        let routes = child_list(host, "routes")?;
        for (item, lines) in Items::read(text).items() {
            if is_there(routes, item)? {
                continue;
            }
            if let Some(other) = routes.items().iter().find(|known| leads_to(known) == leads_to(item)) {
                return Err(at(
                    other,
                    "a route to the router is here already, and is not the one to be added; remove it",
                ));
            }
            match routes.items().first() {
                Some(first) => self.changes.before(first, &lines)?,
                None => return Err(at(routes, "the list of routes is empty; write one route")),
            }
        }
        Ok(())
    }

    fn chosen(&mut self, text: &str) -> Result<(), String> {
        match self.manager.virtual_host_of_all()? {
            Some(host) => self.chosen_route(host, text),
            None => {
                let lines = format!("{CHOSEN_HOST}{}", super::text::indented(text, 2));
                self.append_items(self.manager.hosts, &Items::read(&lines).items())
            }
        }
    }

    fn chosen_route(&mut self, host: &Part, text: &str) -> Result<(), String> {
        let routes = child_list(host, "routes")?;
        let first = routes.items().first().ok_or_else(|| at(routes, "the list of routes is empty; write one route"))?;
        for (item, lines) in Items::read(text).items() {
            if !is_there(routes, item)? {
                self.changes.before(first, &lines)?;
            }
        }
        Ok(())
    }
}

/// Returns the cluster of a route, or the header that names it, and the headers by which it is matched.
fn leads_to(route: &Part) -> (Option<&str>, bool) {
    let action = route.get("route");
    let cluster = action.and_then(|it| it.get("cluster_header").or_else(|| it.get("cluster")));
    (cluster.and_then(Part::text), route.get("match").is_some_and(|it| it.get("headers").is_some()))
}

/// Returns whether a list has an item already.
fn is_there(known: &Part, item: &Part) -> Result<bool, String> {
    if known.items().iter().any(|known| known.is_same(item)) {
        return Ok(true);
    }
    // Filters, clusters and listeners have names of ours; what has Envoy's own name may be there several times.
    let Some(name) = item.get("name").and_then(Part::text).filter(|name| !name.starts_with("envoy.")) else {
        return Ok(false);
    };
    match known.items().iter().find(|known| known.get("name").and_then(Part::text) == Some(name)) {
        None => Ok(false),
        Some(other) => {
            let problem = format!("`{name}` is here already, and is not what is to be added");
            Err(at(other, &format!("{problem}; remove it if it is an older one, or rename it")))
        }
    }
}

/// Returns a message with the place of a value.
fn at(part: &Part, problem: &str) -> String {
    format!("{}:{}: {problem}", part.line + 1, part.column + 1)
}

/// Returns the value of a key that is inserted into, or below.
fn child<'a>(map: &'a Part, key: &str) -> Result<&'a Part, String> {
    let found = map.get(key).ok_or_else(|| at(map, &format!("there is no `{key}` here")))?;
    if found.is_shared {
        return Err(at(found, &format!("`{key}` has an anchor or is an alias, so a change here would show elsewhere")));
    }
    if found.is_flow {
        let problem = format!("`{key}` is written in brackets or braces; write it as a block, an item or key a line");
        return Err(at(found, &problem));
    }
    Ok(found)
}

fn child_list<'a>(map: &'a Part, key: &str) -> Result<&'a Part, String> {
    list(child(map, key)?, key)
}

fn list<'a>(found: &'a Part, key: &str) -> Result<&'a Part, String> {
    let is_usable = !found.items().is_empty() && !found.is_flow && !found.is_shared;
    if is_usable { Ok(found) } else { Err(at(found, &format!("`{key}` is no list with an item a line"))) }
}

#[cfg(test)]
mod tests;
