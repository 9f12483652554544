"""The results, row by row and target by target, and as one JSON object."""

import dataclasses

from . import statistics
from .targets import View


@dataclasses.dataclass(frozen=True)
class Row:
    """One contender in one cell: its median value, and its ratio with the interval."""

    cell: object
    contender: str
    value: float
    ratio: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Verdict:
    target: object
    value: float  # None: not measured

    @property
    def met(self):
        return None if self.value is None else self.target.is_met(self.value)


def rows(results, cells, contenders):
    for cell in cells:
        reference = results.of(cell.name, cell.reference)
        if not reference:
            results.skip(cell.name, f"{cell.reference} has no value to compare with")
        for contender in contenders:
            values = results.of(cell.name, contender)
            ratios = statistics.ratios(values, reference)
            if not ratios:
                continue
            low, high = statistics.interval(ratios)
            yield Row(cell, contender, statistics.median(values.values()),
                      statistics.median(ratios), low, high)


def verdicts(results, targets, peers):
    view = View(results, peers)
    return [Verdict(target, target.value(view)) for target in targets]


def as_json(table, judged, skipped):
    return {
        "rows": [{"cell": row.cell.name, "contender": row.contender,
                  "ratio": round(row.ratio, 4), "low": round(row.low, 4),
                  "high": round(row.high, 4)} for row in table],
        "targets": [{"id": verdict.target.name, "target": verdict.target.text,
                     "value": None if verdict.value is None else round(verdict.value, 4),
                     "met": verdict.met} for verdict in judged],
        "skipped": [f"{what}: {why}" for what, why in skipped],
    }
