"""Verifies huggate's assertion: prints its claims, or what is wrong with it.

    python verify.py https://app.example.com < assertion

A second argument is the audience, if it differs from the issuer.
Needs: pip install "PyJWT[crypto]"
"""

import json
import sys

# [verify]
import jwt


def keys(issuer):
    """The public keys of the huggate at `issuer`, cached for five minutes."""
    return jwt.PyJWKClient(f"{issuer}/oauth2/jwks.json", lifespan=300)


def verify(assertion, keys, issuer, audience):
    """The claims of `assertion`. Raises unless the huggate at `issuer` signed it
    for `audience`, which is this app, and it has not expired."""
    return jwt.decode(
        assertion,
        keys.get_signing_key_from_jwt(assertion).key,
        algorithms=["ES256"],
        issuer=issuer,
        audience=audience,
        leeway=30,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
# [/verify]


def main(issuer, audience=None):
    try:
        claims = verify(sys.stdin.read().strip(), keys(issuer), issuer, audience or issuer)
    except jwt.PyJWTError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(claims))


if __name__ == "__main__":
    main(*sys.argv[1:])
