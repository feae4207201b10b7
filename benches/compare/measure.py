"""Rounds: each contender once per round, in a rotating order."""

import random
import socket
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import load
from contenders import BODIES
from processes import Failed


@dataclass(frozen=True)
class Workload:
    """The request, and the number of connections."""

    key: str
    title: str
    body: str
    connections: int
    tls: bool = False
    streams: int = 0
    # Rounds per requested round.
    rounds: int = 1
    quick: bool = False


WORKLOADS = [
    Workload("1k", "1 KiB, HTTP/1.1, 64 connections", "1k", 64, rounds=3, quick=True),
    Workload("tls", "1 KiB, HTTP/1.1 over TLS, 64 connections", "1k", 64, tls=True, quick=True),
    Workload("h2", "1 KiB, HTTP/2 over TLS, 8 connections with 8 streams", "1k", 8, tls=True, streams=8, quick=True),
    Workload("sign-ins", "1 KiB, HTTP/1.1, 64 connections, while people sign in", "1k", 64),
    Workload("few", "1 KiB, HTTP/1.1, 4 connections", "1k", 4),
    Workload("one", "1 KiB, HTTP/1.1, 1 connection", "1k", 1),
    Workload("100k", "100 KiB, HTTP/1.1, 32 connections", "100k", 32),
    Workload("10m", "10 MiB, HTTP/1.1, 8 connections", "10m", 8, quick=True),
]


@dataclass
class Sample:
    """One contender in one round."""

    # None: unknown.
    rate: float | None
    user: float
    system: float
    backend: float
    p50: float | None
    p99: float | None
    bytes: int
    # Connections to the app that were opened, per request.
    opened: float = 0.0

    @property
    def cpu(self):
        """CPU seconds per request, those of the auth backend included."""
        return self.user + self.system + self.backend

    def json(self):
        return asdict(self)


def sample(world, workload, contender, seconds):
    """Generates load for a while."""
    base = contender.tls if workload.tls else contender.plain
    url = f"{base}/{workload.body}"

    def ask():
        if workload.streams:
            return load.h2load(url, workload.connections, workload.streams, seconds, contender.headers)
        return load.wrk(url, workload.connections, seconds, contender.headers)

    return weigh(world, contender, ask, workload.body)


def weigh(world, contender, ask, body="1k"):
    """Runs `ask`, and measures its cost."""
    backend = world.backend_process.cpu() if contender.asks else None
    accepted = world.accepted()
    before = contender.process.cpu()
    done = ask()
    user, system = contender.process.cpu().since(before)
    # The second question is a connection itself.
    opened = max(0, world.accepted() - accepted - 1)
    asked = sum(world.backend_process.cpu().since(backend)) if backend else 0.0
    n = done.requests
    return Sample(done.rate, user / n, system / n, asked / n, done.p50, done.p99, BODIES[body], opened / n)


def rounds(world, workload, row, count, seconds, special=None, say=lambda text: None):
    """Samples by contender. The first round is a warm-up and is dropped."""
    order = random.Random(workload.key)
    samples = {contender.key: [] for contender in row}
    for number in range(count + 1):
        order.shuffle(row)
        for contender in row:
            say(f"{workload.title}: round {number} of {count}, {contender.name}")
            measured = (special or {}).get(contender.key)
            done = measured() if measured else sample(world, workload, contender, seconds if number else 1)
            if number or count == 0:
                samples[contender.key].append(done)
    return samples


def keeps_connections(world, contender):
    """Checks that connections to the app are reused: otherwise a request costs a proxy
    three times as much, and the comparison is void. A proxy that has no setting for it is
    measured as it is, with the connections that it opens in its row."""
    before = world.accepted()
    done = load.wrk(f"{contender.plain}/1k", 8, 1, contender.headers)
    opened = world.accepted() - before - 1
    if not contender.reopens and opened > max(40, done.requests // 10):
        raise Failed(f"{contender.name} opened {opened} connections to the app for {done.requests} requests")
    return opened, done.requests


def idle_connections(contender, count):
    """Memory in KiB with `count` idle keep-alive connections."""
    to = urlsplit(contender.plain)
    head = "".join(f"{header}\r\n" for header in [f"Host: {to.netloc}", *contender.headers])
    request = f"GET /1k HTTP/1.1\r\n{head}\r\n".encode()
    sockets = []
    try:
        for _ in range(count):
            each = socket.create_connection((to.hostname, to.port), 10)
            sockets.append(each)
            each.sendall(request)
            got = b""
            while b"xxxx" not in got or len(got.partition(b"\r\n\r\n")[2]) < BODIES["1k"]:
                piece = each.recv(65536)
                if not piece:
                    raise Failed(f"{contender.name} closed a connection: {got[:200]}")
                got += piece
        time.sleep(0.2)
        return contender.process.pss()
    finally:
        for each in sockets:
            each.close()
