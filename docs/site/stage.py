"""Lays the pages of the site out for Zensical: stage.py FOLDER.

The Markdown files are written to be read in the repository as well, so their links
are relative to the repository. Here they become links of the site, and each source
file that a page links to becomes a page itself. The build needs no network, and the
site names no other host for its own files.
"""

import os
import pathlib
import re
import shutil
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Pages of the site that are not in docs/.
# A README.md would become the index of its folder.
OUTSIDE = {
    "README.md": "about.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
LANGUAGES = {
    ".rs": "rust", ".toml": "toml", ".py": "python", ".mjs": "js", ".yml": "yaml", ".yaml": "yaml",
    ".conf": "nginx", ".json": "json", ".md": "markdown", "": "bash",
}
FENCE = re.compile(r"^(\s*)(`{3,})(.*)$")
# The text of a link may begin on an earlier line.
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def pages():
    """Every page: its file, and its place in the site."""
    for path in sorted(DOCS.rglob("*.md")):
        if DOCS / "site" not in path.parents:
            yield path, path.relative_to(DOCS)
    for name, place in OUTSIDE.items():
        yield ROOT / name, pathlib.Path(place)


class Stage:
    def __init__(self, folder):
        self.folder = folder
        self.places = {path: place for path, place in pages()}
        self.sources = {}

    def place_of(self, target):
        """The place in the site of a file or folder of the repository."""
        if target in self.places:
            return self.places[target]
        if target.suffix == ".png":
            place = target.relative_to(DOCS)
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, self.folder / place)
            return place
        name = target.relative_to(ROOT)
        # The folder's own name would be that of the folder of its files.
        place = pathlib.Path("source", f"{name}.md" if target.is_file() else f"{name}/index.md")
        self.sources[target] = place
        return place

    def link(self, path, place, href):
        """`href` of the page at `path`, as the page at `place` says it."""
        if re.match(r"[a-z]+:|#", href):
            return href
        name, mark, fragment = href.partition("#")
        target = (path.parent / name).resolve()
        if not target.exists():
            sys.exit(f"{path.relative_to(ROOT)}: {href} leads nowhere")
        return os.path.relpath(self.place_of(target), place.parent) + mark + fragment

    def page(self, path, place):
        lines, fence = [], None
        for line in path.read_text().splitlines():
            match = FENCE.match(line)
            if match and fence is None:
                fence = match[2]
                # What follows the language is for the tests.
                language = re.split(r"[ ,]", match[3])[0]
                line = f"{match[1]}{match[2]}{language}"
            elif match and match[2] == fence and not match[3]:
                fence = None
            elif fence is None:
                line = LINK.sub(lambda found: found[1] + self.link(path, place, found[2]) + found[3], line)
            lines.append(line)
        self.write(place, "\n".join(lines) + "\n")

    def source(self, path, place):
        name = path.relative_to(ROOT)
        head = f"---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n\n# `{name}`\n\n"
        if path.is_dir():
            files = sorted(child.name + "/" * child.is_dir() for child in path.iterdir())
            self.write(place, head + "".join(f"- `{file}`\n" for file in files))
            return
        text = path.read_text()
        fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=2))
        fence = max(fence, "```", key=len)
        language = LANGUAGES.get(path.suffix, "text")
        self.write(place, f'{head}{fence}{language} linenums="1"\n{text}{fence}\n')

    def write(self, place, text):
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def all(self):
        for path, place in self.places.items():
            self.page(path, place)
        for path, place in list(self.sources.items()):
            self.source(path, place)
        shutil.copy(DOCS / "site/site.css", self.folder / "site.css")


def named(nav):
    """The pages that a navigation names."""
    for entry in nav:
        for value in entry.values():
            yield from named(value) if isinstance(value, list) else [value]


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(folder / "pages")
    config = (DOCS / "site/zensical.toml").read_text()
    listed = set(named(tomllib.loads(config)["project"]["nav"]))
    found = {str(place) for place in stage.places.values()}
    if listed != found:
        sys.exit(f"docs/site/zensical.toml: the navigation and the pages differ: {sorted(listed ^ found)}")
    stage.all()
    (folder / "zensical.toml").write_text(config)


main()
