// `oidc-provider`, a certified OpenID provider, in place of Hugging Face: signing in, and both
// logouts that it has.

import assert from "node:assert/strict";
import http from "node:http";
import { before, test } from "node:test";

import Provider from "oidc-provider";

import { launch, person, text } from "./lib/browser.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { request } from "./lib/http.mjs";
import { eventually, freePort } from "./lib/processes.mjs";
import { startEcho, startGate } from "./lib/world.mjs";

const client = { client_id: "the-app", client_secret: "the secret of the app at the provider" };

let browser;
let gate;
let issuer;
/** What became of the back-channel requests. */
const told = [];

before(async () => {
  const port = await freePort();
  issuer = `http://127.0.0.1:${port}`;
  const echo = await startEcho();
  [browser, gate] = await Promise.all([
    launch(),
    startGate({ hub: { issuer, ...client }, upstream: echo.url, allow: '"anyone"', session: 'store = "memory"' }),
  ]);
  const provider = new Provider(issuer, {
    clients: [{
      ...client,
      redirect_uris: [`${gate.url}/oauth2/callback`],
      post_logout_redirect_uris: [`${gate.url}/oauth2/signed_out`],
      backchannel_logout_uri: `${gate.url}/oauth2/backchannel_logout`,
      backchannel_logout_session_required: true,
    }],
    claims: { openid: ["sub"], profile: ["preferred_username", "name"] },
    cookies: { keys: ["a key of the test"] },
    features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    // Its own refuses loopback addresses.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id }) }),
  });
  provider.on("backchannel.success", () => told.push("success"));
  provider.on("backchannel.error", (_, error) => told.push(error.message));
  const server = await new Promise(done => { const listening = provider.listen(port, "127.0.0.1", () => done(listening)); });
  atEnd(() => { server.closeAllConnections(); server.close(); });
  await eventually("the provider is reachable", async () => {
    const start = await request(`${gate.url}/oauth2/start`, { headers: { accept: "text/html" } });
    return start.headers.location?.startsWith(issuer);
  });
});

/** Signs `login` in through the provider's own pages. */
async function signIn(context, login) {
  const page = await context.newPage();
  await page.goto(`${gate.url}/whoami`);
  await page.locator("input[name=login]").fill(login);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.locator("input[name=prompt][value=consent]").waitFor({ state: "attached" });
  await page.locator("button[type=submit]").click();
  await page.waitForURL(`${gate.url}/whoami`);
  return page;
}

/** The session cookie of a browser. */
async function cookieOf(context) {
  const cookies = await context.cookies(gate.url);
  return `huggate=${cookies.find(cookie => cookie.name === "huggate").value}`;
}

const statusOf = async cookie =>
  (await request(`${gate.url}/whoami`, { headers: { cookie } })).status;

test("signing out goes on to the provider, which returns to the page that says so", { timeout: 60_000 }, async () => {
  for (const form of [false, true]) {
    const context = await person(browser);
    const page = await signIn(context, form ? "grace" : "ada");
    const cookie = await cookieOf(context);
    assert.equal(await statusOf(cookie), 200);
    const confirm = page.getByRole("button", { name: /yes, sign me out/i });
    if (form) {
      // The confirmation of a sign-out that another site asked for: its form leaves the site.
      await page.goto(`data:text/html,<a href="${gate.url}/oauth2/sign_out?rd=/next">out</a>`);
      await page.getByRole("link", { name: "out" }).click();
      await page.getByRole("button", { name: "Sign out" }).click();
    } else {
      await page.goto(`${gate.url}/oauth2/sign_out?rd=/next`);
    }
    await confirm.waitFor();
    assert.ok(page.url().startsWith(`${issuer}/session/end?`), page.url());
    assert.equal(await statusOf(cookie), 401, "the session here has ended before");
    await confirm.click();
    await page.waitForURL(url => url.href.startsWith(`${gate.url}/oauth2/signed_out`));
    const said = await text(page);
    assert.match(said, /You are signed out of/);
    assert.doesNotMatch(said, /huggingface/);
    assert.equal(await page.getByRole("link", { name: "Continue to" }).getAttribute("href"), "/next");
    // The provider has no session either: it asks for the name again.
    await page.goto(`${gate.url}/whoami`);
    await page.locator("input[name=login]").waitFor();
    await context.close();
  }
});

test("a logout at the provider ends the session here, and the event stream under it", { timeout: 60_000 }, async () => {
  told.length = 0;
  const [context, other] = [await person(browser), await person(browser)];
  const page = await signIn(context, "ada");
  await signIn(other, "ada");
  const [cookie, elsewhere] = [await cookieOf(context), await cookieOf(other)];
  const stream = await new Promise((done, failed) => {
    http.get(`${gate.url}/events?count=10000`, { headers: { cookie } }, done).on("error", failed);
  });
  const ended = new Promise(done => stream.once("error", done).once("close", done));
  await new Promise(done => stream.once("data", done));
  await page.goto(`${issuer}/session/end`);
  await page.getByRole("button", { name: /yes, sign me out/i }).click();
  await eventually("the provider has its answer", () => told.length > 0);
  assert.deepEqual(told, ["success"]);
  await ended;
  assert.equal(await statusOf(cookie), 401);
  // The same account in another session at the provider.
  assert.equal(await statusOf(elsewhere), 200);
});
