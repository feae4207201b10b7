// Envoy's configuration in deploy/envoy. Envoy is not installed here; the test checks the file's
// structure and simulates its ext_authz requests.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { before, test } from "node:test";

import { HOST, recipe, startAsked } from "./lib/asking.mjs";
import { request, signIn } from "./lib/http.mjs";
import { freePort, python } from "./lib/processes.mjs";
import { startEcho, startHub } from "./lib/world.mjs";

const read = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)';
const envoy = JSON.parse(execFileSync(python, ["-c", read], { input: recipe("envoy/envoy.yaml") })).static_resources;
const manager = envoy.listeners.find(({ name }) => name === "https").filter_chains[0].filters[0].typed_config;
const asks = manager.http_filters[0].typed_config;
const routes = manager.route_config.virtual_hosts[0].routes;

/** Every value of a key, anywhere in a document. */
const all = (document, key) => Object.entries(document ?? {}).flatMap(([name, value]) => [
  ...(name === key ? [value] : []), ...(typeof value === "object" ? all(value, key) : []),
]);

test("all references resolve, and all fields have the required type", () => {
  const clusters = envoy.clusters.map(({ name }) => name);
  for (const name of all(envoy.listeners, "cluster")) assert.ok(clusters.includes(name), name);
  for (const { name, load_assignment: load } of envoy.clusters) assert.equal(load.cluster_name, name);
  for (const filter of all(envoy.listeners, "http_filters").flat()) {
    assert.match(filter.typed_config["@type"], /^type\.googleapis\.com\/envoy\.extensions\.filters\.http\./);
  }
  assert.deepEqual(manager.http_filters.map(({ name }) => name), [
    "envoy.filters.http.ext_authz", "envoy.filters.http.router",
  ]);
});

test("requests fail while huggate is down, and only huggate's own paths bypass ext_authz", () => {
  assert.equal(asks.failure_mode_allow, false);
  assert.equal(asks.http_service.path_prefix, "/oauth2/auth/envoy");
  const unasked = routes.filter(route =>
    route.typed_per_filter_config?.["envoy.filters.http.ext_authz"].disabled).map(route => route.match.prefix);
  assert.deepEqual(unasked, ["/oauth2/auth", "/oauth2/"]);
  assert.equal(routes[0].direct_response.status, 404);
  assert.equal(routes.at(-1).match.prefix, "/");
});

const taken = patterns => name => patterns.some(pattern =>
  (pattern.exact && pattern.exact === name) || (pattern.prefix && name.startsWith(pattern.prefix))
  || (pattern.contains && name.includes(pattern.contains)));

let world;
before(async () => {
  const [port, gatePort] = [await freePort(), await freePort()];
  const [hub, app] = [await startHub(), await startEcho()];
  const listen = `127.0.0.1:${gatePort}`;
  // People sign in at huggate's own address here, with the host name of Envoy.
  const url = `https://${HOST}:${port}`;
  await startAsked("envoy", { hub, url, app: app.url, listen });
  world = { url, listen: `http://${listen}`, hub, app };
  world.ada = (await signIn(url, "ada", { listen: world.listen })).header;
  world.ben = (await signIn(url, "ben", { listen: world.listen })).header;
});

/** Simulates Envoy: returns huggate's refusal, or the app's response. */
async function through(target, { method = "GET", headers = {} } = {}) {
  const host = new URL(world.url).host;
  const removed = manager.early_header_mutation_extensions[0].typed_config.mutations.map(({ remove }) => remove);
  if (Object.keys(headers).some(name => name.includes("_"))) return { status: 400, from: "envoy" };
  const kept = Object.entries({ ...headers, "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https" })
    .filter(([name]) => !removed.includes(name));
  const told = kept.filter(([name]) => taken(asks.allowed_headers.patterns)(name) || name === "authorization");
  const answer = await request(`${world.listen}${asks.http_service.path_prefix}${target}`, {
    method, headers: { ...Object.fromEntries(told), host, "content-length": "0", "x-envoy-internal": "true" },
  });
  const { status, text, cookies } = answer;
  if (status !== 200) return { status, text, cookies, headers: answer.headers, from: "huggate" };
  const { allowed_upstream_headers: upstream, allowed_client_headers_on_success: client } =
    asks.http_service.authorization_response;
  const set = Object.entries(answer.headers).filter(([name]) => taken(upstream.patterns)(name));
  const app = await request(world.app.url + target, {
    method, headers: { ...Object.fromEntries(kept), ...Object.fromEntries(set), host },
  });
  const passedOn = taken(client.patterns)("set-cookie") ? cookies : [];
  return { status: app.status, json: app.json, cookies: passedOn, from: "app" };
}

test("the app receives the identity, and neither the sealed cookie nor the client's claims", async () => {
  const claims = Object.fromEntries([
    "x-forwarded-user", "x-forwarded-email", "x-auth-request-user", "x-huggate-assertion", "remote-user",
    "x-original-url", "x-http-method-override",
  ].map(name => [name, "mallory"]));
  for (const method of ["GET", "POST", "DELETE"]) {
    const { json, from } = await through("/x?y=1", { method, headers: { cookie: world.ada, authorization: "Bearer hf_x", ...claims } });
    assert.equal(from, "app");
    assert.equal(json.headers["x-forwarded-preferred-username"], "ada");
    assert.match(json.headers.cookie, /__Host-huggate=eyJ/);
    assert.ok(!json.headers.authorization);
    assert.ok(!json.raw.includes("mallory"), JSON.stringify(json.raw));
  }
  const nobody = await through("/assets/x", { headers: claims });
  assert.equal(nobody.from, "app");
  assert.ok(!nobody.json.raw.includes("mallory"), JSON.stringify(nobody.json.raw));
  for (const name of ["x.forwarded.user", "x_forwarded_user"]) {
    assert.equal((await through("/assets/x", { headers: { [name]: "mallory" } })).status, 400, name);
  }
});

test("a refusal is passed on unchanged", async () => {
  const page = await through("/x?y=1", { headers: { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" } });
  assert.equal(page.status, 302);
  assert.ok(page.headers.location.startsWith(`${world.hub.issuer}/oauth/authorize?`));
  assert.match(page.cookies[0], /^__Host-huggate-pending-/);
  assert.equal((await through("/x")).status, 401);
  const refused = await through("/admin/x", { headers: { cookie: world.ben, accept: "text/html" } });
  assert.equal(refused.status, 403);
  assert.match(refused.text, /no access/);
  for (const target of ["/assets/..;/admin/x", "/assets/..%2fadmin/x", "//admin/x", "/oauth2/start"]) {
    assert.equal((await through(target, { headers: { cookie: world.ben } })).status, 400, target);
  }
  const socket = { "sec-websocket-key": "x", "sec-websocket-version": "13", origin: "https://evil.example" };
  assert.equal((await through("/socket", { headers: { cookie: world.ada, ...socket } })).status, 403);
});
