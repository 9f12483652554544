"""Ratios of one round, their median, and how sure it is."""

import random
import statistics

RESAMPLES = 2000
CONFIDENCE = 0.95


def median(values):
    return statistics.median(values)


def interval(values, seed=1):
    """The bootstrap interval of the median: (low, high). The same values give the same answer."""
    chance = random.Random(seed)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return medians[tail], medians[-1 - tail]


def ratios(values, reference):
    """`values` and `reference` map rounds to numbers; one ratio for each round that has both."""
    return [values[key] / reference[key] for key in sorted(values)
            if reference.get(key, 0) > 0]


def slope(points):
    """Least squares: how much y grows with x, of (x, y) points."""
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) /
            sum((x - mean_x) ** 2 for x, _ in points))
