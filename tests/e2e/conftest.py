"""The fixtures of the end-to-end tests, and the logs of every process beside a failure."""

import os
import pathlib
import resource
import shutil
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True

from pavise_e2e import network, settings  # noqa: E402
from pavise_e2e.edge import WebApplication  # noqa: E402
from pavise_e2e.lab import LoopbackLab, NetworkLab  # noqa: E402
from pavise_e2e.single import Both, Manager  # noqa: E402
from pavise_e2e.trust import TrustLab  # noqa: E402

LOG_TAIL = 30  # lines of each log that a failure shows, after those of warnings and errors


# What the program costs is a matter of the one that is shipped; so is what it is forbidden, since
# the sanitizers' own checks need more.
collect_ignore = ["test_cost.py", "test_sandbox.py"] if settings.has_sanitizer() else []


def pytest_configure(config):
    path = settings.binary()
    if not path.is_file():
        pytest.exit(f"there is no {path}: run ./dev build or say PAVISE=PROGRAM", returncode=2)
    # Thousands of connections have both their ends in this process.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config.stash[_LABS] = []
    config.addinivalue_line("markers", "alone: counts what a busy machine would change")


_LABS = pytest.StashKey()


@pytest.fixture(scope="session")
def pavise():
    """The binary, where every uid can execute it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pavise-e2e-bin-"))
    directory.chmod(0o755)
    path = directory / "pavise"
    shutil.copyfile(settings.binary(), path)
    path.chmod(0o755)
    if settings.has_thread_sanitizer():
        known = shutil.copyfile(settings.REPOSITORY / "tests/tsan.supp", directory / "tsan.supp")
        os.environ.setdefault("TSAN_OPTIONS", f"suppressions={known}")
    if os.geteuid() == 0:
        network.remove_leftovers()
    yield path
    shutil.rmtree(directory, ignore_errors=True)


def _lab(request, made):
    labs = request.config.stash[_LABS]
    labs.append(made)
    yield made
    labs.remove(made)
    made.close()


@pytest.fixture
def lab(request, pavise):
    yield from _lab(request, NetworkLab(pavise))


@pytest.fixture
def loopback(request, pavise):
    yield from _lab(request, LoopbackLab(pavise))


@pytest.fixture
def both(loopback):
    """One agent that is both sidecars, and an application behind it."""
    return Both(loopback)


@pytest.fixture
def trust(pavise):
    """A trust store, and what goes into it."""
    made = TrustLab(pavise)
    yield made
    made.close()


@pytest.fixture
def web():
    """An application behind an inbound port."""
    made = WebApplication()
    yield made
    made.stop()


@pytest.fixture
def manager(loopback):
    """What systemd hears of an agent."""
    made = Manager(loopback)
    yield made
    made.close()


def shortened(log):
    """What went wrong, and the end."""
    lines = log.splitlines()
    wrong = [line for line in lines[:-LOG_TAIL]
             if "level=info" not in line or "reason=" in line and "reason=done" not in line]
    return "\n".join(wrong[-LOG_TAIL:] + ["..."] + lines[-LOG_TAIL:])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for made in item.config.stash[_LABS]:
            for name, text in made.logs():
                report.sections.append((f"log of {name}", shortened(text)))
