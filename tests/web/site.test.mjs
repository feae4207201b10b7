// The documentation site, as scripts/docs builds it: on a phone and on a desk, in
// light and dark, and without a network.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";

import { launch, person } from "./lib/browser.mjs";
import { root, screenshots } from "./lib/processes.mjs";

const site = join(root, "target/docs/html");
const LOOKS = ["light", "dark"].flatMap(colorScheme =>
  [{ size: "phone", viewport: { width: 390, height: 844 } }, { size: "desk", viewport: { width: 1280, height: 800 } }]
    .map(look => ({ ...look, colorScheme, name: `${colorScheme}-${look.size}` })));
// Screenshots of these are kept to be looked at.
const SHOWN = ["index", "start/in-front-of-your-app", "guides/routes", "reference/configuration", "explanations/performance"];

let browser;
let server;
let pages;

before(async () => {
  execFileSync(join(root, "scripts/docs"), ["--build"], { stdio: "inherit" });
  mkdirSync(screenshots, { recursive: true });
  browser = await launch();
  pages = readdirSync(site, { recursive: true }).filter(name => name.endsWith(".html") && name !== "404.html");
  assert.ok(pages.length > 30, `${pages.length} pages`);
  server = http.createServer((request, response) => {
    const path = join(site, decodeURIComponent(new URL(request.url, origin).pathname));
    if (!existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(path).slice(1)] ?? "application/octet-stream" });
    response.end(readFileSync(path));
  });
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${server.address().port}/`;
});

after(() => {
  server?.close();
  server?.closeAllConnections();
});

const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", json: "application/json", svg: "image/svg+xml", png: "image/png" };

/** The address of a page, and where it is on disk. */
let origin;
const url = name => new URL(name, origin).href;

/** Opens pages one after another, and says what each loads and throws. */
async function visit(names, { name: look, viewport, colorScheme }, seen) {
  const context = await person(browser, { viewport, colorScheme });
  const page = await context.newPage();
  const problems = [];
  page.on("request", request => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(origin)) problems.push(request.url());
  });
  page.on("pageerror", error => problems.push(error.message));
  for (const name of names) {
    await page.goto(url(name), { waitUntil: "domcontentloaded" });
    await seen(page, name);
  }
  assert.deepEqual(problems, [], look);
  await context.close();
}

/** Elements that stick out of the window, other than those that scroll by themselves. */
const tooWide = () => {
  const scrolls = ".md-typeset__scrollwrap, pre, .highlight, .md-nav, .md-search, .md-dialog";
  return [...document.querySelectorAll("main *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(scrolls))
    .map(element => element.outerHTML.slice(0, 120));
};

// The source pages are alike: a few stand for all.
const written = () => {
  const sources = pages.filter(name => name.startsWith("source/"));
  return [...pages.filter(name => !name.startsWith("source/")), ...sources.slice(0, 3)];
};

for (const look of LOOKS.filter(look => look.colorScheme === "light")) {
  test(`every page fits a ${look.size}, and loads nothing from another host`, async () => {
    await visit(written(), look, async (page, name) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= look.viewport.width, `${name}: ${width} px wide`);
      assert.deepEqual(await page.evaluate(tooWide), [], name);
    });
  });
}

for (const look of LOOKS) {
  test(`some pages are photographed: ${look.name}`, async () => {
    await visit(SHOWN.map(name => `${name}.html`), look, async (page, name) => {
      const shown = name.replace(/\.html$/, "").replaceAll("/", "-");
      const dark = await page.evaluate(() => document.body.dataset.mdColorScheme === "slate");
      assert.equal(dark, look.colorScheme === "dark", name);
      const first = page.locator("main table").first();
      // Of long pages a phone shows the beginning; tables are what may not fit it.
      if (look.size === "phone" && name !== "index.html" && (await first.count())) {
        await first.evaluate(table => table.scrollIntoView({ block: "start", behavior: "instant" }));
        await page.evaluate(() => scrollBy({ top: -100, behavior: "instant" }));
      }
      const fullPage = name === "index.html";
      await page.screenshot({ path: join(screenshots, `site-${shown}-${look.name}.png`), fullPage });
    });
  });
}

test("every link and anchor of the built pages leads somewhere", () => {
  const ids = new Map(pages.map(name => {
    const text = readFileSync(join(site, name), "utf8");
    return [name, new Set([...text.matchAll(/ id="?([^"\s>]+)"?/g)].map(([, id]) => id))];
  }));
  let checked = 0;
  for (const name of pages) {
    const text = readFileSync(join(site, name), "utf8");
    for (const [, href] of text.matchAll(/<a [^>]*?href="?([^"\s>]+)"?/g)) {
      const target = new URL(href.replaceAll("&amp;", "&"), url(name));
      if (!target.href.startsWith(origin)) continue;
      const file = decodeURIComponent(target.pathname).slice(1);
      if (!file.endsWith(".html")) continue;
      assert.ok(ids.has(file) || file === "404.html", `${name}: ${href}`);
      const id = decodeURIComponent(target.hash.slice(1));
      if (id && !id.startsWith("__")) assert.ok(ids.get(file).has(id), `${name}: ${href}`);
      checked++;
    }
  }
  assert.ok(checked > 500, `${checked} links`);
});

test("the search finds a key of the configuration", async () => {
  const context = await person(browser);
  const page = await context.newPage();
  await page.goto(url("index.html"));
  await page.keyboard.press("/");
  // The script may still be loading its index.
  const field = page.locator("input:focus");
  await field.waitFor();
  await field.fill("revalidate_grace");
  await page.getByRole("link", { name: /Configuration|Who may enter/ }).first().waitFor();
  await context.close();
});
