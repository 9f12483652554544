"""What is measured: a load gives the values of one or several cells."""

import dataclasses

from . import load


MESSAGES = "1 KiB there and back"


@dataclasses.dataclass(frozen=True)
class Cell:
    group: str  # the table it stands in
    name: str
    unit: str
    higher_is_better: bool
    reference: str = "plain"  # the contender that ratios are to
    scale: float = 1.0  # the value, as people read it


@dataclasses.dataclass(frozen=True)
class Load:
    """`measure(bench, pair, plan)` gives {cell name: value}."""

    name: str
    cells: tuple
    measure: object
    tls_only: bool = False
    application: object = None  # what has to listen meanwhile, when the load does not bring it


def spent(pair, work):
    """(result of `work`, {side: CPU seconds that it cost there})."""
    before = pair.cpu_ns()
    result = work()
    after = pair.cpu_ns()
    pair.check_alive()
    return result, {side: (after[side] - before[side]) / 1e9 for side in before}


def bulk(streams, direction):
    name = f"bulk {streams} {direction}"

    def measure(bench, pair, plan):
        result, cpu = spent(pair, lambda: load.run(
            bench, "bulk", pair.entry, streams=streams, direction=direction,
            seconds=plan.cell_s))
        values = {name: result["bytes"] / result["ns"] * 1e9}
        gigabytes = result["total_bytes"] / 1e9
        for side, seconds in cpu.items():
            values[f"cpu {name} {side}"] = seconds / gigabytes
        if cpu:
            values[f"cpu {name}"] = sum(cpu.values()) / gigabytes
        return values

    return Load(name, (
        Cell("Bulk", name, "MB/s", True, scale=1e-6),
        Cell("CPU of bulk, both sides", f"cpu {name}", "s/GB", False),
        Cell("CPU of bulk, outside", f"cpu {name} outside", "s/GB", False),
        Cell("CPU of bulk, inside", f"cpu {name} inside", "s/GB", False)), measure)


def connections(parallel):
    name = f"connections {parallel}"
    byte = f"first byte {parallel}"

    def measure(bench, pair, plan):
        result, cpu = spent(pair, lambda: load.run(
            bench, "churn", pair.entry, streams=parallel, seconds=plan.cell_s))
        if result["failures"]:
            raise load.NotMeasured(f"{result['failures']} connections failed")
        values = {name: result["connections"] / result["ns"] * 1e9,
                  f"{byte} p50": result["first_byte"]["p50"],
                  f"{byte} p99": result["first_byte"]["p99"]}
        if cpu:
            values[f"cpu {name}"] = sum(cpu.values()) / result["total_connections"]
        return values

    return Load(name, (
        Cell("New connections", name, "1/s", True),
        Cell("New connections", f"cpu {name}", "us each", False, scale=1e6),
        Cell("Connect to first byte", f"{byte} p50", "us", False, scale=1e-3),
        Cell("Connect to first byte", f"{byte} p99", "us", False, scale=1e-3)), measure)


def ping():
    def measure(bench, pair, plan):
        result, cpu = spent(pair, lambda: load.run(
            bench, "ping", pair.entry, size=1024, seconds=plan.cell_s))
        if result["latency"]["count"] == 0:
            raise load.NotMeasured("no message came back in time")
        values = {f"ping {key}": result["latency"][key] for key in ("p50", "p99")}
        if cpu:
            values["cpu ping"] = sum(cpu.values()) / result["latency"]["count"]
        return values

    return Load("ping", (
        Cell(MESSAGES, "ping p50", "us", False, scale=1e-3),
        Cell(MESSAGES, "ping p99", "us", False, scale=1e-3),
        Cell(MESSAGES, "cpu ping", "us each", False, scale=1e6)), measure)


def open_loop():
    def measure(bench, pair, plan):
        result = load.run(bench, "rate", pair.entry, size=1024, rate=plan.open_loop_rate,
                          streams=16, seconds=plan.open_loop_s / plan.rounds)
        if result["lost"]:
            raise load.NotMeasured(f"{result['lost']} of {result['due']} messages were lost")
        return {f"open loop {key}": result["latency"][key] for key in ("p50", "p99", "p999")}

    return Load("open loop", tuple(Cell(MESSAGES, f"open loop {key}", "us", False, scale=1e-3)
                                   for key in ("p50", "p99", "p999")), measure)


def redis(pipeline):
    name = f"redis -P {pipeline}"
    speeds = {}  # of the contenders so far: the next round takes as long as the plan says

    def measure(_, pair, plan):
        speed = speeds.get(pair.name) or 10000 * pipeline
        requests = max(1000, int(speed * plan.cell_s))
        result = load.redis_benchmark(pair.entry, requests, pipeline)
        speeds[pair.name] = result["rps"]
        return {name: result["rps"], f"{name} p50": result["p50_ms"] * 1e6}

    return Load(name, (
        Cell("redis-benchmark, 50 connections", name, "1/s", True),
        Cell("redis-benchmark, 50 connections", f"{name} p50", "us", False, scale=1e-3)),
        measure, application=load.redis_server)


def handshakes(kind):
    """The cost of a handshake for the inside, with a client that is always the same."""
    name = f"{kind} handshake inside"

    def measure(bench, pair, plan):
        result, cpu = spent(pair, lambda: load.handshakes(bench, pair, kind, plan.cell_s))
        resumed = result["resumed"] / result["handshakes"]
        if (kind == "resumed") != (resumed > 0.5):
            raise load.NotMeasured(f"{resumed:.0%} of its handshakes were resumed")
        return {name: cpu["inside"] / result["handshakes"]}

    return Load(f"{kind} handshake", (
        Cell("TLS handshakes, CPU of the inside", name, "us each", False, "nginx", 1e6),), measure,
                tls_only=True, application=load.echo)


LOADS = [bulk(1, "up"), bulk(1, "down"), bulk(8, "up"), bulk(8, "down"), connections(1),
         connections(32), ping(), open_loop(), redis(1), redis(16),
         handshakes("full"), handshakes("resumed")]
