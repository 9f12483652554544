"""How Pavise behaves as it grows: more workers, more connections that wait, more that talk.
`./dev bench --scale` writes bench/scale.md. Nobody else is measured: the ratios are its own."""

import dataclasses
import os
import random
import time

from . import load, plan as plans, process, rounds, statistics
from .pair import Pair
from .peers.pavise import Tunnel
from .plan import APP, Address

WORKERS = (1, 2, 4)
WAITING = (100, 1000, 10000)
TALKING = (16, 200, 2000)
RATE = 5000  # messages per second of 1 KiB, over all connections
WAIT_APP = Address(APP.ip, APP.port + 1)  # of the connections that wait
WAIT_ENTRY = 5  # after the first port of a pair
NO_APP = Address(APP.ip, APP.port + 2)  # a load that brings its own has nobody to serve here
IDLE_S = 2.0
PAGE = plans.ROOT / "bench" / "scale.md"


class Scaled(Tunnel):
    """With a number of workers, and a second way in for connections that wait."""

    def __init__(self, workers):
        super().__init__(f"pavise, {workers} workers", "auto")
        self.workers = workers

    def command(self, bench, side, listen, config):
        if side == "inside":
            config["inbound"]["ports"].append({"port": WAIT_APP.port, "deliver": str(WAIT_APP)})
        else:
            first = config["outbound"]["listeners"][0]
            peer_ip = first["destination"].rpartition(":")[0]
            config["outbound"]["listeners"].append(
                {"listen": str(Address(listen.ip, listen.port + WAIT_ENTRY)),
                 "destination": f"{peer_ip}:{WAIT_APP.port}"})
        return super().command(bench, side, listen, {**config, "workers": self.workers})


class Spread(Pair):
    """Sidecars that may run everywhere, as workers want to."""

    def start_side(self, side, command):
        super().start_side(side, command)
        os.sched_setaffinity(self.sides[side].pid, process.usable())


@dataclasses.dataclass(frozen=True)
class Row:
    what: str
    setting: str
    value: str
    ratio: float  # to the first setting


def cpu_of(pair, work):
    before = sum(pair.cpu_ns().values())
    result = work()
    return result, (sum(pair.cpu_ns().values()) - before) / 1e9


def ratios(what, unit, settings, samples):
    """Rows of a quantity; `samples[setting]` has a value per round, and rounds are compared."""
    first = samples[settings[0]]
    for setting in settings:
        pairs = [value / base for value, base in zip(samples[setting], first)]
        yield Row(what, str(setting), f"{statistics.median(samples[setting]):.4g} {unit}",
                  statistics.median(pairs))


def workers(bench, plan):
    """Throughput and new connections by the number of workers; shares the CPUs with the load."""
    found = {}
    pairs = {number: Spread(bench, Scaled(number), plans.FIRST_PORT + index * plans.PORTS_EACH)
             for index, number in enumerate(WORKERS)}
    try:
        with load.echo(bench):
            for pair in pairs.values():
                pair.start()
        for number in range(plan.rounds):
            rounds.say(f"workers: round {number + 1} of {plan.rounds}")
            for count in random.sample(WORKERS, len(WORKERS)):
                pair = pairs[count]
                bulk = load.run(bench, "bulk", pair.entry, streams=8, direction="up",
                                seconds=plan.cell_s)
                churn = load.run(bench, "churn", pair.entry, streams=32, seconds=plan.cell_s)
                found.setdefault(("bulk, 8 streams", "MB/s"), {}).setdefault(count, []).append(
                    bulk["bytes"] / bulk["ns"] * 1e3)
                found.setdefault(("new connections, 32 at a time", "1/s"), {}).setdefault(
                    count, []).append(churn["connections"] / churn["ns"] * 1e9)
    finally:
        for pair in pairs.values():
            pair.stop()
    for (what, unit), samples in found.items():
        yield from ratios(f"{what}, by workers", unit, WORKERS, samples)


def waiting(bench, plan):
    """What one more connection costs beside those that wait."""
    fresh, idle_cpu, memory = {}, {}, {}
    pair = Pair(bench, Scaled(1), plans.FIRST_PORT)
    try:
        with load.echo(bench):
            pair.start()
        entry = Address(pair.entry.ip, pair.entry.port + WAIT_ENTRY)
        base = sum(side.memory()[1] for side in pair.sides.values())
        # A process of its own for each end: ten thousand descriptors are enough for one.
        with load.echo(bench, WAIT_APP), load.Idle(bench, entry, WAITING[-1], NO_APP) as idle:
            for count in WAITING:
                rounds.say(f"waiting: {count} connections")
                idle.grow(count)
                time.sleep(plan.settle_s)
                held = sum(side.memory()[1] for side in pair.sides.values()) - base
                memory[count] = [held / count]
                _, spent = cpu_of(pair, lambda: time.sleep(IDLE_S))
                idle_cpu[count] = [spent / IDLE_S * 1e3]
                fresh[count] = []
                for _ in range(plan.rounds):
                    churn, spent = cpu_of(pair, lambda: load.run(
                        bench, "churn", pair.entry, streams=32, seconds=plan.cell_s))
                    fresh[count].append(spent / churn["total_connections"] * 1e6)
    finally:
        pair.stop()
    yield from ratios("CPU of a new connection, both sides, by connections that wait", "us",
                      WAITING, fresh)
    yield from ratios("memory of a waiting connection, both sides, by their number", "bytes",
                      WAITING, memory)
    yield from ratios("CPU while nothing happens, both sides, by connections that wait", "ms/s",
                      WAITING, idle_cpu)


def talking(bench, plan):
    """What a message costs when the same load is spread over more connections."""
    cpu, late = {}, {}
    pair = Pair(bench, Scaled(1), plans.FIRST_PORT)
    try:
        with load.echo(bench):
            pair.start()
        for number in range(plan.rounds):
            rounds.say(f"talking: round {number + 1} of {plan.rounds}")
            for count in TALKING:
                result, spent = cpu_of(pair, lambda count=count: load.run(
                    bench, "rate", pair.entry, size=1024, rate=RATE, streams=count,
                    seconds=max(plan.cell_s, 1.0)))
                if result["lost"]:
                    raise load.NotMeasured(f"{result['lost']} messages were lost")
                cpu.setdefault(count, []).append(spent / result["latency"]["count"] * 1e6)
                late.setdefault(count, []).append(result["latency"]["p99"] / 1e3)
    finally:
        pair.stop()
    yield from ratios(f"CPU of a message at {RATE}/s, both sides, by connections", "us", TALKING,
                      cpu)
    yield from ratios(f"1 KiB there and back, p99 at {RATE}/s, by connections", "us", TALKING,
                      late)


def page(rows, plan, machine):
    lines = ["# Scale", "", "This page is written by `./dev bench --scale`; docs/performance.md "
             "says how it is measured.", "", f"{machine}; plan \"{plan.name}\".", "",
             "| what | setting | median | to the first setting |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.setting} | {row.value} | {row.ratio:.2f} |" for row in rows]
    return "\n".join(lines) + "\n"


def run(bench, plan, machine):
    """Measures everything, writes the page and returns it."""
    rows = [*workers(bench, plan), *waiting(bench, plan), *talking(bench, plan)]
    text = page(rows, plan, machine)
    PAGE.write_text(text, encoding="utf-8")
    return text
