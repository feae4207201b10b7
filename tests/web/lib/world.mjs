// The processes around a browser: the stand-in for huggingface.co, an app, the gate.

import assert from "node:assert/strict";
import { join } from "node:path";

import { request } from "./http.mjs";
import { Process, folder, freePort, huggate, python, root, write } from "./processes.mjs";
import { certificate } from "./tls.mjs";

const answers = url => request(url).then(response => response.status < 500, () => false);

/** `huggate demo`: all of it in one process. */
export async function startDemo() {
  const process = await Process.start("huggate demo", huggate, ["demo", "--listen", "127.0.0.1:0"], {
    ready: output => {
      const url = /Open\s+(http:\S+)/.exec(output)?.[1];
      return url && { url, issuer: /stand-in for huggingface\.co \((http:[^)]+)\)/.exec(output)[1] };
    },
  });
  return { process, ...process.known };
}

/** `huggate hub`: the provider, with a client for any loopback redirect URL. */
export async function startHub({ users } = {}) {
  const args = ["hub", "--listen", "127.0.0.1:0"];
  if (users) args.push("--users", write(join(folder(), "users.toml"), users));
  const process = await Process.start("huggate hub", huggate, args, {
    ready: output => {
      const read = key => new RegExp(`^${key}\\s*= "([^"]*)"`, "m").exec(output)?.[1];
      return read("client_secret") && /Ctrl-C/.test(output)
        && { issuer: read("issuer"), client_id: read("client_id"), client_secret: read("client_secret") };
    },
  });
  return { process, ...process.known };
}

/** A user's access token, as `huggate hub` prints it. */
export function tokenOf(hub, username) {
  const token = new RegExp(`^${username}\\s+(hf_\\w+)`, "m").exec(hub.process.output)?.[1];
  if (!token) throw new Error(`no token of ${username} in\n${hub.process.output}`);
  return token;
}

/** The OpenAI-style server of apps/completions.mjs. */
export async function startCompletions() {
  const process = await Process.start("completions", globalThis.process.execPath, [join(root, "tests/web/apps/completions.mjs")], {
    ready: output => /listen at (\S+)/.exec(output)?.[1],
  });
  return { process, url: process.known };
}

/** The plain app of apps/echo.mjs. */
export async function startEcho() {
  const process = await Process.start("echo", globalThis.process.execPath, [join(root, "tests/web/apps/echo.mjs")], {
    ready: output => /listens at (\S+)/.exec(output)?.[1],
  });
  return { process, url: process.known };
}

/** The Gradio app of apps/greeter.py. */
export async function startGradio() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = await Process.start("greeter", python, [join(root, "tests/web/apps/greeter.py")], {
    env: {
      GRADIO_SERVER_PORT: String(port),
      GRADIO_ANALYTICS_ENABLED: "False",
      HF_HUB_OFFLINE: "1",
      PYTHONUNBUFFERED: "1",
    },
    ready: () => answers(`${url}/`),
  });
  return { process, url };
}

/** JupyterLab, which identifies people by the gate's headers (apps/jupyter_config.py); `files` is its folder. */
export async function startJupyter() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const [files, home] = [folder(), folder()];
  const process = await Process.start("JupyterLab", python, [
    "-m", "jupyterlab", "--config", join(root, "tests/web/apps/jupyter_config.py"),
    `--ServerApp.port=${port}`, `--ServerApp.root_dir=${files}`,
  ], {
    // Kernels, settings and state are removed with the folder.
    env: { HOME: home, JUPYTER_RUNTIME_DIR: home, JUPYTER_CONFIG_DIR: home, JUPYTER_DATA_DIR: home, IPYTHONDIR: home },
    ready: () => answers(`${url}/api`),
  });
  return { process, url, files };
}

/** The Streamlit app of apps/live.py. */
export async function startStreamlit() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = await Process.start("live", python, [
    "-m", "streamlit", "run", join(root, "tests/web/apps/live.py"), "--server.headless=true",
    "--server.address=127.0.0.1", `--server.port=${port}`, "--browser.gatherUsageStats=false",
    "--server.fileWatcherType=none",
  ], {
    env: { HOME: folder() },
    ready: () => request(`${url}/_stcore/health`).then(response => response.status === 200, () => false),
  });
  return { process, url };
}

/** An OAuth app at the stand-in with exactly this redirect URL. */
export async function register(hub, callback) {
  const answer = await request(`${hub.issuer}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "The App",
      redirect_uris: [callback],
      scope: "openid profile email read-memberships",
    }),
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

/**
 * `huggate serve` with its own config.toml. `top` is inserted above the tables, `more` below
 * them. With `tls` it serves TLS; `ca` is then the authority to trust.
 */
export async function startGate({ hub, upstream, allow = '[{ org = "acme" }]', top = "", more = "", provider = "", session = "", tls = false }) {
  const port = await freePort();
  const url = `${tls ? "https" : "http"}://127.0.0.1:${port}`;
  const own = tls && certificate(folder());
  // The stand-in's own client accepts any loopback address, but not https.
  const client = tls ? await register(hub, `${url}/oauth2/callback`) : hub;
  const config = write(join(folder(), "config.toml"), `
public_url = "${url}"
listen     = "127.0.0.1:${port}"
upstream   = "${upstream}"
${top}
${own ? `
[tls]
cert_file = "${own.cert}"
key_file  = "${own.key}"
` : ""}
[provider]
issuer        = "${hub.issuer}"
client_id     = "${client.client_id}"
client_secret = "${client.client_secret}"
${provider}

[session]
secret = "${Buffer.from("the web tests' secret, 32 bytes!").toString("base64")}"
# The default has the port in it.
cookie_name = "huggate"
${session}

[access]
allow = ${allow}

${more}
`);
  const process = await Process.start("huggate serve", huggate, ["serve", "--config", config], {
    ready: () => answers(`${url}/oauth2/healthz`),
  });
  return { process, url, port, config, ca: own?.ca };
}
