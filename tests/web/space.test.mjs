// `huggate serve` in a Space: the environment provides everything but the app and the rules.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Jar, request, signIn } from "./lib/http.mjs";
import { Process, freePort, huggate } from "./lib/processes.mjs";
import { startEcho, startHub } from "./lib/world.mjs";

const HOST = "acme-greeter.hf.space";
const PUBLIC = `https://${HOST}`;

let hub;
let listen;

before(async () => {
  const [started, echo, port] = await Promise.all([startHub(), startEcho(), freePort()]);
  hub = started;
  // The Space's own OAuth app, with this callback only.
  const registered = await request(`${hub.issuer}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "acme/greeter",
      redirect_uris: [`${PUBLIC}/oauth2/callback`],
      token_endpoint_auth_method: "client_secret_basic",
    }),
  });
  const { client_id, client_secret } = registered.json;
  assert.ok(client_secret, registered.text);
  listen = `http://127.0.0.1:${port}`;
  await Process.start("huggate serve", huggate, ["serve"], {
    env: {
      SPACE_ID: "acme/greeter",
      SPACE_HOST: HOST,
      OAUTH_CLIENT_ID: client_id,
      OAUTH_CLIENT_SECRET: client_secret,
      OAUTH_SCOPES: "openid profile read-memberships",
      OPENID_PROVIDER_URL: hub.issuer,
      HUGGATE_UPSTREAM: echo.url,
      HUGGATE_ACCESS__ALLOW: '[{ org = "acme" }]',
      // In a Space it is 0.0.0.0:7860, which may be in use here.
      HUGGATE_LISTEN: `127.0.0.1:${port}`,
    },
    ready: () => request(`${listen}/oauth2/healthz`).then(answer => answer.status === 200, () => false),
  });
});

test("a sign-in starts with a cookie that works in a frame of huggingface.co", async () => {
  const answer = await request(`${listen}/deep?x=1`, { headers: { host: HOST, accept: "text/html" } });
  assert.equal(answer.status, 302);
  const to = new URL(answer.headers.location);
  assert.equal(to.origin, new URL(hub.issuer).origin);
  assert.equal(to.searchParams.get("redirect_uri"), `${PUBLIC}/oauth2/callback`);
  assert.equal(to.searchParams.get("code_challenge_method"), "S256");
  assert.equal(answer.cookies.length, 1);
  const [cookie] = answer.cookies;
  assert.match(cookie, /^__Host-huggate-pending-/);
  for (const attribute of ["SameSite=None", "Secure", "Partitioned", "HttpOnly", "Path=/"]) {
    assert.match(cookie, new RegExp(`; ${attribute}(;|$)`), attribute);
  }
  assert.doesNotMatch(cookie, /Domain/i);
});

test("and ends at the app, which receives the identity, with a session cookie of the same kind", async () => {
  const jar = new Jar();
  const lines = [];
  const take = jar.take.bind(jar);
  jar.take = answer => { lines.push(...answer.cookies); return take(answer); };
  await signIn(PUBLIC, "ada", { jar, listen });
  const session = lines.filter(line => line.startsWith("__Host-huggate=")).at(-1);
  for (const attribute of ["SameSite=None", "Secure", "Partitioned"]) assert.match(session, new RegExp(`; ${attribute}(;|$)`));
  const app = await jar.request(`${listen}/`, { headers: { host: HOST, accept: "application/json" } });
  assert.equal(app.status, 200);
  assert.equal(app.json.headers["x-forwarded-preferred-username"], "ada");
  assert.equal(app.json.headers["x-forwarded-proto"], "https");
});

test("in a frame it responds with the page that opens a tab", async () => {
  const answer = await request(`${listen}/`, {
    headers: { host: HOST, accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site" },
  });
  assert.equal(answer.status, 401);
  assert.match(answer.headers["content-security-policy"], /frame-ancestors \*$/);
  assert.match(answer.text, /target="_blank"/);
});
