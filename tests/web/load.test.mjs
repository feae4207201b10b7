// Load tests: slowhttptest's attacks, h2load's and wrk's requests, and two gibibytes each way.
// Each is limited to a few seconds.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { request, signIn } from "./lib/http.mjs";
import { Process, eventually, folder, pause } from "./lib/processes.mjs";
import { startEcho, startGate, startHub } from "./lib/world.mjs";

const MIB = 1 << 20;
const GIB = 1 << 30;

let hub;
let echo;

before(async () => {
  [hub, echo] = await Promise.all([startHub(), startEcho()]);
});

/** A gate, and a session cookie of ada. */
async function start(options = {}) {
  const gate = await startGate({ hub, upstream: echo.url, ...options });
  return { gate, cookie: (await signIn(gate.url, "ada")).header };
}

/** The gate's open client connections, according to the kernel. */
function connections(gate) {
  const [port, open] = [gate.port.toString(16).toUpperCase().padStart(4, "0"), "01"];
  return readFileSync("/proc/net/tcp", "utf8").split("\n")
    .map(line => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === open).length;
}

const descriptors = gate => readdirSync(`/proc/${gate.process.pid}/fd`).length;

/** The responses to a signed-in client during `attack`, or until `cut(seen)`. */
async function meanwhile(attack, { gate, cookie, from }, cut = () => false) {
  const seen = { answers: 0, failures: [], times: [], most: 0, now: 0 };
  while (!attack.ended && !cut(seen)) {
    const since = Date.now();
    const path = `/item/${seen.answers}`;
    const answer = await request(gate.url + path, { from, headers: { cookie, accept: "application/json" } }).catch(error => ({ status: String(error) }));
    if (answer.status !== 200 || answer.json.url !== path) seen.failures.push(answer.status);
    seen.answers++;
    seen.times.push(Date.now() - since);
    seen.now = connections(gate);
    seen.most = Math.max(seen.most, seen.now);
    await pause(50);
  }
  return seen;
}

/** Requests were answered during the attack, not only after it; on a busy machine one may be late. */
function answered({ answers, failures, times }) {
  assert.deepEqual(failures, []);
  assert.ok(answers >= 10, `${answers} answers meanwhile`);
  const sorted = [...times].sort((one, other) => one - other);
  assert.ok(sorted[sorted.length >> 1] < 1_000, `half of them took longer than ${sorted[sorted.length >> 1]} ms`);
  assert.ok(sorted.at(-1) < 8_000, `the slowest took ${sorted.at(-1)} ms`);
}

/** slowhttptest's kinds of attacks, with the number of connections. */
const attacks = {
  // A header line every second, without an end.
  headers: [400, cookie => ["-H", "-i", "1", "-x", "24", "-j", cookie, "/item/slow"]],
  // A body whose next part arrives after the timeout.
  body: [400, cookie => ["-B", "-i", "10", "-s", "8192", "-j", cookie, "/upload"]],
  // A response read in a few bytes at a time, with a small window. Fewer connections: each has
  // megabytes in kernel buffers.
  reading: [150, cookie => ["-X", "-w", "1", "-y", "1", "-n", "10", "-z", "1", "-j", cookie, "/download?mib=50"]],
};

for (const [name, [attackers, args]] of Object.entries(attacks)) {
  test(`slow ${name}: others are answered, and the connections are closed`, { timeout: 60_000 }, async () => {
    const world = await start({ more: '[timeouts]\nheader = "3s"\nstream = "4s"' });
    const { gate, cookie } = world;
    const before = descriptors(gate);
    const own = args(cookie);
    const attack = Process.spawn("slowhttptest", "slowhttptest", [
      "-c", String(attackers), "-r", "200", "-l", "40", "-p", "5", ...own.slice(0, -1), "-u", gate.url + own.at(-1),
    ]);
    const since = Date.now();
    // slowhttptest's probes come and go. A client that does not read does not notice the close.
    const seen = await meanwhile(attack, world, ({ most, now }) => (most > attackers / 2 && now <= 3) || Date.now() - since > 20_000);
    // The attack would have continued for forty seconds.
    assert.ok(Date.now() - since < 25_000 && connections(gate) <= 3, `${connections(gate)} connections are open still`);
    await attack.stop();
    assert.ok(seen.most > attackers / 2, `it did attack: ${seen.most} connections at once`);
    answered(seen);
    await eventually("all connections are gone", () => connections(gate) === 0);
    await eventually("nothing is left of them", () => descriptors(gate) < before + 20);
  });
}

test("an address with as many connections as possible leaves room for others", { timeout: 60_000 }, async () => {
  const world = await start({ more: '[timeouts]\nheader = "8s"\n[limits]\nconnections_per_address = 50' });
  // All of 127.0.0.0/8 is loopback; slowhttptest uses 127.0.0.1.
  world.from = "127.0.0.2";
  const attack = Process.spawn("slowhttptest", "slowhttptest", ["-H", "-c", "400", "-r", "200", "-i", "1", "-l", "6", "-u", `${world.gate.url}/`]);
  const seen = await meanwhile(attack, world);
  assert.ok(seen.most >= 50, `it did attack: ${seen.most} connections at once`);
  assert.ok(seen.most <= 55, `${seen.most} connections of one address`);
  answered(seen);
});

test("h2load: thousands of requests on few connections, over TLS and cleartext", { timeout: 60_000 }, async () => {
  for (const tls of [true, false]) {
    const { gate, cookie } = await start({ tls });
    const load = Process.spawn("h2load", "h2load", [
      "-n", "4000", "-c", "20", "-m", "50", "-H", `cookie: ${cookie}`, `${gate.url}/item/x`,
    ]);
    await load.exit;
    assert.match(load.output, /requests: 4000 total, 4000 started, 4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(load.output, /status codes: 4000 2xx, 0 3xx, 0 4xx, 0 5xx/);
    assert.match(load.output, tls ? /Application protocol: h2\n/ : /Application protocol: h2c\n/);
    await eventually("all connections are gone", () => connections(gate) === 0);
  }
});

test("wrk: continuous requests on a hundred connections", { timeout: 60_000 }, async () => {
  const world = await start();
  const load = Process.spawn("wrk", "wrk", ["-t", "1", "-c", "100", "-d", "5s", "--timeout", "10s", "-H", `Cookie: ${world.cookie}`, `${world.gate.url}/item/x`]);
  const seen = await meanwhile(load, world);
  assert.equal(load.status, 0, load.output);
  assert.doesNotMatch(load.output, /Socket errors|Non-2xx/, load.output);
  assert.ok(Number(/(\d+) requests in/.exec(load.output)[1]) > 500, load.output);
  answered(seen);
  await eventually("all connections are gone", () => connections(world.gate) === 0);
});

/** Runs curl and discards the body; returns status, bytes up, bytes down. */
const curl = (...args) => new Promise(done => execFile("curl", [
  "--silent", "--show-error", "--noproxy", "*", "--max-time", "100", "--output", "/dev/null",
  "--write-out", "%{http_version} %{http_code} %{size_upload} %{size_download}", ...args,
], (error, out, err) => done(error ? err : out)));

for (const version of ["1.1", "2"]) {
  test(`2 GiB up and 2 GiB down over HTTP/${version} do not grow its memory`, { timeout: 120_000 }, async () => {
    const { gate, cookie } = await start();
    // A sparse file.
    const path = join(folder(), "zeros");
    const file = openSync(path, "w");
    ftruncateSync(file, 2 * GIB);
    closeSync(file);
    const way = [version === "2" ? "--http2-prior-knowledge" : "--http1.1", "--cookie", cookie];
    const down = mib => curl(...way, `${gate.url}/download?mib=${mib}`);
    // Warm up: buffers, threads, the provider's keys.
    assert.equal(await down(32), `${version} 200 0 ${32 * MIB}`);
    const before = gate.process.peakMemory();
    const [up, got] = await Promise.all([
      curl(...way, "--request", "POST", "--header", "Expect:", "--upload-file", path, `${gate.url}/upload`),
      down(2048),
    ]);
    assert.equal(got, `${version} 200 0 ${2 * GIB}`);
    assert.ok(up.startsWith(`${version} 200 ${2 * GIB} `), up);
    const grown = gate.process.peakMemory() - before;
    assert.ok(grown < 32 * MIB, `grown by ${(grown / MIB).toFixed(1)} MiB for 4 GiB`);
  });
}
