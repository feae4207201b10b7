//! The sources as the checks read them: without comments and strings, and
//! without tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
pub(crate) struct File {
    /// From the root of the repository: `src/gate/grant.rs`.
    pub(crate) path: PathBuf,
    /// The module it is: `["gate", "grant"]`; empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
    /// Its text without comments, strings and character literals.
    pub(crate) text: String,
}

impl File {
    /// The name at the root that it belongs to: `gate` for `src/gate/grant.rs`.
    pub(crate) fn root(&self) -> &str {
        match self.module.first() {
            Some(name) => name,
            None if self.path.ends_with("main.rs") => "main",
            None => "lib",
        }
    }

    /// The text before its `#[cfg(test)] mod tests`, if it has one.
    pub(crate) fn production(&self) -> &str {
        if self.is_tests() { "" } else { production(&self.text) }
    }

    /// Whether it is `tests.rs`, or in a folder `tests`.
    pub(crate) fn is_tests(&self) -> bool {
        self.path.iter().any(|part| part == "tests" || part == "tests.rs")
    }

    /// How the checks name it.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Every file below `src`.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "found {} files below src: the sources have moved", found.len());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = code(&fs::read_to_string(&path).unwrap());
            let mut module: Vec<String> = path
                .strip_prefix(root)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|name| name.to_str().unwrap().to_owned())
                .collect();
            if module.last().is_some_and(|name| name == "mod") || module == ["lib"] || module == ["main"] {
                module.pop();
            }
            let path = path.strip_prefix(root.parent().unwrap()).unwrap().to_owned();
            found.push(File { path, module, text });
        }
    }
}

/// What stands before the tests at the end of a file.
pub(crate) fn production(text: &str) -> &str {
    let tests = text.match_indices("#[cfg(test)]").find(|(start, mark)| {
        let rest = text[start + mark.len()..].trim_start();
        rest.starts_with("mod tests {")
            || rest.starts_with("pub(crate) mod tests {")
            || rest.starts_with("pub(super) mod tests {")
    });
    tests.map_or(text, |(start, _)| &text[..start])
}

/// Rust without comments, strings and character literals: none of them imports
/// anything. Line breaks stay.
pub(crate) fn code(source: &str) -> String {
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
