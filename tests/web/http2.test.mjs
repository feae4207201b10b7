// HTTP/2 with real clients: curl, httpx and Chromium, over TLS and with prior knowledge.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { join } from "node:path";
import { before, test } from "node:test";

import { launch, person, signInAs } from "./lib/browser.mjs";
import { signIn } from "./lib/http.mjs";
import { Process, folder, python, root } from "./lib/processes.mjs";
import { startEcho, startGate, startHub } from "./lib/world.mjs";

const MIB = 1 << 20;

let browser;
let hub;
let echo;
/** Both kinds of HTTP/2; `curl` holds curl's option. */
const ways = {
  "over TLS": { tls: true, curl: gate => ["--http2", "--cacert", gate.ca] },
  "without TLS": { tls: false, curl: () => ["--http2-prior-knowledge"] },
};

before(async () => {
  [browser, hub, echo] = await Promise.all([launch(), startHub(), startEcho()]);
  await Promise.all(Object.values(ways).map(async way => {
    way.gate = await startGate({ hub, upstream: echo.url, tls: way.tls });
    way.cookie = (await signIn(way.gate.url, "ada")).header;
  }));
});

/** Runs curl; returns its report of the transfer, and the body. */
function curl(way, path, ...more) {
  const args = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", ...way.curl(way.gate),
    "--write-out", "\n%{http_version} %{http_code} %{size_upload} %{size_download} %{content_type}"];
  return new Promise(done => execFile("curl", [...args, ...more, way.gate.url + path], { encoding: "utf8", maxBuffer: MIB }, (error, out, err) => {
    const at = out.lastIndexOf("\n");
    const [version, status, up, down, type] = out.slice(at + 1).split(" ");
    done({ code: error?.code ?? 0, err, version, status: Number(status), up: Number(up), down: Number(down), type, body: out.slice(0, at) });
  }));
}

/** Runs clients/many.py and returns its output. */
async function many(way, thing) {
  const args = [join(root, "tests/web/clients/many.py"), thing, way.gate.url, way.cookie, ...(way.gate.ca ? ["--ca", way.gate.ca] : [])];
  const running = Process.spawn("many.py", python, args);
  await running.exit;
  assert.equal(running.status, 0, running.output);
  return JSON.parse(running.output.trim().split("\n").at(-1));
}

for (const [name, way] of Object.entries(ways)) {
  test(`curl ${name}: the app receives the identity, and a stranger is refused`, async () => {
    const known = await curl(way, "/x?a=b", "--cookie", way.cookie, "--header", "X-Custom: kept", "--header", "X-Forwarded-User: mallory");
    assert.equal(known.code, 0, known.err);
    assert.deepEqual([known.version, known.status], ["2", 200]);
    const { url, headers, version } = JSON.parse(known.body);
    assert.deepEqual([url, version, headers["x-custom"]], ["/x?a=b", "1.1", "kept"]);
    assert.equal(headers["x-forwarded-preferred-username"], "ada");
    assert.equal(headers.host, new URL(way.gate.url).host, "the authority is the app's Host");
    assert.equal(headers["x-forwarded-proto"], way.tls ? "https" : "http");
    assert.doesNotMatch(known.body, /mallory/);

    const stranger = await curl(way, "/x");
    assert.deepEqual([stranger.version, stranger.status, stranger.type], ["2", 401, "application/json"]);
    assert.equal(JSON.parse(stranger.body).error, "login_required");

    const head = await curl(way, "/x", "--cookie", way.cookie, "--head", "--output", "/dev/null");
    assert.deepEqual([head.code, head.version, head.status, head.down], [0, "2", 200, 0], head.err);
  });

  test(`curl ${name}: 200 MB are uploaded and downloaded`, async () => {
    const place = folder();
    const path = join(place, "large");
    writeFileSync(path, Buffer.alloc(200 * MIB, "y"));
    const up = await curl(way, "/upload", "--cookie", way.cookie, "--request", "POST", "--upload-file", path);
    assert.deepEqual([up.code, up.version, up.status, up.up], [0, "2", 200, 200 * MIB], up.err);
    assert.equal(JSON.parse(up.body).bytes, 200 * MIB);
    // Without a Content-Length.
    const piped = await curl(way, "/upload", "--cookie", way.cookie, "--request", "POST", "--header", "Content-Length:", "--upload-file", path);
    assert.equal(JSON.parse(piped.body).bytes, 200 * MIB, piped.err);
    const down = await curl(way, "/download?mib=200", "--cookie", way.cookie, "--output", path);
    assert.deepEqual([down.code, down.version, down.status], [0, "2", 200], down.err);
    assert.equal(statSync(path).size, 200 * MIB);
  });

  test(`httpx ${name}: three hundred concurrent requests on one connection`, async () => {
    assert.deepEqual(await many(way, "parallel"), { right: 300, versions: ["HTTP/2"], connections: 1, names: ["ada"] });
  });

  test(`httpx ${name}: events one by one, with other requests between them`, async () => {
    const { spread, ...said } = await many(way, "events");
    assert.deepEqual(said, { events: 6, connections: 1 });
    // The app pauses 300 ms between them, five times.
    assert.ok(spread > 0.8, `they came together, within ${spread} s`);
  });

  test(`httpx ${name}: concurrent download and upload on one connection`, async () => {
    assert.deepEqual(await many(way, "bodies"), { down: 32 * MIB, same: true, up: 32 * MIB, connections: 1 });
  });

  // httpx itself then stops reading for all of them.
  test(`node ${name}: an unread download does not block other streams of the connection`, async () => {
    const session = http2.connect(way.gate.url, { ca: way.gate.ca && readFileSync(way.gate.ca) });
    const ask = path => session.request({ ":path": path, cookie: way.cookie });
    try {
      const unread = ask("/download?mib=500");
      assert.equal((await once(unread, "response"))[0][":status"], 200);
      for (let n = 0; n < 50; n++) {
        const answer = ask(`/item/${n}`);
        const chunks = [];
        answer.on("data", chunk => chunks.push(chunk));
        await once(answer, "end", { signal: AbortSignal.timeout(5_000) });
        assert.equal(JSON.parse(Buffer.concat(chunks)).url, `/item/${n}`);
      }
      // Cancelled half-way; the connection remains usable.
      unread.close(http2.constants.NGHTTP2_CANCEL);
      assert.equal((await once(ask("/after"), "response"))[0][":status"], 200);
    } finally {
      session.destroy();
    }
  });
}

test("curl offers HTTP/2 but asks for HTTP/1.1, and gets it", async () => {
  const way = ways["over TLS"];
  const old = await curl(way, "/x", "--http1.1", "--cookie", way.cookie);
  assert.deepEqual([old.version, old.status], ["1.1", 200], old.err);
});

test("Chromium's WebSocket uses the page's HTTP/2 connection, and ends with the session", async () => {
  const { gate } = ways["over TLS"];
  const context = await person(browser, { ignoreHTTPSErrors: true });
  const page = await context.newPage();
  // The browser's report of the handshakes: 101 means HTTP/1.1, 200 HTTP/2.
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  const handshakes = [];
  devtools.on("Network.webSocketHandshakeResponseReceived", ({ response }) => handshakes.push(response));
  await page.goto(`${gate.url}/page`);
  await signInAs(page, "joerg");
  await page.waitForURL(`${gate.url}/page`);
  assert.equal(await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol), "h2");

  const talk = await page.evaluate(() => new Promise((done, failed) => {
    const socket = new WebSocket(`${location.origin.replace("https", "wss")}/socket`);
    const said = [];
    const words = [..."abcdefghij"].map(letter => letter.repeat(100));
    socket.onerror = () => failed(new Error("no WebSocket"));
    socket.onmessage = event => {
      said.push(event.data);
      const word = words.shift();
      if (word) socket.send(word);
      else socket.close();
    };
    socket.onclose = event => done({ said, clean: event.wasClean });
  }));
  assert.deepEqual(talk, { said: ["hello joerg", ...[..."abcdefghij"].map(letter => letter.repeat(100))], clean: true });
  assert.deepEqual(handshakes.map(({ status }) => status), [200], JSON.stringify(handshakes));

  // Several at once, with ordinary requests.
  const greetings = await page.evaluate(async () => {
    const greeting = () => new Promise((done, failed) => {
      const socket = new WebSocket(`${location.origin.replace("https", "wss")}/socket`);
      socket.onerror = () => failed(new Error("no WebSocket"));
      socket.onmessage = event => { done(event.data); socket.close(); };
    });
    const fetched = Promise.all(Array.from({ length: 20 }, (_, n) => fetch(`/item/${n}`).then(answer => answer.status)));
    return { said: await Promise.all(Array.from({ length: 20 }, greeting)), fetched: await fetched };
  });
  assert.deepEqual(greetings, { said: Array(20).fill("hello joerg"), fetched: Array(20).fill(200) });

  // An open one ends with the session.
  await page.evaluate(() => new Promise((done, failed) => {
    const socket = new WebSocket(`${location.origin.replace("https", "wss")}/socket`);
    window.ended = new Promise(said => { socket.onclose = event => said({ clean: event.wasClean }); });
    socket.onmessage = done;
    socket.onerror = failed;
  }));
  const other = await context.newPage();
  await other.goto(`${gate.url}/oauth2/sign_out`);
  const ended = await Promise.race([page.evaluate(() => window.ended), new Promise(late => setTimeout(late, 5_000, "late"))]);
  assert.notEqual(ended, "late", "the socket outlived its session");
  // Without a session there is none.
  const refused = await page.evaluate(() => new Promise(done => {
    const socket = new WebSocket(`${location.origin.replace("https", "wss")}/socket`);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  }));
  assert.equal(refused, "refused");
  assert.ok(handshakes.every(({ status }) => status !== 101), "none went over HTTP/1.1");
  await context.close();
});
