"""A WebSocket client for the tests: performs one action and prints the result as JSON.

    ws.py THING URL [--cookie COOKIE] [--origin ORIGIN] [--subprotocol NAME] [--plain]

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


async def both_ways(connection, messages):
    """Sends and receives concurrently; returns how many came back unchanged and in order."""

    async def send():
        for message in messages:
            await connection.send(message)

    sending = asyncio.create_task(send())
    right = 0
    for message in messages:
        right += await connection.recv() == message
    await sending
    return right


async def messages(connection):
    """A thousand messages each way, text and binary by turns; first one by one, then all at once."""
    greeting = await connection.recv()
    thousand = [f"message {n} ✓" if n % 2 else n.to_bytes(2, "big") * 50 for n in range(1000)]
    right = 0
    for message in thousand:
        await connection.send(message)
        right += await connection.recv() == message
    say(greeting=greeting, right=right, together=await both_ways(connection, thousand), subprotocol=connection.subprotocol)


async def large(connection):
    """Sixteen incompressible messages of one mebibyte, both ways at once."""
    await connection.recv()
    right = await both_ways(connection, [os.urandom(1 << 20) for _ in range(16)])
    say(right=right)


async def extensions(connection):
    """What each side negotiated, and whether compressed messages arrive."""
    await connection.recv()
    await connection.send("extensions")
    told = json.loads(await connection.recv())
    # Compression uses the context of previous messages: a lost or changed byte breaks it.
    words = [f"{n} mississippi " * 5_000 for n in range(50)]
    right = await both_ways(connection, words)
    ours = [extension.name for extension in connection.protocol.extensions]
    say(ours=ours, right=right, **told)


async def ping(connection):
    """A ping each way, answered by the other end."""
    await connection.recv()
    waiting = await connection.ping(b"from the client")
    await asyncio.wait_for(waiting, 10)
    await connection.send("ping")
    say(ours=True, theirs=await asyncio.wait_for(connection.recv(), 10))


async def leave(connection):
    """Our close code and reason, as the app received them."""
    await connection.recv()
    await connection.close(4999, "going ✓")
    say(code=connection.close_code, reason=connection.close_reason)


async def close(connection):
    """The server's close code and reason, as received."""
    await connection.recv()
    await connection.send("close 4321")
    await connection.wait_closed()
    say(code=connection.close_code, reason=connection.close_reason)


async def listen(connection):
    """Waits until the other side closes."""
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


THINGS = {thing.__name__: thing for thing in (messages, large, extensions, ping, leave, close, listen)}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thing", choices=THINGS)
    parser.add_argument("url")
    parser.add_argument("--cookie")
    parser.add_argument("--origin")
    parser.add_argument("--subprotocol")
    parser.add_argument("--plain", action="store_true", help="offer no compression")
    given = parser.parse_args()
    headers = {"Cookie": given.cookie} if given.cookie else {}
    try:
        async with connect(
            given.url,
            additional_headers=headers,
            origin=given.origin,
            subprotocols=[given.subprotocol] if given.subprotocol else None,
            compression=None if given.plain else "deflate",
            max_size=None,
            proxy=None,
        ) as connection:
            await THINGS[given.thing](connection)
    except InvalidStatus as refused:
        say(status=refused.response.status_code, body=(refused.response.body or b"").decode())


asyncio.run(main())
