// A Streamlit app with a live chart behind `huggate serve`, in Chromium.

import assert from "node:assert/strict";
import { afterEach, before, beforeEach, test } from "node:test";

import { launch, person, signInAs } from "./lib/browser.mjs";
import { eventually } from "./lib/processes.mjs";
import { startGate, startHub, startStreamlit } from "./lib/world.mjs";

let browser;
let streamlit;
let hub;
let gate;

before(async () => {
  [browser, streamlit] = await Promise.all([launch(), startStreamlit()]);
});

beforeEach(async () => {
  hub = await startHub();
  gate = await startGate({ hub, upstream: streamlit.url });
});

afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await gate.process.stop();
  await hub.process.stop();
});

/** The app as ada sees it, with its chart loaded. */
async function enter() {
  const context = await person(browser);
  const page = await context.newPage();
  const sockets = [];
  page.on("websocket", socket => {
    const seen = { socket, frames: 0, closed: false };
    socket.on("framereceived", () => seen.frames++);
    socket.on("close", () => { seen.closed = true; });
    sockets.push(seen);
  });
  await page.goto(`${gate.url}/`);
  await signInAs(page, "ada");
  await page.waitForURL(`${gate.url}/`);
  await page.getByRole("heading", { name: "Watching for ada" }).waitFor({ timeout: 30_000 });
  await page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)").first().waitFor();
  const points = async () => Number(/(\d+) points/.exec(await page.locator("[data-testid=stText]").innerText())[1]);
  return { context, page, points, stream: sockets.find(({ socket }) => socket.url().includes("/_stcore/stream")) };
}

test("the chart grows, point by point", async () => {
  const { page, points, stream } = await enter();
  const chart = page.locator("[data-testid=stVegaLiteChart]");
  const [first, seen] = [await points(), new Set()];
  const pictures = new Set();
  await eventually("six values in a row", async () => {
    seen.add(await points());
    pictures.add((await chart.screenshot()).toString("base64"));
    return Math.max(...seen) >= first + 6;
  });
  assert.ok(seen.size >= 4, `each by itself, not together at the end: ${[...seen]}`);
  assert.ok(pictures.size >= 4, `the chart itself was drawn anew: ${pictures.size} pictures`);
  assert.ok(stream.frames >= 6, `over its WebSocket: ${stream.frames} frames`);
});

test("a sign-out closes the WebSocket at once, and the page cannot open another", async () => {
  const { context, page, points, stream } = await enter();
  await eventually("it is live", async () => await points() >= 3);
  const other = await context.newPage();
  const refused = page.waitForResponse(answer => answer.url().includes("/_stcore/") && answer.status() === 401);
  await other.goto(`${gate.url}/oauth2/sign_out`);
  await eventually("the socket is closed", () => stream.closed, { timeout: 5_000 });
  const frames = stream.frames;
  // Streamlit reconnects: it is refused, and no more data arrives.
  await refused;
  const last = await points();
  await other.waitForTimeout(1_500);
  assert.equal(await points(), last);
  assert.equal(stream.frames, frames);
});
