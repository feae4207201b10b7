//! Every link leads somewhere, and every path that a page names is there.

use std::path::{Component, Path, PathBuf};

use super::pages::{Page, all, page, root};

/// Hosts that the pages may link to.
const HOSTS: [&str; 6] = [
    "huggingface.co",
    "keepachangelog.com",
    "rust-lang.org",
    "semver.org",
    "www.rfc-editor.org",
    "127.0.0.1",
];

/// `path` of a page in `folder`, from the root.
fn resolve(folder: &Path, path: &str) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir => assert!(resolved.pop(), "{path} leads out of the repository"),
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

fn check(page_of_link: &Page, line: usize, link: &str) {
    let place = format!("{}:{line}: {link}", page_of_link.name);
    if let Ok(url) = url::Url::parse(link) {
        let host = url.host_str().unwrap_or_default();
        assert!(HOSTS.contains(&host), "{place}: another host than {HOSTS:?}");
        assert!(url.scheme() == "https" || host == "127.0.0.1", "{place}");
        return;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(&page_of_link.name).parent().unwrap();
    let target = if path.is_empty() { PathBuf::from(&page_of_link.name) } else { resolve(folder, path) };
    assert!(root().join(&target).exists(), "{place} leads nowhere");
    let Some(anchor) = anchor else { return };
    assert!(target.extension().is_some_and(|extension| extension == "md"), "{place}: no page");
    let anchors = page(target.to_str().unwrap()).anchors();
    assert!(anchors.contains(anchor), "{place} is not among {anchors:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in all() {
        // Headings with the same anchor are refused, linked to or not.
        page.anchors();
        for (line, link) in page.links() {
            check(&page, line, &link);
            links += 1;
        }
    }
    assert!(links > 200, "{links}");
}

#[test]
fn every_path_that_is_named_exists() {
    let folders =
        ["src/", "tests/", "docs/", "deploy/", "examples/", "benches/", "fuzz/", "scripts/", "./scripts/"];
    let mut paths = 0;
    for page in all() {
        // It tells of what was, too.
        if page.name == "CHANGELOG.md" {
            continue;
        }
        for (line, code) in page.code() {
            let word = code.split(' ').next().unwrap_or_default();
            if folders.iter().any(|folder| word.starts_with(folder)) {
                let exists = root().join(word.trim_start_matches("./")).exists();
                assert!(exists, "{}:{line}: {word} does not exist", page.name);
                paths += 1;
            }
        }
    }
    assert!(paths > 30, "{paths}");
}

#[test]
fn the_life_of_a_request_names_each_file_as_it_links_to_it() {
    for (line, text) in page("docs/explanations/request.md").prose {
        for part in text.split("[`").skip(1) {
            let (name, rest) = part.split_once("`](").unwrap();
            let (target, _) = rest.split_once(')').unwrap();
            // A folder stands for its `mod.rs`.
            let file = if name.ends_with('/') { "mod.rs" } else { "" };
            assert_eq!(target, format!("../../src/{name}{file}"), "line {line}");
        }
    }
}

#[test]
fn the_table_of_places_has_each_module() {
    let rows = page("CONTRIBUTING.md").rows("## Find the place of a change");
    let places: String = rows.iter().map(|row| row[1].as_str()).collect();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // The list of modules, and what every one of them may use.
        if !matches!(&*name, "lib.rs" | "clock.rs") {
            assert!(places.contains(&format!("src/{name}")), "CONTRIBUTING.md: no row for src/{name}");
        }
    }
}
