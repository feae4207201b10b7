// JupyterLab behind `huggate serve`, in Chromium: a kernel over its WebSocket, and a 200 MB file
// uploaded and downloaded by Jupyter itself.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { before, test } from "node:test";

import { launch, person, signInAs, text } from "./lib/browser.mjs";
import { eventually, folder, write } from "./lib/processes.mjs";
import { startGate, startHub, startJupyter } from "./lib/world.mjs";

const MIB = 1 << 20;

let jupyter;
/** Cleartext with HTTP/1.1, and TLS with HTTP/2. */
const ways = { "HTTP/1.1": { tls: false }, "HTTP/2": { tls: true } };

before(async () => {
  const hub = await startHub();
  jupyter = await startJupyter();
  const browser = await launch();
  for (const way of Object.values(ways)) {
    way.gate = await startGate({ hub, upstream: jupyter.url, tls: way.tls });
    way.context = await person(browser, { acceptDownloads: true, ignoreHTTPSErrors: true });
    const page = await way.context.newPage();
    await page.goto(`${way.gate.url}/api/me`);
    await signInAs(page, "ada");
    await page.waitForURL(`${way.gate.url}/api/me`);
    const { identity } = JSON.parse(await text(page));
    assert.equal(identity.username, "ada");
  }
});

/** Opens JupyterLab at `path`; `sockets` are the URL and handshake status of each WebSocket. */
async function open({ gate, context }, path) {
  const page = await context.newPage();
  const [sockets, urls] = [[], new Map()];
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  devtools.on("Network.webSocketCreated", ({ requestId, url }) => urls.set(requestId, url));
  devtools.on("Network.webSocketHandshakeResponseReceived", ({ requestId, response }) =>
    sockets.push({ url: urls.get(requestId), status: response.status }));
  await page.goto(gate.url + path);
  await page.locator(".jp-LabShell").waitFor({ timeout: 60_000 });
  return { page, sockets };
}

async function digest(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

for (const [name, way] of Object.entries(ways)) {
  test(`a cell runs over the kernel's WebSocket, by ${name}, and its output appears piece by piece`, async () => {
    const file = way.tls ? "secure.ipynb" : "plain.ipynb";
    const code = `
import time
for n in range(4):
    print('piece', n, flush=True)
    time.sleep(0.5)
print(6 * 7)`;
    write(join(jupyter.files, file), JSON.stringify({
      nbformat: 4, nbformat_minor: 5,
      metadata: { kernelspec: { name: "python3", display_name: "Python 3", language: "python" } },
      cells: [{ cell_type: "code", id: "a", source: code, metadata: {}, outputs: [], execution_count: null }],
    }));
    const { page, sockets } = await open(way, `/lab/tree/${file}`);
    // Previously open notebooks are restored in the background.
    const cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").first();
    // JupyterLab reports idle before it has a kernel, and then runs nothing.
    await page.locator(".jp-StatusBar-Widget, #jp-main-statusbar").getByText("Python 3 (ipykernel) | Idle").waitFor({ timeout: 60_000 });
    await eventually("the cell is run", async () => {
      if (/\[[*\d]+\]/.test(await cell.locator(".jp-InputPrompt").innerText())) return true;
      await cell.locator(".cm-content").click();
      await page.keyboard.press("Shift+Enter");
      return false;
    }, { every: 1_500, timeout: 60_000 });
    const output = cell.locator(".jp-OutputArea-output").first();
    const said = await eventually("the first piece", async () => {
      const text = await output.innerText();
      return /piece 0/.test(text) && text;
    });
    assert.doesNotMatch(said, /42/, "the first piece came before the last");
    await eventually("the last line", async () => /piece 3\n42/.test(await output.innerText()));
    const channel = sockets.find(({ url }) => /\/api\/kernels\/[\w-]+\/channels/.test(url));
    // HTTP/1.1 answers a WebSocket with 101, HTTP/2 with 200.
    assert.equal(channel?.status, way.tls ? 200 : 101, JSON.stringify(sockets));
    await page.close();
  });
}

test("a 200 MB file is uploaded in Jupyter's file browser, and downloaded unchanged", async () => {
  const place = folder();
  const path = join(place, "large.bin");
  const file = createWriteStream(path);
  for (let n = 0; n < 200; n++) if (!file.write(randomBytes(MIB))) await once(file, "drain");
  await new Promise(done => file.end(done));
  const sent = await digest(path);

  const { page } = await open(ways["HTTP/1.1"], "/lab");
  const parts = [];
  page.on("response", answer => {
    if (answer.request().method() === "PUT" && answer.url().includes("/api/contents/large.bin")) parts.push(answer.status());
  });
  const chooser = page.waitForEvent("filechooser");
  await page.locator("[data-command='filebrowser:upload'], jp-button[title^=Upload], [title='Upload Files']").first().click();
  await (await chooser).setFiles(path);
  await page.locator(".jp-Dialog").getByRole("button", { name: "Upload" }).click();
  const uploaded = join(jupyter.files, "large.bin");
  await eventually("the file is there whole", () => statSync(uploaded).size === 200 * MIB, { timeout: 90_000 });
  await page.locator(".jp-DirListing-item", { hasText: "large.bin" }).waitFor();
  assert.ok(parts.length > 100, `in parts: ${parts.length}`);
  assert.ok(parts.every(status => status === 200 || status === 201), parts.join());
  assert.equal(await digest(uploaded), sent, "as it lies at the app");

  await page.locator(".jp-DirListing-item", { hasText: "large.bin" }).click({ button: "right" });
  const download = page.waitForEvent("download");
  await page.locator(".lm-Menu-item[data-command='filebrowser:download']").click();
  const down = join(place, "down.bin");
  await (await download).saveAs(down);
  assert.equal(statSync(down).size, 200 * MIB);
  assert.equal(await digest(down), sent, "as it came back");
});
