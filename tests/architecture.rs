//! What holds for the tree as a whole: who may import whom, how long a file may
//! be, and what must not be in one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module, and what it may import. `main` and `commands` may import all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("hub", &["clock"]),
    (
        "config",
        &[
            "server", "upstream", "explain", "gate", "oauth2", "authn", "policy", "session", "provider",
            "identity", "client", "keys", "clock",
        ],
    ),
    ("telemetry", &["forward_auth", "respond", "client", "identity"]),
    ("explain", &["gate", "respond", "authn", "policy", "session", "identity", "client", "keys", "clock"]),
    ("proxy", &["server", "gate", "upstream", "pages", "respond", "client"]),
    ("server", &["client"]),
    ("upstream", &["gate", "client", "identity"]),
    (
        "gate",
        &[
            "forward_auth",
            "oauth2",
            "respond",
            "authn",
            "policy",
            "session",
            "provider",
            "client",
            "identity",
            "keys",
            "clock",
        ],
    ),
    ("forward_auth", &["gate", "oauth2", "respond", "policy", "client", "identity"]),
    ("oauth2", &["respond", "authn", "pages", "session", "provider", "client", "identity", "keys", "clock"]),
    (
        "respond",
        &[
            "gate",
            "forward_auth",
            "oauth2",
            "authn",
            "policy",
            "pages",
            "session",
            "provider",
            "client",
            "identity",
        ],
    ),
    ("authn", &["oauth2", "respond", "policy", "session", "provider", "identity", "keys", "clock"]),
    ("policy", &["provider", "identity", "client"]),
    ("session", &["identity", "keys", "clock"]),
    ("provider", &["identity", "keys", "clock"]),
    ("identity", &["keys", "clock"]),
    ("pages", &[]),
    ("client", &[]),
    ("keys", &[]),
    ("clock", &[]),
];
/// Those that may import everything; nobody imports them.
const ON_TOP: &[&str] = &["main", "commands"];
/// What re-exports at the root stand for, as far as our own modules use them.
const ROOT: &[(&str, &str)] = &[
    ("Client", "client"),
    ("Peer", "client"),
    ("PublicUrl", "client"),
    ("TrustedProxies", "client"),
    ("Gate", "gate"),
    ("GateBuilder", "gate"),
    ("GateLayer", "gate"),
    ("GateService", "gate"),
    ("Grant", "gate"),
    ("PathPattern", "policy"),
    ("Refusal", "respond"),
    ("Route", "policy"),
    ("Rule", "policy"),
    ("Org", "identity"),
    ("Role", "identity"),
    ("User", "identity"),
];
/// A file past this is two nouns.
const LONGEST: usize = 400;
/// Names that say nothing of what is inside.
const NOT_NOUNS: &[&str] = &["util", "utils", "common", "helpers", "helper", "misc", "shared", "part2"];

/// A source file: where it is, and its text without comments and strings.
struct File {
    path: PathBuf,
    /// The module it belongs to: `gate` for `src/gate/route.rs`.
    module: String,
    /// How many modules deep it is: 1 for `src/gate/mod.rs`, 2 for `src/gate/route.rs`.
    depth: usize,
    text: String,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "the sources are not where they were: {}", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut names: Vec<String> = path
                .strip_prefix(root)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|name| name.to_str().unwrap().to_owned())
                .collect();
            if names.last().is_some_and(|name| name == "mod") {
                names.pop();
            }
            let text = code(&fs::read_to_string(&path).unwrap());
            // From `src` on: where the tree lies is no matter of ours.
            let path = path.strip_prefix(root.parent().unwrap()).unwrap().to_owned();
            found.push(File { module: names[0].clone(), depth: names.len(), path, text });
        }
    }
}

/// Rust without comments, strings and character literals: none of them imports
/// anything. Lines stay lines.
fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) =
            raw_string(rest).filter(|_| !out.ends_with(|c: char| c.is_alphanumeric()))
        {
            length
        } else if first == '"' {
            string(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    out
}

fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = start.len() - start.trim_start_matches('#').len();
    let inside = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let before = text.len() - inside.len();
    Some(before + inside.find(&end)? + end.len())
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'x'` or `'\n'`, but not a lifetime.
fn character(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut chars = rest.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
        return Some(1 + rest.get(2..)?.find('\'')? + 3);
    }
    let (index, next) = chars.next()?;
    (next == '\'').then_some(1 + index + 1)
}

/// Without `#[cfg(test)] mod tests { … }` at the end of a file.
fn production(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |start| &text[..start])
}

/// `tests.rs`, or a file in a folder `tests`.
fn is_tests(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Names of root modules (or re-exports) that `text` reaches for.
fn reaches(file: &File) -> BTreeSet<String> {
    let up = "super::".repeat(file.depth);
    let (code, tests) = file.text.split_at(production(&file.text).len());
    let mut found = reached(code, &["crate::", &up]);
    // From a file's own `mod tests` it is one `super` more to the root.
    found.extend(reached(tests, &["crate::", &format!("super::{up}")]));
    found
}

/// The names that follow one of `roots`.
fn reached(text: &str, roots: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in roots {
        for (start, _) in text.match_indices(root) {
            let before = text[..start].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | ':')) {
                found.extend(names_at(&text[start + root.len()..]));
            }
        }
    }
    found
}

/// `a` of `a::b`, or `a` and `b` of `{a::c, b}`.
fn names_at(text: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(list) = text.trim_start().strip_prefix('{') else { return vec![name(text.trim_start())] };
    let mut depth = 0;
    let mut names = vec![name(list.trim_start())];
    for (index, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(list[index + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The module that a name at the root stands for.
fn module_of(name: &str) -> Option<&str> {
    if let Some((_, module)) = ROOT.iter().find(|(known, _)| *known == name) {
        return Some(module);
    }
    let modules = MAY_IMPORT.iter().map(|(module, _)| *module).chain(ON_TOP.iter().copied());
    modules.into_iter().find(|module| *module == name)
}

#[test]
fn a_module_imports_only_what_it_may() {
    let mut arrows = Vec::new();
    for file in files() {
        let from = file.module.as_str();
        if from == "lib" || ON_TOP.contains(&from) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(module, _)| *module == from) else {
            panic!("{from} is not in the table: say what it may import")
        };
        for name in reaches(&file) {
            match module_of(&name) {
                Some(to) if to == from || allowed.contains(&to) => {}
                Some(to) => arrows.push(format!("{}: {from} imports {to}", file.path.display())),
                None => arrows.push(format!("{}: {name:?} at the root is in no table", file.path.display())),
            }
        }
    }
    assert!(arrows.is_empty(), "arrows that the layout does not have:\n{}", arrows.join("\n"));
}

#[test]
fn the_table_itself_points_downwards_only() {
    // A cycle would make "imports only from lines below" mean nothing.
    for (index, (module, allowed)) in MAY_IMPORT.iter().enumerate() {
        for to in *allowed {
            let place = MAY_IMPORT.iter().position(|(known, _)| known == to).unwrap();
            // The program's own parts stand beside each other.
            let sideways = matches!(
                (*module, *to),
                ("telemetry" | "upstream" | "config" | "proxy" | "forward_auth" | "respond" | "authn", _)
            );
            assert!(place > index || sideways, "{module} is above {to}");
            assert_ne!(*to, "config", "nothing imports config");
        }
    }
}

#[test]
fn a_file_holds_one_noun_and_is_called_by_it() {
    for file in files() {
        let name = file.path.file_stem().unwrap().to_str().unwrap();
        let names: Vec<&str> = file.path.iter().map(|part| part.to_str().unwrap()).collect();
        assert!(!NOT_NOUNS.contains(&name), "{} says nothing of what is inside", file.path.display());
        assert!(!names.iter().any(|folder| NOT_NOUNS.contains(folder)), "{}", file.path.display());
        for word in NOT_NOUNS {
            assert!(!file.text.contains(&format!("mod {word} ")), "{}: mod {word}", file.path.display());
            assert!(!file.text.contains(&format!("mod {word};")), "{}: mod {word}", file.path.display());
        }
        let lines = production(&file.text).lines().count();
        assert!(is_tests(&file.path) || lines <= LONGEST, "{} has {lines} lines", file.path.display());
    }
}

#[test]
fn nothing_is_unwrapped_and_no_macro_panics_outside_tests() {
    for file in files() {
        if is_tests(&file.path) {
            continue;
        }
        for word in [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "dbg!("] {
            let found = production(&file.text).lines().position(|line| line.contains(word));
            assert_eq!(found, None, "{}, line {:?}: {word}", file.path.display(), found.map(|line| line + 1));
        }
    }
}

#[test]
fn the_reader_of_this_file_reads_rust() {
    let source = "use crate::a; // crate::b\nlet x = \"crate::c\"; /* crate::d */ let y = r#\"crate::\"e\"#;\n\
                  let c = '\"'; let l: &'static str = x; use crate::{f::{g, h}, i}; let d = '\\''; crate::j::k();";
    let file = File { path: PathBuf::new(), module: "x".into(), depth: 1, text: code(source) };
    assert_eq!(reaches(&file).into_iter().collect::<Vec<_>>(), ["a", "f", "i", "j"]);
    let nested = File {
        path: PathBuf::new(),
        module: "x".into(),
        depth: 2,
        text: "use super::super::y::Z; use super::w;".into(),
    };
    assert_eq!(reaches(&nested).into_iter().collect::<Vec<_>>(), ["y"]);
}
