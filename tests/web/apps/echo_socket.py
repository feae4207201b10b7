"""An app that only speaks WebSocket: says everything back.

A text message `close 4321` is answered by closing with that code.
"""

import asyncio
import signal

from websockets.asyncio.server import serve


def choose(connection, offered):
    return "chat.v2" if "chat.v2" in offered else None


async def talk(connection):
    name = connection.request.headers.get("X-Forwarded-Preferred-Username", "stranger")
    await connection.send(f"hello {name}")
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message.split()[1]), "as you wish")
            return
        await connection.send(message)


async def main():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(talk, "127.0.0.1", 0, select_subprotocol=choose, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"socket listens at http://127.0.0.1:{port}", flush=True)
        await stop


asyncio.run(main())
