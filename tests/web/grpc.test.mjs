// grpcio as client and server with the gate between: TLS and cleartext in, h2c and TLS out.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";

import { Process, eventually, folder, python, root } from "./lib/processes.mjs";
import { certificate } from "./lib/tls.mjs";
import { startGate, startHub, tokenOf } from "./lib/world.mjs";

const BEARER = "[bearer]\nhub_tokens = true";
const allow = '[{ user = "ada" }]';

let hub;
let service;
let secure;
/** Combinations of listener and upstream. */
const ways = {
  "TLS in, h2c out": { tls: true },
  "plain in, h2c out": { tls: false },
  "TLS in, TLS out": { tls: true, upstreamTls: true },
};

const startTalk = (...args) => Process.start("talk", python, [join(root, "tests/web/apps/talk_grpc.py"), ...args], {
  ready: output => /listens at (\d+)/.exec(output)?.[1],
});

before(async () => {
  const own = certificate(folder());
  [hub, service, secure] = await Promise.all([startHub(), startTalk(), startTalk("--cert", own.cert, "--key", own.key)]);
  await Promise.all(Object.values(ways).map(async way => {
    way.service = way.upstreamTls ? secure : service;
    way.gate = await startGate({
      hub, allow, tls: way.tls,
      upstream: way.upstreamTls ? `https://127.0.0.1:${secure.known}` : `h2c://127.0.0.1:${service.known}`,
      more: BEARER + (way.upstreamTls ? `\n[upstream_tls]\nca_file = "${own.ca}"` : ""),
    });
  }));
});

/** Runs the client and returns its output. `token` is a username, a token, or nothing. */
async function talk(way, thing, token = tokenOf(hub, "ada")) {
  const args = [join(root, "tests/web/clients/talk.py"), thing, new URL(way.gate.url).host];
  if (way.gate.ca) args.push("--ca", way.gate.ca);
  if (token) args.push("--token", token);
  const running = Process.spawn("talk.py", python, args);
  await running.exit;
  assert.equal(running.status, 0, running.output);
  return JSON.parse(running.output.split("\n").findLast(line => /^[[{]/.test(line)));
}

for (const [name, way] of Object.entries(ways)) {
  test(`${name}: unary calls, with metadata, trailers and a status`, async () => {
    const said = await talk(way, "hello");
    assert.deepEqual([said.answer, said.code, said.begun], ["ada:abc", "OK", "yes"]);
    // The caller's token stays at the gate, and claimed identities are removed.
    const { "x-length": length, "x-authorization": authorization, "x-custom": custom, "x-raw-bin": raw } = said.trailers;
    assert.deepEqual({ length, authorization, custom }, { length: "3", authorization: "none", custom: "kept" });
    assert.equal(raw, Buffer.from(Array.from({ length: 256 }, (_, n) => n)).toString("hex"));
  });

  test(`${name}: large and empty messages`, async () => {
    assert.deepEqual(await talk(way, "large"), { same: true, empty: "ada:", added: true });
  });

  test(`${name}: a server stream arrives message by message`, async () => {
    const { spread, trailers, ...said } = await talk(way, "count");
    assert.deepEqual(said, { said: ["0", "1", "2", "3", "4"], code: "OK" });
    assert.equal(trailers["x-counted"], "5");
    // The service pauses 200 ms between them, four times.
    assert.ok(spread > 0.4, `they came together, within ${spread} s`);
  });

  test(`${name}: bidirectional streams, by turns and at once`, async () => {
    const { heard, code } = await talk(way, "chat");
    assert.deepEqual(heard, ["go ahead", ...Array.from({ length: 20 }, (_, n) => `re: message ${n}`), "bye"]);
    assert.equal(code, "OK");
    assert.deepEqual(await talk(way, "both"), { right: true, others: 40 });
  });

  test(`${name}: the service's errors arrive with their details`, async () => {
    const said = await talk(way, "fail");
    assert.deepEqual([said.unary.code, said.unary.details], ["FAILED_PRECONDITION", "nicht so: ✗ 100%\nat all"]);
    assert.equal(said.unary.trailers["grpc-status-details-bin"], "080912046d6f7265");
    assert.equal(said.unary.trailers["x-hint"], "try again");
    assert.equal(said.first, "well");
    assert.deepEqual(said.late, { code: "DATA_LOSS", details: "lost it" });
    assert.equal(said.unknown, "UNIMPLEMENTED");
  });

  test(`${name}: the deadline is forwarded, and cancelling ends the service's call`, async () => {
    const before = way.service.output.length;
    const late = await talk(way, "deadline");
    assert.equal(late.code, "DEADLINE_EXCEEDED");
    assert.ok(late.told > 0 && late.told <= 1.5, `the service was told ${late.told} s`);
    const left = await talk(way, "cancel");
    assert.deepEqual(left, { told: "any", code: "CANCELLED" });
    await eventually("the service was told", () => /cancel: left/.test(way.service.output.slice(before)), { timeout: 8_000 });
    const [, seconds] = /cancel: left after ([\d.]+) s/.exec(way.service.output.slice(before));
    assert.ok(Number(seconds) < 5, `after ${seconds} s`);
  });

  test(`${name}: without a token UNAUTHENTICATED, without access PERMISSION_DENIED`, async () => {
    for (const token of [null, "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"]) {
      const codes = (await talk(way, "refused", token)).map(({ code }) => code);
      assert.deepEqual(codes, ["UNAUTHENTICATED", "UNAUTHENTICATED"], `token ${token}`);
    }
    const may = await talk(way, "refused", tokenOf(hub, "ben"));
    assert.deepEqual(may.map(({ code }) => code), ["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    assert.ok(may.every(({ details }) => details.length > 10), JSON.stringify(may));
  });
}

test("an unreachable service is UNAVAILABLE", async () => {
  for (const tls of [true, false]) {
    const gate = await startGate({ hub, allow, tls, upstream: "h2c://127.0.0.1:9", more: BEARER });
    const said = await talk({ gate }, "refused");
    assert.deepEqual(said.map(({ code }) => code), ["UNAVAILABLE", "UNAVAILABLE"]);
    assert.ok(said.every(({ details }) => !details.includes("127.0.0.1:9")), JSON.stringify(said));
  }
});
