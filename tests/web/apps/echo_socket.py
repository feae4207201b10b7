"""An app that only speaks WebSocket: echoes every message.

A text message `close 4321` is answered by closing with that code, `ping` by
pinging and saying what came of it, `extensions` by what was agreed on. It prints
with which code and reason each connection ended.
"""

import asyncio
import json
import signal

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def choose(connection, offered):
    return "chat.v2" if "chat.v2" in offered else None


async def talk(connection):
    name = connection.request.headers.get("X-Forwarded-Preferred-Username", "stranger")
    await connection.send(f"hello {name}")
    try:
        async for message in connection:
            await answer(connection, message)
    except ConnectionClosed:
        pass
    print(f"ended with {connection.close_code} {connection.close_reason}", flush=True)


async def answer(connection, message):
    if isinstance(message, str) and message.startswith("close "):
        return await connection.close(int(message.split()[1]), "as you wish")
    if message == "ping":
        await asyncio.wait_for(await connection.ping(b"from the app"), 10)
        message = "pong"
    elif message == "extensions":
        offered = connection.request.headers.get("Sec-WebSocket-Extensions")
        agreed = connection.response.headers.get("Sec-WebSocket-Extensions")
        message = json.dumps({"offered": offered, "agreed": agreed})
    await connection.send(message)


async def main():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(talk, "127.0.0.1", 0, select_subprotocol=choose, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"socket listens at http://127.0.0.1:{port}", flush=True)
        await stop


asyncio.run(main())
