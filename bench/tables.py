"""The tables of docs/performance.md, made of what was measured."""

import statistics

import measure

PAGE = measure.ROOT / "docs" / "performance.md"
# A sample in which other processes took more than so many cores is left out, if there are better.
CALM = 0.3

HYPER = ("hyper", "hyper-ct")
# Those that are correct: khttp drops requests that are pipelined.
THREADS = ("touche", "tiny_http", "rouille")
# What each server is held to: case, bound, the peers of which the best counts.
BOUNDS = {
    "gateway-tokio": [
        ("plaintext", 1.10, ("floor",)), ("plaintext", 1.00, HYPER),
        ("json", 1.10, ("floor",)), ("json", 1.00, HYPER),
        ("pipeline", 1.40, ("floor",)), ("pipeline", 0.70, HYPER),
        ("latency", 1.00, HYPER), ("close", 1.00, HYPER),
        ("big", 1.10, ("floor",)), ("echo", 1.20, ("floor",)), ("stream", 0.90, HYPER),
        ("blocking", 0.90, ("hyper-blocking",)), ("pending", 1.05, ("gateway-tokio ready",)),
        ("file-1k", 0.80, ("nginx",)), ("file-100k", 1.00, ("nginx",)),
        ("file-100m", 1.05, ("nginx",)),
    ],
    "gateway-std": [
        ("plaintext", 1.10, ("floor-threads",)), ("json", 1.10, ("floor-threads",)),
        ("pipeline", 1.40, ("floor-threads",)), ("latency", 1.05, ("floor-threads",)),
        ("close", 1.00, THREADS), ("big", 1.00, ("khttp",)),
        ("echo", 1.10, ("floor-threads",)), ("stream", 1.00, (*THREADS, "khttp")),
        ("pending", 1.05, ("gateway-std ready",)),
        ("file-1k", 0.80, ("nginx",)), ("file-100k", 1.00, ("nginx",)),
        ("file-100m", 1.05, ("nginx",)),
    ],
}
# What one request is to cost in the end: instructions, system calls, allocations.
COUNT_BOUNDS = {
    "gateway-tokio": {"instructions": 3000, "instructions, 13 headers": 5500,
                      "syscalls plaintext": 2.3, "syscalls pipeline": 0.15, "allocations": 2},
    "gateway-std": {"instructions": 1900, "instructions, 13 headers": 5600,
                    "syscalls plaintext": 2.0, "syscalls pipeline": 0.15, "allocations": 2},
}
# The system calls with which connections begin and end, on a machine that answers few requests.
SETUP = 0.02
IDLE_KIB = {"gateway-tokio": 4.5, "gateway-std": 22}


def put(name, lines):
    """Replaces what stands in the page between the markers of `name`."""
    begin, end = f"<!-- bench:begin {name} -->\n", f"<!-- bench:end {name} -->"
    text = PAGE.read_text()
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise measure.Failed(f"{PAGE.name} has no place for the table {name}")
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + after)


def used(samples):
    return [s for s in samples if s.get("foreign", 0) <= CALM] or samples


def key(case):
    # Few requests of 100 MiB are over when the time is.
    return "cpu_ms_gib" if case == "file-100m" else "cpu_us"


def middle(samples, case):
    return statistics.median(sample[key(case)] for sample in used(samples))


def spread(samples, case):
    values = [sample[key(case)] for sample in used(samples)]
    return (max(values) - min(values)) / statistics.median(values)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bounds_table(samples):
    """Each bound of the two servers, and whether it is met."""
    lines = ["| server | case | CPU µs | against | its CPU µs | ratio | spread | bound | met |",
             "|---|---|---:|---|---:|---:|---:|---:|---|"]
    for server, bounds in BOUNDS.items():
        for case, bound, peers in bounds:
            of_case = samples.get(case, {})
            peers = [peer for peer in peers if peer in of_case]
            if server not in of_case or not peers:
                lines.append(f"| {server} | {case} | – | – | – | – | – | {bound:.2f} | not measured |")
                continue
            peer = min(peers, key=lambda peer: middle(of_case[peer], case))
            ours, theirs = middle(of_case[server], case), middle(of_case[peer], case)
            ratio, wide = ours / theirs, spread(of_case[server], case)
            met = "yes" if ratio <= bound else "within the spread" if ratio - wide <= bound else "no"
            lines.append(f"| {server} | {case} | {number(ours)} | {peer} | {number(theirs)} |"
                         f" {ratio:.2f} | {wide:.0%} | {bound:.2f} | {met} |")
        idle = samples.get("idle", {}).get(server)
        if idle:
            kib = idle[0]["kib_connection"]
            met = "yes" if kib <= IDLE_KIB[server] else "no"
            lines.append(f"| {server} | idle connection | {kib:.1f} KiB | – | – | – | – |"
                         f" {IDLE_KIB[server]:.1f} KiB | {met} |")
    return lines


def peers_table(samples, cases):
    """CPU of each server in each case, cheapest first."""
    cases = [case for case in cases if case in samples]
    names = dict.fromkeys(name for case in cases for name in samples[case])
    if not cases or not names:
        return ["Nothing was measured."]
    order = samples[cases[0]]
    names = sorted(names, key=lambda n: middle(order[n], cases[0]) if n in order else float("inf"))
    lines = ["| server | " + " | ".join(cases) + " | KiB per idle connection |",
             "|---|" + "---:|" * (len(cases) + 1)]
    for name in names:
        cells = [number(middle(samples[case][name], case)) if name in samples[case] else "–"
                 for case in cases]
        idle = samples.get("idle", {}).get(name)
        cells.append(f"{idle[0]['kib_connection']:.1f}" if idle else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    every = [s for case in cases for of_one in samples[case].values() for s in of_one]
    quiet = sum(s.get("foreign", 0) <= CALM for s in every)
    return [*lines, "", f"{len(every)} samples, of which {quiet} while other processes took less"
            f" than {CALM} cores."]


COUNTS = {
    "instructions": "instructions, Host only",
    "instructions, 13 headers": "instructions, 13 headers",
    "syscalls plaintext": "system calls, 64 connections",
    "syscalls pipeline": "system calls, pipelined by 16",
    "syscalls latency": "system calls, one connection",
}


def goals_table(counts, allocations):
    """Each count of the two servers that has a goal, and whether it is reached. `allocations` are
    those of one request, by server."""
    lines = ["| server | count | now | goal | reached |", "|---|---|---:|---:|---|"]
    for server, goals in COUNT_BOUNDS.items():
        found = {**counts.get(server, {}), "allocations": allocations.get(server)}
        for what, goal in goals.items():
            if what.startswith("syscalls"):
                # Where a loop that does nothing else needs more, that is the measurement's.
                floor = counts.get("floor-threads" if server == "gateway-std" else "floor", {})
                goal = max(goal, (floor.get(what) or 0) + SETUP)
            if (value := found.get(what)) is None:
                shown, reached = "–", "not measured"
            else:
                shown, reached = number(value), "yes" if value <= goal else "no"
            name = COUNTS.get(what, "heap allocations")
            lines.append(f"| {server} | {name} | {shown} | {number(goal)} | {reached} |")
    return lines


def counts_table(counts):
    lines = ["| server | " + " | ".join(COUNTS.values()) + " |", "|---|" + "---:|" * len(COUNTS)]
    for name, row in counts.items():
        cells = [row.get(of) for of in COUNTS]
        shown = ["–" if cell is None else number(cell) if "instr" in of else f"{cell:.2f}"
                 for of, cell in zip(COUNTS, cells)]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines


def crates_table(found):
    lines = ["| crate | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    names = {name for crates in found.values() for name, cost in crates.items() if cost >= 1}
    first = next(iter(found.values()))
    for name in sorted(names, key=lambda name: (-first.get(name, 0), name)):
        cells = [f"{crates.get(name, 0):,.0f}" for crates in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def fairness_table(found):
    lines = ["| server | of 64: answers/s | p99 ms | least served | beside one that pipelines:"
             " answers/s | p99 ms | least served | answers/s of that one |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for name, of_one in found.items():
        cells = [f"{one['rps']:,.0f} | {one['p99_ms']:.1f} | {one['least']:.0%}"
                 for one in (of_one["alone"], of_one["beside"])]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {of_one['hog_rps']:,.0f} |")
    return lines


def scaling_table(found):
    """`found` has the samples of (server, threads, connections)."""
    lines = ["| server | reactors | connections | CPU µs | × 64 on one | spread | answers/s |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    first = {}
    for (server, threads, connections), samples in found.items():
        cpu = middle(samples, "plaintext")
        base = first.setdefault(server, cpu)
        rate = statistics.median(sample["rps"] for sample in used(samples))
        shown = threads if server == "gateway-tokio" else "–"
        lines.append(f"| {server} | {shown} | {connections:,} | {cpu:.1f} | {cpu / base:.2f} |"
                     f" {spread(samples, 'plaintext'):.0%} | {rate:,.0f} |")
    return lines
