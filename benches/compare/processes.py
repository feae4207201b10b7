"""Processes: started, measured, and always terminated."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
_started = []


class Failed(Exception):
    """A failure, with a sentence that explains it."""


@dataclass
class Cpu:
    """User and system time in ticks, and the run time of each thread in nanoseconds."""

    user: float
    system: float
    threads: dict

    def since(self, before):
        """Seconds in user mode and in the kernel since `before`."""
        user, system = self.user - before.user, self.system - before.system
        ticks = user + system
        if before.threads.keys() <= self.threads.keys():
            exact = sum(self.threads.values()) - sum(before.threads.values())
            # The scheduler knows the total exactly; the ticks give its division.
            if ticks > 0:
                return user * exact / ticks, system * exact / ticks
            return exact, 0.0
        return user, system


class Process:
    """A program with all its children; `end()` terminates them."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log = Path(folder) / f"{name.replace(' ', '-')}.log"
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=folder, env={**os.environ, **(env or {})}, start_new_session=True,
            )
        _started.append(self)

    def pids(self):
        """The process and its descendants."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(int(entry))):
                children.setdefault(int(fields[1]), []).append(int(entry))
        found, todo = [], [self.popen.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo.extend(children.get(pid, []))
        return found

    def cpu(self):
        """The CPU time used so far."""
        user = system = 0
        threads = {}
        for pid in self.pids():
            fields = _stat(pid)
            if not fields:
                raise Failed(f"{self.name} lost a process while it was measured\n{self.tail()}")
            user += int(fields[11]) / TICKS
            system += int(fields[12]) / TICKS
            for thread in os.listdir(f"/proc/{pid}/task"):
                try:
                    threads[thread] = int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9
                except FileNotFoundError:
                    pass
        return Cpu(user, system, threads)

    def pss(self):
        """Memory in KiB (PSS: shared pages count proportionally)."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def end(self):
        if self in _started:
            _started.remove(self)
        try:
            os.killpg(self.popen.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        try:
            self.popen.wait(timeout=3)
        except subprocess.TimeoutExpired:
            pass
        try:
            # The rest of the group, such as workers whose master has exited.
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()

    def until(self, what, ready, seconds=30):
        """Waits until `ready()` is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} ended before it was {what}\n{self.tail()}")
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise Failed(f"{self.name} was not {what} within {seconds} s\n{self.tail()}")

    def until_listening(self, *ports):
        for port in ports:
            self.until("listening", lambda port=port: socket.create_connection((HOST, port), 1).close() or True)


def _stat(pid):
    """The fields of stat after the name (proc(5)): [1] parent, [11] user time, [12] system time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def end_all():
    for process in list(reversed(_started)):
        process.end()


def free_ports(count):
    """Ports that are free at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((HOST, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
