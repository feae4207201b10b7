"""Load generators: wrk for HTTP/1.1, h2load for HTTP/2, and their output."""

import re
import subprocess
from dataclasses import dataclass

from processes import Failed

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Load:
    """The result of a load run."""

    requests: int
    seconds: float
    p50: float | None = None
    p99: float | None = None

    @property
    def rate(self):
        return self.requests / self.seconds


def wrk(url, connections, seconds, headers=(), script=None):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency"]
    for header in headers:
        command += ["-H", header]
    if script:
        command += ["-s", str(script)]
    text = run([*command, url], seconds)
    asked = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    broken = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    # Single connections may break, as at the end of the load; more is a failure.
    if asked and ("Non-2xx" in text or broken > max(3, int(asked[1]) // 1000)):
        raise Failed(f"{url} did not answer all of it:\n{text}")
    if not asked or int(asked[1]) == 0:
        raise Failed(f"{url} answered nothing:\n{text}")
    at = lambda percent: duration(re.search(rf"^\s+{percent}%\s+(\S+)$", text, re.M))
    return Load(int(asked[1]), float(asked[2]) * UNITS[asked[3]], at(50), at(99))


def h2load(url, connections, streams, seconds, headers=()):
    command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}"]
    for header in headers:
        command += ["-H", header]
    text = run([*command, url], seconds)
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    finished = re.search(r"finished in ([\d.]+)(us|ms|s)", text)
    protocol = re.search(r"Application protocol: (\S+)", text)
    if not done or not finished or int(done[1]) == 0 or any(int(n) for n in statuses.groups()[1:]):
        raise Failed(f"{url} did not answer all of it:\n{text}")
    if protocol and not protocol[1].startswith("h2"):
        raise Failed(f"{url} speaks {protocol[1]}, not HTTP/2")
    return Load(int(done[1]), float(finished[1]) * UNITS[finished[2]])


def duration(match):
    parts = match and re.fullmatch(r"([\d.]+)(us|ms|s|m)", match[1])
    return float(parts[1]) * UNITS[parts[2]] if parts else None


def run(command, seconds):
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed(f"{command[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout
