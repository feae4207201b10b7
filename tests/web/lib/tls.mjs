// A certificate authority for the tests, and a certificate it issues.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Chromium resolves every name below localhost to loopback. */
export const HOST = "app.localhost";

const EC = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];

/** A certificate for the host and for 127.0.0.1, its key, and the authority to trust. */
export function certificate(place) {
  const [ca, caKey, cert, key] = ["ca.pem", "ca-key.pem", "cert.pem", "key.pem"].map(name => join(place, name));
  const make = (...args) => execFileSync("openssl", ["req", ...EC, ...args], { stdio: "ignore" });
  make("-subj", "/CN=The tests", "-keyout", caKey, "-out", ca);
  make("-subj", `/CN=${HOST}`, "-addext", `subjectAltName=DNS:${HOST},IP:127.0.0.1`, "-addext", "basicConstraints=critical,CA:FALSE",
    "-CA", ca, "-CAkey", caKey, "-keyout", key, "-out", cert);
  return { ca, cert, key };
}
