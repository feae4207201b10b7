// Caddy in front of an app with forward auth: deploy/caddy.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { HOST, asked, recipe, substitute } from "./lib/asking.mjs";
import { request } from "./lib/http.mjs";
import { Process, root, write } from "./lib/processes.mjs";

const caddy = join(root, ".work/python/bin/caddy");

const world = asked("caddy", async ({ port, plainPort, gate, app, cert, key, place }) => {
  const config = write(join(place, "Caddyfile"), substitute(recipe("caddy/Caddyfile"), [
    ["app.example.com", HOST],
    ["#default_bind 0.0.0.0", "default_bind 127.0.0.1"],
    ["#http_port 80", `http_port ${plainPort}`],
    ["#https_port 443", `https_port ${port}`],
    ["#admin off", "admin off"],
    [`#tls /etc/ssl/${HOST}/fullchain.pem /etc/ssl/${HOST}/privkey.pem`, `tls ${cert} ${key}`],
    ["127.0.0.1:4180", gate],
    ["127.0.0.1:7860", app],
  ]));
  return Process.start("caddy", caddy, ["run", "--config", config], {
    cwd: place,
    env: { XDG_DATA_HOME: place, XDG_CONFIG_HOME: place },
    ready: () => request(`http://127.0.0.1:${plainPort}/`).then(() => true, () => false),
  });
}, { asItCame: ["/assets/a//b", "/assets/%7Ex;y=%2F", "/assets/./x", "/assets/%41"], dropsFolded: true });

test("requests without TLS are redirected to it", async () => {
  const answer = await request(`http://127.0.0.1:${world.plainPort}/x?y=1`, { headers: { host: HOST } });
  assert.equal(answer.status, 308);
  assert.match(answer.headers.location, new RegExp(`^https://${HOST}(:${world.port})?/x\\?y=1$`));
});
