// Plain HTTP, without what `fetch` adds (Sec-Fetch-*, redirects).

import http from "node:http";
import https from "node:https";

/** Resolves every name to loopback: the tests' hosts are made up. */
const here = {
  rejectUnauthorized: false,
  lookup: (host, options, done) =>
    options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
};

/** One request; `body` is a string or nothing, `from` a loopback address to send it from. */
export function request(url, { method = "GET", headers = {}, body, agent = false, from } = {}) {
  return new Promise((done, failed) => {
    const scheme = url.startsWith("https:") ? https : http;
    const asked = scheme.request(url, { method, headers, agent, localAddress: from, ...here }, response => {
      const chunks = [];
      response.on("data", chunk => chunks.push(chunk));
      response.on("error", failed);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        done({
          status: response.statusCode,
          headers: response.headers,
          cookies: response.headers["set-cookie"] ?? [],
          text,
          get json() { return JSON.parse(text); },
        });
      });
    });
    asked.on("error", failed);
    asked.end(body);
  });
}

/** A browser's cookies for one host; as in a browser, ports share them. */
export class Jar {
  #cookies = new Map();

  take(response) {
    for (const line of response.cookies) {
      const [pair] = line.split(";");
      const at = pair.indexOf("=");
      const gone = /;\s*max-age=0/i.test(line);
      if (gone) this.#cookies.delete(pair.slice(0, at));
      else this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }

  get header() { return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; "); }
  get names() { return [...this.#cookies.keys()]; }

  async request(url, options = {}) {
    const headers = { accept: "text/html", ...(this.header && { cookie: this.header }), ...options.headers };
    return this.take(await request(url, { ...options, headers }));
  }
}

/**
 * Signs `username` in by following links and submitting forms; returns the jar. `orgs` are the
 * organisations to grant, or "all". `listen` is the gate's listener, if it differs from its
 * public address; for another app than the gate, the sign-in begins at `start` and ends at `end`.
 */
export async function signIn(gate, username, {
  orgs = ["acme"], jar = new Jar(), listen, start = "/oauth2/start?rd=/", end = `${gate}/`,
} = {}) {
  const open = (url, options = {}) => {
    if (!listen || !url.startsWith(gate)) return jar.request(url, options);
    const headers = { ...options.headers, host: new URL(gate).host };
    return jar.request(url.replace(gate, listen), { ...options, headers });
  };
  let url = `${gate}${start}`;
  let response = await open(url);
  for (let step = 0; step < 10; step++) {
    if (response.headers.location) {
      url = new URL(response.headers.location, url).href;
      if (url === end) return jar;
      response = await open(url);
      continue;
    }
    const form = new URLSearchParams();
    const fields = [...response.text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/g)];
    for (const [, name, value] of fields) form.append(name, value.replaceAll("&amp;", "&"));
    if (response.text.includes('id="people"')) {
      form.append("username", username);
    } else if (response.text.includes('id="consent"')) {
      const shown = [...response.text.matchAll(/data-org="([^"]*)"/g)].map(([, org]) => org);
      for (const org of orgs === "all" ? shown : orgs) {
        const box = new RegExp(`value="([^"]*)" data-org="${org}"`).exec(response.text);
        if (box) form.append("org", box[1]);
      }
      form.append("decision", "authorize");
    } else {
      throw new Error(`${username} cannot be signed in: ${response.status} at ${url}\n${response.text}`);
    }
    const [, action] = /<form method="post" action="([^"]*)"/.exec(response.text);
    url = new URL(action.replaceAll("&amp;", "&"), url).href;
    response = await open(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", origin: new URL(url).origin },
      body: form.toString(),
    });
  }
  throw new Error(`the sign-in of ${username} goes round and round`);
}
