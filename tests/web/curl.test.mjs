// curl through the gate: programs, unusual clients, large bodies, an unreachable app, shutdown.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createWriteStream, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { before, test } from "node:test";

import { signIn } from "./lib/http.mjs";
import { Process, eventually, folder } from "./lib/processes.mjs";
import { startEcho, startGate, startHub } from "./lib/world.mjs";

const MIB = 1 << 20;

let hub;
let echo;
let gate;
let cookie;
let files;

before(async () => {
  files = folder();
  [hub, echo] = await Promise.all([startHub(), startEcho()]);
  gate = await startGate({ hub, upstream: echo.url, more: `
[[route]]
path   = "/public/**"
public = true
` });
  cookie = (await signIn(gate.url, "ada")).header;
});

/** Runs curl; returns status, headers and body of its final response. */
async function curl(...args) {
  const { code, out, err } = await new Promise(done => {
    execFile("curl", ["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60", ...args],
      { encoding: "utf8", maxBuffer: 64 * MIB },
      (error, out, err) => done({ code: error?.code ?? 0, out, err }));
  });
  // Skips interim responses such as `100 Continue`.
  let rest = out;
  let head;
  do {
    const end = rest.indexOf("\r\n\r\n");
    head = rest.slice(0, end);
    rest = rest.slice(end + 4);
  } while (/^HTTP\/\S+ 1\d\d/.test(head));
  const [, version, status] = /^HTTP\/(\S+) (\d+)/.exec(head) ?? [];
  const headers = Object.fromEntries(head.split("\r\n").slice(1).map(line => {
    const at = line.indexOf(":");
    return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
  }));
  return { code, err, version, status: Number(status), headers, body: rest, get json() { return JSON.parse(rest); } };
}

const signedIn = () => ["--cookie", cookie];

test("without a session a program gets 401 with JSON, a challenge and no cookie", async () => {
  const answer = await curl(`${gate.url}/reports?x=1`);
  assert.equal(answer.status, 401);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.match(answer.headers["www-authenticate"], /^Bearer /);
  assert.equal(answer.headers["set-cookie"], undefined);
  assert.equal(answer.json.error, "login_required");
  assert.ok(answer.json.sign_in_url.startsWith(`${gate.url}/oauth2/sign_in?`));
});

test("requests that accept HTML are redirected, without content of the app", async () => {
  const answer = await curl("--header", "Accept: text/html,application/xhtml+xml,*/*;q=0.8", `${gate.url}/reports?x=1`);
  assert.equal(answer.status, 302);
  assert.ok(answer.headers.location.startsWith(`${hub.issuer}/oauth/authorize?`));
  assert.equal(answer.body, "");
  assert.match(answer.headers["set-cookie"], /^huggate-pending-/);
});

test("identity headers of clients never reach the app, in any spelling, with or without a session", async () => {
  const spoofs = ["X_Forwarded_User", "x-forwarded_email", "X.Forwarded.User", "X-Auth-Request-User", "Remote-User", "X-Huggate-Assertion",
    "x_huggate_assertion", "X-FORWARDED-GROUPS", "X-Forwarded-Access-Token"]
    .flatMap(name => ["--header", `${name}: mallory`]);
  for (const [path, more] of [["/public/x", []], ["/x", signedIn()], ["/public/x", signedIn()]]) {
    const { status, body, json } = await curl(...spoofs, ...more, gate.url + path);
    assert.equal(status, 200);
    assert.doesNotMatch(body, /mallory/, path);
    assert.equal(json.headers["x-forwarded-preferred-username"], more.length ? "ada" : undefined);
  }
  // The app receives the other headers.
  assert.equal((await curl("--header", "X-Custom: mallory", `${gate.url}/public/x`)).json.headers["x-custom"], "mallory");
});

test("HTTP/1.0 works, for the gate's endpoints and for the app", async () => {
  const refused = await curl("--http1.0", `${gate.url}/x`);
  assert.equal(refused.status, 401);
  const answer = await curl("--http1.0", ...signedIn(), `${gate.url}/x`);
  assert.equal(answer.status, 200);
  assert.equal(answer.json.url, "/x");
  assert.equal(answer.headers["transfer-encoding"], undefined);
});

test("HEAD gets the headers of GET and no body", async () => {
  const answer = await curl("--head", ...signedIn(), `${gate.url}/x`);
  assert.equal(answer.code, 0, answer.err);
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "");
  assert.equal((await curl("--head", `${gate.url}/x`)).status, 401);
});

test("200 MB are uploaded in chunks and 200 MB downloaded without growing the gate's memory", async () => {
  const own = await startGate({ hub, upstream: echo.url });
  const session = (await signIn(own.url, "ada")).header;
  // Warm up: the first requests load the provider's keys and allocate buffers and threads.
  assert.equal((await curl("--cookie", session, `${own.url}/download?mib=4`)).status, 200);
  const before = own.process.peakMemory();

  const path = join(files, "large");
  const file = createWriteStream(path);
  const chunk = Buffer.alloc(MIB, "y");
  for (let n = 0; n < 200; n++) if (!file.write(chunk)) await once(file, "drain");
  await new Promise(done => file.end(done));

  const up = await curl("--cookie", session, "--header", "Transfer-Encoding: chunked", "--header", "Expect:", "--upload-file", path, "--request", "POST", `${own.url}/upload`);
  assert.deepEqual(up.json, { bytes: 200 * MIB, chunked: true });

  const down = join(files, "down");
  const got = await new Promise(done => execFile("curl", ["--silent", "--noproxy", "*", "--cookie", session, "--output", down, "--write-out", "%{http_code}", `${own.url}/download?mib=200`],
    (error, out) => done(out)));
  assert.equal(got, "200");
  assert.equal(statSync(down).size, 200 * MIB);

  const grown = own.process.peakMemory() - before;
  assert.ok(grown < 16 * MIB, `grown by ${(grown / MIB).toFixed(1)} MiB for 400 MB`);
});

/** Uploads `path` and waits for 100 Continue as long as it takes; returns status and bytes sent. */
async function askFirst(path, url, ...more) {
  const sent = await new Promise(done => execFile("curl", ["--silent", "--noproxy", "*", "--max-time", "20", "--expect100-timeout", "15",
    "--header", "Expect: 100-continue", "--upload-file", path, "--request", "POST", ...more,
    "--output", "/dev/null", "--write-out", "%{http_code} %{size_upload} %{time_total}", url], (error, out) => done(out)));
  const [status, bytes, seconds] = sent.split(" ").map(Number);
  return { status, bytes, seconds };
}

test("a client that sends Expect gets the app's response, and sends no body if it is a refusal", async () => {
  const path = join(files, "asked");
  writeFileSync(path, Buffer.alloc(20 * MIB, "z"));
  const granted = await askFirst(path, `${gate.url}/upload`, ...signedIn());
  assert.equal(granted.status, 200);
  assert.equal(granted.bytes, 20 * MIB);
  // Without the app's 100 Continue, curl would still be waiting.
  assert.ok(granted.seconds < 10, `it took ${granted.seconds} s`);
  for (const status of [413, 403]) {
    const { seconds, ...refused } = await askFirst(path, `${gate.url}/upload?refuse=${status}`, ...signedIn());
    assert.deepEqual(refused, { status, bytes: 0 });
    assert.ok(seconds < 10, `it took ${seconds} s`);
  }
  // After a 417, curl retries without Expect, so this client is not curl.
  const headers = { cookie, expect: "100-continue", "content-length": 10 };
  const asked = http.request(`${gate.url}/upload?refuse=417`, { method: "POST", headers, agent: false });
  const leave = once(asked, "continue").then(() => "100", String);
  asked.flushHeaders();
  const answer = await Promise.race([leave, once(asked, "response").then(([response]) => response.statusCode)]);
  asked.destroy();
  assert.equal(answer, 417);
  // Requests that the gate refuses itself get no 100 Continue either.
  const stranger = await askFirst(path, `${gate.url}/upload`);
  assert.deepEqual([stranger.status, stranger.bytes], [401, 0]);
  const own = await startGate({ hub, upstream: echo.url, more: '[limits]\nbody_bytes = "1MiB"' });
  const large = await askFirst(path, `${own.url}/upload`, "--cookie", (await signIn(own.url, "ada")).header);
  assert.deepEqual([large.status, large.bytes], [413, 0]);
});

test("a slow reader does not fill the gate's memory", async () => {
  const own = await startGate({ hub, upstream: echo.url });
  const session = (await signIn(own.url, "ada")).header;
  const before = own.process.peakMemory();
  const reading = Process.spawn("curl", "curl", ["--silent", "--noproxy", "*", "--cookie", session, "--limit-rate", "1M", "--max-time", "4", "--output", "/dev/null", `${own.url}/download?mib=500`]);
  await reading.exit;
  const grown = own.process.peakMemory() - before;
  assert.ok(grown < 16 * MIB, `grown by ${(grown / MIB).toFixed(1)} MiB`);
});

test("events arrive one by one", async () => {
  const arrived = [];
  const reading = Process.spawn("curl", "curl", ["--silent", "--no-buffer", "--noproxy", "*", "--cookie", cookie, `${gate.url}/events?count=5&every=300`]);
  reading.child.stdout.on("data", chunk => {
    for (const [, json] of String(chunk).matchAll(/^data: (.*)$/gm)) arrived.push({ ...JSON.parse(json), at: Date.now() });
  });
  await reading.exit;
  assert.equal(reading.status, 0);
  assert.deepEqual(arrived.map(({ n }) => n), [1, 2, 3, 4, 5]);
  const late = arrived.map(({ at, sent }) => at - sent);
  assert.ok(Math.max(...late) < 250, `later than sent by ${late} ms`);
});

test("a body over body_bytes is 413, with or without Content-Length", async () => {
  const own = await startGate({ hub, upstream: echo.url, more: `
[limits]
body_bytes   = "64KiB"
header_bytes = "8KiB"
` });
  const session = (await signIn(own.url, "ada")).header;
  const send = (bytes, ...more) => curl("--cookie", session, "--header", "Expect:", "--data-binary", "z".repeat(bytes), ...more, `${own.url}/upload`);
  assert.equal((await send(64 * 1024)).json.bytes, 64 * 1024);
  assert.equal((await send(64 * 1024 + 1)).status, 413);
  assert.equal((await send(100 * 1024, "--header", "Transfer-Encoding: chunked")).status, 413);

  const header = bytes => curl("--cookie", session, "--header", `X-Long: ${"h".repeat(bytes)}`, `${own.url}/x`);
  assert.equal((await header(4 * 1024)).status, 200);
  assert.equal((await header(10 * 1024)).status, 431);
});

test("an unreachable app is 502: a page for people, JSON for programs, without its address", async () => {
  const own = await startGate({ hub, upstream: "http://127.0.0.1:9" });
  const session = (await signIn(own.url, "ada")).header;
  const page = await curl("--cookie", session, "--header", "Accept: text/html", `${own.url}/x`);
  assert.equal(page.status, 502);
  assert.match(page.headers["content-type"], /^text\/html/);
  assert.match(page.body, /<h1>The app does not answer<\/h1>/);
  const json = await curl("--cookie", session, `${own.url}/x`);
  assert.equal(json.status, 502);
  assert.equal(json.json.error, "upstream_down");
  assert.doesNotMatch(page.body + json.body, /127\.0\.0\.1:9\b/);
  // An app that closes the connection gives the same page.
  assert.equal((await curl(...signedIn(), `${gate.url}/broken`)).status, 502);
});

test("SIGTERM finishes a slow download, refuses new connections, and exits with 0", async () => {
  const own = await startGate({ hub, upstream: echo.url });
  const session = (await signIn(own.url, "ada")).header;
  const reading = Process.spawn("curl", "curl", ["--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--cookie", session, `${own.url}/slow?lines=10`]);
  await eventually("the download is under way", () => reading.output.includes("line 2"));
  own.process.signal("SIGTERM");
  await eventually("no new connection is taken", async () => (await curl("--max-time", "2", `${own.url}/oauth2/healthz`)).code !== 0);
  assert.equal(reading.ended, false, "the download is still under way");
  await reading.exit;
  assert.equal(reading.status, 0, reading.output);
  assert.match(reading.output, /line 10\nthe end\n$/);
  await own.process.exit;
  assert.equal(own.process.status, 0, own.process.output);
});
