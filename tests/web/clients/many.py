"""httpx over HTTP/2: performs one action and prints the result as JSON.

    many.py THING URL COOKIE [--ca FILE]

Without a CA it begins with HTTP/2 on a plain connection, as one does who knows
that the server understands it.
"""

import argparse
import asyncio
import hashlib
import json
import ssl
import time

import httpx

MIB = 1 << 20


def connection(response):
    """The connection of a response, identified by its local port."""
    return response.extensions["network_stream"].get_extra_info("client_addr")


async def parallel(client, url):
    """Three hundred concurrent requests on one connection."""

    async def one(n):
        response = await client.get(f"{url}/item/{n}?n={n}", headers={"X-Number": str(n)})
        said = response.json()
        same = said["url"] == f"/item/{n}?n={n}" and said["headers"]["x-number"] == str(n)
        return same, response.http_version, connection(response), said["headers"].get("x-forwarded-preferred-username")

    answers = await asyncio.gather(*(one(n) for n in range(300)))
    return {
        "right": sum(same for same, *_ in answers),
        "versions": sorted({version for _, version, *_ in answers}),
        "connections": len({where for _, _, where, _ in answers}),
        "names": sorted({name for *_, name in answers}),
    }


async def events(client, url):
    """Events one by one, with other requests between them on the same connection."""
    at, where = [], set()
    async with client.stream("GET", f"{url}/events?count=6&every=300") as response:
        where.add(connection(response))
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                at.append(time.monotonic())
                where.add(connection(await client.get(f"{url}/between")))
    return {"events": len(at), "spread": at[-1] - at[0], "connections": len(where)}


async def bodies(client, url):
    """A concurrent download and upload on one connection."""
    where = set()

    async def download():
        hash, count = hashlib.sha256(), 0
        async with client.stream("GET", f"{url}/download?mib=32") as response:
            where.add(connection(response))
            async for chunk in response.aiter_bytes():
                hash.update(chunk)
                count += len(chunk)
        return count, hash.hexdigest() == hashlib.sha256(b"x" * (32 * MIB)).hexdigest()

    async def upload():
        async def parts():
            for _ in range(32):
                yield b"y" * MIB
        response = await client.post(f"{url}/upload", content=parts())
        where.add(connection(response))
        return response.json()["bytes"]

    (down, same), up = await asyncio.gather(download(), upload())
    return {"down": down, "same": same, "up": up, "connections": len(where)}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thing", choices=("parallel", "events", "bodies"))
    parser.add_argument("url")
    parser.add_argument("cookie")
    parser.add_argument("--ca")
    given = parser.parse_args()
    async with httpx.AsyncClient(
        http1=False,
        http2=True,
        verify=ssl.create_default_context(cafile=given.ca) if given.ca else True,
        headers={"Cookie": given.cookie},
        limits=httpx.Limits(max_connections=1),
        timeout=60,
        trust_env=False,
    ) as client:
        print(json.dumps(await globals()[given.thing](client, given.url)), flush=True)


asyncio.run(main())
