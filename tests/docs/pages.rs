//! The pages: every Markdown file that people read, with its fenced blocks, its
//! links, its headings and its inline code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A fenced block of a page.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// `docs/guides/routes.md:12`
    pub(crate) place: String,
    /// What follows the fence: the language, and what the tests make of it.
    pub(crate) info: String,
    pub(crate) text: String,
}

/// A page, apart from its blocks.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its path from the root of the repository.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// The lines outside of blocks, with their numbers.
    pub(crate) prose: Vec<(usize, String)>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, README first.
pub(crate) fn all() -> Vec<Page> {
    let mut names =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from).to_vec();
    markdown_below(&root().join("docs"), &mut names);
    // The list of browser tests is a page that CONTRIBUTING links to.
    names.push("tests/web/README.md".into());
    let pages: Vec<Page> = names.iter().map(|name| page(name.to_str().unwrap())).collect();
    assert!(pages.len() > 25, "{}", pages.len());
    pages
}

fn markdown_below(folder: &Path, names: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            markdown_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            names.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

/// The page at `name`.
pub(crate) fn page(name: &str) -> Page {
    let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut page = Page { name: name.to_owned(), blocks: Vec::new(), prose: Vec::new() };
    let (mut open, mut indent) = (false, 0);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match (open, line.trim_start().strip_prefix("```")) {
            (true, Some("")) => open = false,
            (false, Some(info)) => {
                let place = format!("{name}:{number}");
                page.blocks.push(Block { place, info: info.to_owned(), text: String::new() });
                // Blocks inside a list are indented.
                (open, indent) = (true, line.len() - line.trim_start().len());
            }
            (true, _) => {
                let block = page.blocks.last_mut().unwrap();
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (false, None) => page.prose.push((number, line.to_owned())),
        }
    }
    assert!(!open, "{name}: the last block does not end");
    page
}

/// Every block of every page.
pub(crate) fn blocks() -> Vec<Block> {
    all().into_iter().flat_map(|page| page.blocks).collect()
}

/// The blocks with this info.
pub(crate) fn blocks_of(info: &str) -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|block| block.info == info).collect();
    assert!(!found.is_empty(), "no page has a block ```{info}");
    found
}

impl Page {
    /// The links of the page, with the line of each.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let links = self.prose.iter().flat_map(|(line, text)| {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let bare = text
                .split("<http")
                .skip(1)
                .filter_map(|rest| Some(format!("http{}", rest.split('>').next()?)));
            targets.map(str::to_owned).chain(bare).map(|target| (*line, target)).collect::<Vec<_>>()
        });
        links.collect()
    }

    /// The anchors of its headings, as GitHub and the site make them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.iter().filter_map(|(line, text)| {
            let title = text.trim_start_matches('#').strip_prefix(' ').filter(|_| text.starts_with('#'))?;
            Some((line, title))
        });
        let mut anchors = BTreeSet::new();
        for (line, title) in headings {
            assert!(anchors.insert(anchor(title)), "{}:{line}: a second heading {title:?}", self.name);
        }
        anchors
    }

    /// The inline code of the page, with the line of each.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        let spans = self.prose.iter().flat_map(|(line, text)| {
            text.split('`').skip(1).step_by(2).map(|span| (*line, span.to_owned())).collect::<Vec<_>>()
        });
        spans.collect()
    }

    /// The rows of the tables below a heading, as cells; the heading itself is
    /// `## title`. Rows of titles and rules are left out.
    pub(crate) fn rows(&self, heading: &str) -> Vec<Vec<String>> {
        let below = self.prose.iter().skip_while(|(_, text)| text != heading).skip(1);
        let section: Vec<&str> =
            below.map(|(_, text)| text.as_str()).take_while(|text| !text.starts_with('#')).collect();
        assert!(!section.is_empty(), "{}: no {heading:?}", self.name);
        let mut rows = Vec::new();
        for (index, line) in section.iter().enumerate() {
            let is_title = section.get(index + 1).is_some_and(|next| next.starts_with("|---"));
            if line.starts_with("| ") && !is_title {
                let cells = line.trim_matches('|').split(" | ");
                rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
            }
        }
        rows
    }
}

/// The anchor of a heading. GitHub keeps a hyphen for every space, the site's
/// generator one for several; headings where that matters are refused.
fn anchor(title: &str) -> String {
    let plain: String = title
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect();
    assert!(!plain.contains("  "), "{title:?}: its anchor depends on who makes it");
    plain.trim().replace(' ', "-")
}
