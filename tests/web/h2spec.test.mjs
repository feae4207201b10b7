// h2spec: conformance to RFC 9113 and RFC 7541, at both listeners.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { before, test } from "node:test";

import { request } from "./lib/http.mjs";
import { Process, folder, root } from "./lib/processes.mjs";
import { startEcho, startGate, startHub } from "./lib/world.mjs";

/** All cases, including those of --strict. */
const CASES = 146;

let hub;
let echo;

before(async () => {
  [hub, echo] = await Promise.all([startHub(), startEcho()]);
});

// The app responds after a moment: a response that is complete before a case has sent everything
// would leave nothing to reject.
const PATH = "/later";

const start = tls => startGate({ hub, tls, upstream: echo.url, more: `
[[route]]
path   = "${PATH}"
public = true
` });

/** Runs h2spec; returns the number of cases, and the failed ones as "section number". */
async function h2spec(gate) {
  const report = join(folder(), "report.xml");
  const args = ["--strict", "--host", "127.0.0.1", "--port", String(gate.port), "--path", PATH, "--timeout", "5", "--junit-report", report];
  const running = Process.spawn("h2spec", join(root, ".work/bin/h2spec"), gate.ca ? [...args, "--tls", "--insecure"] : args);
  await running.exit;
  const [, cases, passed, skipped] = /(\d+) tests, (\d+) passed, (\d+) skipped/.exec(running.output) ?? assert.fail(running.output);
  const failed = [...readFileSync(report, "utf8").matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>\s*<(?:failure|error)/g)]
    .map(([, section, title]) => `${section}: ${title}`);
  assert.equal(Number(cases), Number(passed) + Number(skipped) + failed.length, running.output);
  return { cases: Number(cases), skipped: Number(skipped), failed, output: running.output };
}

/** The gate still works. */
async function unharmed(gate) {
  assert.equal(gate.process.ended, false, gate.process.output);
  assert.equal((await request(`${gate.url}/oauth2/healthz`)).status, 200);
  assert.doesNotMatch(gate.process.output, /panicked/);
}

test("over TLS every case passes", async () => {
  const gate = await start(true);
  const { output, ...said } = await h2spec(gate);
  assert.deepEqual(said, { cases: CASES, skipped: 0, failed: [] }, output);
  await unharmed(gate);
});

/** Cases that fail at the cleartext listener, and why. */
const EXPLAINED = {
  "http2/3.5: Sends invalid connection preface":
    "whatever is not the preface is HTTP/1.1 there: it is answered so, with 400, and closed; h2spec knows no such answer",
};

test("without TLS every case passes, except for the explained ones", async () => {
  const gate = await start(false);
  const { output, ...said } = await h2spec(gate);
  assert.deepEqual(said, { cases: CASES, skipped: 0, failed: Object.keys(EXPLAINED) }, output);
  await unharmed(gate);
});

test("without TLS an invalid preface gets an HTTP/1.1 400, and the connection is closed", async () => {
  const gate = await start(false);
  const answer = await new Promise((done, failed) => {
    const socket = connect(gate.port, "127.0.0.1", () => socket.write("INVALID CONNECTION PREFACE\r\n\r\n"));
    const chunks = [];
    socket.setTimeout(10_000, () => socket.destroy(new Error("not closed")));
    socket.on("data", chunk => chunks.push(chunk));
    socket.on("error", failed);
    socket.on("close", () => done(Buffer.concat(chunks).toString("latin1")));
  });
  assert.match(answer, /^HTTP\/1\.1 400 /);
  await unharmed(gate);
});
