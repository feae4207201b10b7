// huggingface_hub at the stand-in, to check that the stand-in is compatible with the real API.

import assert from "node:assert/strict";
import http from "node:http";
import { dirname, join } from "node:path";
import { before, test } from "node:test";

import { Jar, request, signIn } from "./lib/http.mjs";
import { Process, eventually, folder, python, root } from "./lib/processes.mjs";
import { startEcho, startGate, startHub, tokenOf } from "./lib/world.mjs";

const hf = join(dirname(python), "hf");

let hub;
let env;

before(async () => {
  hub = await startHub();
  // A separate home, without anybody's real token.
  env = { HF_ENDPOINT: hub.issuer, HF_HOME: folder(), HF_HUB_DISABLE_TELEMETRY: "1", NO_COLOR: "1" };
});

async function run(name, command, args, more = {}) {
  const running = Process.spawn(name, command, args, { env: { ...env, ...more } });
  await running.exit;
  return running;
}

async function whoami(token, more = {}) {
  const running = await run("whoami.py", python, [join(root, "tests/web/clients/whoami.py"), token], more);
  assert.equal(running.status, 0, running.output);
  return JSON.parse(running.output.trim().split("\n").at(-1));
}

test("whoami() returns the owner of a user access token", async () => {
  const ada = await whoami(tokenOf(hub, "ada"));
  assert.deepEqual([ada.type, ada.name, ada.fullname, ada.isPro], ["user", "ada", "Ada Example", true]);
  assert.equal(ada.auth.accessToken.role, "write");
  const [acme] = ada.orgs;
  assert.deepEqual([acme.type, acme.name, acme.roleInOrg], ["org", "acme", "admin"]);
});

test("whoami() reports a wrong token and the rate limit as it does at huggingface.co", async () => {
  const wrong = await whoami("hf_wrongwrongwrong");
  assert.deepEqual([wrong.status, wrong.text], [401, "Invalid user token."]);
  assert.equal(wrong.server, "Invalid credentials in Authorization header");

  const own = await startHub();
  const agent = new http.Agent({ keepAlive: true });
  // Twice the quota: a window of five minutes may end in between.
  for (let n = 0; n < 2000; n++) {
    if ((await request(`${own.issuer}/api/whoami-v2`, { agent })).status === 429) break;
  }
  agent.destroy();
  const many = await whoami(tokenOf(own, "ada"), { HF_ENDPOINT: own.issuer });
  assert.equal(many.status, 429);
  assert.match(many.text, /hit the rate limit for the \/whoami-v2 endpoint/);
  const { resource_type: kind, remaining, limit, window_seconds: window } = many.limit;
  assert.deepEqual({ kind, remaining, limit, window }, { kind: "api", remaining: 0, limit: 1000, window: 300 });
  assert.ok(many.limit.reset_in_seconds > 0 && many.limit.reset_in_seconds <= 300, JSON.stringify(many.limit));
});

/** Registers a public client, like the library's own, and returns its id. */
async function registered(name) {
  const answer = await request(`${hub.issuer}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: name, redirect_uris: ["http://localhost/unused"], token_endpoint_auth_method: "none" }),
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.client_id;
}

/** Opens the device page, enters the code, and consents. */
async function agree(url, code, username, orgs) {
  const jar = new Jar();
  const address = `${url}?user_code=${code}`;
  let page = await jar.request(address);
  for (let step = 0; step < 4 && page.text.includes("<form"); step++) {
    const form = new URLSearchParams();
    for (const [, name, value] of page.text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/g)) form.append(name, value);
    if (page.text.includes('id="people"')) form.append("username", username);
    for (const org of orgs) {
      const box = new RegExp(`value="([^"]*)" data-org="${org}"`).exec(page.text);
      if (box) form.append("org", box[1]);
    }
    if (page.text.includes('id="consent"')) form.append("decision", "authorize");
    const [, action] = /<form method="post" action="([^"]*)"/.exec(page.text);
    page = await jar.request(new URL(action.replaceAll("&amp;", "&"), address).href, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", origin: hub.issuer },
      body: form.toString(),
    });
    if (page.headers.location) page = await jar.request(new URL(page.headers.location, address).href);
  }
  return page;
}

test("`hf auth login` signs in with the device flow, and the gate accepts its token if the client is listed", async () => {
  const client = await registered("hf");
  const device = { HF_DEVICE_CODE_OAUTH_CLIENT_ID: client };
  const login = Process.spawn("hf auth login", hf, ["auth", "login", "--format", "agent"], { env: { ...env, ...device } });
  const [, url, code] = await eventually("a code is shown", () => /open (\S+) in a browser and enter the code (\S+?)\./.exec(login.output));
  const page = await agree(url, code, "ada", ["acme"]);
  assert.equal(page.status, 200, page.text);
  assert.equal(await login.exit, 0, login.output);
  assert.match(login.output, /logged in as ada/);

  const known = await run("hf auth whoami", hf, ["auth", "whoami", "--format", "json"], device);
  assert.equal(known.status, 0, known.output);
  assert.match(known.output, /"user":\s*"ada"/);

  const shown = await run("hf auth token", hf, ["auth", "token", "--format", "quiet"], device);
  const [token] = /hf_oauth_[\w.-]+/.exec(shown.output);
  const echo = await startEcho();
  const listed = await startGate({ hub, upstream: echo.url, more: `[bearer]\nhub_tokens = true\nclients = ["${client}"]` });
  const unlisted = await startGate({ hub, upstream: echo.url, more: "[bearer]\nhub_tokens = true" });
  const ask = gate => request(`${gate.url}/x`, { headers: { authorization: `Bearer ${token}` } });
  const yes = await ask(listed);
  assert.equal(yes.status, 200, yes.text);
  assert.equal(yes.json.headers["x-forwarded-preferred-username"], "ada");
  assert.equal(yes.json.headers.authorization, undefined);
  const no = await ask(unlisted);
  assert.deepEqual([no.status, no.json.error], [401, "invalid_token"]);
  assert.match(no.json.error_description, /issued to another app/);
});

test("huggingface_hub's OAuth helpers sign somebody in, as in a Space", async () => {
  const space = {
    SPACE_ID: "ada/app",
    SPACE_HOST: "ada-app.hf.space",
    OPENID_PROVIDER_URL: hub.issuer,
    OAUTH_CLIENT_ID: hub.client_id,
    OAUTH_CLIENT_SECRET: hub.client_secret,
    OAUTH_SCOPES: "openid profile email read-memberships",
  };
  const app = await Process.start("hf_oauth.py", python, [join(root, "tests/web/apps/hf_oauth.py")], {
    env: { ...env, ...space },
    ready: output => /listens at (\S+)/.exec(output)?.[1],
  });
  assert.deepEqual((await request(app.known)).json, { signed_in: false });
  const jar = await signIn(app.known, "joerg", { start: "/oauth/huggingface/login", end: `${app.known}/?` });
  const seen = (await jar.request(`${app.known}/`)).json;
  assert.deepEqual(seen, {
    signed_in: true,
    sub: seen.sub,
    username: "joerg",
    name: "Jörg Müller-李",
    email: "joerg@example.org",
    email_verified: true,
    picture: `${hub.issuer}/avatars/${seen.sub}.svg`,
    profile: `${hub.issuer}/joerg`,
    scope: "openid profile email read-memberships",
    token: "hf_oauth_",
    is_pro: null,
    orgs: null,
  });
  assert.match(seen.sub, /^[0-9a-f]{24}$/);
});
