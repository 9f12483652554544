"""The harness as the tests import it, and results that need no measuring."""

import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from harness.cells import Cell  # noqa: E402
from harness.rounds import Results  # noqa: E402

BULK = Cell("Bulk", "bulk 1 up", "MB/s", True, scale=1e-6)
PING = Cell("Messages", "ping p50", "us", False, scale=1e-3)
SHAKE = Cell("Handshakes", "full handshake inside", "us each", False, "nginx", 1e6)


@pytest.fixture
def results():
    """Three rounds of four contenders, whose ratios are easy to see."""
    made = Results()
    for number, speed in enumerate((1e9, 2e9, 4e9)):  # the machine is not the same in any round
        for contender, share in (("plain", 1), ("plain again", 1.02), ("pavise", 0.8),
                                 ("nginx", 0.4)):
            made.add(contender, number, {"bulk 1 up": speed * share,
                                         "ping p50": 50e3 / share})
        made.add("pavise", number, {"full handshake inside": 1e-4})
        made.add("nginx", number, {"full handshake inside": 6e-4})
    return made
