"""What `scripts/bench` runs: `python3 benches/compare --help`."""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import contenders
import instructions as counting
import measure
import report
import signin
from contenders import World
from processes import Failed, Process, end_all

ROOT = Path(__file__).resolve().parents[2]
# In the order of the tables.
NAMES = {
    "signed": "**huggate, signed in**",
    "public": "huggate, everything public",
    "public-cookie": "huggate, everything public, asked with the session's cookie",
    "unsigned": "huggate, signed in, `identity.assertion = false`",
    "redis": "huggate, signed in, sessions in Redis",
    "file": "huggate, signed in, sessions in a file",
    "anew": "huggate, each session opened for the first time, `identity.assertion = false`",
    "anew-redis": "huggate, each session loaded from Redis for the first time, `identity.assertion = false`",
    "beside": "huggate, signed in, the others sign in here",
    "elsewhere": "huggate, signed in, the others sign in at another process",
    "bare": "bare proxy on hyper, laid out as huggate",
    "bare-cookie": "bare proxy, asked with the session's cookie",
    "raw": "bare proxy that only forwards",
    "bare-shared": "bare proxy, one runtime for all cores",
    "nginx": "nginx, asks nobody",
    "haproxy": "HAProxy, asks nobody",
    "nginx-auth": "nginx, auth_request to a trivial backend",
    "apache": "Apache, mod_auth_openidc (shm)",
    "caddy": "Caddy, forward_auth to the same backend",
    "traefik": "Traefik, forwardAuth to the same backend",
    "oauth2-proxy": "oauth2-proxy",
    "oauth2-proxy-keeping": "oauth2-proxy, built to keep 128 idle connections to the app",
}
MEMBERS = 'allow = [{ org = "acme" }]'
PUBLIC = '[[route]]\npath = "/**"\npublic = true\n'
UNSIGNED = "[identity]\nassertion = false\n"
# More than huggate caches, so that each session's first use is a cache miss.
SESSIONS = 12_000


def resolved(text):
    return Path(text).resolve()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--huggate", type=resolved, required=True)
    parser.add_argument("--bare", type=resolved, required=True)
    parser.add_argument("--bare-flags", default="", help="for example --shared")
    parser.add_argument("--python-bin", type=resolved, required=True, help="where caddy and traefik are")
    parser.add_argument("--go-bin", type=resolved, help="where oauth2-proxy is, in both builds")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--instructions", action="store_true", help="count instructions, and nothing else")
    parser.add_argument("--with-instructions", action="store_true", help="count them too")
    parser.add_argument("--rounds", type=int, default=3, help="of each workload; three times as many of the first")
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--only", help="contenders, separated by commas")
    parser.add_argument("--workloads", help="workloads, separated by commas")
    parser.add_argument("--json", type=Path, help="where to write every sample")
    parser.add_argument("--write", type=Path, help="a document whose tables to replace")
    return parser.parse_args()


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    began, found = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # Servers that drop root privileges must be able to read it.
        os.chmod(folder, 0o755)
        try:
            world = World(folder, options.huggate, options.bare, options.python_bin)
            if not options.instructions:
                compare(world, options, found)
            if options.instructions or options.with_instructions:
                found["instructions"] = count_instructions(world, options)
        except Failed as failure:
            print("\n".join(tables(found)))
            sys.exit(f"bench: {failure}")
        finally:
            end_all()
    # Saved first, so that a later failure does not lose a long run.
    if options.json:
        options.json.write_text(json.dumps(plain(found), indent=1))
    lines = tables(found)
    print("\n".join(lines))
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    measured = len(found.get("results", {}).get("1k", {})) or len(found["instructions"])
    print(f"\nbench: {measured} contenders measured ({minutes} min {seconds:02} s)")
    if options.write:
        report.write(options.write, "\n".join(lines))


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def chosen(options, key):
    return not options.only or key in options.only.split(",")


def start(world, options):
    """Starts and checks all contenders."""
    flags = options.bare_flags.split()
    makers = {
        "signed": lambda key: world.huggate_serve(key, MEMBERS, signed_in=True),
        "public": lambda key: world.huggate_serve(key, 'allow = "anyone"', more=PUBLIC),
        "unsigned": lambda key: world.huggate_serve(key, MEMBERS, more=UNSIGNED, signed_in=True),
        "redis": lambda key: world.huggate_serve(key, MEMBERS, signed_in=True, session=world.redis()),
        "file": lambda key: world.huggate_serve(
            key, MEMBERS, signed_in=True, session=f'store = "file:{world.folder}/sessions.redb"'),
        "bare": lambda key: world.bare_proxy(key, *flags),
        "raw": lambda key: world.bare_proxy(key, "--raw", *flags),
        "bare-shared": lambda key: world.bare_proxy(key, "--shared"),
        "nginx": lambda key: world.nginx_proxy(key, asks=False),
        "nginx-auth": lambda key: world.nginx_proxy(key, asks=True),
        "apache": world.apache_oidc,
        "caddy": world.caddy,
        "traefik": world.traefik,
        "haproxy": world.haproxy,
    }
    if binary := os.environ.get("OAUTH2_PROXY"):
        makers["oauth2-proxy"] = lambda key: world.oauth2_proxy(key, binary, reopens=True)
    elif options.go_bin:
        for key, reopens in (("oauth2-proxy", True), ("oauth2-proxy-keeping", False)):
            if (options.go_bin / key).exists():
                makers[key] = lambda key, reopens=reopens: world.oauth2_proxy(key, options.go_bin / key, reopens)
    started, memory = {}, {}
    for key, maker in makers.items():
        if not chosen(options, key):
            continue
        contender = maker(key)
        contender.name = re.sub(r"[*`]", "", NAMES[key])
        memory[key] = [contender.process.pss()]
        contenders.check(world, contender, contender.plain)
        if contender.tls:
            contenders.check(world, contender, contender.tls)
        opened, asked = measure.keeps_connections(world, contender)
        say(f"{contender.name} answers; {opened} connections to the app for {asked} requests")
        started[key] = contender
    # The request of a signed-in user, sent to proxies that do not authenticate.
    for key in ("public", "bare"):
        if key in started and "signed" in started and chosen(options, f"{key}-cookie"):
            other = replace(started[key], key=f"{key}-cookie", headers=started["signed"].headers)
            other.name = re.sub(r"[*`]", "", NAMES[other.key])
            started[other.key] = other
    # A listener of huggate has either TLS or plain HTTP.
    for key, access, more, signed_in in (("signed", MEMBERS, "", True), ("public", 'allow = "anyone"', PUBLIC, False)):
        if key in started and needs_tls(options):
            secure = world.huggate_serve(f"{key}-tls", access, tls=True, more=more, signed_in=signed_in)
            contenders.check(world, secure, secure.tls)
            secure.key, secure.name = key, started[key].name + ", TLS"
            started[f"{key}-tls"] = secure
    return started, memory


def needs_tls(options):
    return not options.workloads or {"tls", "h2"} & set(options.workloads.split(","))


def compare(world, options, found):
    started, memory = start(world, options)
    special = {}
    sessions = 300 if options.quick else options.sessions
    for key, session in (("anew", lambda: ""), ("anew-redis", world.redis)):
        if chosen(options, key):
            special[key] = first_uses(world, sessions, key, session())
    results = found["results"] = {}
    found["machine"], found["memory"] = machine(world, started), {}
    for workload in measure.WORKLOADS:
        if workload.key not in options.workloads.split(",") if options.workloads else options.quick and not workload.quick:
            continue
        row = row_of(workload, started)
        if workload.key == "sign-ins":
            row = beside_sign_ins(world, workload, options, started, special)
        if workload.key == "1k":
            row += [special[key].contender for key in ("anew", "anew-redis") if key in special]
        if workload.streams:
            row = [contender for contender in row if speaks_h2(world, workload, contender)]
        count = 0 if options.quick else options.rounds * workload.rounds
        results[workload.key] = measure.rounds(world, workload, row, count, options.seconds, special, say)
        if workload.key == "1k":
            for key in memory:
                clients = 100 if options.quick else 1000
                memory[key] += [started[key].process.pss(), measure.idle_connections(started[key], clients), clients]
            found["memory"] = {key: sizes for key, sizes in memory.items() if len(sizes) == 4}


def beside_sign_ins(world, workload, options, started, special):
    """Measures huggate while users sign in at it, and while they sign in at another
    process, so that the load on the machine is the same."""
    if not {"signed", "unsigned"} <= started.keys():
        return []
    row = []
    for key, at in (("beside", "signed"), ("elsewhere", "unsigned")):
        busy = replace(started["signed"], key=key)
        busy.name = re.sub(r"[*`]", "", NAMES[key])

        def measured(busy=busy, url=f"{started[at].plain}/1k"):
            with signin.Beside(url, world.hub):
                return measure.sample(world, workload, busy, options.seconds)

        special[key] = measured
        row.append(busy)
    return row


def row_of(workload, started):
    if workload.tls:
        return [contender for contender in started.values() if contender.tls]
    big = workload.body != "1k"
    return [contender for key, contender in started.items()
            if not key.endswith("-tls") and not (big and key.endswith("-cookie"))]


def speaks_h2(world, workload, contender):
    try:
        measure.sample(world, workload, contender, 1)
        return True
    except Failed as failure:
        say(f"left out of HTTP/2: {str(failure).splitlines()[0]}")
        return False


def many_sessions(world, count, key="anew", session=""):
    """Returns a configuration without the assertion, and `count` session cookies for it."""
    donor = world.huggate_serve(key, MEMBERS, more=UNSIGNED, session=session)
    donor.name = re.sub(r"[*`]", "", NAMES[key])
    say(f"signing in {count} times")
    cookies = signin.many(f"{donor.plain}/1k", world.hub, contenders.is_session, count)
    donor.process.end()
    return donor, cookies


def one_after_the_other(world, name, cookies):
    """Writes a wrk script that sends one request with each cookie, and then stops."""
    listed = world.write(f"{name}.txt", "\n".join(cookies) + "\n")
    return world.write(f"{name}.lua", f"""
local cookies, next = {{}}, 0
for line in io.lines("{listed}") do cookies[#cookies + 1] = line end
request = function()
    next = next + 1
    if next > #cookies then wrk.thread:stop(); next = 1 end
    wrk.headers["Cookie"] = cookies[next]
    return wrk.format("GET")
end
""")


def start_again(world, contender, wrap=()):
    """Starts the same command again, with an empty cache."""
    command = [*wrap, *contender.process.popen.args]
    contender.process = Process("huggate anew", command, world.folder)
    contender.process.until_listening(int(contender.plain.rpartition(":")[2]))


def first_uses(world, count, key, session):
    """Sends one request with each session to a process whose cache is empty."""
    donor, cookies = many_sessions(world, count, key, session)
    script = one_after_the_other(world, f"sessions-{key}", cookies)

    def measured():
        start_again(world, donor)
        connections = 64 if count > 1000 else 8
        try:
            ask = lambda: measure.load.wrk(f"{donor.plain}/1k", connections, 1, script=script)
            done = measure.weigh(world, donor, ask)
            # wrk finishes before its duration has passed.
            done.rate = None
            return done
        finally:
            donor.process.end()

    measured.contender = donor
    return measured


def count_instructions(world, options):
    """Runs each contender alone under callgrind."""
    wrap = lambda key: counting.wrap(world.folder, key)
    flags = options.bare_flags.split()
    requests = 500 if options.quick else 3000
    makers = {
        "signed": lambda key: world.huggate_serve(f"{key}-counted", MEMBERS, signed_in=True, wrap=wrap(f"{key}-counted")),
        "public": lambda key: world.huggate_serve(f"{key}-counted", 'allow = "anyone"', more=PUBLIC, wrap=wrap(f"{key}-counted")),
        "unsigned": lambda key: world.huggate_serve(
            f"{key}-counted", MEMBERS, more=UNSIGNED, signed_in=True, wrap=wrap(f"{key}-counted")),
        "bare": lambda key: world.bare_proxy(f"{key}-counted", *flags, wrap=wrap(f"{key}-counted")),
        "raw": lambda key: world.bare_proxy(f"{key}-counted", "--raw", *flags, wrap=wrap(f"{key}-counted")),
    }
    found = {}
    for key, maker in makers.items():
        if not chosen(options, key):
            continue
        contender = maker(key)
        say(f"counting {NAMES[key]}")
        found[key] = counting.count(contender, requests, world.folder)
        contender.process.end()
    if chosen(options, "anew"):
        found["anew"] = count_first_uses(world, requests // 2)
    return found


def count_first_uses(world, requests):
    donor, cookies = many_sessions(world, counting.WARM_UP + requests)
    warm_up = one_after_the_other(world, "warm-up", cookies[:counting.WARM_UP])
    script = one_after_the_other(world, "counted", cookies[counting.WARM_UP:])
    donor.key = "anew-counted"
    start_again(world, donor, counting.wrap(world.folder, donor.key))
    counting.load.wrk(f"{donor.plain}/1k", 16, 4, script=warm_up)
    counting.dump(donor)
    done = counting.load.wrk(f"{donor.plain}/1k", 16, 10, script=script)
    counting.dump(donor)
    donor.process.end()
    return counting.total(donor, world.folder) / done.requests


def tables(found):
    lines = []
    if "results" in found:
        lines += [found["machine"], ""]
        lines += report.table(found["results"], measure.WORKLOADS, NAMES)
        lines += ["", *report.memory_table(found["memory"], NAMES)]
    if found.get("instructions"):
        lines += ["", *report.instructions_table(found["instructions"], NAMES)]
    lines += ["", *report.budget(found.get("results", {}), found.get("memory", {}), found.get("instructions"))]
    return lines


def machine(world, started):
    """Describes the machine and the versions."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = output("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    versions = [
        output(contenders.NGINX, "-v"), output("apache2", "-v").splitlines()[0], output("haproxy", "-v").splitlines()[0],
        f"Caddy {output(world.python_bin / 'caddy', 'version').split()[0]}",
        "Traefik " + "".join(re.findall(r"Version:\s*(\S+)", output(world.python_bin / "traefik", "version"))),
        *sorted({output(contender.process.popen.args[0], "--version").splitlines()[0]
                 for key, contender in started.items() if key.startswith("oauth2-proxy")}),
        output("rustc", "--version"),
    ]
    return (f"{time.strftime('%Y-%m-%d')}, commit {commit}, {world.cores} cores of {cpu[1] if cpu else 'unknown'}, "
            f"Linux {platform.release()}; " + "; ".join(versions))


def output(*command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=20)
        return (done.stdout + done.stderr).strip() or "unknown"
    except OSError:
        return f"{command[0]}: not there"


def plain(found):
    results = {workload: {key: [sample.json() for sample in samples] for key, samples in rows.items()}
               for workload, rows in found.get("results", {}).items()}
    return {**found, "results": results}


main()
