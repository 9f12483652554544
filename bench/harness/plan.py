"""How long and how often is measured, and where the programs and their files are."""

import dataclasses
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"
# Below the range that the kernel takes client ports from; two runs at a time rarely meet.
APP_PORT = 20000 + os.getpid() % 40 * 300  # the application behind every contender, one at a time
FIRST_PORT = APP_PORT + 10  # of the first contender
PORTS_EACH = 10


@dataclasses.dataclass(frozen=True)
class Plan:
    name: str
    rounds: int
    fewest_rounds: int  # that have to be left for disturbed ones to be dropped
    cell_s: float
    open_loop_s: float  # of all rounds together
    open_loop_rate: int  # messages per second
    starts: int
    idle_counts: tuple
    settle_s: float  # before memory is read
    repeat_s: float  # for measurements that others disturbed, in the whole run


FULL = Plan("full", rounds=10, fewest_rounds=5, cell_s=1.0, open_loop_s=30.0, open_loop_rate=5000,
            starts=10, idle_counts=(200, 1000, 2000, 5000), settle_s=1.0, repeat_s=600)
QUICK = Plan("quick", rounds=3, fewest_rounds=2, cell_s=0.25, open_loop_s=5.0, open_loop_rate=5000,
             starts=3, idle_counts=(200, 1000), settle_s=0.2, repeat_s=10)
SMOKE = Plan("smoke", rounds=1, fewest_rounds=1, cell_s=0.1, open_loop_s=0.1, open_loop_rate=500,
             starts=1, idle_counts=(20, 40), settle_s=0.05, repeat_s=0)
PLANS = {plan.name: plan for plan in (FULL, QUICK, SMOKE)}


@dataclasses.dataclass(frozen=True)
class Address:
    ip: str
    port: int

    def __str__(self):
        return f"{self.ip}:{self.port}"

    @property
    def pair(self):
        return self.ip, self.port


APP = Address("127.0.0.1", APP_PORT)
