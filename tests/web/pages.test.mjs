// Every page of the gate, reached as people reach it: light and dark, phone and desktop, without
// scripts.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { launch, person } from "./lib/browser.mjs";
import { screenshots } from "./lib/processes.mjs";
import { startEcho, startGate, startHub } from "./lib/world.mjs";

const LOOKS = ["light", "dark"].flatMap(colorScheme =>
  [{ size: "phone", viewport: { width: 390, height: 844 } }, { size: "desk", viewport: { width: 1280, height: 800 } }]
    .map(look => ({ ...look, colorScheme, name: `${colorScheme}-${look.size}` })));

let browser;
let hub;
let echo;
let gate;
let deadGate; // its app is not reachable
let lostGate; // its provider is not reachable
let otherSite; // a page of another site

before(async () => {
  mkdirSync(screenshots, { recursive: true });
  [browser, hub, echo] = await Promise.all([launch(), startHub(), startEcho()]);
  const more = `
[[route]]
path  = "/admin/**"
allow = [{ org = "acme", role = "admin" }]

[[route]]
path   = "/assets/**"
public = true

[[route]]
path  = "/mail/**"
allow = [{ email_domain = "acme.example" }]

[[route]]
path  = "/lab/**"
allow = [
  { org = "acme", role = "contributor" },
  { org = "acme", resource_group = "gpu-team", role = "admin" },
  { org = "example-labs" },
  { user = "somebody" },
  { pro = true },
]

[[route]]
path = "/closed/**"
deny = [{ org = "acme", role = "admin" }]
`;
  gate = await startGate({ hub, upstream: echo.url, more: `${more}
[limits]
body_bytes = "1KiB"
` });
  // Nothing listens on port 9.
  deadGate = await startGate({ hub, upstream: "http://127.0.0.1:9" });
  lostGate = await startGate({ hub: { ...hub, issuer: "http://127.0.0.1:9" }, upstream: echo.url });
  otherSite = http.createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<!doctype html><html lang=en><title>Elsewhere</title><link rel=icon href="data:,">
<style>iframe { border: 0; width: 100%; height: 46rem } body { margin: 0 }</style>
<a id=out href="${gate.url}/oauth2/sign_out">out</a>
${request.url === "/frame" ? `<iframe title="The app" src="${gate.url}/deep"></iframe>` : ""}`);
  });
  await new Promise(done => otherSite.listen(0, "127.0.0.1", done));
});

after(() => {
  otherSite?.close();
  otherSite?.closeAllConnections();
});

// Browsers treat 127.0.0.1 and localhost as two sites.
const elsewhere = path => `http://localhost:${otherSite.address().port}${path}`;

/** Signs in; consent of an earlier test is not asked again. */
const enter = async (page, username, { to = gate.url, orgs = ["acme"] } = {}) => {
  await page.goto(`${to}/deep`);
  await page.locator(`button[name=username][value=${username}]`).click();
  const back = page.waitForURL(url => url.origin === to);
  const asked = page.locator("#authorize").waitFor().then(() => true);
  if (await Promise.race([back.then(() => false), asked])) {
    for (const org of orgs) await page.locator(`input[name=org][data-org=${org}]`).check();
    await page.locator("#authorize").click();
  }
  asked.catch(() => {});
  await back;
};

// name, heading, navigation, status
const PAGES = [
  ["sign_in", /^Sign in to/, page => page.goto(`${gate.url}/oauth2/sign_in?rd=/deep`), 200],
  ["signed_out", /^You are signed out/, page => page.goto(`${gate.url}/oauth2/sign_out?rd=/deep`), 200],
  ["confirm_sign_out", /^Sign out of/, async page => {
    await page.goto(elsewhere("/"));
    const [response] = await Promise.all([page.waitForResponse(/sign_out/), page.locator("#out").click()]);
    return response;
  }, 200],
  ["no_access", /^This account has no access$/, async page => {
    await enter(page, "dan", { orgs: [] });
    return page.goto(`${gate.url}/admin/panel`);
  }, 403],
  ["no_access_not_granted", /^This account has no access$/, async page => {
    await enter(page, "hugo", { orgs: [] });
    return page.goto(`${gate.url}/admin/panel`);
  }, 403],
  ["no_access_role", /^This account has no access$/, async page => {
    await enter(page, "ben");
    return page.goto(`${gate.url}/admin/panel`);
  }, 403],
  ["no_access_restricted", /^This account has no access$/, async page => {
    await enter(page, "cleo");
    return page.goto(`${gate.url}/admin/panel`);
  }, 403],
  ["no_access_email", /^This account has no access$/, async page => {
    await enter(page, "finn");
    return page.goto(`${gate.url}/mail/box`);
  }, 403],
  ["no_access_several", /^This account has no access$/, async page => {
    await enter(page, "gita");
    return page.goto(`${gate.url}/lab/bench`);
  }, 403],
  ["no_access_denied", /^This account has no access$/, async page => {
    await enter(page, "ada");
    return page.goto(`${gate.url}/closed/door`);
  }, 403],
  ["provider_unavailable", /^Hugging Face does not answer$/, page => page.goto(`${lostGate.url}/deep`), 503],
  ["loop_explained", /^The sign-in does not stick$/, async page => {
    // A browser that drops the session cookie.
    await page.route(url => url.origin === gate.url, async route => {
      const cookie = (await route.request().allHeaders()).cookie ?? "";
      const kept = cookie.split("; ").filter(pair => !pair.startsWith("huggate=")).join("; ");
      await route.continue({ headers: { ...route.request().headers(), cookie: kept } });
    });
    await page.context().addCookies([{ name: "huggate-attempts", value: "2", url: gate.url }]);
    return page.goto(`${gate.url}/deep`);
  }, 400],
  ["framed", /^Sign in to/, async page => {
    const [response] = await Promise.all([
      page.waitForResponse(response => response.url() === `${gate.url}/deep`),
      page.goto(elsewhere("/frame")),
    ]);
    return response;
  }, 401],
  ["form_not_sent", /^Your form was not sent$/, async page => {
    await enter(page, "ada");
    await page.context().clearCookies();
    const [response] = await Promise.all([page.waitForResponse(/\/form$/), page.getByRole("button", { name: "Send" }).click()]);
    return response;
  }, 401],
  ["upstream_down", /^The app does not answer$/, async page => {
    await enter(page, "ada", { to: deadGate.url });
    return page.reload();
  }, 502],
  ["bad_request", /^This address cannot be opened$/, page => page.goto(`${gate.url}/assets/..%2fadmin`), 400],
  ["not_found", /^Page not found$/, page => page.goto(`${gate.url}/oauth2/nothing`), 404],
  ["cancelled", /^You are not signed in$/, async page => {
    await page.goto(`${gate.url}/deep`);
    await page.locator("button[name=username][value=ivy]").click();
    const [response] = await Promise.all([page.waitForResponse(/oauth2\/callback/), page.locator("#deny").click()]);
    return response;
  }, 403],
  ["not_begun_here", /^This sign-in cannot be finished here$/, page => page.goto(`${gate.url}/oauth2/callback?code=x&state=y`), 400],
];

/** Problems of the page that the browser does not report itself. */
async function faults(page, frame) {
  return frame.evaluate(() => {
    const faults = [];
    const count = selector => document.querySelectorAll(selector).length;
    if (count("h1") !== 1) faults.push(`${count("h1")} h1`);
    if (count("main") !== 1) faults.push(`${count("main")} main`);
    if (count("script")) faults.push("a script");
    if (count("[onclick], [onload], [style]")) faults.push("inline handlers or styles");
    if (!document.documentElement.lang) faults.push("no language");
    if (!document.title) faults.push("no title");
    if (!document.querySelector("meta[name=viewport]")) faults.push("no viewport");
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) faults.push(`scrolls sideways: ${scrollWidth} in ${clientWidth}`);
    for (const control of document.querySelectorAll("a.button, button")) {
      const { width, height } = control.getBoundingClientRect();
      if (height < 44 || width < 44) faults.push(`small: ${control.textContent} ${width}×${height}`);
    }
    return faults;
  });
}

/** WCAG 2 contrast of every piece of text with its background. */
async function contrast(frame) {
  return frame.evaluate(() => {
    const channel = value => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    const colour = text => (text.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = element => {
      for (let at = element; at; at = at.parentElement) {
        const painted = colour(getComputedStyle(at).backgroundColor);
        if (painted.length === 3 || painted[3] === 1) return painted;
      }
      return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll("main *, footer")) {
      const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
      if (!own || element.closest("svg")) continue;
      const [a, b] = [light(colour(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) poor.push(`${element.textContent.trim()}: ${ratio.toFixed(2)}`);
    }
    return poor;
  });
}

/** Tabs through the page once: each control must get a visible focus. */
async function tabThrough(page, frame) {
  const expected = await frame.evaluate(() =>
    [...document.querySelectorAll("a[href], button, input, summary")].map(control => control.textContent.trim()));
  await frame.evaluate(() => document.activeElement?.blur());
  const reached = [];
  for (let n = 0; n < expected.length + 3 && reached.length < expected.length; n++) {
    await page.keyboard.press("Tab");
    const focus = await frame.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const style = getComputedStyle(at);
      const { top, bottom } = at.getBoundingClientRect();
      return {
        name: at.textContent.trim(),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        visible: bottom > 0 && top < innerHeight,
      };
    });
    if (!focus) continue;
    assert.ok(focus.ring, `${focus.name}: no focus ring`);
    assert.ok(focus.visible, `${focus.name}: out of sight`);
    reached.push(focus.name);
  }
  assert.deepEqual(reached, expected, "by Tab, in order");
}

/** Chromium's accessibility tree, as a screen reader uses it: role and name. */
async function spoken(page, frame) {
  const cdp = await page.context().newCDPSession(frame === page.mainFrame() ? page : frame).catch(() => page.context().newCDPSession(page));
  const { nodes } = await cdp.send("Accessibility.getFullAXTree");
  await cdp.detach();
  return nodes.filter(node => !node.ignored).map(node => ({ role: node.role?.value, name: node.name?.value ?? "" }));
}

for (const look of LOOKS) {
  describe(`pages, ${look.name}`, () => {
    for (const [name, heading, reach, status] of PAGES) {
      test(`${name}, ${look.name}`, async () => {
        const context = await person(browser, {
          viewport: look.viewport,
          colorScheme: look.colorScheme,
          // The gate's pages work without scripts, and so do the stand-in's and the test's own.
          javaScriptEnabled: false,
          reducedMotion: "reduce",
        });
        const page = await context.newPage();
        const complaints = [];
        const asked = [];
        page.on("console", message => complaints.push(message.text()));
        page.on("pageerror", error => complaints.push(String(error)));
        page.on("request", request => asked.push(request.url()));
        try {
          const response = await reach(page);
          assert.equal(response.status(), status);
          const frame = name === "framed" ? page.frames().find(frame => frame.url().startsWith(gate.url)) : page.mainFrame();
          await frame.getByRole("heading", { level: 1, name: heading }).waitFor();

          const headers = await response.allHeaders();
          assert.equal(headers["cache-control"], "no-store");
          assert.equal(headers["x-content-type-options"], "nosniff");
          assert.match(headers["content-security-policy"], /^default-src 'none'; style-src 'sha256-/);
          assert.match(headers["content-security-policy"], name === "framed" ? /frame-ancestors \*$/ : /frame-ancestors 'none'$/);

          // Browsers log error statuses; those are expected.
          const real = complaints.filter(text =>
            !/^Failed to load resource: the server responded with a status of|Cleared data types: "cache"/.test(text));
          assert.deepEqual(real, []);
          const outside = asked.filter(url => !/^(data:|http:\/\/(127\.0\.0\.1|localhost):)/.test(url));
          assert.deepEqual(outside, []);

          assert.deepEqual(await faults(page, frame), []);
          assert.deepEqual(await contrast(frame), []);
          await page.screenshot({ path: join(screenshots, `${name}-${look.name}.png`), fullPage: true });
          await tabThrough(page, frame);

          const tree = await spoken(page, frame);
          assert.equal(tree.filter(({ role, name }) => role === "heading" && heading.test(name)).length, 1);
          const controls = tree.filter(({ role }) => ["link", "button"].includes(role));
          assert.ok(controls.length > 0, "something to do");
          assert.deepEqual(controls.filter(({ name }) => !name.trim()), [], "a name for every control");
          assert.equal(tree.filter(({ role, name }) => role === "image" && !name).length, 0, "the drawing is silent");
        } finally {
          await context.close();
        }
      });
    }
  });
}
