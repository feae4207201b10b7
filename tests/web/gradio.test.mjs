// A Gradio app behind `huggate serve`, in Chromium.

import assert from "node:assert/strict";
import { afterEach, before, beforeEach, test } from "node:test";

import { launch, person, signInAs, text } from "./lib/browser.mjs";
import { eventually } from "./lib/processes.mjs";
import { startGate, startGradio, startHub } from "./lib/world.mjs";

const DEEP = "/reports?view=steps&x=1";

let browser;
let gradio;
let hub;
let gate;

before(async () => {
  [browser, gradio] = await Promise.all([launch(), startGradio()]);
});

beforeEach(async () => {
  hub = await startHub();
  gate = await startGate({ hub, upstream: gradio.url });
});

afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await gate.process.stop();
  await hub.process.stop();
});

/** Opens the deep link without a session, and returns to it after the sign-in. */
async function enter(username = "ada") {
  const context = await person(browser);
  const page = await context.newPage();
  await page.goto(gate.url + DEEP);
  assert.ok(page.url().startsWith(hub.issuer), `asked to sign in, not at ${page.url()}`);
  await signInAs(page, username);
  await page.waitForURL(gate.url + DEEP);
  return { context, page };
}

/** The value of a Gradio textbox, once it is the expected one. */
const says = (page, label, expected) =>
  eventually(`${label} says ${expected}`, async () => expected.test(await page.getByLabel(label, { exact: true }).inputValue()));

/** Every value of a textbox, with its time. */
async function watch(page, label) {
  await page.getByLabel(label, { exact: true }).evaluate(box => {
    window.seen = [];
    const note = () => {
      if (box.value !== window.seen.at(-1)?.value) window.seen.push({ value: box.value, at: performance.now() });
      requestAnimationFrame(note);
    };
    note();
  });
  return () => page.evaluate(() => window.seen);
}

test("a deep link opened without a session ends on that link, with a greeting by name", async () => {
  const { page } = await enter();
  await says(page, "Deep greeting", /^Hello, ada\. You came for steps\.$/);
  assert.equal(page.url(), gate.url + DEEP);
});

test("another person gets another name", async () => {
  const { page } = await enter("joerg");
  await says(page, "Deep greeting", /^Hello, joerg\./);
});

test("the app receives the assertion instead of the sealed session cookie", async () => {
  const { context, page } = await enter();
  await page.goto(`${gate.url}/`);
  await says(page, "Session", /^cookie: assertion, same as header: True$/);
  const sealed = (await context.cookies(gate.url)).find(cookie => cookie.name === "huggate");
  assert.ok(sealed.httpOnly);
  assert.equal(sealed.sameSite, "Lax");
  assert.notEqual(sealed.value.split(".").length, 3, "the browser's cookie is no JWT");
});

test("a queued event streams its steps one by one", async () => {
  const { page } = await enter();
  await says(page, "Deep greeting", /ada/);
  const seen = await watch(page, "Deep progress");
  await page.getByRole("button", { name: "Work here" }).click();
  await says(page, "Deep progress", /^done for ada$/);
  const steps = (await seen()).filter(({ value }) => value.startsWith("step "));
  const expected = [1, 2, 3, 4, 5].map(step => `step ${step} of 5 for ada`);
  assert.deepEqual(steps.map(({ value }) => value), expected);
  // The app pauses half a second between them. With buffering, they would arrive together at the
  // end.
  const gaps = steps.slice(1).map(({ at }, n) => at - steps[n].at);
  assert.ok(gaps.every(gap => gap > 150), `apart by ${gaps.map(Math.round)} ms`);
});

test("after a sign-out, the back button shows nothing of the app, and reloading starts a sign-in", async () => {
  const { context, page } = await enter();
  await says(page, "Deep greeting", /ada/);
  await page.goto(`${gate.url}/oauth2/sign_out`);
  // Twice: the second time, the app's page is in the browser's cache and must be discarded.
  await page.waitForURL(/sign_out\?rd=/);
  await page.getByRole("heading", { name: /You are signed out/ }).waitFor();
  // As the page advises: sign out of the provider as well.
  const other = await context.newPage();
  await other.goto(`${hub.issuer}/logout`);

  // Offline, only cached content could be shown.
  await context.setOffline(true);
  await page.goBack().catch(() => {});
  assert.doesNotMatch(await text(page), /Greeter|Deep greeting|Hello, ada/);
  await context.setOffline(false);

  await page.goto(gate.url + DEEP);
  await page.locator("#people").waitFor();
  assert.doesNotMatch(await text(page), /Greeter|Deep greeting|Hello, ada/);
  await page.reload();
  await page.locator("#people").waitFor();
});

test("online, the back button leads to the sign-in", async () => {
  const { context, page } = await enter();
  await says(page, "Deep greeting", /ada/);
  await page.goto(`${gate.url}/oauth2/sign_out`);
  await page.waitForURL(/sign_out\?rd=/);
  const other = await context.newPage();
  await other.goto(`${hub.issuer}/logout`);
  await page.goBack();
  await page.locator("#people").waitFor();
  assert.ok(page.url().startsWith(hub.issuer));
  await page.reload();
  await page.locator("#people").waitFor();
});

test("a sign-out ends an event in progress", async () => {
  const { context, page } = await enter();
  await says(page, "Deep greeting", /ada/);
  await page.getByRole("button", { name: "Work here" }).click();
  await says(page, "Deep progress", /^step 1/);
  const other = await context.newPage();
  await other.goto(`${gate.url}/oauth2/sign_out`);
  // The app continues for two more seconds; nothing of that arrives.
  await other.waitForTimeout(4_000);
  assert.doesNotMatch(await page.getByLabel("Deep progress", { exact: true }).inputValue(), /^done/);
});
