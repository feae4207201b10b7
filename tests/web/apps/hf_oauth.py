"""An app that signs people in itself, with huggingface_hub's own helpers, as in a
Space: authlib, discovery, and the ID token checked by them.

It says as JSON whom it sees. The Space's variables come from the test.
"""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI, Request
from huggingface_hub import attach_huggingface_oauth, parse_huggingface_oauth

app = FastAPI()
attach_huggingface_oauth(app)


@app.get("/")
def whoever(request: Request):
    info = parse_huggingface_oauth(request)
    if info is None:
        return {"signed_in": False}
    user = info.user_info
    return {
        "signed_in": True,
        "sub": user.sub,
        "username": user.preferred_username,
        "name": user.name,
        "email": user.email,
        "email_verified": user.email_verified,
        "picture": user.picture,
        "profile": user.profile,
        "scope": info.scope,
        "token": info.access_token[:9],
        # Only userinfo contains these; the helpers read the ID token.
        "is_pro": user.is_pro,
        "orgs": user.orgs,
    }


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"app listens at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve([listener])


asyncio.run(main())
