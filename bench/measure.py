"""What the scripts here share: builds, servers, and counts of what a request costs."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# One directory for both workspaces, so that what they share is built once.
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()

HELLO = b"Hello, World!"
# The same text as layers/src/request.rs has.
BROWSER = (
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: http://127.0.0.1/some/page/of/the/same/site?with=a&query=string\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
)
# How many connections a server has where costs are counted.
CONNECTIONS = 8
ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"}


class Failed(Exception):
    """A measurement that cannot be made, or whose answers are wrong."""


def request(path="/plaintext", fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()


def cargo_build(*words, cwd):
    subprocess.run(["cargo", "build", "--release", *words], cwd=cwd, check=True,
                   env=os.environ | {"CARGO_TARGET_DIR": str(TARGET)})


def build(*packages):
    """Builds packages of this folder, and `environ`, in release mode."""
    cargo_build("-p", "examples", "--bin", "environ", cwd=ROOT)
    if packages:
        cargo_build(*(word for package in packages for word in ("-p", package)), cwd=HERE)


def binary(name):
    return str(TARGET / "release" / name)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def gateway(server, program="environ", threads=1, address="127.0.0.1:0"):
    """The command line of one of our servers."""
    command = [binary(program), "--server", server, "--addr", address]
    return command + (["--threads", str(threads)] if server == "tokio" else [])


class Server:
    """A server, which ends with the `with` block. It says where it listens, unless it is told a
    `port`. `wrapper` goes before its command."""

    def __init__(self, command, wrapper=(), port=None):
        self.process = subprocess.Popen(
            [*wrapper, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pid, self.port = self.process.pid, port or self.told_port()
        while not self.listens():
            if self.process.poll() is not None:
                raise Failed(f"{' '.join(command)} has ended")
            time.sleep(0.01)

    def told_port(self):
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Listening on http://127\.0\.0\.1:(\d+)\n", line)
        if not found:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{' '.join(self.process.args)} does not listen: {line!r}")
        return int(found[1])

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 60).close()
        except ConnectionRefusedError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Client:
    """A connection that sends what it is told and takes answers with HELLO as their body."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.socket.sendall(data)

    def take(self, answers):
        """Reads that many answers, which have to be right."""
        data = b""
        while data.count(HELLO) < answers:
            more = self.socket.recv(1 << 18)
            if not more:
                raise Failed(f"the connection ended after {data[-200:]!r}")
            data += more
        if data.count(b"HTTP/1.1 200 OK\r\n") != answers or not data.endswith(HELLO):
            raise Failed(f"not {answers} right answers: {data[-200:]!r}")

    def close(self):
        self.socket.close()


class Cost:
    """Instructions in user space and heap allocations."""

    def __init__(self, instructions, allocations):
        self.instructions, self.allocations = instructions, allocations

    def per(self, base, count):
        """What one of `count` cost, which came on top of `base`."""
        return Cost((self.instructions - base.instructions) / count,
                    (self.allocations - base.allocations) / count)


def callgrind(run):
    """What a process costs that `run(wrapper)` starts behind the words of `wrapper` and ends."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        run(["valgrind", "--quiet", "--tool=callgrind", "--fair-sched=yes",
             "--compress-strings=no", f"--callgrind-out-file={out}"])
        instructions, allocations, callee = None, 0, ""
        for line in out.read_text(errors="replace").splitlines():
            if line.startswith("cfn="):
                callee = line[4:]
            elif line.startswith("calls=") and callee in ALLOCATORS:
                allocations += int(line[6:].split()[0])
            elif line.startswith("totals:"):
                instructions = int(line.split()[1])
    if not instructions or not allocations:
        raise Failed("callgrind counted nothing")
    return Cost(instructions, allocations)


class Batch:
    """Bytes to send at once, how many requests they are, and how often each connection sends them:
    one connection after the other has its answer, or all `together` before any reads."""

    def __init__(self, data, answers=1, rounds=500, together=False):
        self.data, self.answers, self.rounds, self.together = data, answers, rounds, together

    def requests(self):
        return CONNECTIONS * self.answers * self.rounds

    def play(self, clients):
        groups = [clients] if self.together else [[client] for client in clients]
        for _ in range(self.rounds):
            for group in groups:
                for client in group:
                    client.send(self.data)
                for client in group:
                    client.take(self.answers)


def serve_some(wrapper, command, batches):
    """Has a server answer `batches`."""
    with Server(command, wrapper) as server:
        clients = [Client(server.port) for _ in range(CONNECTIONS)]
        for batch in batches:
            batch.play(clients)
        for client in clients:
            client.close()


def costs_of_requests(command, batches):
    """What one request costs a server in each of `batches`, a dictionary: the difference between a
    run that has them and one that has not. Both are warm before.

    Of those sent together, the least of three counts: how many a reactor meets when it turns depends
    on the machine.
    """
    warm = Batch(request(), rounds=125)
    base = callgrind(lambda wrapper: serve_some(wrapper, command, [warm]))
    found = {}
    for name, batch in batches.items():
        runs = [callgrind(lambda wrapper: serve_some(wrapper, command, [warm, batch]))
                for _ in range(3 if batch.together else 1)]
        least = min(runs, key=lambda cost: cost.instructions)
        found[name] = least.per(base, batch.requests())
    return found


def cost_of_layer(layer, which, count=5000):
    """What one run of a layer costs."""
    def run(times):
        command = [binary("layers"), layer, which, str(times)]
        return callgrind(lambda wrapper: subprocess.run([*wrapper, *command], check=True))
    return run(count + 100).per(run(100), count)
