// Python's `websockets` package as client and app, with the gate between.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";

import { signIn } from "./lib/http.mjs";
import { Process, eventually, python, root } from "./lib/processes.mjs";
import { startGate, startHub } from "./lib/world.mjs";

let app;
let gate;
let jar;

before(async () => {
  const hub = await startHub();
  app = await Process.start("socket app", python, [join(root, "tests/web/apps/echo_socket.py")], {
    ready: output => /listens at (\S+)/.exec(output)?.[1],
  });
  gate = await startGate({ hub, upstream: app.known });
  jar = await signIn(gate.url, "ada");
});

const lines = output => output.split("\n").filter(line => line.startsWith("{")).map(line => JSON.parse(line));

/** Runs the client and returns its output. */
async function client(thing, { cookie = jar.header, origin = gate.url, more = [] } = {}) {
  const running = begin(thing, { cookie, origin, more });
  await running.exit;
  assert.equal(running.status, 0, running.output);
  return lines(running.output).at(-1);
}

function begin(thing, { cookie, origin, more = [] }) {
  const args = [join(root, "tests/web/clients/ws.py"), thing, gate.url.replace("http", "ws") + "/socket", ...more];
  if (cookie) args.push("--cookie", cookie);
  if (origin) args.push("--origin", origin);
  return Process.spawn("ws.py", python, args);
}

test("a thousand messages each way, one by one and all at once, with the negotiated subprotocol and an identity", async () => {
  const said = await client("messages", { more: ["--subprotocol", "chat.v2"] });
  assert.deepEqual(said, { greeting: "hello ada", right: 1000, together: 1000, subprotocol: "chat.v2" });
});

test("without an Origin, as programs connect", async () => {
  assert.equal((await client("messages", { origin: null })).right, 1000);
});

test("messages of one mebibyte are returned unchanged, both ways at once", async () => {
  assert.deepEqual(await client("large"), { right: 16 });
});

test("compression is negotiated between client and app", async () => {
  const said = await client("extensions");
  assert.deepEqual(said.ours, ["permessage-deflate"]);
  assert.match(said.offered, /^permessage-deflate; client_max_window_bits$/);
  assert.match(said.agreed, /^permessage-deflate/);
  assert.equal(said.right, 50);
  // Nothing on the way offers it instead.
  assert.deepEqual(await client("extensions", { more: ["--plain"] }), { ours: [], offered: null, agreed: null, right: 50 });
});

test("pings are answered by the other end, both ways", async () => {
  assert.deepEqual(await client("ping"), { ours: true, theirs: "pong" });
});

test("the app's close code and reason arrive", async () => {
  assert.deepEqual(await client("close"), { code: 4321, reason: "as you wish" });
});

test("the client's close code and reason arrive", async () => {
  assert.deepEqual(await client("leave"), { code: 4999, reason: "going ✓" });
  await eventually("the app was told", () => app.output.includes("ended with 4999 going ✓"));
});

test("a page of another origin gets 403", async () => {
  for (const origin of ["https://evil.example", "null", `${gate.url}.evil.example`, gate.url.replace("http", "https")]) {
    const said = await client("messages", { origin });
    assert.equal(said.status, 403, origin);
    assert.equal(JSON.parse(said.body).error, "cross_origin");
  }
});

test("without a session it is 401, with a forged one too", async () => {
  for (const cookie of [null, "huggate=forged"]) {
    const said = await client("messages", { cookie });
    assert.equal(said.status, 401);
    assert.equal(JSON.parse(said.body).error, "login_required");
  }
});

test("a sign-out closes the WebSocket at once", async () => {
  const own = await signIn(gate.url, "ben");
  const listening = begin("listen", { cookie: own.header, origin: gate.url });
  await eventually("the socket is open", () => lines(listening.output)[0]?.open);
  const signedOut = Date.now();
  await own.request(`${gate.url}/oauth2/sign_out`);
  await listening.exit;
  assert.ok(Date.now() - signedOut < 5_000, "within five seconds");
  assert.equal(lines(listening.output).at(-1).ended, "closed");
  // ada's session is not affected.
  assert.equal((await client("messages")).right, 1000);
});
