//! How long a file, a function and a struct may be.

use crate::source::File;

/// A file past this is two nouns.
const FILE: usize = 400;
/// A function past this does not fit a screen.
const FUNCTION: usize = 60;
/// A struct with more fields than this is used by too many.
const FIELDS: usize = 12;
/// Where a request passes; settings and builders are read once, at the start.
const WAY: &[&str] = &[
    "server",
    "proxy",
    "client",
    "gate",
    "forward_auth",
    "authn",
    "policy",
    "respond",
    "upstream",
    "oauth2",
    "session",
    "identity",
];

/// What is too long in a file, each with its place.
pub(crate) fn too_long(file: &File) -> Vec<String> {
    let code = file.production();
    let mut found = Vec::new();
    let lines = code.lines().count();
    if lines > FILE {
        found.push(format!("{} has {lines} lines", file.name()));
    }
    for Block { name, line, lines, .. } in blocks(code, "fn ").filter(|block| block.lines > FUNCTION) {
        found.push(format!("{}:{line}: fn {name} has {lines} lines", file.name()));
    }
    if WAY.contains(&file.root()) {
        for Block { name, line, text, .. } in blocks(code, "struct ") {
            let fields = fields(text);
            if fields > FIELDS && !name.ends_with("Settings") && !name.ends_with("Builder") {
                found.push(format!("{}:{line}: struct {name} has {fields} fields", file.name()));
            }
        }
    }
    found
}

/// `fn name … { … }`, or the same of a struct.
struct Block<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
    /// What is between the braces.
    text: &'a str,
}

fn blocks<'a>(code: &'a str, keyword: &'static str) -> impl Iterator<Item = Block<'a>> {
    code.match_indices(keyword).filter_map(move |(start, _)| {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| !c.is_whitespace()) {
            return None;
        }
        let rest = &code[start + keyword.len()..];
        let name =
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())?;
        let (open, close) = body(rest)?;
        let line = code[..start].lines().count().max(1);
        Some(Block { name, line, lines: rest[..=close].lines().count(), text: &rest[open + 1..close] })
    })
}

/// Where the braces of a definition open and close; `None` if it ends before, as a
/// method of a trait or a unit struct does.
fn body(text: &str) -> Option<(usize, usize)> {
    let (mut depth, mut open) = (0, None);
    for (index, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 && open.is_none() => return None,
            '{' => {
                if open.is_none() && depth == 0 {
                    open = Some(index);
                }
                depth += 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return open.map(|open| (open, index));
                }
            }
            _ => {}
        }
    }
    None
}

/// How many fields the inside of a struct has.
fn fields(text: &str) -> usize {
    let (mut depth, mut count, mut in_field) = (0_i32, 0, false);
    for (index, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '<' => depth += 1,
            '>' if !text[..index].ends_with('-') => depth -= 1,
            ',' if depth == 0 => in_field = false,
            ':' if depth == 0 && !in_field => {
                in_field = true;
                count += 1;
            }
            _ => {}
        }
    }
    count
}

#[test]
fn a_function_is_measured_to_its_closing_brace() {
    let code = "fn a(x: [u8; 2]) -> u8 {\n    if x { 1 } else { 2 }\n}\ntrait T {\n    fn b(&self);\n}\n";
    let found: Vec<_> = blocks(code, "fn ").map(|block| (block.name, block.line, block.lines)).collect();
    assert_eq!(found, [("a", 1, 3)]);
}

#[test]
fn fields_are_counted_whatever_their_types() {
    let code = "struct S<T> {\n    a: HashMap<u8, Vec<(u8, u8)>>,\n    pub(crate) b: fn(u8) -> u8,\n    c: std::fmt::Error,\n}";
    let counts: Vec<_> = blocks(code, "struct ").map(|block| fields(block.text)).collect();
    assert_eq!(counts, [3]);
}
