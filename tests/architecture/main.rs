//! What holds for the tree as a whole: who may import whom, that nobody imports in
//! a circle, how long files and functions may be, and what must not be in one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

mod imports;
mod sizes;
mod source;

use imports::Graph;
use source::{File, files};

/// The modules from the top down. A module imports only from lines below its own.
const ORDER: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["telemetry", "explain", "testing"],
    &["config"],
    &["proxy"],
    &["upstream"],
    &["gate"],
    &["forward_auth"],
    &["oauth2"],
    &["respond"],
    &["pages"],
    &["authn"],
    &["policy"],
    &["session"],
    &["hooks"],
    &["provider"],
    &["events"],
    &["identity"],
    &["server"],
    &["client"],
    &["keys", "pem"],
    &["clock", "causes", "masked", "setters"],
];
/// The stand-in for the provider shares nothing with what it tests, but the clock.
const HUB: &str = "hub";
const HUB_MAY_IMPORT: &[&str] = &["clock", "setters"];
/// Modules that may import the stand-in.
const MAY_IMPORT_HUB: &[&str] = &["commands", "main", "testing"];
/// Names that say nothing of what is inside.
const NOT_NOUNS: &[&str] = &["util", "utils", "common", "helpers", "helper", "misc", "shared", "part2"];

fn line_of(root: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&root))
}

/// Whether files of `from` may import files of `to`.
fn may_import(from: &str, to: &str) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        // `lib.rs` says what is public.
        ("lib", _) => true,
        (HUB, to) => HUB_MAY_IMPORT.contains(&to),
        (from, HUB) => MAY_IMPORT_HUB.contains(&from),
        (from, to) => match (line_of(from), line_of(to)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        },
    }
}

#[test]
fn a_module_imports_only_from_lines_below_its_own() {
    let files = files();
    let graph = Graph::new(&files);
    let mut wrong = Vec::new();
    for file in &files {
        let root = file.root();
        let is_known = root == "lib" || root == HUB || line_of(root).is_some();
        assert!(is_known, "{}: {root} is not in ORDER: give it a line", file.name());
    }
    for (from, imported) in &graph.edges {
        for to in imported {
            let (from, to) = (&files[*from], &files[*to]);
            if !may_import(from.root(), to.root()) {
                wrong.push(format!("{} imports {}", from.name(), to.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point upwards:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let files = files();
    let name = |index: &usize| files[*index].name();
    let circles: Vec<String> = Graph::new(&files)
        .circles()
        .iter()
        .map(|circle| circle.iter().map(name).collect::<Vec<_>>().join(" -> "))
        .collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

/// A glob hides what is imported, and so a circle.
#[test]
fn no_file_imports_all_names_of_a_module() {
    let files = files();
    let names: Vec<String> = Graph::new(&files).globs.iter().map(|index| files[*index].name()).collect();
    assert!(names.is_empty(), "globs outside of tests:\n{}", names.join("\n"));
}

/// What follows the tests of a file would not be measured.
#[test]
fn tests_stand_at_the_end_of_a_file() {
    for file in files().iter().filter(|file| !file.is_tests()) {
        let rest = &file.text[file.production().len()..];
        let after = rest.rfind('}').map_or("", |end| &rest[end + 1..]);
        let blocks = rest.matches("\n}").count();
        assert!(after.trim().is_empty() && blocks <= 1, "{}: code follows the tests", file.name());
    }
}

/// Only the decision gives permission.
#[test]
fn only_the_decision_makes_a_grant() {
    for file in files().iter().filter(|file| !file.path.ends_with("gate/decide.rs")) {
        assert!(!file.production().contains("Grant::new("), "{} makes a Grant", file.name());
    }
}

#[test]
fn files_functions_and_structs_are_short() {
    let long: Vec<String> = files().iter().flat_map(sizes::too_long).collect();
    assert!(long.is_empty(), "{} are too long:\n{}", long.len(), long.join("\n"));
}

#[test]
fn files_are_called_by_what_is_inside() {
    for file in files() {
        for name in file.path.with_extension("").iter().map(|part| part.to_str().unwrap()) {
            assert!(!NOT_NOUNS.contains(&name), "{} says nothing of what is inside", file.name());
        }
        for word in NOT_NOUNS {
            assert!(!file.text.contains(&format!("mod {word} ")), "{}: mod {word}", file.name());
            assert!(!file.text.contains(&format!("mod {word};")), "{}: mod {word}", file.name());
        }
    }
}

#[test]
fn nothing_is_unwrapped_and_no_macro_panics_outside_tests() {
    for file in files() {
        for word in [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "dbg!("] {
            let found = file.production().lines().position(|line| line.contains(word));
            assert_eq!(found, None, "{}, line {:?}: {word}", file.name(), found.map(|line| line + 1));
        }
    }
}

#[test]
fn the_policy_knows_no_http_but_method_and_path() {
    for file in files().iter().filter(|file| file.root() == "policy") {
        let code = file.production();
        for word in
            ["async ", ".await", "HeaderMap", "HeaderValue", "Request<", "Response<", "tokio::", "std::io"]
        {
            assert!(!code.contains(word), "{}: {word}", file.name());
        }
    }
}

/// Extensions are the interface of embedders, and filled by the layer alone.
#[test]
fn nothing_on_the_proxys_way_reads_or_writes_extensions() {
    let way =
        ["server", "proxy", "upstream", "forward_auth", "oauth2", "respond", "authn", "policy", "session"];
    // hyper's own, for RFC 8441.
    let is_protocol = |line: &str| line.contains("<Protocol>");
    for file in files().iter().filter(|file| way.contains(&file.root())) {
        let found = file.production().lines().position(|line| {
            let of_request =
                ["request.extensions", "parts.extensions"].iter().any(|word| line.contains(word));
            of_request && !is_protocol(line)
        });
        assert_eq!(found, None, "{}, line {:?}", file.name(), found.map(|line| line + 1));
    }
}

#[test]
fn the_order_names_each_module_once() {
    let mut named: Vec<&str> = ORDER.iter().flat_map(|line| line.iter().copied()).collect();
    let count = named.len();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), count);
    for name in named {
        let exists = files().iter().any(|file: &File| file.root() == name);
        assert!(exists, "{name} is in ORDER and not below src");
    }
}
