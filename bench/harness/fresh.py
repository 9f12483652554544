"""Cells of sidecars that have just been started: how fast that is, and what memory they hold
before any bulk transfer."""

import time

from . import load, pki, process, statistics
from .cells import Cell
from .pair import NotMeasured, Pair, RETRY_S, echoes

GROUP = "Just started"
CELLS = (
    Cell(GROUP, "start", "ms", False, scale=1e3),
    Cell(GROUP, "first byte cold", "us", False, scale=1e6),
    Cell(GROUP, "idle rss", "MB", False, scale=1e-6),
    Cell(GROUP, "idle rss outside", "MB", False, scale=1e-6),
    Cell(GROUP, "idle rss inside", "MB", False, scale=1e-6),
    Cell(GROUP, "memory per idle connection", "bytes", False),
)


class Authority:
    """`pavise authority`, up; a context that gives its socket."""

    def __init__(self, bench):
        self.socket = bench.directory / "authority.sock"
        self._process = process.Process(
            "authority", [bench.tools.pavise, "authority", "--socket", self.socket,
                          "--trust-domain", pki.TRUST_DOMAIN],
            bench.directory / "authority.log", process.cpus()[0])

    def __enter__(self):
        end = time.monotonic() + 10
        while not self.socket.exists():
            if not self._process.is_running() or time.monotonic() > end:
                raise RuntimeError(f"the authority did not start: {self._process.log_tail()}")
            time.sleep(0.01)
        return self.socket

    def __exit__(self, *_):
        self._process.stop()


def as_deployed(recipe, authority):
    """Pavise gets its certificates from the Workload API here, and gRPC runs."""
    return recipe.with_workload_api(authority) if recipe.family == "pavise" else recipe


def await_byte(pair):
    """Tries until a byte has come back; (when the last try began, when it came)."""
    end = time.monotonic() + 10
    while True:
        begun = time.monotonic()
        if echoes(pair.entry, b"?"):
            return begun, time.monotonic()
        pair.check_alive()
        if time.monotonic() > end:
            raise NotMeasured(f"{pair.name} did not answer for 10 s after a start")
        time.sleep(RETRY_S)


def start(pair):
    """Seconds from fork to the first byte through both sides, for the outside."""
    pair.start_inside()
    pair.await_listening(pair.tls_entry)
    begun = time.monotonic()
    pair.start_outside()
    return await_byte(pair)[1] - begun


def first_byte_cold(pair):
    """Seconds from connect to the first byte when the inside is a new one, which knows neither
    tunnel nor ticket."""
    pair.sides["inside"].stop()
    pair.start_inside()
    pair.await_listening(pair.tls_entry)
    begun, came = await_byte(pair)
    return came - begun


def idle_rss(pair, plan):
    time.sleep(plan.settle_s)
    sides = {f"idle rss {name}": side.memory()[0] for name, side in pair.sides.items()}
    # The larger of the two: what one more sidecar costs.
    return {**sides, "idle rss": max(sides.values())}


def memory_slope(bench, pair, plan):
    points = []
    with load.Idle(bench, pair.entry, plan.idle_counts[-1]) as idle:
        for count in plan.idle_counts:
            idle.grow(count)
            time.sleep(plan.settle_s)
            pair.check_alive()
            points.append((count, sum(side.memory()[1] for side in pair.sides.values())))
    return statistics.slope(points)


def measure(bench, recipe, first_port, plan, with_memory):
    """{cell: value} of one start; the memory of connections is measured when asked for."""
    pair = Pair(bench, recipe, first_port)
    try:
        with load.echo(bench):
            values = {"start": start(pair)}
            values.update(idle_rss(pair, plan))
            values["first byte cold"] = first_byte_cold(pair)
        if with_memory:
            values["memory per idle connection"] = memory_slope(bench, pair, plan)
        return values
    finally:
        pair.stop()
