// Traefik in front of an app with forward auth: deploy/traefik.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { HOST, asked, recipe, substitute } from "./lib/asking.mjs";
import { request } from "./lib/http.mjs";
import { Process, root, write } from "./lib/processes.mjs";

const traefik = join(root, ".work/python/bin/traefik");

const world = asked("traefik", async ({ port, plainPort, gate, app, cert, key, place }) => {
  const dynamic = write(join(place, "dynamic.yml"), substitute(recipe("traefik/dynamic.yml"), [
    ["app.example.com", HOST],
    [`/etc/ssl/${HOST}/fullchain.pem`, cert],
    [`/etc/ssl/${HOST}/privkey.pem`, key],
    ["127.0.0.1:4180", gate],
    ["127.0.0.1:7860", app],
  ]));
  const main = write(join(place, "traefik.yml"), substitute(recipe("traefik/traefik.yml"), [
    ['":443"', `"127.0.0.1:${port}"`],
    ['":80"', `"127.0.0.1:${plainPort}"`],
    ["/etc/traefik/dynamic.yml", dynamic],
  ]));
  return Process.start("traefik", traefik, [`--configFile=${main}`], {
    cwd: place,
    ready: () => request(`http://127.0.0.1:${plainPort}/`).then(() => true, () => false),
  });
});

test("requests without TLS are redirected to it", async () => {
  const answer = await request(`http://127.0.0.1:${world.plainPort}/x?y=1`, { headers: { host: HOST } });
  assert.equal(answer.status, 301);
  assert.equal(answer.headers.location, `${world.url}/x?y=1`);
});
