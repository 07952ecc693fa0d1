//! Links between pages, and to files of the repository.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Page, pages};
use crate::rig::envoy::root;

/// The targets of the links of a page.
fn links(page: &Page) -> Vec<String> {
    let text = page.prose().collect::<Vec<_>>().join("\n");
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Page) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let headings = page.prose().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let is_kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
        let slug: String = heading.to_lowercase().chars().filter(is_kept).collect();
        let slug = slug.replace(' ', "-");
        let count = seen.entry(slug.clone()).and_modify(|count| *count += 1).or_insert(0);
        if *count == 0 { slug } else { format!("{slug}-{count}") }
    };
    headings.map(anchor).collect()
}

/// The path of a link, with `..` resolved.
fn resolved(page: &Path, link: &str) -> std::path::PathBuf {
    let mut path = page.parent().expect("a page is in a directory").to_owned();
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." { _ = path.pop() } else { path.push(part) }
    }
    path
}

fn problem(pages: &[Page], page: &Page, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = if file.is_empty() { page.path.clone() } else { resolved(&page.path, file) };
    if !root().join(&path).exists() {
        return Some(format!("{}: {link}: there is no {}", page.name(), path.display()));
    }
    let target = pages.iter().find(|page| page.path == path).filter(|_| !anchor.is_empty())?;
    let is_there = anchors(target).iter().any(|known| known == anchor);
    (!is_there).then(|| format!("{}: {link}: there is no such heading", page.name()))
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let pages = pages();
    let (mut count, mut problems) = (0, Vec::new());
    for page in &pages {
        for link in links(page).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            count += 1;
            problems.extend(problem(&pages, page, link));
        }
    }
    println!("{count} links of {} pages", pages.len());
    assert!(count > 100, "only {count} links");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
