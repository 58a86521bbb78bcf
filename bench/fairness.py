"""Whether one connection that pipelines as hard as it can starves others."""

import multiprocessing
import os
import selectors
import socket
import statistics
import time

from loads import LOAD_CPU, pinned
from measure import HELLO, Failed, Server, request

OTHERS = 64
SECONDS = 3
# What must be left to the others: of what they get alone, and to the one that gets least, of the mean.
SHARE, LEAST = 0.1, 0.5
BATCH = request() * 1000


def hog(port, answers, stop):
    """Writes requests as fast as the server takes them, and throws the answers away. When the
    connection has had as many as it may have, there is the next one."""
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(request())
        one = len(connection.recv(1 << 16))
    received = 0
    while not stop.is_set():
        received += pipeline(port, stop)
    answers.value = received // one


def pipeline(port, stop):
    """Pipelines until the server ends the connection, and gives the bytes that came."""
    room, sent, received = bytearray(1 << 20), 0, 0
    with (socket.create_connection(("127.0.0.1", port), 60) as connection,
          selectors.DefaultSelector() as selector):
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while not stop.is_set():
            for _, ready in selector.select(1):
                try:
                    if ready & selectors.EVENT_READ:
                        some = connection.recv_into(room)
                        if some == 0:
                            return received
                        received += some
                    if ready & selectors.EVENT_WRITE:
                        sent += connection.send(memoryview(BATCH)[sent:])
                        sent %= len(BATCH)
                except ConnectionError:
                    return received
    return received


def others(port):
    """What `OTHERS` connections get that ask one thing at a time: for each, how long it waited."""
    waits = [[] for _ in range(OTHERS)]
    with selectors.DefaultSelector() as selector:
        connections = [socket.create_connection(("127.0.0.1", port), 60) for _ in waits]
        asked = [time.monotonic()] * OTHERS
        for number, connection in enumerate(connections):
            connection.sendall(request())
            selector.register(connection, selectors.EVENT_READ, number)
        end = time.monotonic() + SECONDS
        while (now := time.monotonic()) < end:
            for key, _ in selector.select(1):
                if not key.fileobj.recv(4096).endswith(HELLO):
                    raise Failed("an answer came in pieces, or wrong")
                now = time.monotonic()
                waits[key.data].append(now - asked[key.data])
                asked[key.data] = now
                key.fileobj.sendall(request())
        # Who still waits has waited that long.
        for number, since in enumerate(asked):
            waits[number].append(now - since)
        for connection in connections:
            connection.close()
    return waits


def figures(waits):
    every = sorted(wait for of_one in waits for wait in of_one)
    counts = [len(of_one) for of_one in waits]
    return {
        "rps": len(every) / SECONDS, "p50_ms": statistics.median(every) * 1e3,
        "p99_ms": every[len(every) * 99 // 100] * 1e3, "worst_ms": every[-1] * 1e3,
        "least": min(counts) / statistics.mean(counts),
    }


def measure(command):
    """The figures of the others alone, and beside the hog, and how many answers that got."""
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    try:
        with Server(command, pinned()) as server:
            alone = figures(others(server.port))
            answers, stop = multiprocessing.Value("Q"), multiprocessing.Event()
            pipelining = multiprocessing.Process(target=hog, args=(server.port, answers, stop))
            pipelining.start()
            beside = figures(others(server.port))
            stop.set()
            pipelining.join(60)
            if pipelining.exitcode != 0 or answers.value == 0:
                raise Failed("the connection that pipelines got nothing")
            return {"alone": alone, "beside": beside, "hog_rps": answers.value / SECONDS}
    finally:
        os.sched_setaffinity(0, range(os.cpu_count()))


def wrong(name, found):
    """What is unfair about it, as sentences."""
    share = found["beside"]["rps"] / found["alone"]["rps"]
    if share < SHARE:
        yield f"{name}: one that pipelines leaves {share:.0%} to the others, under {SHARE:.0%}"
    if (least := found["beside"]["least"]) < LEAST:
        yield f"{name}: one of the others gets {least:.0%} of the mean, under {LEAST:.0%}"
