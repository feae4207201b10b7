//! Which file imports which, with re-exports resolved to the file that defines
//! the item.
//!
//! A re-export by itself imports nothing. A file that also uses the name in its
//! own code does, and so does a `mod.rs` that uses what its child defines.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::source::File;

/// An imported path, from the root of the crate.
type Path = Vec<String>;

/// A name that a file brings into scope.
struct Import {
    name: String,
    path: Path,
    /// `pub use`, in any visibility.
    exported: bool,
}

/// What is known of one file.
struct Scope {
    imports: Vec<Import>,
    children: BTreeSet<String>,
    /// Production code without `use` and `mod` declarations.
    code: String,
    /// Modules whose names are all in scope: `use super::*`.
    globs: Vec<Path>,
}

/// The files of the crate and what each of them imports, by place in `files`.
pub(crate) struct Graph {
    pub(crate) edges: BTreeMap<usize, BTreeSet<usize>>,
    /// Files that import all names of a module.
    pub(crate) globs: Vec<usize>,
}

impl Graph {
    pub(crate) fn new(files: &[File]) -> Self {
        let scopes: Vec<Scope> = files.iter().map(Scope::read).collect();
        let mut places = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            // `main.rs` and `lib.rs` are both the root; nobody imports the program.
            if !file.path.ends_with("src/main.rs") {
                places.insert(file.module.clone(), index);
            }
        }
        let crate_ = Crate { places, scopes: &scopes };
        let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let found = crate_.imported_by(index, &file.module);
            edges.insert(index, found.into_iter().filter(|to| *to != index).collect());
        }
        let globs = (0..files.len()).filter(|index| !scopes[*index].globs.is_empty()).collect();
        Self { edges, globs }
    }

    /// A shortest circle through each file that is in one, each circle once.
    pub(crate) fn circles(&self) -> Vec<Vec<usize>> {
        let mut found: Vec<Vec<usize>> = Vec::new();
        for start in self.edges.keys() {
            if found.iter().any(|circle| circle.contains(start)) {
                continue;
            }
            found.extend(self.circle(*start));
        }
        found
    }

    /// The shortest way from a file back to itself.
    fn circle(&self, start: usize) -> Option<Vec<usize>> {
        let mut before: HashMap<usize, usize> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for to in &self.edges[&at] {
                if *to == start {
                    let mut circle = vec![start, at];
                    while let Some(previous) = before.get(circle.last().unwrap()) {
                        circle.push(*previous);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if !before.contains_key(to) {
                    before.insert(*to, at);
                    queue.push_back(*to);
                }
            }
        }
        None
    }
}

struct Crate<'a> {
    places: HashMap<Path, usize>,
    scopes: &'a [Scope],
}

impl Crate<'_> {
    fn imported_by(&self, index: usize, module: &[String]) -> BTreeSet<usize> {
        let scope = &self.scopes[index];
        let mut found = BTreeSet::new();
        for import in &scope.imports {
            let target = self.resolve(&import.path, 0);
            let is_module = self.places.contains_key(&import.path);
            if is_module {
                // What counts is which of its items the code names.
                for rest in paths_after(&scope.code, &import.name) {
                    let path = [import.path.as_slice(), &rest].concat();
                    found.extend(self.resolve(&path, 0));
                }
            } else if !import.exported || mentions(&scope.code, &import.name) {
                found.extend(target);
            }
        }
        for glob in &scope.globs {
            found.extend(self.places.get(glob));
        }
        for root in ["crate", "huggate", "super", "self"].into_iter().map(str::to_owned) {
            for rest in paths_after(&scope.code, &root) {
                let path = absolute(&[vec![root.clone()], rest].concat(), module, &scope.children);
                found.extend(path.and_then(|path| self.resolve(&path, 0)));
            }
        }
        for child in &scope.children {
            for rest in paths_after(&scope.code, child) {
                let path = [module, std::slice::from_ref(child), &rest].concat();
                found.extend(self.resolve(&path, 0));
            }
        }
        found
    }

    /// The file that defines the item at `path`.
    fn resolve(&self, path: &[String], depth: usize) -> Option<usize> {
        assert!(depth < 20, "a re-export leads to itself: {path:?}");
        let mut module: Path = Vec::new();
        for (place, name) in path.iter().enumerate() {
            let mut deeper = module.clone();
            deeper.push(name.clone());
            if self.places.contains_key(&deeper) {
                module = deeper;
                continue;
            }
            let scope = &self.scopes[*self.places.get(&module)?];
            if let Some(import) = scope.imports.iter().find(|import| import.exported && import.name == *name)
            {
                let path = [import.path.as_slice(), &path[place + 1..]].concat();
                return self.resolve(&path, depth + 1);
            }
            break;
        }
        self.places.get(&module).copied()
    }
}

impl Scope {
    fn read(file: &File) -> Self {
        let text = file.production();
        let mut scope =
            Self { imports: vec![], children: BTreeSet::new(), code: String::new(), globs: vec![] };
        let mut uses = Vec::new();
        let mut rest = text;
        while let Some((before, declaration, after)) = next_declaration(rest) {
            scope.code.push_str(before);
            match declaration {
                Declaration::Mod(name) => _ = scope.children.insert(name.to_owned()),
                Declaration::Use { tree, exported } => uses.push((tree, exported)),
            }
            rest = after;
        }
        scope.code.push_str(rest);
        let mut leaves: Vec<(Path, String, bool)> = uses
            .into_iter()
            .flat_map(|(tree, exported)| {
                leaves(tree).into_iter().map(move |(path, name)| (path, name, exported))
            })
            .collect();
        through_other_imports(&mut leaves);
        {
            for (path, name, exported) in leaves {
                let Some(path) = absolute(&path, &file.module, &scope.children) else { continue };
                if name == "*" {
                    scope.globs.push(path);
                } else {
                    scope.imports.push(Import { name, path, exported });
                }
            }
        }
        scope
    }
}

enum Declaration<'a> {
    Mod(&'a str),
    Use { tree: &'a str, exported: bool },
}

/// The first `use …;` or `mod …;` of a text, what stands before it, and the rest.
fn next_declaration(text: &str) -> Option<(&str, Declaration<'_>, &str)> {
    let mut from = 0;
    loop {
        let (start, word) = ["use ", "mod "]
            .into_iter()
            .filter_map(|word| Some((from + text[from..].find(word)?, word)))
            .min()?;
        from = start + word.len();
        let is_word = text[..start].chars().next_back().is_none_or(|c| c.is_whitespace());
        let line = text[..start].rsplit('\n').next().unwrap().trim();
        let starts = line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')'));
        if !is_word || !starts {
            continue;
        }
        let end = from + text[from..].find(';')?;
        let inside = &text[from..end];
        if word == "mod " {
            // `mod x { … }` is part of this file.
            if inside.contains('{') {
                continue;
            }
            return Some((&text[..start], Declaration::Mod(inside.trim()), &text[end + 1..]));
        }
        let exported = line.starts_with("pub");
        return Some((&text[..start], Declaration::Use { tree: inside, exported }, &text[end + 1..]));
    }
}

/// Replaces a first name that another `use` of the file brings into scope by what it
/// stands for: `use crate::gate; use gate::Gate;`, `use crate as root;`.
fn through_other_imports(leaves: &mut [(Path, String, bool)]) {
    for _ in 0..4 {
        let known: HashMap<String, Path> =
            leaves.iter().map(|(path, name, _)| (name.clone(), path.clone())).collect();
        for (path, name, _) in leaves.iter_mut() {
            let from_self = usize::from(path.first().is_some_and(|first| first == "self"));
            let Some(first) = path.get(from_self) else { continue };
            let Some(target) = known.get(first).filter(|_| path.len() > from_self + 1 && first != name)
            else {
                continue;
            };
            *path = [target.as_slice(), &path[from_self + 1..]].concat();
        }
    }
}

/// `a::{b, c as d}` as paths and the names they bring into scope.
fn leaves(tree: &str) -> Vec<(Path, String)> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let prefix: Path =
            tree[..open].split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let inside = &tree[open + 1..tree.rfind('}').unwrap()];
        return split(inside)
            .into_iter()
            .flat_map(leaves)
            .map(|(path, name)| {
                let path: Path = [prefix.as_slice(), &path].concat();
                if name == "self" {
                    let path = path[..path.len() - 1].to_vec();
                    let name = path.last().unwrap().clone();
                    return (path, name);
                }
                (path, name)
            })
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut path: Path = path.split("::").map(|name| name.trim().to_owned()).collect();
    if path.iter().all(String::is_empty) {
        return Vec::new();
    }
    if path.last().is_some_and(|last| last == "*") {
        path.pop();
        return vec![(path, "*".to_owned())];
    }
    let name = alias.unwrap_or_else(|| path.last().unwrap().clone());
    vec![(path, name)]
}

/// The parts of a list, split at commas outside braces.
fn split(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// A path from the root of the crate; `None` for one of another crate.
fn absolute(path: &[String], module: &[String], children: &BTreeSet<String>) -> Option<Path> {
    let first = path.first()?;
    match first.as_str() {
        "crate" | "huggate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            let base = module.get(..module.len().checked_sub(up)?)?;
            Some([base, &path[up..]].concat())
        }
        child if children.contains(child) => Some([module, path].concat()),
        _ => None,
    }
}

/// The rests of all paths in `code` that begin with `root`: `[["b", "c"]]` for
/// `a::b::c` and the root `a`.
fn paths_after(code: &str, root: &str) -> Vec<Path> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices(&format!("{root}::")) {
        if code[..start].chars().next_back().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let mut rest = &code[start + root.len()..];
        let mut path = Path::new();
        while let Some(after) = rest.strip_prefix("::") {
            let length = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
            if length == 0 {
                break;
            }
            path.push(after[..length].to_owned());
            rest = &after[length..];
        }
        if !path.is_empty() {
            found.push(path);
        }
    }
    found
}

/// Whether `code` has the word `name`.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        !code[..start].ends_with(word) && !code[start + name.len()..].starts_with(word)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(path: &str, module: &[&str], text: &str) -> File {
        let module = module.iter().map(|name| (*name).to_owned()).collect();
        File { path: PathBuf::from(path), module, text: text.to_owned() }
    }

    fn arrows(files: &[File]) -> Vec<String> {
        let graph = Graph::new(files);
        let name = |index: &usize| files[*index].module.join("::");
        let arrows = graph.edges.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        arrows.map(|(from, to)| format!("{} -> {}", name(from), name(to))).collect()
    }

    #[test]
    fn re_exports_lead_to_the_file_that_defines_the_item() {
        let files = [
            file("src/lib.rs", &[], "pub mod a; pub mod b; pub use a::Thing;"),
            file("src/a/mod.rs", &["a"], "mod inner;\npub use inner::{Thing, Other as Else};"),
            file("src/a/inner.rs", &["a", "inner"], "pub struct Thing; pub struct Other;"),
            file("src/b.rs", &["b"], "use crate::a::{Thing, Else};\nfn f(_: Thing, _: Else) {}"),
            file("src/c.rs", &["c"], "use crate::a;\nfn f(_: a::Thing, _: std::fmt::Error) {}"),
            file("src/d.rs", &["d"], "fn f(_: crate::Thing) {}"),
        ];
        assert_eq!(arrows(&files), ["b -> a::inner", "c -> a::inner", "d -> a::inner"]);
        assert!(Graph::new(&files).circles().is_empty());
    }

    #[test]
    fn a_mod_rs_that_uses_its_child_imports_it() {
        let files = [
            file("src/a/mod.rs", &["a"], "mod child;\npub(crate) use child::Leaf;\npub struct Root(Leaf);"),
            file("src/a/child.rs", &["a", "child"], "use super::Root;\npub struct Leaf; fn f(_: Root) {}"),
        ];
        assert_eq!(arrows(&files), ["a -> a::child", "a::child -> a"]);
        assert_eq!(Graph::new(&files).circles().len(), 1);
        let by_path = [
            file("src/a/mod.rs", &["a"], "mod child;\npub struct Root(child::Leaf);"),
            file("src/a/child.rs", &["a", "child"], "pub struct Leaf;"),
        ];
        assert_eq!(arrows(&by_path), ["a -> a::child"]);
    }

    #[test]
    fn an_import_through_another_import_is_followed() {
        for text in [
            "use crate::gate;\nuse gate::Gate;",
            "use crate::gate;\nuse self::gate::Gate;",
            "use crate as root;\nuse root::gate::Gate;",
        ] {
            let files = [
                file("src/gate.rs", &["gate"], "pub struct Gate;"),
                file("src/session.rs", &["session"], text),
            ];
            assert_eq!(arrows(&files), ["session -> gate"], "{text}");
        }
    }

    #[test]
    fn a_circle_is_found_over_several_steps() {
        let files = [
            file("src/a.rs", &["a"], "use super::b::B;"),
            file("src/b.rs", &["b"], "fn f() { crate::c::g(); }"),
            file("src/c.rs", &["c"], "use crate::{a::A, d};\nfn g() { d::h() }"),
            file("src/d.rs", &["d"], "fn h() {}"),
        ];
        let circles = Graph::new(&files).circles();
        assert_eq!(circles, [vec![0, 1, 2, 0]]);
    }
}
