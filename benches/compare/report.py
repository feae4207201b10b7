"""Renders the figures as tables."""

import re
from statistics import median

BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"
REFERENCE = "signed"


def quartiles(values):
    ordered = sorted(values)
    at = lambda part: ordered[min(len(ordered) - 1, round((len(ordered) - 1) * part))]
    return median(ordered), at(0.25), at(0.75)


def paired(results, workload, one, other, value):
    """Ratios of `value` within a round; none if one side was not measured."""
    a, b = results.get(workload, {}).get(one), results.get(workload, {}).get(other)
    pairs = [(value(x), value(y)) for x, y in zip(a or [], b or [])]
    return [x / y for x, y in pairs if x is not None]


def ratio(values):
    if not values:
        return ""
    middle, low, high = quartiles(values)
    return f"{middle:.2f} [{low:.2f} to {high:.2f}]"


def table(results, workloads, names):
    """All measurements as Markdown."""
    lines = [
        "| | requests/s | CPU µs/request: user + system | its CPU ÷ huggate's, signed in | its rate ÷ huggate's | p50 / p99 ms | connections to the app, per 1,000 requests |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workload in workloads:
        rows = results.get(workload.key)
        if not rows:
            continue
        lines.append(f"| **{workload.title}** | | | | | | |")
        ordered = [key for key in names if key in rows]
        for key in ordered:
            samples = rows[key]
            of = lambda field: median(getattr(sample, field) or 0 for sample in samples)
            rate, user, system, backend = of("rate"), of("user") * 1e6, of("system") * 1e6, of("backend") * 1e6
            size = samples[0].bytes
            if size > 10_000:
                per_gb = median(sample.cpu / sample.bytes * 1e9 for sample in samples)
                rate_text = f"{rate:.0f} ({rate * size / 1e6:.0f} MB/s)"
                cpu_text = f"{per_gb:.2f} s/GB"
            else:
                rate_text = f"{rate:.0f}" if rate else ""
                cpu_text = f"{user + system:.1f}: {user:.1f} + {system:.1f}"
                if backend > 0.05:
                    cpu_text += f", and {backend:.1f} of its backend"
            against = lambda value: "" if key == REFERENCE else ratio(paired(results, workload.key, key, REFERENCE, value))
            known = [sample for sample in samples if sample.p50 is not None and sample.p99 is not None]
            times = f"{median(s.p50 for s in known) * 1e3:.2f} / {median(s.p99 for s in known) * 1e3:.2f}" if known else ""
            lines.append(f"| {names[key]} | {rate_text} | {cpu_text} | {against(lambda s: s.cpu)} | {against(lambda s: s.rate)} | {times} | {of('opened') * 1000:.1f} |")
    return lines


def memory_table(memory, names):
    lines = ["| memory (PSS), MiB | idle | after load | with 1,000 idle connections | KiB for each |", "| --- | ---: | ---: | ---: | ---: |"]
    for key in names:
        if key in memory:
            idle, load, many, count = memory[key]
            lines.append(f"| {names[key]} | {idle / 1024:.1f} | {load / 1024:.1f} | {many / 1024:.1f} | {max(0, many - load) / count:.1f} |")
    return lines


def instructions_table(instructions, names):
    lines = ["| user-mode instructions/request | |", "| --- | ---: |"]
    return lines + [f"| {names[key]} | {instructions[key]:,.0f} |" for key in names if key in instructions]


def budget(results, memory, instructions):
    """Each goal: its name, the limit, the measured value, and whether it is met."""
    cpu, rate = (lambda sample: sample.cpu), (lambda sample: sample.rate)
    rows = []

    def add(what, limit, values, at_most=True, show=ratio, unit=""):
        if values:
            middle = quartiles(values)[0]
            holds = middle <= limit if at_most else middle >= limit
            rows.append((what, f"{'≤' if at_most else '≥'} {limit:g}{unit}", show(values), holds))

    def pair(what, limit, one, other, value=cpu, at_most=True, workload="1k"):
        add(what, limit, paired(results, workload, one, other, value), at_most)

    plain = lambda values: f"{quartiles(values)[0]:,.4g}"
    pair("signed in: CPU ÷ everything public", 1.05, "signed", "public")
    pair("signed in: CPU ÷ bare proxy", 1.15, "signed", "bare")
    pair("the same, both asked with the session's cookie", 1.05, "signed", "public-cookie")
    pair("signed in: CPU ÷ bare proxy, both asked with the session's cookie", 1.15, "signed", "bare-cookie")
    pair("session in Redis, in use here: CPU ÷ in the cookie", 1.02, "redis", "signed")
    pair("session in a file, in use here: CPU ÷ in the cookie", 1.02, "file", "signed")
    pair("session opened for the first time: CPU ÷ everything public, asked with a cookie", 1.15, "anew", "public-cookie")
    if instructions:
        add("user instructions, signed in", 42_000, [instructions[key] for key in ["signed"] if key in instructions], show=plain)
        add("user instructions, opened anew", 52_000, [instructions[key] for key in ["anew"] if key in instructions], show=plain)
    pair("requests/s ÷ nginx's, which asks nobody", 0.95, "signed", "nginx", rate, False)
    pair("CPU ÷ nginx's with auth_request, its backend included", 0.65, "signed", "nginx-auth")
    pair("requests/s ÷ mod_auth_openidc's", 3.5, "signed", "apache", rate, False)
    pair("CPU ÷ mod_auth_openidc's", 0.167, "signed", "apache")
    pair("requests/s ÷ Caddy's with forward_auth", 5, "signed", "caddy", rate, False)
    pair("requests/s ÷ Traefik's with forwardAuth", 5, "signed", "traefik", rate, False)
    big = results.get("10m", {}).get("signed")
    add("10 MiB: CPU seconds for a GB", 0.5, big and [s.cpu / s.bytes * 1e9 for s in big], show=plain)
    pair("10 MiB, signed in: CPU ÷ everything public", 1.05, "signed", "public", workload="10m")
    if "signed" in memory:
        idle, load, many, count = memory["signed"]
        add("memory idle, MiB", 15, [idle / 1024], show=plain)
        add("memory for an idle connection, KiB", 20, [(many - load) / count], show=plain)
    one = results.get("one", {})
    for other, name in (("bare", "the bare proxy's"), ("nginx", "nginx's")):
        if "signed" in one and other in one:
            added = [(a.p50 - b.p50) * 1e6 for a, b in zip(one["signed"], one[other]) if a.p50 and b.p50]
            add(f"p50 at one connection, µs more than {name}", 10, added, show=plain)
    lines = ["| goal | limit | measured | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {what} | {limit} | {value} | {'met' if holds else '**missed**'} |" for what, limit, value, holds in rows]
    return lines


def write(path, text):
    """Replaces the text between the two marks of a document."""
    document = path.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not pattern.search(document):
        raise SystemExit(f"{path} lacks the lines {BEGIN} and {END}")
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", document))
