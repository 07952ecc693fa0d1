//! Which API takes which request: that no two of them could take the same one, and that each takes some.
//!
//! APIs meet only where they share a host pattern and a base path, so they are compared group by group, and within a
//! group by headers and by path: ten thousand of them are compared in a moment.

mod rivals;

use std::collections::{HashMap, HashSet};

use http::Method;

use super::apis::Draft;
use super::operations::Claim;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::routing::api::{HeaderRules, HostPattern};
use rivals::Rivals;

/// Where an API is; `None` is any host.
type Spot<'d> = (Option<&'d HostPattern>, &'d str);

/// The APIs of every spot, in the order of the policy.
type Groups<'d> = HashMap<Spot<'d>, Vec<usize>>;

/// Takes from the APIs that name no operations those that another API at the same spot names, for the same headers.
pub(super) fn leave_to_others(drafts: &mut [Draft<'_>], report: &mut Report) {
    for (index, left) in left_over(drafts) {
        let draft = &mut drafts[index];
        if left.is_empty() {
            let message = format!("API {} is left with no operations: other APIs name them all", shown(draft.name));
            report.error_with(
                draft.place,
                message,
                "remove it, or give it other `hosts` or another `base_path`".to_owned(),
            );
        }
        draft.operations = Some(left);
    }
}

/// Returns the remaining operations of each API that names none and loses some to another API.
fn left_over(drafts: &[Draft<'_>]) -> Vec<(usize, Vec<Claim>)> {
    let groups = groups(drafts);
    let mut named: HashMap<(Spot<'_>, &HeaderRules), Index<'_>> = HashMap::new();
    for (spot, index) in groups.iter().flat_map(|(spot, group)| group.iter().map(move |index| (*spot, *index))) {
        let of_headers = named.entry((spot, drafts[index].rules())).or_default();
        if drafts[index].explicit {
            drafts[index].claims().for_each(|claim| of_headers.add(index, claim));
        }
    }
    let mut lost = Vec::new();
    for (index, draft) in drafts.iter().enumerate().filter(|(_, draft)| !draft.explicit) {
        let taken = |claim: &Claim| draft.spots().any(|spot| named[&(spot, draft.rules())].earliest(claim).is_some());
        let left: Vec<_> = draft.claims().filter(|claim| !taken(claim)).cloned().collect();
        if left.len() < draft.claims().count() {
            lost.push((index, left));
        }
    }
    lost
}

/// Reports APIs that could take the same request, each with the first that does.
pub(super) fn disjoint(drafts: &[Draft<'_>], report: &mut Report) {
    let groups = groups(drafts);
    let mut spots: Vec<_> = groups.iter().filter(|(_, group)| group.len() > 1).collect();
    spots.sort_by_key(|(_, group)| group[0]);
    let mut reported = HashSet::new();
    for (spot, group) in spots {
        let mut rivals = Rivals::default();
        for &later in group {
            let draft = &drafts[later];
            let clash = rivals.earliest(draft);
            if let Some(earlier) = clash.filter(|&earlier| drafts[earlier].name != draft.name)
                && reported.insert(later)
            {
                overlap(&drafts[earlier], draft, spot.0, report);
            }
            rivals.add(later, draft);
        }
    }
}

fn overlap(earlier: &Draft<'_>, later: &Draft<'_>, host: Option<&HostPattern>, report: &mut Report) {
    let shared = |claim: &'_ Claim| earlier.claims().find_map(|other| claim.shared_method(other).cloned());
    let mut shared = later.claims().filter_map(|claim| Some((claim, shared(claim)?)));
    let Some((claim, method)) = shared.next() else { return };
    let request = request(&method, later, claim);
    let more = match shared.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let place = claim.place.unwrap_or(later.place);
    let first = report.locate(earlier.place, place);
    let (host, one, other) = (in_words(host), shown(later.name), shown(earlier.name));
    let message = format!("APIs {one} and {other} (at {first}) both take {request}{more} on {host}");
    if earlier.rules() == later.rules() {
        let help = "give one of them other `hosts`, another `base_path` or its own `operations`".to_owned();
        return report.error_with(place, message, help);
    }
    let (ours, theirs) = (shown(&later.rules().to_string()), shown(&earlier.rules().to_string()));
    let message = format!("{message}, of a request that fits both {ours} and {theirs}");
    let help = "let one ask for all that the other one asks for and for more, or both for other values of one header";
    report.error_with(place, message, help.to_owned());
}

/// Reports operations that are never reached, because their paths lie below the longer base path of another API.
pub(super) fn reachable(drafts: &[Draft<'_>], report: &mut Report) {
    let groups = groups(drafts);
    for draft in drafts {
        let shadows: Vec<_> = draft.claims().map(|claim| (claim, shadow(draft, claim, drafts, &groups))).collect();
        let lost: Vec<_> = shadows.iter().filter_map(|(claim, by)| Some((*claim, &drafts[(*by)?]))).collect();
        let Some((claim, by)) = lost.first() else { continue };
        if lost.len() == shadows.len() && !draft.explicit {
            let message = format!(
                "API {} gets no request: those below {} go to API {}",
                shown(draft.name),
                base(by),
                shown(by.name)
            );
            report.error_with(draft.place, message, HELP.to_owned());
        } else if !draft.explicit {
            let request = request(&claim.operation.methods[0], draft, claim);
            let message = format!("{request} goes to API {}, whose base path {} is longer", shown(by.name), base(by));
            report.warning(draft.place, message, None);
        } else {
            lost.iter().for_each(|(claim, by)| unreached(draft, claim, by, report));
        }
    }
}

const HELP: &str = "requests go to the longest base path that fits, and are not looked for elsewhere";

fn unreached(draft: &Draft<'_>, claim: &Claim, by: &Draft<'_>, report: &mut Report) {
    let request = request(&claim.operation.methods[0], draft, claim);
    let message = format!(
        "API {} never gets {request}: what is below {} goes to API {}",
        shown(draft.name),
        base(by),
        shown(by.name)
    );
    report.error_with(claim.place.unwrap_or(draft.place), message, HELP.to_owned());
}

/// Returns the API that takes all requests of an operation, at every spot of its own API, because its base path is
/// longer.
fn shadow(draft: &Draft<'_>, claim: &Claim, drafts: &[Draft<'_>], groups: &Groups<'_>) -> Option<usize> {
    let mut by = None;
    for (host, base_path) in draft.spots() {
        let path = format!("{base_path}{}", claim.path());
        // What a placeholder matches is not known here.
        let known = path.find("/{").map_or(path.len(), |at| at);
        let ends = path[..known].match_indices('/').map(|(at, _)| at).chain([known]).rev();
        let longer = ends.filter(|end| *end > base_path.len());
        let all = |group: &Vec<usize>| group.iter().copied().find(|&other| draft.rules().imply(drafts[other].rules()));
        by = Some(longer.filter_map(|end| all(groups.get(&(host, &path[..end]))?)).next()?);
    }
    by
}

fn groups<'d>(drafts: &'d [Draft<'_>]) -> Groups<'d> {
    let mut groups = Groups::new();
    for (index, draft) in drafts.iter().enumerate() {
        for spot in draft.spots() {
            groups.entry(spot).or_default().push(index);
        }
    }
    groups
}

fn request(method: &Method, draft: &Draft<'_>, claim: &Claim) -> String {
    shown(&format!("{method} {}{}", draft.base_path.as_deref().unwrap_or_default(), claim.path()))
}

fn base(draft: &Draft<'_>) -> String {
    shown(draft.base_path.as_deref().unwrap_or_default())
}

fn in_words(host: Option<&HostPattern>) -> String {
    match host {
        None => "any host".to_owned(),
        Some(HostPattern::Exact(host)) => format!("host {}", shown(host)),
        Some(HostPattern::Below(domain)) => format!("hosts {}", shown(&format!("*.{domain}"))),
    }
}

/// Operations by path: only those with placeholders have to be compared one by one.
#[derive(Default)]
struct Index<'c> {
    plain: HashMap<(&'c str, &'c Method), (usize, &'c Claim)>,
    patterns: Vec<(usize, &'c Claim)>,
    all: Vec<(usize, &'c Claim)>,
}

impl<'c> Index<'c> {
    fn add(&mut self, api: usize, claim: &'c Claim) {
        self.all.push((api, claim));
        if claim.path().contains('{') {
            self.patterns.push((api, claim));
            return;
        }
        for method in &claim.operation.methods {
            self.plain.entry((claim.path(), method)).or_insert((api, claim));
        }
    }

    /// Returns the first API that takes some request of this operation.
    fn earliest(&self, claim: &Claim) -> Option<(usize, &'c Claim)> {
        let shares = |(_, other): &&(usize, &'c Claim)| claim.shared_method(other).is_some();
        if claim.path().contains('{') {
            return self.all.iter().find(shares).copied();
        }
        let plain =
            claim.operation.methods.iter().filter_map(|method| self.plain.get(&(claim.path(), method))).copied();
        let pattern = self.patterns.iter().find(shares).copied();
        plain.chain(pattern).min_by_key(|(api, _)| *api)
    }
}
