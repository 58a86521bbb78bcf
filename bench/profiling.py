"""Where the instructions of one request go, by callgrind and the line tables of the program."""

import collections
import pathlib
import re
import shutil
import subprocess
import tempfile

import measure

ROUNDS = 500
CRATE = re.compile(r"/crates/([a-z0-9-]+)/src/|/(examples)/src/|/registry/src/[^/]+/([\w-]+?)-\d")
STD = re.compile(r"<?(core|alloc|std|__rustc)::|__r(ust|dl)_|allocate|dealloc|alloc_impl|copy_nono")


class Profile:
    """Costs by address: what is done there, and what is called from there."""

    def __init__(self, text):
        self.own, self.called = collections.Counter(), collections.Counter()
        self.names, self.calls = {}, []
        program = function = callee = count = None
        for line in text.splitlines():
            word, _, value = line.partition("=")
            if word == "ob":
                program = value
            elif word == "fn":
                function = value
            elif word == "cfn":
                callee = value
            elif word == "calls":
                count = int(value.split()[0])
            elif line.startswith("0x"):
                address, _, cost = line.split()
                place = (program, int(address, 16))
                self.names[place] = function
                if count is None:
                    self.own[place] += int(cost)
                else:
                    self.called[place] += int(cost)
                    self.calls.append((place, callee, count, int(cost)))
                count = None


def run(server, which):
    """The profile of some requests, and their number. What is not steady is not in it."""
    batch = measure.Batch(measure.request(fields=measure.BROWSER if which == "browser" else ""),
                          rounds=ROUNDS)
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        wrapper = ["valgrind", "--quiet", "--tool=callgrind", "--fair-sched=yes",
                   "--dump-instr=yes", "--compress-strings=no", "--compress-pos=no",
                   "--instr-atstart=no", f"--callgrind-out-file={out}"]
        with measure.Server(measure.gateway(server), wrapper) as running:
            clients = [measure.Client(running.port) for _ in range(measure.CONNECTIONS)]
            measure.Batch(measure.request(), rounds=50).play(clients)
            for switch in ("on", "off"):
                subprocess.run(["callgrind_control", "-i", switch, str(running.pid)], check=True,
                               capture_output=True)
                if switch == "on":
                    batch.play(clients)
            for client in clients:
                client.close()
        return Profile(out.read_text(errors="replace")), batch.requests()


def frames(program, addresses):
    """For each address the functions that it stands in, innermost first, each with its crate."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    told = subprocess.run(
        ["llvm-symbolizer", f"--obj={program}", "--demangle", "--inlines", "--output-style=LLVM"],
        input=asked, capture_output=True, text=True, check=True).stdout.strip().split("\n\n")
    if len(told) != len(addresses):
        raise measure.Failed("llvm-symbolizer does not know some addresses")
    found = {}
    for address, block in zip(addresses, told):
        lines = block.split("\n")
        found[address] = [(clean(name), crate_of(file)) for name, file
                          in zip(lines[::2], lines[1::2])]
    return found


def clean(name):
    name = re.sub(r"::h[0-9a-f]{16}( \(\.\d+\))?$", "", name)
    for code, sign in (("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$C$", ","), ("$RF$", "&"),
                       ("$LP$", "("), ("$RP$", ")"), ("$u7b$", "{"), ("$u7d$", "}"), ("..", "::")):
        name = name.replace(code, sign)
    return name if len(name) <= 100 else name[:97] + "…"


def crate_of(file):
    found = CRATE.search(file)
    return next(filter(None, found.groups())) if found else None


def profile(server, which):
    """The tally of one request to a server."""
    if not shutil.which("llvm-symbolizer"):
        raise measure.Failed("llvm-symbolizer is missing; Debian has it in the package llvm")
    return tally(*run(server, which))


def tally(profile, requests):
    """Instructions of one request by crate, by function alone, by function with what it calls, and
    (calls, instructions) of libc by callee and place."""
    program = measure.binary("environ")
    ours = sorted({at for of, at in [*profile.own, *profile.called] if of == program})
    stands_in = frames(program, ours)
    crates, alone, inclusive = (collections.Counter() for _ in range(3))
    for place in {*profile.own, *profile.called}:
        own, whole = profile.own[place], profile.own[place] + profile.called[place]
        if place[0] != program:
            crates["libc"] += own / requests
            alone[f"{profile.names[place]} (libc)"] += own / requests
            continue
        stack = stands_in[place[1]]
        name, crate = next((frame for frame in stack if frame[1]), (stack[-1][0], "std"))
        crates[crate] += own / requests
        alone[f"{name} ({crate})"] += own / requests
        for name in {name for name, _ in stack}:
            inclusive[name] += whole / requests
    calls = collections.defaultdict(lambda: [0, 0])
    for (of, at), callee, count, cost in profile.calls:
        if of == program and "::" not in callee and "$" not in callee:
            names = [name for name, _ in stands_in[at] if not STD.match(name)]
            entry = calls[callee, " < ".join(names[:3]) or stands_in[at][-1][0]]
            entry[0] += count / requests
            entry[1] += cost / requests
    return crates, alone, inclusive, calls
