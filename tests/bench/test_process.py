"""Programs stay on the CPU that they were given."""

import os
import sys
import time

from harness.process import Process, cpus

# Takes every CPU it can get, as does its child.
WANDERER = """
import os, sys, time
os.sched_setaffinity(0, range(os.cpu_count()))
os.fork()
print("wanders", flush=True)
time.sleep(60)
"""


def test_whoever_takes_another_cpu_is_taken_back(tmp_path):
    log = tmp_path / "log"
    process = Process("wanderer", [sys.executable, "-c", WANDERER], log, cpus()[1])
    try:
        end = time.monotonic() + 20
        while log.read_text(encoding="utf-8").count("wanders") < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.hold_to_cpu()
        assert len(process.pids()) == 2
        for pid in process.pids():
            assert os.sched_getaffinity(pid) == {cpus()[1]}
    finally:
        process.stop()
