// Debian's nginx in front of an app with forward auth: deploy/nginx.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { HOST, asked, recipe, substitute } from "./lib/asking.mjs";
import { request } from "./lib/http.mjs";
import { Process, write } from "./lib/processes.mjs";

const world = asked("nginx", async ({ port, plainPort, gate, app, cert, key, place }) => {
  write(join(place, "app.conf"), substitute(recipe("nginx/app.conf"), [
    ["app.example.com", HOST],
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["listen 80;", `listen 127.0.0.1:${plainPort};`],
    [`/etc/ssl/${HOST}/fullchain.pem`, cert],
    [`/etc/ssl/${HOST}/privkey.pem`, key],
    ["127.0.0.1:4180", gate],
    ["127.0.0.1:7860", app],
  ]));
  // A minimal /etc/nginx/nginx.conf that works without root.
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const main = write(join(place, "nginx.conf"), `
worker_processes 1;
pid ${place}/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
${temporary.map(name => `    ${name}_temp_path ${place}/${name};`).join("\n")}
    access_log off;
    include ${place}/app.conf;
}
`);
  return Process.start("nginx", "/usr/sbin/nginx", ["-p", place, "-c", main, "-g", "daemon off; master_process off;"], {
    cwd: place,
    ready: output => /start worker process|using the "epoll"/.test(output),
  });
}, { asItCame: ["/assets/a//b", "/assets/%7Ex;y=%2F", "/assets/./x", "/assets/%41"], seesAnswers: true, dropsFolded: true });

test("requests without TLS are redirected to it", async () => {
  const answer = await request(`http://127.0.0.1:${world.plainPort}/x?y=1`, { headers: { host: HOST } });
  assert.equal(answer.status, 301);
  assert.equal(answer.headers.location, `https://${HOST}/x?y=1`);
});
