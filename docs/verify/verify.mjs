// Verifies huggate's assertion: prints what it says, or what is wrong with it.
//
//     node verify.mjs https://app.example.com < assertion
//
// A second argument is the audience, where it is another than the first.
// Needs nothing but Node, 18 or newer.

import { text } from 'node:stream/consumers';
// [verify]
import crypto from 'node:crypto';

/** The public keys of the huggate at `issuer`. Keep them for five minutes, and
 *  ask again when an assertion names a key that is not among them. */
export async function keys(issuer) {
  const answer = await fetch(`${issuer}/oauth2/jwks.json`);
  if (!answer.ok) throw new Error(`${issuer} answers ${answer.status}`);
  return (await answer.json()).keys;
}

/** What `assertion` says, if that huggate signed it for `audience`, this app,
 *  and it has not run out; an exception if not. */
export function verify(assertion, keys, issuer, audience) {
  const [header, payload, signature] = assertion.split('.');
  const parse = (part) => JSON.parse(Buffer.from(part ?? '', 'base64url'));
  const { alg, kid } = parse(header);
  const jwk = keys.find((key) => key.kid === kid);
  if (alg !== 'ES256' || !jwk) throw new Error('it is signed with an unknown key');
  const key = { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
  const signed = Buffer.from(`${header}.${payload}`);
  if (!crypto.verify('sha256', signed, key, Buffer.from(signature ?? '', 'base64url')))
    throw new Error('the signature is wrong');
  const claims = parse(payload);
  const now = Date.now() / 1000;
  const leeway = 30;
  if (claims.iss !== issuer) throw new Error(`it is from ${claims.iss}`);
  if (claims.aud !== audience) throw new Error(`it is for ${claims.aud}`);
  if (!(claims.exp > now - leeway)) throw new Error('it has run out');
  if (!(claims.nbf < now + leeway)) throw new Error('it is not valid yet');
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
