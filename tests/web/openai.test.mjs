// The `openai` package in front of a private model server: the Hugging Face token is the API key,
// and huggate decides who has access.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";

import { Process, freePort, python, root } from "./lib/processes.mjs";
import { startCompletions, startGate, startHub, tokenOf } from "./lib/world.mjs";

const tokens = `
[bearer]
hub_tokens = true
`;

let hub;
let model;
let gate;

before(async () => {
  [hub, model] = await Promise.all([startHub(), startCompletions()]);
  gate = await startGate({ hub, upstream: model.url, more: `${tokens}
[[route]]
path   = "/v1/**"
bearer = "only"
` });
});

/** Runs the client and returns its output. */
async function chat(thing, key, { url = gate.url, more = [] } = {}) {
  const args = [join(root, "tests/web/clients/chat.py"), thing, `${url}/v1`, key, ...more];
  const running = Process.spawn("chat.py", python, args);
  await running.exit;
  assert.equal(running.status, 0, running.output);
  return JSON.parse(running.output.trim().split("\n").at(-1));
}

test("a completion is streamed word by word: the first one arrives before the server has sent the second", async () => {
  const said = await chat("stream", tokenOf(hub, "ada"), { more: ["--release", `${model.url}/release`] });
  assert.deepEqual(said.words, ["hello", " ", "ada", ", authorization: ", "none"]);
});

test("the server receives the identity, but not the token", async () => {
  for (const thing of ["whole", "asynchronous"]) {
    assert.equal((await chat(thing, tokenOf(hub, "ben"))).content, "hello ben, authorization: none");
  }
  assert.deepEqual((await chat("models", tokenOf(hub, "ada"))).models, ["small"]);
});

test("a wrong key is an AuthenticationError with a reason", async () => {
  for (const thing of ["stream", "whole", "models", "asynchronous"]) {
    const said = await chat(thing, "hf_wrongwrongwrong");
    assert.equal(said.error, "AuthenticationError", JSON.stringify(said));
    assert.deepEqual([said.status, said.code, said.type], [401, "invalid_token", "authentication_error"]);
    assert.match(said.text, /Hugging Face does not know this token\. It is wrong, was revoked, or has expired\./);
    assert.doesNotMatch(said.text, /wrongwrong/);
  }
  // A key of OpenAI, a common mistake.
  const habit = await chat("whole", "sk-proj-0123456789");
  assert.equal(habit.error, "AuthenticationError");
  assert.match(habit.text, /Send a user access token, which begins with hf_/);
});

test("an account without access gets a PermissionDeniedError that says who has access", async () => {
  const said = await chat("stream", tokenOf(hub, "dan"));
  assert.deepEqual([said.error, said.status, said.code], ["PermissionDeniedError", 403, "access_denied"]);
  assert.match(said.text, /dan may not enter\. It is open to a member of acme\./);
});

test("an unreachable server and an unreachable hub are InternalServerErrors with a reason", async () => {
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const deserted = await startGate({ hub, upstream: nobody, more: tokens });
  const down = await chat("whole", tokenOf(hub, "ada"), { url: deserted.url });
  assert.deepEqual([down.error, down.status, down.code], ["InternalServerError", 502, "upstream_down"]);
  assert.match(down.text, /The app behind this proxy does not answer/);

  const own = await startHub();
  const alone = await startGate({ hub: own, upstream: model.url, more: tokens });
  const known = tokenOf(own, "ada");
  assert.equal((await chat("whole", known, { url: alone.url })).content, "hello ada, authorization: none");
  await own.process.stop();
  const unknown = await chat("whole", tokenOf(own, "ben"), { url: alone.url });
  assert.deepEqual([unknown.error, unknown.status, unknown.code], ["InternalServerError", 503, "temporarily_unavailable"]);
  assert.match(unknown.text, /Hugging Face cannot check this token/);
  assert.ok(Number(unknown.retry_after) > 0);
  // Cached tokens still work.
  assert.equal((await chat("whole", known, { url: alone.url })).content, "hello ada, authorization: none");
});
