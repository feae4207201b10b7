// Forward auth: what must hold for every proxy, with its configuration in deploy/ unchanged.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { connect as connectTls } from "node:tls";

import { launch, person, signInAs, text } from "./browser.mjs";
import { request, signIn } from "./http.mjs";
import { Process, eventually, folder, freePort, huggate, root, write } from "./processes.mjs";
import { HOST, certificate } from "./tls.mjs";
import { register, startEcho, startHub } from "./world.mjs";

export { HOST };

/** Further spellings, from the public folder into another one and around huggate's prefix. */
const SPELLINGS = [
  "/admin/x", "/Admin/x", "/ADMIN/x", "/admin/x?p=/assets/x", "/admin/x#/assets/", "/assets/x?/../../admin/x",
  "/assets/%u002e%u002e/admin/x", "/assets/．．/admin/x", "/assets/...//admin/x", "/assets/../../../../admin/x",
  "/oauth2/../admin/x", "/oauth2/auth/../../admin/x", "/oauth2/auth/envoy/../../../admin/x",
  "/oauth2%2f..%2fadmin/x", "http://other.example/admin/x", `http://${HOST}/assets/../admin/x`,
].map(text => Buffer.from(text, "utf8").toString("latin1"));

/**
 * The spellings that all tests share, and these; a character is a byte. The public path has
 * another name in deploy/.
 */
function spellings() {
  const table = JSON.parse(readFileSync(join(root, "tests/cases/paths.json"), "utf8"));
  const shared = Object.values({ ...table.refused, ...table.never }).flat();
  assert.ok(shared.length > 100, `${shared.length} spellings`);
  const ours = shared.map(path => path.replaceAll("public", "assets").replaceAll("{host}", HOST));
  return [...new Set([...SPELLINGS, ...ours])];
}

/** Names of identity headers, as in the response. */
const NAMES = [
  "X-Forwarded-User", "X-Forwarded-Preferred-Username", "X-Forwarded-Email", "X-Forwarded-Groups",
  "X-Forwarded-Access-Token", "X-Huggate-Assertion", "X-Auth-Request-User", "X-Auth-Request-Email",
  "X-Auth-Request-Preferred-Username", "X-Auth-Request-Groups", "Remote-User", "Remote-Name", "Remote-Email",
  "Remote-Groups",
];

/** The same in other spellings that WSGI, PHP and CGI fold together. */
const FOLDED = [
  ...NAMES.map(name => name.replaceAll("-", "_")),
  "X-Forwarded_User", "X_Forwarded-User", "X.Forwarded.User", "x-forwarded_preferred-username",
];

/** Replaces each text, which must exist, so that a changed configuration fails the test. */
export function substitute(source, pairs) {
  return pairs.reduce((changed, [from, to]) => {
    assert.ok(changed.includes(from), `${from} is not in the file any more`);
    return changed.replaceAll(from, to);
  }, source);
}

/** Reads a file of deploy/. */
export const recipe = path => readFileSync(join(root, "deploy", path), "utf8");

/** huggate with deploy/`name`/config.toml; only addresses and the client are replaced. */
export async function startAsked(name, { hub, url, app, listen }) {
  const place = folder();
  const client = await register(hub, `${url}/oauth2/callback`);
  write(join(place, "client-secret"), client.client_secret);
  write(join(place, "session-secret"), Buffer.from(`the secret of the ${name} test, long`.slice(0, 32)).toString("base64"));
  const pairs = [
    ['"https://app.example.com"', `"${url}"`],
    ['"127.0.0.1:4180"', `"${listen}"`],
    ['"http://127.0.0.1:7860"', `"${app}"`],
    ["01234567-89ab-4cde-8f01-23456789abcd", client.client_id],
    ["#[bearer]\n#hub_tokens", "[bearer]\nhub_tokens"],
  ];
  const config = write(join(place, "config.toml"), substitute(recipe(`${name}/config.toml`), pairs));
  return Process.start("huggate serve", huggate, ["serve", "--config", config], {
    // A session is renewed after a tenth of its idle time.
    env: {
      HUGGATE_PROVIDER__ISSUER: hub.issuer,
      HUGGATE_SESSION__IDLE_TIMEOUT: "30s",
      // The name where public_url has no port, as in deploy/.
      HUGGATE_SESSION__COOKIE_NAME: "huggate",
    },
    ready: () => request(`http://${listen}/oauth2/healthz`).then(answer => answer.status === 200, () => false),
  });
}

/**
 * Runs all tests. `start({ port, plainPort, host, gate, app, cert, key, place })` returns the
 * proxy's process; it listens with TLS on `port`, and without on `plainPort`. `asItCame` are
 * paths that this proxy forwards unchanged; `seesAnswers`: it keeps a session cookie out of
 * responses that are marked as public; `dropsFolded`: it removes names with `_` and `.` before
 * huggate sees them.
 */
export function asked(name, start, { asItCame = [], seesAnswers = false, dropsFolded = false } = {}) {
  const world = {};

  before(async () => {
    const place = folder();
    const [port, plainPort, gatePort] = [await freePort(), await freePort(), await freePort()];
    const url = `https://${HOST}:${port}`;
    const listen = `127.0.0.1:${gatePort}`;
    const hub = await startHub();
    const app = await startEcho();
    const gate = await startAsked(name, { hub, url, app: app.url, listen });
    const proxy = await start({
      port, plainPort, host: HOST, gate: listen, app: app.url.replace("http://", ""), place, ...certificate(place),
    });
    await eventually("the proxy answers", async () => {
      if (proxy.ended) throw new Error(`${name} ended\n${proxy.output}`);
      return (await request(`${url}/oauth2/healthz`)).status === 200;
    }).catch(error => { throw new Error(`${error.message}\n${proxy.output}`); });
    Object.assign(world, { url, port, plainPort, hub, app, gate, proxy, listen, browser: await launch() });
  });

  /** Sends these bytes over TLS and returns the response. */
  const raw = (target, lines = [], method = "GET") => new Promise((done, failed) => {
    const socket = connectTls({ port: world.port, host: "127.0.0.1", servername: HOST, rejectUnauthorized: false });
    const chunks = [];
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no end of the answer to ${target}`)));
    socket.on("data", chunk => chunks.push(chunk));
    socket.on("error", error => (error.code === "ECONNRESET" ? done("") : failed(error)));
    socket.on("close", () => done(Buffer.concat(chunks).toString("latin1")));
    const head = [`${method} ${target} HTTP/1.1`, `Host: ${HOST}:${world.port}`, "Connection: close", ...lines];
    socket.write(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  });
  const status = answer => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
  /** The request as the app received it, if it did. */
  const reached = answer => {
    if (status(answer) !== 200) return null;
    const found = /\{"method":.*\}/s.exec(answer);
    return found && JSON.parse(found[0]);
  };
  const json = { accept: "application/json" };

  test("a person signs in, and returns to the page with its query", async () => {
    const context = await person(world.browser, { ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const target = `${world.url}/reports/42?tab=2&x=%2Fy`;
    await page.goto(target);
    assert.ok(page.url().startsWith(world.hub.issuer), page.url());
    await signInAs(page, "ada");
    await page.waitForURL(target);
    assert.match(await text(page), /Hello, ada/);
    assert.equal(await page.locator("#path").innerText(), "/reports/42");
    const session = (await context.cookies(world.url)).find(cookie => cookie.name === "__Host-huggate");
    assert.ok(session.httpOnly && session.secure, JSON.stringify(session));

    // A WebSocket and an event stream of that page.
    const greeting = await page.evaluate(() => new Promise((done, failed) => {
      const socket = new WebSocket(location.origin.replace("https", "wss") + "/socket");
      const said = [];
      socket.onerror = () => failed(new Error("no WebSocket"));
      socket.onmessage = event => {
        said.push(event.data);
        if (said.length === 1) socket.send("echo ✓");
        else done(said), socket.close();
      };
    }));
    assert.deepEqual(greeting, ["hello ada", "echo ✓"]);
    const spread = await page.evaluate(() => new Promise((done, failed) => {
      const events = new EventSource("/events?count=5&every=300");
      const at = [];
      events.onerror = () => failed(new Error("no stream"));
      events.onmessage = () => {
        at.push(performance.now());
        if (at.length === 5) events.close(), done(at[4] - at[0]);
      };
    }));
    assert.ok(spread > 600, `the events came together, within ${spread} ms`);

    // And signs out again.
    await page.goto(`${world.url}/oauth2/sign_out`);
    await page.getByText("signed out").first().waitFor();
    const left = (await context.cookies(world.url)).map(cookie => cookie.name);
    assert.ok(!left.includes("__Host-huggate"), left.join());
    const old = await request(`${world.url}/x`, { headers: { ...json, cookie: `__Host-huggate=${session.value}` } });
    assert.equal(old.status, 401);
    await context.close();
  });

  test("an account without access gets a page with the reason", async () => {
    const context = await person(world.browser, { ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(`${world.url}/x`);
    await signInAs(page, "ben");
    await page.waitForURL(`${world.url}/x`);
    const answer = await page.goto(`${world.url}/admin/x`);
    assert.equal(answer.status(), 403);
    assert.match(await text(page), /no access/);
    await context.close();
  });

  test("the app receives the identity, and neither the sealed cookie nor a token", async () => {
    const jar = await signIn(world.url, "ada");
    const sealed = /__Host-huggate=([^;]+)/.exec(jar.header)[1];
    const cookie = `theme=dark; ${jar.header}; last=1`;
    const rest = jar.header.split("; ").filter(pair => !pair.startsWith("__Host-huggate"));
    for (const target of ["/x?a=b", "/assets/x", "/admin/x"]) {
      const { headers, url, raw } = (await request(world.url + target, { headers: { ...json, cookie } })).json;
      assert.equal(url, target);
      assert.equal(headers["x-forwarded-preferred-username"], "ada");
      assert.match(headers["x-forwarded-user"], /^[0-9a-f]{24}$/);
      assert.equal(headers["x-forwarded-groups"], "acme,acme:admin");
      assert.match(headers["x-huggate-assertion"], /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
      assert.deepEqual(headers.cookie.split("; "), [
        "theme=dark", ...rest, `__Host-huggate=${headers["x-huggate-assertion"]}`, "last=1",
      ]);
      assert.ok(!raw.some(value => value.includes(sealed)), "the sealed cookie reached the app");
      assert.equal(headers["x-forwarded-host"], new URL(world.url).host);
      assert.equal(headers["x-forwarded-proto"], "https");
      assert.equal(headers["x-forwarded-for"], "127.0.0.1");
      assert.equal(headers.host, new URL(world.url).host);
    }
  });

  test("identities claimed by the client are removed, in any spelling", async () => {
    const jar = await signIn(world.url, "ben");
    for (const target of ["/assets/x", "/x"]) {
      for (const cookie of target === "/x" ? [jar.header] : [jar.header, "a=b"]) {
        const claims = names => names.map(name => `${name}: mallory`);
        const exact = reached(await raw(target, [`Cookie: ${cookie}`, ...claims(NAMES)]));
        assert.ok(exact, `${target} did not reach the app`);
        assert.ok(!exact.raw.some(value => value.includes("mallory")), JSON.stringify(exact.raw));
        const known = cookie === jar.header ? "ben" : undefined;
        // A proxy may remove it, or leave it empty.
        assert.equal(exact.headers["x-forwarded-preferred-username"] || undefined, known);
        for (const name of FOLDED) {
          const answer = await raw(target, [`Cookie: ${cookie}`, `${name}: mallory`]);
          const told = reached(answer);
          assert.ok(dropsFolded ? told : status(answer) === 400, `${name}: ${answer}`);
          assert.ok(!told?.raw.includes("mallory"), `${name}: ${JSON.stringify(told?.raw)}`);
        }
      }
    }
  });

  test("without a session, requests get the right kind of response", async () => {
    const open = headers => request(`${world.url}/x?y=1`, { headers });
    const page = await open({ accept: "text/html" });
    assert.equal(page.status, 302);
    assert.ok(page.headers.location.startsWith(`${world.hub.issuer}/oauth/authorize?`), page.headers.location);
    assert.equal(page.headers["cache-control"], "no-store");
    const program = await open(json);
    assert.equal(program.status, 401);
    assert.equal(program.json.error, "login_required");
    assert.match(program.headers["www-authenticate"], /^Bearer/);
    assert.deepEqual(program.cookies, []);
    const frame = await open({ "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" });
    assert.equal(frame.status, 401);
    assert.match(frame.text, /new tab/);
    const form = await request(`${world.url}/form`, {
      method: "POST", body: "note=kept", headers: { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
    });
    assert.equal(form.status, 401);
    assert.match(form.text, /not sent/);
    const socket = await raw("/socket", [
      "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    assert.equal(status(socket), 401, socket);
    assert.equal((await request(`${world.url}/assets/x`, { headers: json })).status, 200);
  });

  test("a page of another site cannot open a WebSocket", async () => {
    const jar = await signIn(world.url, "ada");
    const shake = origin => raw("/socket", [
      `Cookie: ${jar.header}`, `Origin: ${origin}`, "Upgrade: websocket", "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    assert.equal(status(await shake("https://evil.example")), 403);
    assert.equal(status(await shake("null")), 403);
  });

  test("no spelling of a path bypasses the rules", async () => {
    const ben = (await signIn(world.url, "ben")).header;
    for (const spelling of spellings()) {
      for (const cookie of ["a=b", ben]) {
        const told = reached(await raw(spelling, [`Cookie: ${cookie}`]));
        if (!told) continue;
        // Every interpretation of the forwarded path must be allowed.
        for (const reading of readings(told.url)) {
          assert.ok(!/^\/+admin(\/|$)/.test(reading), `${spelling} reached the app as ${told.url}, read as ${reading}`);
          assert.ok(cookie === ben || /^\/assets(\/|$)/.test(reading), `${spelling}: ${told.url} read as ${reading}`);
        }
      }
    }
    for (const target of ["/assets/x", "/assets/a%20b.css?v=/admin/x", "/assets/caf%C3%A9", ...asItCame]) {
      assert.equal(reached(await raw(target))?.url, target);
    }
    const ada = (await signIn(world.url, "ada")).header;
    assert.equal(reached(await raw("/admin/x", [`Cookie: ${ada}`])).url, "/admin/x");
  });

  test("the client's own description of the original request is ignored", async () => {
    // oauth2-proxy CVE-2026-40575 and similar.
    const ben = (await signIn(world.url, "ben")).header;
    const host = new URL(world.url).host;
    for (const lines of [
      ["X-Forwarded-Uri: /assets/x"],
      ["X-Forwarded-Uri: /assets/x", "X-Forwarded-Method: GET", `X-Forwarded-Host: ${host}`, "X-Forwarded-Proto: https"],
      ["X-Original-URI: /assets/x"],
      [`X-Original-URL: https://${host}/assets/x`],
      ["X-Original-URL: /assets/x"],
      ["X-Rewrite-URL: /assets/x"],
      ["X-Forwarded-Host: other.example"],
      ["Forwarded: host=other.example"],
      ["X-Forwarded-For: 127.0.0.1"],
      ["X-Original-Method: OPTIONS", "X-Forwarded-Method: OPTIONS"],
      ["X-HTTP-Method-Override: OPTIONS"],
      ["Connection: X-Forwarded-Uri, X-Original-URI, X-Forwarded-User, Cookie"],
      ["X-Auth-Request-Redirect: https://evil.example/"],
    ]) {
      for (const cookie of ["a=b", ben]) {
        const answer = await raw("/admin/x", [`Cookie: ${cookie}`, ...lines]);
        assert.ok([400, 401, 403].includes(status(answer)), `${lines}: ${answer}`);
        assert.ok(!/evil\.example/.test(answer), answer);
      }
    }
    // The app does not receive it either.
    const told = reached(await raw("/assets/x", ["X-Rewrite-URL: /admin/x"]));
    assert.ok(!told?.headers["x-rewrite-url"], JSON.stringify(told?.headers));
  });

  test("the auth endpoints cannot be called from outside", async () => {
    const jar = await signIn(world.url, "ada");
    for (const target of [
      "/oauth2/auth", "/oauth2/auth/", "/oauth2/auth/forward", "/oauth2/auth/envoy/x", "/oauth2/%61uth/forward",
      "/oauth2//auth/forward", "/oauth2/x/../auth/forward", "//oauth2/auth/forward", "/oauth2/auth%2fforward",
    ]) {
      const answer = await raw(target, [
        `Cookie: ${jar.header}`, "X-Original-URI: /x", "X-Original-Method: GET", "X-Forwarded-Uri: /x",
        "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", `X-Forwarded-Host: ${new URL(world.url).host}`,
      ]);
      assert.ok(![200, 202].includes(status(answer)) || reached(answer), `${target}: ${answer}`);
      assert.ok(!/^(cookie|x-huggate-assertion|authorization):/im.test(answer), `${target}: ${answer}`);
    }
  });

  test("a session in use gets a renewed cookie, with all its chunks", async () => {
    for (const [username, pieces] of [["ada", 1], ["eve", 1]]) {
      const jar = await signIn(world.url, username, { orgs: "all" });
      const cookies = () => jar.header.split("; ").filter(pair => /^__Host-huggate(-\d)?=/.test(pair));
      const first = cookies();
      assert.ok(first.length >= pieces, `${first.length} pieces`);
      await eventually("a new cookie", async () => {
        const answer = await jar.request(`${world.url}/x`, { headers: json });
        assert.equal(answer.status, 200, answer.text);
        return cookies().join() !== first.join();
      });
      const second = cookies();
      assert.equal(second.length, first.length);
      assert.ok(second.every((pair, index) => pair !== first[index]), "not all of it is new");
      assert.equal((await jar.request(`${world.url}/x`, { headers: json })).status, 200);
      // But not in a response that a shared cache may store.
      await eventually("another", async () => {
        const headers = { ...json, cookie: jar.header };
        for (const [target, dest] of [["/assets/x", "document"], ["/x", "image"], ...(seesAnswers ? [["/public", "empty"]] : [])]) {
          const answer = await request(world.url + target, { headers: { ...headers, "sec-fetch-dest": dest } });
          assert.deepEqual(answer.cookies, [], target);
        }
        return (await request(`${world.url}/x`, { headers })).cookies.length > 0;
      });
    }
  });

  test("large bodies are forwarded both ways, and connections are reused", async () => {
    const jar = await signIn(world.url, "ada");
    const headers = { cookie: jar.header };
    const body = "x".repeat(5 << 20);
    assert.equal((await request(`${world.url}/upload`, { method: "POST", headers, body })).json.bytes, body.length);
    assert.equal((await request(`${world.url}/download?mib=8`, { headers })).text.length, 8 << 20);
    const count = async () => (await request(`${world.url}/connections`, { headers })).json.connections;
    const before = await count();
    for (let n = 0; n < 20; n++) assert.equal((await request(`${world.url}/x`, { headers: { ...headers, ...json } })).status, 200);
    const opened = (await count()) - before;
    assert.ok(opened < 10, `${opened} connections to the app for 20 requests`);
  });

  test("a program authenticates with a Hugging Face token", async () => {
    const token = new RegExp(String.raw`^ada\s+(hf_\w+)`, "m").exec(world.hub.process.output)[1];
    const answer = await request(`${world.url}/admin/x`, { headers: { ...json, authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.headers["x-forwarded-preferred-username"], "ada");
    assert.ok(!answer.json.headers.authorization, "the token reached the app");
    const wrong = await request(`${world.url}/x`, { headers: { ...json, authorization: "Bearer hf_wrong" } });
    assert.equal(wrong.status, 401);
    assert.match(wrong.headers["www-authenticate"], /invalid_token/);
  });

  test("without huggate nobody has access, not even to public paths", async () => {
    const jar = await signIn(world.url, "ada");
    await world.gate.stop();
    for (const target of ["/x", "/admin/x", "/assets/x"]) {
      const answer = await raw(target, [`Cookie: ${jar.header}`]);
      assert.ok(status(answer) >= 500 && !reached(answer), answer);
    }
  });

  return world;
}

/** Removes dot segments (RFC 3986, section 5.2.4). */
function resolve(path) {
  const kept = [];
  for (const segment of path.split("/").slice(1)) {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

/** Every way in which servers may decode and normalise a path, repeatedly and in any order. */
function readings(target) {
  const found = new Set([target.split("?")[0]]);
  const decode = text => text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  const ways = [
    decode,
    path => path.replaceAll("\\", "/"),
    path => path.replace(/\/{2,}/g, "/"),
    path => path.replace(/;[^/]*/g, ""),
    path => path.split(/[\0?#]/)[0],
    path => path.replace(/[. \t\n]+(?=\/|$)/g, dots => (/^\.{1,2}$/.test(dots) ? dots : "")),
    resolve,
  ];
  // None of these makes a path longer, so the search terminates.
  for (const reading of found) for (const way of ways) found.add(way(reading));
  return found;
}

