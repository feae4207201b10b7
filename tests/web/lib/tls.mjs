// A certificate of the tests' own, which is its own authority.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Chromium takes every name below localhost for this machine. */
export const HOST = "app.localhost";

/** A certificate for the host and for 127.0.0.1, and its key. */
export function certificate(place) {
  const [cert, key] = [join(place, "cert.pem"), join(place, "key.pem")];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
    "-subj", `/CN=${HOST}`, "-addext", `subjectAltName=DNS:${HOST},IP:127.0.0.1`, "-keyout", key, "-out", cert,
  ], { stdio: "ignore" });
  return { cert, key };
}
