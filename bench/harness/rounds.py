"""Rounds: in each, every contender once, in an order of its own."""

import random
import sys

from . import calm, statistics
from .pair import NotMeasured

DISTURBED_PLAIN = 0.10  # plain is this far from its own median
DISTURBED_CPU = 0.10  # of one CPU, by others: measured again


def say(*words):
    """Progress; standard output is for the result."""
    print(*words, file=sys.stderr, flush=True)


class Results:
    """values[cell][contender][round]; why something is not there; what was disturbed."""

    def __init__(self):
        self.values = {}
        self.skipped = []
        self.notes = []

    def add(self, contender, number, values):
        for cell, value in values.items():
            self.values.setdefault(cell, {}).setdefault(contender, {})[number] = value

    def forget(self, contender, cells):
        for cell in cells:
            self.values.get(cell, {}).pop(contender, None)

    def drop_round(self, number, cells):
        for cell in cells:
            for rounds in self.values.get(cell, {}).values():
                rounds.pop(number, None)

    def skip(self, what, why):
        if (what, why) not in self.skipped:
            self.skipped.append((what, why))
            say(f"  not measured: {what}: {why}")

    def of(self, cell, contender):
        return self.values.get(cell, {}).get(contender, {})


class Runner:
    """Runs loads against the pairs; repeats what was disturbed while there is time for it."""

    def __init__(self, bench, plan, results):
        self.bench = bench
        self.plan = plan
        self.results = results
        self.repeat_s = plan.repeat_s
        self.disturbed = []  # shares of a CPU, in the load that runs

    def run(self, load, pairs, application):
        """All rounds. A contender that fails once has no result in the cells of the load."""
        chance = random.Random(load.name)
        failed = set()
        self.disturbed = []
        for number in range(self.plan.rounds):
            for pair in chance.sample(pairs, len(pairs)):
                if pair.name in failed:
                    continue
                try:
                    self.results.add(pair.name, number, self.measure(load, pair, application))
                except NotMeasured as reason:
                    failed.add(pair.name)
                    self.results.forget(pair.name, [cell.name for cell in load.cells])
                    self.results.skip(f"{load.name} of {pair.name}", str(reason))
        self.drop_outliers(load)
        if self.disturbed:
            self.results.notes.append(
                f"{load.name}: others used up to {max(self.disturbed):.0%} of a CPU during "
                f"{len(self.disturbed)} of {self.plan.rounds * len(pairs)} measurements")

    def measure(self, load, pair, application):
        """The calmest of up to three tries."""
        processes = [*pair.sides.values()] + ([application] if application else [])
        best = None
        for _ in range(3):
            meter = calm.Meter(processes)
            values = load.measure(self.bench, pair, self.plan)
            disturbance = meter.disturbance()
            if best is None or disturbance < best[0]:
                best = disturbance, values
            if disturbance <= DISTURBED_CPU or self.repeat_s < meter.elapsed_s():
                break
            self.repeat_s -= meter.elapsed_s()
        if best[0] > DISTURBED_CPU:
            self.disturbed.append(best[0])
        return best[1]

    def drop_outliers(self, load):
        """Rounds in which plain itself was not what it is, if enough others are left."""
        plain = self.results.of(load.cells[0].name, "plain")
        if len(plain) < 2:
            return
        middle = statistics.median(plain.values())
        wrong = [number for number, value in plain.items()
                 if abs(value / middle - 1) > DISTURBED_PLAIN]
        stay = len(plain) - len(wrong) < self.plan.fewest_rounds
        for number in wrong:
            self.results.notes.append(
                f"{load.name}, round {number + 1} {'kept' if stay else 'dropped'}: plain is "
                f"{plain[number] / middle - 1:+.0%} off its median")
            if not stay:
                self.results.drop_round(number, [cell.name for cell in load.cells])
