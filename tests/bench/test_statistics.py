import random

from harness import statistics


def test_median():
    assert statistics.median([3, 1, 2]) == 2
    assert statistics.median([4, 1, 2, 3]) == 2.5


def test_ratios_are_of_the_same_round():
    values = {0: 10.0, 1: 30.0, 2: 5.0}
    assert statistics.ratios(values, {0: 5.0, 1: 10.0, 3: 1.0}) == [2.0, 3.0]
    assert statistics.ratios(values, {0: 0, 1: 10.0}) == [3.0]  # nothing to divide by
    assert statistics.ratios({}, {0: 1.0}) == []


def test_interval_holds_the_median_and_repeats():
    chance = random.Random(7)
    values = [chance.gauss(1.0, 0.1) for _ in range(10)]
    low, high = statistics.interval(values)
    assert min(values) <= low <= statistics.median(values) <= high <= max(values)
    assert low < high
    assert statistics.interval(values) == (low, high)


def test_interval_of_equal_values_is_a_point():
    assert statistics.interval([0.5] * 5) == (0.5, 0.5)


def test_interval_narrows_with_more_rounds():
    chance = random.Random(7)

    def width(count):
        low, high = statistics.interval([chance.gauss(1.0, 0.1) for _ in range(count)])
        return high - low
    assert width(200) < width(8) / 2


def test_interval_covers_the_truth():
    """Of intervals of 95 %, most hold the median that the values were drawn around."""
    chance = random.Random(11)
    held = 0
    for _ in range(60):
        low, high = statistics.interval([chance.gauss(1.0, 0.1) for _ in range(10)])
        held += low <= 1.0 <= high
    assert held >= 50


def test_slope():
    assert statistics.slope([(200, 1200.0), (1000, 4400.0), (5000, 20400.0)]) == 4.0
    assert statistics.slope([(1, 5.0), (2, 5.0)]) == 0.0
