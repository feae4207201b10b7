// Python's `websockets` package, as client and as app, with the gate between.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";

import { signIn } from "./lib/http.mjs";
import { Process, eventually, python, root } from "./lib/processes.mjs";
import { startGate, startHub } from "./lib/world.mjs";

let gate;
let jar;

before(async () => {
  const hub = await startHub();
  const app = await Process.start("socket app", python, [join(root, "tests/web/apps/echo_socket.py")], {
    ready: output => /listens at (\S+)/.exec(output)?.[1],
  });
  gate = await startGate({ hub, upstream: app.known });
  jar = await signIn(gate.url, "ada");
});

const lines = output => output.split("\n").filter(line => line.startsWith("{")).map(line => JSON.parse(line));

/** Runs the client to its end; what it said. */
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

test("a hundred messages each way, under the agreed subprotocol, from somebody the app knows", async () => {
  const said = await client("messages", { more: ["--subprotocol", "chat.v2"] });
  assert.deepEqual(said, { greeting: "hello ada", right: 100, subprotocol: "chat.v2" });
});

test("without an Origin, as programs send it", async () => {
  assert.equal((await client("messages", { origin: null })).right, 100);
});

test("a message of one mebibyte comes back as it was", async () => {
  assert.deepEqual(await client("large"), { bytes: 1 << 20, same: true });
});

test("the app's close code and reason arrive", async () => {
  assert.deepEqual(await client("close"), { code: 4321, reason: "as you wish" });
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

test("a sign-out closes the socket at once", async () => {
  const own = await signIn(gate.url, "ben");
  const listening = begin("listen", { cookie: own.header, origin: gate.url });
  await eventually("the socket is open", () => lines(listening.output)[0]?.open);
  const signedOut = Date.now();
  await own.request(`${gate.url}/oauth2/sign_out`);
  await listening.exit;
  assert.ok(Date.now() - signedOut < 5_000, "within five seconds");
  assert.equal(lines(listening.output).at(-1).ended, "closed");
  // Ada's is not concerned.
  assert.equal((await client("messages")).right, 100);
});
