// `huggate demo`, as a new user sees it.

import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { afterEach, before, beforeEach, test } from "node:test";

import { launch, person, signInAs, text } from "./lib/browser.mjs";
import { request } from "./lib/http.mjs";
import { eventually } from "./lib/processes.mjs";
import { startDemo } from "./lib/world.mjs";

let demo;
let browser;

before(async () => {
  browser = await launch();
});

// Each test has its own: the stand-in asks for consent only once, like huggingface.co.
beforeEach(async () => {
  demo = await startDemo();
});
afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await demo.process.stop();
});

/** Opens the demo with a fresh browser, up to the account picker. */
async function visit(path = "/") {
  const context = await person(browser);
  const page = await context.newPage();
  await page.goto(demo.url + path);
  await page.locator("#people").waitFor();
  return { context, page };
}

/** The same, signed in. */
async function enter(username, { path = "/", orgs } = {}) {
  const { context, page } = await visit(path);
  await signInAs(page, username, { orgs });
  return { context, page };
}

test("ada uses the app, which shows her name, verifies the assertion, streams and echoes", async () => {
  const { context, page } = await visit();
  assert.ok(page.url().startsWith(demo.issuer), page.url());
  await signInAs(page, "ada");
  await page.waitForURL(`${demo.url}/`);
  await page.getByRole("heading", { level: 1, name: "Hello, ada" }).waitFor();
  await page.getByText("✓ verified").waitFor();
  assert.equal(await page.getByText("acme:admin", { exact: true }).count(), 1);

  const count = async () => Number(await page.locator("#count").innerText());
  const first = await eventually("the counter counts", async () => (await count()) || undefined);
  await eventually("the counter moves", async () => (await count()) > first);

  await page.locator("#socket-state", { hasText: "open" }).waitFor();
  await page.getByLabel("Say something").fill("Grüße, 李");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#log li.got", { hasText: "Grüße, 李" }).waitFor();
  await page.locator("#log li.got", { hasText: "Hello, ada." }).waitFor();

  // A second visit needs no sign-in.
  const again = await context.newPage();
  await again.goto(`${demo.url}/reports/42?tab=2`);
  assert.match(await text(again), /GET \/reports\/42\?tab=2/);
});

test("signing out in one tab ends the stream and the WebSocket in another", async () => {
  const { context, page } = await enter("ada");
  await page.locator("#stream-state", { hasText: "live" }).waitFor();
  await page.locator("#socket-state", { hasText: "open" }).waitFor();

  const other = await context.newPage();
  await other.goto(demo.url);
  await other.getByRole("link", { name: "Sign out" }).click();
  await other.getByRole("heading", { name: /You are signed out/ }).waitFor();

  await page.locator("#socket-state", { hasText: "closed" }).waitFor({ timeout: 5_000 });
  // The browser reconnects the stream, and gets 401.
  await page.locator("#stream-state", { hasText: "refused" }).waitFor();
  assert.deepEqual((await context.cookies(demo.url)).filter(cookie => /^huggate-\d+$/.test(cookie.name)), []);
});

test("/admin is for admins of acme, and refuses others with a reason", async () => {
  const ada = await enter("ada", { path: "/admin" });
  await ada.page.waitForURL(`${demo.url}/admin`);
  assert.match(await text(ada.page), /Only admins of acme/);

  const ben = await enter("ben", { path: "/admin" });
  await ben.page.getByRole("heading", { level: 1, name: "This account has no access" }).waitFor();
  const said = await text(ben.page);
  assert.match(said, /signed in to .* as ben/);
  assert.match(said, /acme/);
  assert.match(said, /admin/);
  assert.doesNotMatch(said, /Hello, ben/);
  assert.equal((await ben.page.goto(`${demo.url}/admin`)).status(), 403);
  // The rest of the app is open to him.
  await ben.page.goto(demo.url);
  await ben.page.getByRole("heading", { level: 1, name: "Hello, ben" }).waitFor();
});

test("dan, who is not a member, is told who may enter", async () => {
  const { page } = await enter("dan", { orgs: [] });
  await page.getByRole("heading", { level: 1, name: "This account has no access" }).waitFor();
  const said = await text(page);
  assert.match(said, /as dan/);
  assert.match(said, /acme/);
  // Another account: this session ends; the one at the stand-in is separate.
  await page.getByRole("link", { name: "Sign in with another account" }).click();
  await page.getByRole("heading", { name: /You are signed out/ }).waitFor();
});

test("cleo is told about acme's single sign-on requirement", async () => {
  const { page } = await enter("cleo");
  await page.getByRole("heading", { level: 1, name: "This account has no access" }).waitFor();
  assert.match(await text(page), /single sign-on|SSO/i);
});

test("ben does not grant acme, is told how to do it, and gets access that way", async () => {
  const { page } = await enter("ben", { path: "/reports/7?x=1", orgs: [] });
  await page.getByRole("heading", { level: 2, name: "Share acme with this app" }).waitFor();
  await page.getByRole("link", { name: "Sign in again and share acme" }).click();
  // The consent page again, with acme requested.
  await page.locator("#consent").waitFor();
  const acme = page.locator("input[name=org][data-org=acme]");
  assert.equal(await acme.isChecked(), true);
  assert.match(await text(page), /required by the application/);
  await page.locator("#authorize").click();
  await page.waitForURL(`${demo.url}/reports/7?x=1`);
  await page.getByRole("heading", { level: 1, name: "Hello, ben" }).waitFor();
});

test("a cancelled consent signs nobody in, and can be repeated", async () => {
  const { page } = await visit("/reports/1");
  await page.locator("button[name=username][value=ada]").click();
  await page.locator("#deny").click();
  await page.getByRole("heading", { level: 1, name: "You are not signed in" }).waitFor();
  assert.match(await text(page), /Nothing was shared/);
  await page.getByRole("link", { name: "Sign in", exact: true }).click();
  await page.locator("input[name=org][data-org=acme]").check();
  await page.locator("#authorize").click();
  await page.waitForURL(`${demo.url}/reports/1`);
});

test("joerg's non-ASCII name arrives unchanged", async () => {
  const { page } = await enter("joerg");
  await page.getByRole("heading", { level: 1, name: "Hello, joerg" }).waitFor();
  const claims = await page.locator("section[aria-labelledby=signed]").innerText();
  assert.match(claims, /Jörg Müller-李/);
});

test("two tabs sign in concurrently, each to its own page", async () => {
  const context = await person(browser);
  const [left, right] = [await context.newPage(), await context.newPage()];
  await left.goto(`${demo.url}/reports/left`);
  await right.goto(`${demo.url}/reports/right?tab=2`);
  await left.locator("#people").waitFor();
  await right.locator("#people").waitFor();
  // The left one starts first and finishes last.
  await signInAs(right, "ada");
  await right.waitForURL(`${demo.url}/reports/right?tab=2`);
  await left.locator("button[name=username][value=ada]").click();
  // Consent was given in the other tab, so no page is shown.
  await left.waitForURL(`${demo.url}/reports/left`);
  await left.getByRole("heading", { level: 1, name: "Hello, ada" }).waitFor();
});

test("a deep link is kept, with its query and, if no page is shown on the way, its fragment", async () => {
  const { context, page } = await enter("ada", { path: "/reports/42?tab=2&q=%2Fx" });
  await page.waitForURL(`${demo.url}/reports/42?tab=2&q=%2Fx`);
  assert.match(await text(page), /GET \/reports\/42\?tab=2&q=%2Fx/);
  await page.goto(`${demo.url}/oauth2/sign_out`);
  const again = await context.newPage();
  await again.goto(`${demo.url}/reports/42?tab=3#part`);
  assert.equal(again.url(), `${demo.url}/reports/42?tab=3#part`);
  await again.getByRole("heading", { level: 1, name: "Hello, ada" }).waitFor();
});

test("eve, in 300 organisations, has a small cookie and access", async () => {
  const { context, page } = await enter("eve");
  await page.getByRole("heading", { level: 1, name: "Hello, eve" }).waitFor();
  const ours = (await context.cookies(demo.url)).filter(cookie => cookie.name.startsWith("huggate"));
  const bytes = ours.reduce((sum, cookie) => sum + cookie.name.length + cookie.value.length, 0);
  assert.ok(bytes > 0 && bytes < 4096, `${bytes} bytes in ${ours.length} cookies`);
  assert.equal((await page.goto(`${demo.url}/reports/1`)).status(), 200);
});

test("/public is open to everybody, and a program gets 401 and JSON elsewhere", async () => {
  const context = await person(browser);
  const page = await context.newPage();
  await page.goto(`${demo.url}/public/hello`);
  await page.getByRole("heading", { level: 1, name: "Hello, stranger" }).waitFor();
  const refused = await request(demo.url);
  assert.equal(refused.status, 401);
  assert.equal(refused.json.error, "login_required");
  assert.deepEqual(refused.cookies, []);
});

test("SIGTERM ends it, even with an open stream and WebSocket", async () => {
  const { page } = await enter("ada");
  await page.locator("#stream-state", { hasText: "live" }).waitFor();
  assert.equal(await demo.process.stop(), 0);
});

test("the curl command that the demo prints authenticates as ada", async () => {
  const [, line] = /^ +- (curl -H .*)$/m.exec(demo.process.output);
  const said = await new Promise(done => exec(`${line} --silent --noproxy '*'`, (error, out) => done(out)));
  assert.deepEqual(
    (({ preferred_username: name, auth_method: method }) => ({ name, method }))(JSON.parse(said)),
    { name: "ada", method: "access_token" },
  );
});
