"""One short round of the real thing: every load runs, the contract of the output holds. What is
fast is not asserted: that depends on the machine."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

from harness import edges, fresh, targets
from harness.cells import LOADS

TOOLS = pathlib.Path(os.environ.get("PAVISE_BENCH_TOOLS", ROOT / "bazel-bin"))
PEERS_OF_OURS = {"direct", "plain", "plain again", "pavise", "pavise boringssl", "pavise mutual"}


def bench(*words):
    return subprocess.run(
        [sys.executable, ROOT / "bench" / "bench.py", "--tools", TOOLS, "--smoke", *words],
        capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def smoke():
    run = bench("--peers", "", "-o", "json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_cell_has_a_row(smoke):
    cells = {cell.name for load in LOADS for cell in load.cells if cell.reference == "plain"}
    cells |= {cell.name for cell in fresh.CELLS}
    for cell in cells:
        rows = {row["contender"] for row in smoke["rows"] if row["cell"] == cell}
        assert {"plain", "plain again", "pavise", "pavise boringssl"} <= rows <= PEERS_OF_OURS, cell


def test_every_target_is_judged_or_named(smoke):
    judged = {target["id"] for target in smoke["targets"]}
    for target in targets.ALL:
        assert target.name in judged or any(target.name in line for line in smoke["skipped"])
    assert judged and all(target["met"] in (True, False) for target in smoke["targets"])


def test_a_program_that_is_not_there_is_an_error():
    run = bench("--tools", "/nonexistent", "--peers", "", "ping")
    assert run.returncode != 0 and run.stdout == ""
    assert "/nonexistent" in run.stderr and "Traceback" not in run.stderr


def test_unknown_words_are_refused():
    for words in (("nosuchcell",), ("--peers", "nosuchpeer")):
        run = bench(*words)
        assert run.returncode == 2 and "no " in run.stderr, words


def test_a_cell_brings_what_is_measured_with_it():
    run = bench("--peers", "", "-o", "json", "ping p99")
    assert run.returncode == 0, run.stderr
    assert {row["cell"] for row in json.loads(run.stdout)["rows"]} == {
        "ping p50", "ping p99", "cpu ping"}


def test_tls_per_connection_beside_a_peer():
    run = bench("--peers", "nginx", "-o", "json", "terminate", "cpu originate")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    if any("nginx" in line and "not installed" in line for line in result["skipped"]):
        pytest.skip("ratios are to nginx, whose stream module is not installed")
    for cell in (cell for each in edges.LOADS for cell in each.cells):
        rows = {row["contender"] for row in result["rows"] if row["cell"] == cell.name}
        assert rows == {"pavise mutual", "nginx"}, (cell.name, result["skipped"])
