// Debian's nginx with its default buffers in front of huggate.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";

import { signIn } from "./lib/http.mjs";
import { Process, folder, freePort, huggate, write } from "./lib/processes.mjs";
import { HOST, certificate } from "./lib/tls.mjs";
import { register, startEcho, startHub } from "./lib/world.mjs";

/** What nginx accepts for a Cookie line is 8 kB (large_client_header_buffers). */
const COOKIES = 8_000;
const world = {};

/** A member of acme and of 60 other organisations. */
const orgs = [...Array(60)].map((_, n) => `{ slug = "team-of-${(n * 7919 + 10007).toString(36)}", role = "contributor" }`);
const users = `
[[user]]
username = "ada"
orgs = [{ slug = "acme", role = "admin" }, ${orgs.join(", ")}]
`;

before(async () => {
  const place = folder();
  const [port, gatePort] = [await freePort(), await freePort()];
  const url = `https://${HOST}:${port}`;
  const [hub, app] = [await startHub({ users }), await startEcho()];
  const client = await register(hub, `${url}/oauth2/callback`);
  const config = write(join(place, "config.toml"), `
public_url = "${url}"
listen = "127.0.0.1:${gatePort}"
upstream = "${app.url}"
trusted_proxies = ["127.0.0.1"]
[provider]
issuer = "${hub.issuer}"
client_id = "${client.client_id}"
client_secret = "${client.client_secret}"
[session]
secret = "${Buffer.from("the nginx test's secret, 32 bytes").toString("base64")}"
[access]
allow = [{ org = "acme" }]
`);
  const { cert, key } = certificate(place);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  // No buffer is configured.
  const main = write(join(place, "nginx.conf"), `
worker_processes 1;
pid ${place}/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
${temporary.map(name => `    ${name}_temp_path ${place}/${name};`).join("\n")}
    access_log off;
    server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${cert};
        ssl_certificate_key ${key};
        location / {
            proxy_pass http://127.0.0.1:${gatePort};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
`);
  await Process.start("huggate serve", huggate, ["serve", "--config", config], { ready: output => /listen/i.test(output) });
  const nginx = await Process.start("nginx", "/usr/sbin/nginx", ["-p", place, "-c", main, "-g", "daemon off; master_process off;"], {
    cwd: place,
    ready: output => /start worker process|using the "epoll"/.test(output),
  });
  Object.assign(world, { url, nginx });
});

/** Opens an address and follows it, through redirects and pages that go on, up to the app. */
async function open(jar, url) {
  for (let step = 0; step < 10; step++) {
    const answer = await jar.request(url);
    assert.ok(answer.status < 400, `${answer.status} at ${url.slice(0, 200)}\n${answer.text}\n${world.nginx.output}`);
    assert.ok(jar.header.length < COOKIES, `${jar.header.length} bytes of cookies`);
    const refresh = /http-equiv="refresh" content="0; url=([^"]*)"/.exec(answer.text)?.[1].replaceAll("&amp;", "&");
    const next = answer.headers.location ?? refresh;
    if (!next) return { answer, url };
    url = new URL(next, url).href;
  }
  throw new Error(`round and round at ${url}`);
}

test("a member of sixty organisations signs in, uses the app and signs out", async () => {
  const jar = await signIn(world.url, "ada", { orgs: "all" });
  const { answer } = await open(jar, `${world.url}/oauth2/userinfo`);
  assert.ok(answer.json.groups.length > 50, answer.text);
  assert.equal((await open(jar, `${world.url}/x`)).answer.status, 200);
  await open(jar, `${world.url}/oauth2/sign_out`);
  assert.deepEqual(jar.names.filter(name => /^__Host-huggate/.test(name)), []);
});

test("twenty tabs with long addresses end at their own pages", async () => {
  const jar = await signIn(world.url, "ada", { orgs: "all" });
  await open(jar, `${world.url}/oauth2/sign_out`);
  const tabs = [];
  for (let tab = 0; tab < 20; tab++) {
    const page = `${world.url}/explore?tab=${tab}&form_data=${encodeURIComponent(JSON.stringify([...Array(tab * 10)].map(Math.random)))}`;
    const start = await jar.request(page);
    assert.equal(start.status, 302, `${page.length} bytes: ${start.text}`);
    const back = await jar.request(start.headers.location);
    tabs.push({ page, callback: back.headers.location });
  }
  for (const { page, callback } of tabs) assert.equal((await open(jar, callback)).url, page);
});
