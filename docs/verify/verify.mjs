// Verifies huggate's assertion: prints its claims, or what is wrong with it.
//
//     node verify.mjs https://app.example.com < assertion
//
// A second argument is the audience, if it differs from the issuer.
// Needs Node 18 or newer and no package.

import { text } from 'node:stream/consumers';
// [verify]
import crypto from 'node:crypto';

/** The public keys of the huggate at `issuer`. Cache them for five minutes, and
 *  fetch them again when an assertion names an unknown key. */
export async function keys(issuer) {
  const answer = await fetch(`${issuer}/oauth2/jwks.json`);
  if (!answer.ok) throw new Error(`${issuer} answered ${answer.status}`);
  return (await answer.json()).keys;
}

/** The claims of `assertion`. Throws unless the huggate at `issuer` signed it
 *  for `audience`, which is this app, and it has not expired. */
export function verify(assertion, keys, issuer, audience) {
  const [header, payload, signature] = assertion.split('.');
  const parse = (part) => JSON.parse(Buffer.from(part ?? '', 'base64url'));
  const { alg, kid } = parse(header);
  const jwk = keys.find((key) => key.kid === kid);
  if (alg !== 'ES256' || !jwk) throw new Error('unknown key or algorithm');
  const key = { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
  const signed = Buffer.from(`${header}.${payload}`);
  if (!crypto.verify('sha256', signed, key, Buffer.from(signature ?? '', 'base64url')))
    throw new Error('wrong signature');
  const claims = parse(payload);
  const now = Date.now() / 1000;
  const leeway = 30;
  if (claims.iss !== issuer) throw new Error(`wrong issuer: ${claims.iss}`);
  if (claims.aud !== audience) throw new Error(`wrong audience: ${claims.aud}`);
  if (!(claims.exp > now - leeway)) throw new Error('expired');
  if (!(claims.nbf < now + leeway)) throw new Error('not valid yet');
  return claims;
}
// [/verify]

const [issuer, audience = issuer] = process.argv.slice(2);
try {
  const assertion = (await text(process.stdin)).trim();
  console.log(JSON.stringify(verify(assertion, await keys(issuer), issuer, audience)));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
