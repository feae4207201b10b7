"""A WebSocket client for the tests: does one thing, says what came of it as JSON.

    ws.py THING URL [--cookie COOKIE] [--origin ORIGIN] [--subprotocol NAME]

`listen` says `{"open": true}` once it is connected, and a second line when the
connection ends.
"""

import argparse
import asyncio
import hashlib
import json
import os
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def say(**what):
    print(json.dumps(what), flush=True)


async def messages(connection):
    """A hundred each way, as text and as bytes by turns."""
    greeting = await connection.recv()
    answers = []
    for number in range(100):
        message = f"message {number} ✓" if number % 2 else bytes([number]) * 50
        await connection.send(message)
        answers.append(await connection.recv() == message)
    say(greeting=greeting, right=sum(answers), subprotocol=connection.subprotocol)


async def large(connection):
    """One mebibyte that does not compress."""
    await connection.recv()
    message = os.urandom(1 << 20)
    await connection.send(message)
    answer = await connection.recv()
    same = hashlib.sha256(answer).digest() == hashlib.sha256(message).digest()
    say(bytes=len(answer), same=same)


async def close(connection):
    """The server's code and reason, as they arrive."""
    await connection.recv()
    await connection.send("close 4321")
    await connection.wait_closed()
    say(code=connection.close_code, reason=connection.close_reason)


async def listen(connection):
    """Until the other side ends it."""
    await connection.recv()
    say(open=True)
    since = time.monotonic()
    try:
        await asyncio.wait_for(connection.recv(), 30)
        say(ended="a message")
    except ConnectionClosed:
        say(ended="closed", code=connection.close_code, after=time.monotonic() - since)
    except TimeoutError:
        say(ended="never")


THINGS = {thing.__name__: thing for thing in (messages, large, close, listen)}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thing", choices=THINGS)
    parser.add_argument("url")
    parser.add_argument("--cookie")
    parser.add_argument("--origin")
    parser.add_argument("--subprotocol")
    given = parser.parse_args()
    headers = {"Cookie": given.cookie} if given.cookie else {}
    try:
        async with connect(
            given.url,
            additional_headers=headers,
            origin=given.origin,
            subprotocols=[given.subprotocol] if given.subprotocol else None,
            max_size=None,
            proxy=None,
        ) as connection:
            await THINGS[given.thing](connection)
    except InvalidStatus as refused:
        say(status=refused.response.status_code, body=(refused.response.body or b"").decode())


asyncio.run(main())
