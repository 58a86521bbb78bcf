"""Loads a server with wrk, and says what a request cost it."""

import os
import pathlib
import subprocess
import time

from measure import HERE, Client, Failed, Server, request

TICK = os.sysconf("SC_CLK_TCK")
SERVER_CPU, LOAD_CPU = "0", "1"
# The server of threads holds 512 connections.
IDLE = 500


class Case:
    """What is asked: the path, how many connections ask, and how."""

    def __init__(self, path="/plaintext", connections=64, depth=1, method="GET", body=0,
                 close=False):
        self.path, self.connections = path, connections
        self.words = [str(depth), method, str(body), "close" if close else "keep"]

    def to_warm(self):
        """The same for a server that has just begun, on few connections."""
        warm = Case()
        warm.path, warm.words = self.path, self.words
        warm.connections = min(self.connections, warm.connections)
        return warm


# The cases that `../shared/bench/run.py` has, too, under its names.
CASES = {
    "plaintext": Case(),
    "pipeline": Case(depth=16),
    "latency": Case(connections=1),
    "close": Case(close=True),
    "json": Case("/json"),
    "big": Case("/big", 16),
    "echo": Case("/echo", 16, method="POST", body=64 << 10),
    "stream": Case("/stream", 16),
}


def cpu_of(pid):
    """Seconds that a process has worked, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_cpu():
    """Seconds that the machine has worked, all its cores."""
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, soft, steal = map(int, words)
    return (user + nice + system + irq + soft + steal) / TICK


def memory_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise Failed(f"process {pid} has no memory")


def pinned(cpus=SERVER_CPU):
    return ["taskset", "-c", cpus]


def load(pid, port, case, seconds=2, cpus=LOAD_CPU):
    """One sample, with the names that `../shared/bench/run.py` has for the same."""
    command = [*pinned(cpus), "wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s",
               "--timeout", "5s", "-s", str(HERE / "load.lua"),
               f"http://127.0.0.1:{port}{case.path}", "--", *case.words]
    began, worked, machine = time.monotonic(), cpu_of(pid), machine_cpu()
    children = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    wall = time.monotonic() - began
    worked, machine = cpu_of(pid) - worked, machine_cpu() - machine
    figures = [line.split()[1:] for line in done.stdout.splitlines()
               if line.startswith("figures")]
    if not figures or float(figures[0][0]) == 0:
        raise Failed(f"no answer: {done.stdout[-200:]}{done.stderr[-200:]}")
    requests, duration, p50, p99, wrong = map(float, figures[0])
    of_wrk = (after.children_user + after.children_system
              - children.children_user - children.children_system)
    return {
        "cpu_us": worked / requests * 1e6, "rps": requests / duration * 1e6,
        "p50_us": p50, "p99_us": p99, "errors": wrong,
        "foreign": max(0.0, (machine - worked - of_wrk) / wall),
    }


def await_calm(patience):
    """Waits until nothing else keeps the machine busy, for so many seconds at most."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = machine_cpu()
        time.sleep(0.25)
        if (machine_cpu() - before) / 0.25 < 0.1:
            return


def sample(command, case, seconds, patience, threads=1, port=None):
    """Starts a server, warms it by the same path, and takes one sample."""
    cpus = SERVER_CPU if threads == 1 else "0,1"
    with Server(command, pinned(cpus), port) as server:
        load(server.pid, server.port, case.to_warm(), 1)
        await_calm(patience)
        return load(server.pid, server.port, case, seconds, LOAD_CPU if threads == 1 else "0,1")


def idle(command):
    """What a connection costs that has had one answer and stays open."""
    with Server(command) as server:
        def ask(client):
            client.send(request())
            client.take(1)
        for _ in range(20):
            client = Client(server.port)
            ask(client)
            client.close()
        before, clients = memory_kib(server.pid), []
        for _ in range(IDLE):
            clients.append(Client(server.port))
            ask(clients[-1])
        after = memory_kib(server.pid)
        for client in clients:
            client.close()
        return {"kib_connection": (after - before) / IDLE}
