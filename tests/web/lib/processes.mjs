// Starts processes for tests, and stops exactly those, by process id.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { atEnd } from "./cleanup.mjs";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
/** The program under test. The name has no HUGGATE_ prefix, because the program would report it as an unknown key. */
export const huggate = process.env.PROGRAM_UNDER_TEST ?? join(target, "debug/huggate");
export const python = join(root, ".work/python/bin/python");
export const screenshots = join(target, "screenshots");

/** Polls `ask` until it returns something truthy; tests never sleep for a guessed time. */
export async function eventually(what, ask, { timeout = 20_000, every = 50 } = {}) {
  const end = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      if (error instanceof Fatal) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${timeout} ms; last: ${last}`);
    await pause(every);
  }
}

export const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));

/** A free port, for addresses that must be known before the start. */
export async function freePort() {
  const server = createServer();
  await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise(done => server.close(done));
  return port;
}

/** A folder that is removed after the tests of this file. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "huggate-web-"));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const running = new Set();
process.once("exit", () => {
  for (const left of running) if (!left.ended) left.signal("SIGKILL");
});

export class Process {
  /** `ready(output)` returns what the test needs from the output, or nothing while it is incomplete. */
  static async start(name, command, args, { env = {}, cwd = folder(), ready }) {
    const started = Process.spawn(name, command, args, { env, cwd });
    started.known = await eventually(`${name} is ready`, async () => {
      if (started.ended) throw new Fatal(`${name} ended with ${started.status}\n${started.output}`);
      return ready(started.output);
    }, { timeout: 60_000 }).catch(error => {
      throw new Error(`${error.message}\n${started.output}`);
    });
    return started;
  }

  /** A process that ends by itself; `exit` resolves then. */
  static spawn(name, command, args, { env = {}, cwd = root } = {}) {
    const started = new Process(name, command, args, env, cwd);
    atEnd(() => started.stop());
    return started;
  }

  constructor(name, command, args, env, cwd) {
    this.name = name;
    this.output = "";
    this.ended = false;
    // A minimal environment: a developer's HUGGATE_ variables or proxy settings must not leak in.
    const { PATH, HOME, LANG, TMPDIR } = process.env;
    this.child = spawn(command, args, {
      cwd,
      env: { PATH, HOME, LANG, ...(TMPDIR && { TMPDIR }), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const keep = chunk => { this.output = (this.output + chunk).slice(-200_000); };
    this.child.stdout.setEncoding("utf8").on("data", keep);
    this.child.stderr.setEncoding("utf8").on("data", keep);
    running.add(this);
    this.exit = new Promise(done => {
      this.child.once("error", error => { this.ended = true; this.status = error.message; done(null); });
      this.child.once("close", (code, signal) => { this.ended = true; done(this.status ??= code ?? signal); });
    });
  }

  get pid() { return this.child.pid; }

  /** The peak of its memory use, in bytes. */
  peakMemory() {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024;
  }

  signal(name) { this.child.kill(name); }

  /** Sends SIGTERM, and SIGKILL if that does not help. Returns the exit status. */
  async stop() {
    if (this.ended) return this.status;
    this.signal("SIGTERM");
    const late = setTimeout(() => this.signal("SIGKILL"), 10_000);
    const status = await this.exit;
    clearTimeout(late);
    return status;
  }
}

class Fatal extends Error {}

export function write(path, text) {
  writeFileSync(path, text);
  return path;
}
