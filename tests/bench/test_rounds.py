"""The course of the rounds, with loads that are made up."""

import dataclasses

import pytest
from conftest import BULK

from harness import calm, plan, rounds
from harness.cells import Load
from harness.pair import NotMeasured

PLAN = dataclasses.replace(plan.SMOKE, rounds=4, fewest_rounds=2, repeat_s=0)


class FakePair:
    def __init__(self, name):
        self.name = name
        self.sides = {}


PAIRS = [FakePair(name) for name in ("plain", "pavise", "nginx")]


class FakeMeter:
    """Says that others took what stands in `shares`."""

    shares = []

    def __init__(self, _processes):
        pass

    def elapsed_s(self):
        return 0.1

    def disturbance(self):
        return FakeMeter.shares.pop(0)


@pytest.fixture(autouse=True)
def meter(monkeypatch):
    """Nobody takes anything, unless a test says so: the machine that tests has no say in it."""
    monkeypatch.setattr(calm, "Meter", FakeMeter)
    FakeMeter.shares = [0.0] * 100
    return FakeMeter


def run(values, a_plan=PLAN):
    """`values[contender]` are those of its rounds; an exception among them is raised."""
    left = {name: list(sequence) for name, sequence in values.items()}
    called = []

    def measure(_bench, pair, _plan):
        called.append(pair.name)
        value = left[pair.name].pop(0)
        if isinstance(value, Exception):
            raise value
        return {"bulk 1 up": value}

    results = rounds.Results()
    rounds.Runner(None, a_plan, results).run(Load("bulk 1 up", (BULK,), measure), PAIRS, None)
    return results, called


def test_every_round_has_every_contender_once():
    _, called = run({pair.name: [1.0] * 4 for pair in PAIRS})
    orders = [tuple(called[start:start + 3]) for start in range(0, 12, 3)]
    assert all(sorted(order) == ["nginx", "pavise", "plain"] for order in orders)
    assert len(set(orders)) > 1  # shuffled


def test_who_fails_once_has_no_result_and_is_named():
    results, called = run({"plain": [1.0] * 4, "pavise": [2.0] * 4,
                           "nginx": [3.0, NotMeasured("it is broken")]})
    assert called.count("nginx") == 2
    assert results.of("bulk 1 up", "nginx") == {}
    assert results.skipped == [("bulk 1 up of nginx", "it is broken")]
    assert len(results.of("bulk 1 up", "pavise")) == 4


def test_a_round_in_which_plain_is_odd_is_dropped_for_all():
    results, _ = run({"plain": [1.0, 1.01, 0.5, 1.0], "pavise": [2.0] * 4, "nginx": [3.0] * 4})
    assert sorted(results.of("bulk 1 up", "pavise")) == [0, 1, 3]
    assert sorted(results.of("bulk 1 up", "plain")) == [0, 1, 3]
    assert any("round 3 dropped" in note for note in results.notes)


def test_nothing_is_dropped_when_too_little_would_be_left():
    results, _ = run({"plain": [1.0, 2.0, 3.0, 4.0], "pavise": [2.0] * 4, "nginx": [3.0] * 4})
    assert len(results.of("bulk 1 up", "pavise")) == 4
    assert all("kept" in note for note in results.notes)


def test_what_was_disturbed_is_measured_again_and_the_calmest_counts(meter):
    meter.shares = [0.5, 0.3, 0.4] + [0.0] * 20
    results, called = run({pair.name: [1.0, 7.0, 1.0, 1.0, 1.0, 1.0] for pair in PAIRS},
                          dataclasses.replace(PLAN, rounds=1, repeat_s=10.0))
    first = called[0]
    assert called[:3] == [first] * 3 and len(called) == 5
    assert results.of("bulk 1 up", first) == {0: 7.0}
    assert any("up to 30%" in note for note in results.notes)


def test_without_time_nothing_is_repeated(meter):
    meter.shares = [0.5] * 20
    _, called = run({pair.name: [1.0] for pair in PAIRS}, dataclasses.replace(PLAN, rounds=1))
    assert len(called) == 3
