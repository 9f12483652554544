"""Rounds: in each, every contender once, in an order of its own."""

import random
import sys
import time

from . import statistics
from .pair import NotMeasured

DISTURBED_PLAIN = 0.10  # plain is this far from its own median
DISTURBED_STEAL = 0.005  # of one CPU


def say(*words):
    """Progress; standard output is for the result."""
    print(*words, file=sys.stderr, flush=True)


class Results:
    """values[cell][contender][round]; why something is not there; rounds that were disturbed."""

    def __init__(self):
        self.values = {}
        self.skipped = []
        self.disturbed = {}

    def add(self, contender, number, values):
        for cell, value in values.items():
            self.values.setdefault(cell, {}).setdefault(contender, {})[number] = value

    def forget(self, contender, cells):
        for cell in cells:
            self.values.get(cell, {}).pop(contender, None)

    def skip(self, what, why):
        if (what, why) not in self.skipped:
            self.skipped.append((what, why))
            say(f"  skipped: {what}: {why}")

    def of(self, cell, contender):
        return self.values.get(cell, {}).get(contender, {})


def steal_s():
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / 100


def run_load(load, bench, pairs, plan, results):
    """All rounds of one load. A contender that fails once has no result in its cells."""
    chance = random.Random(load.name)
    failed = set()
    for number in range(plan.rounds):
        stolen, begun = steal_s(), time.monotonic()
        for pair in chance.sample(pairs, len(pairs)):
            if pair.name in failed:
                continue
            try:
                results.add(pair.name, number, load.measure(bench, pair, plan))
            except NotMeasured as reason:
                failed.add(pair.name)
                results.forget(pair.name, [cell.name for cell in load.cells])
                results.skip(f"{load.name} of {pair.name}", str(reason))
        share = (steal_s() - stolen) / (time.monotonic() - begun)
        if share > DISTURBED_STEAL:
            results.disturbed.setdefault(load.name, {})[number] = f"steal {share:.1%}"
    mark_outliers(load, results)


def mark_outliers(load, results):
    """Rounds in which plain itself was slower or faster than it is: something else was going on."""
    plain = results.of(load.cells[0].name, "plain")
    if len(plain) < 2:
        return
    middle = statistics.median(plain.values())
    for number, value in plain.items():
        if abs(value / middle - 1) > DISTURBED_PLAIN:
            results.disturbed.setdefault(load.name, {})[number] = \
                f"plain is {value / middle - 1:+.0%} off its median"
