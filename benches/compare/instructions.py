"""User-mode instructions per request, counted by callgrind, which has no noise."""

import re
import subprocess

import load
from processes import Failed

WARM_UP = 400


def wrap(folder, key):
    """The command prefix that counts a program's instructions."""
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind-{key}",
            "--trace-children=no", "--error-limit=no"]


def count(contender, requests, folder, headers=None):
    """Instructions per request, averaged over `requests` after a warm-up."""
    ask(contender, WARM_UP, headers)
    dump(contender)
    ask(contender, requests, headers)
    dump(contender)
    return total(contender, folder) / requests


def total(contender, folder):
    """Instructions between two dumps; the first one covers the start."""
    path = folder / f"callgrind-{contender.key}.2"
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)
    if not found:
        raise Failed(f"callgrind wrote no total to {path}")
    return int(found[1])


def ask(contender, requests, headers=None):
    command = ["h2load", "--h1", "-t1", "-c16", f"-n{requests}"]
    for header in contender.headers if headers is None else headers:
        command += ["-H", header]
    text = load.run([*command, f"{contender.plain}/1k"], 300)
    if f"{requests} succeeded" not in text or f"status codes: {requests} 2xx" not in text:
        raise Failed(f"{contender.name} did not answer all of it:\n{text}")


def dump(contender):
    pid = str(contender.process.popen.pid)
    done = subprocess.run(["callgrind_control", "-d", pid], capture_output=True, text=True, timeout=120)
    if done.returncode or "OK" not in done.stdout:
        raise Failed(f"callgrind_control failed: {done.stdout}{done.stderr}")
