"""Real peers: programs that setup.sh has built. The labs and reports are those of tests/e2e."""

import importlib.util
import os
import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
sys.path[:0] = [str(E2E), str(HERE)]

_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
pavise, lab, loopback = _e2e.pavise, _e2e.lab, _e2e.loopback
pytest_configure = _e2e.pytest_configure
pytest_runtest_makereport = _e2e.pytest_runtest_makereport

PEERS = pathlib.Path(os.environ.get("PAVISE_PEERS", "/nonexistent"))


@pytest.fixture(scope="session")
def peer():
    """The path of a built peer; without it a skip by name that says why. SPIRE may not be skipped
    where Go is there to build it."""
    def find(name):
        path = PEERS / name
        if path.exists():
            return path
        reason = PEERS / f"{name}.reason"
        why = reason.read_text().strip() if reason.exists() else "it has not been built"
        if name.startswith("spire") and not why.startswith("no Go"):
            pytest.fail(f"{name}: {why}")
        return pytest.skip(f"{name}: {why}")

    return find
