"""The rounds of side_by_side.py: what they count, and how they end."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "side_by_side.py"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

# Each wants the same port and namespace, and meets the other within a minute.
MEETS = """
import os, pathlib, socket, time
def test_{own}(tmp_path):
    listening = socket.create_server(("127.0.0.1", 4000))
    here = pathlib.Path(__file__).parent
    (here / "{own}.up").touch()
    open("/run/netns/side-by-side", "x").close()
    assert os.environ["PAVISE"] == "/bin/true" and here.parent in tmp_path.parents
    for _ in range(600):
        if (here / "{other}.up").exists():
            return
        time.sleep(0.1)
    assert False
"""
SLEEPS = """
import os, pathlib, time
def test_sleep():
    (pathlib.Path(__file__).parent / "pid").write_text(str(os.getpid()))
    time.sleep(60)
"""


def start(out, folder, files, program="/bin/true"):
    folder.mkdir()
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    return subprocess.Popen([sys.executable, PROGRAM, out, "round", folder, program],
                            stdout=subprocess.PIPE, text=True)


def counts(tmp_path, files, **options):
    with start(tmp_path, tmp_path / "tests", files, **options) as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return (tmp_path / "round").read_text().strip(), said


def test_files_run_at_once_in_networks_of_their_own(tmp_path):
    assert counts(tmp_path, {"a": MEETS.format(own="a", other="b"),
                             "b": MEETS.format(own="b", other="a")})[0] == "2 0 0"


def test_every_kind_is_counted_and_failures_are_shown(tmp_path):
    got, said = counts(tmp_path, {
        "good": "def test_good(): pass\n",
        "bad": "def test_bad(): assert 'seen' == 'shown'\n",
        "absent": "import pytest\ndef test_absent(): pytest.skip('because')\n",
        "mixed": "import pytest\n@pytest.mark.alone\ndef test_one(): pass\ndef test_two(): pass\n",
        "gone": "import os\ndef test_gone(): os._exit(0)\n"})
    assert got == "3 2 1"
    assert "assert 'seen' == 'shown'" in said and "FAILED: pytest did not run" in said
    assert "test_absent: because" in said


@pytest.mark.parametrize("files, program", [
    ({"good": "def test_good(): pass\n", "broken": "def\n"}, "/bin/true"),  # a file is unreadable
    ({"good": "def test_good(): pass\n"}, "")])
def test_what_cannot_run_is_a_failure(tmp_path, files, program):
    assert counts(tmp_path, files, program=program)[0].split()[1] != "0"


def test_an_interrupt_ends_all(tmp_path):
    with start(tmp_path, tmp_path / "tests", {"sleep": SLEEPS}) as process:
        pid = tmp_path / "tests/pid"
        for _ in range(600):
            if pid.exists() and pid.read_text():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not os.path.exists(f"/proc/{pid.read_text()}")
    assert not (tmp_path / "round").exists()
