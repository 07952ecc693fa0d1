//! The documentation holds together: links lead somewhere, and its commands are ones that there are.

mod commands;
mod links;
mod shell;

use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::envoy::root;

/// A page: its path below the root, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), text: fs::read_to_string(root().join(path)).expect("readable") }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The lines outside of blocks of code.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_code = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        })
    }
}

/// Every page for people.
fn pages() -> Vec<Page> {
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut pages: Vec<_> = top.iter().map(|name| Page::read(Path::new(name))).collect();
    for directory in ["docs", "examples"] {
        collect(Path::new(directory), &mut pages);
    }
    assert!(pages.len() > 20, "{} pages", pages.len());
    pages
}

fn collect(directory: &Path, pages: &mut Vec<Page>) {
    let Ok(entries) = fs::read_dir(root().join(directory)) else { return };
    for entry in entries {
        let path = directory.join(entry.expect("readable").file_name());
        if root().join(&path).is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(Page::read(&path));
        }
    }
}
