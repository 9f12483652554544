#!/usr/bin/env python3
"""The rounds of `./dev test` that start the whole program, several files at a time.

  side_by_side.py OUT NAME TESTS PROGRAM [NAME TESTS PROGRAM]...

As root. Each round is the tests of a folder on a program; OUT/NAME gets its counts as tally.py
writes them. Each file is a pytest of its own, with a network, a /run/netns and a temporary
directory of its own: neither ports nor names can meet. Most tests wait most of the time, so two
files share a processor. Those marked `alone` count what the program does, and come last, one at a
time.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import tally

NAMESPACES = pathlib.Path("/run/netns")
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--tb=short"]
APART = ["setpriv", "--pdeathsig", "TERM",
         "unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
         f'ip link set lo up && mount -t tmpfs none {NAMESPACES} && exec "$@"', "sh", *PYTEST]
NOT_ALONE, ALONE = "not alone", "alone"
NO_TESTS = 5  # pytest's exit code


class Part:
    """The tests of one file with or without the mark."""

    def __init__(self, out, environment, path, mark):
        self._name, self._environment, self._path, self._mark = out.name, environment, path, mark
        self.xml = out.with_name(f"{out.name}.{path.stem}.{mark.replace(' ', '-')}.xml")
        self._log = self.xml.with_suffix(".log")
        # pytest's usual one is shared, and each start takes back what a test opened to others. A
        # name with a dot, as all that are no counts; short, for the paths of sockets.
        self._temporary = tempfile.mkdtemp(dir=out.parent, suffix=".tmp")

    def start(self):
        """The pid."""
        self._begin = time.monotonic()
        with open(self._log, "wb") as log:
            return subprocess.Popen(
                [*APART, "-m", self._mark, f"--junitxml={self.xml}",
                 f"--basetemp={self._temporary}", self._path],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log).pid

    def report(self, status):
        """What pytest said; the last line will do where nothing failed."""
        lines = tally.read(self._log).rstrip().splitlines() or ["nothing was said"]
        seconds = time.monotonic() - self._begin
        print(f"{self._name}: {self._path.name}, {seconds:.0f} s:",
              "\n".join(lines if status else lines[-1:]), flush=True)


class Round:
    def __init__(self, out, tests, program):
        self._out, self._folder = out, pathlib.Path(tests).resolve()
        self._environment = {**os.environ, "PAVISE": program}
        self._wrong = None if program else "there is no program to test"
        self.parts = {mark: self._find(mark) for mark in (NOT_ALONE, ALONE)}

    def _find(self, mark):
        if self._wrong:
            return []
        done = subprocess.run([*PYTEST, "--collect-only", "-m", mark, self._folder], text=True,
                              env=self._environment, stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, NO_TESTS):
            print(done.stdout)
            self._wrong = "pytest cannot read the tests"
            return []
        ids = [line.partition("::") for line in done.stdout.splitlines()]
        names = {pathlib.Path(path).name for path, is_test, _ in ids if is_test}
        # Backwards: the longest, of trust and rotation, are late in the alphabet.
        return [Part(self._out, self._environment, self._folder / name, mark)
                for name in sorted(names, reverse=True)]

    def write_counts(self):
        counts = [tally.count_junit(part.xml) for part in sum(self.parts.values(), [])]
        total = {kind: sum(one[kind] for one in counts) for kind in tally.KINDS}
        if self._wrong:
            print(f"FAILED: {self._out.name}: {self._wrong}")
            total["FAILED"] += 1
        tally.write(self._out, total)


def run(parts, at_once):
    waiting, running = list(parts), {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                part = waiting.pop(0)
                running[part.start()] = part
            pid, status = os.wait()
            running.pop(pid).report(status)
    finally:  # an interrupt: each tidies up
        for pid in running:
            os.kill(pid, signal.SIGINT)
        for pid in running:
            os.waitpid(pid, 0)


def main(args):
    out, args = pathlib.Path(args[0]).resolve(), args[1:]
    rounds = [Round(out / args[i], *args[i + 1:i + 3]) for i in range(0, len(args), 3)]
    NAMESPACES.mkdir(exist_ok=True)
    for mark, at_once in ((NOT_ALONE, 2 * len(os.sched_getaffinity(0))), (ALONE, 1)):
        run([part for one in rounds for part in one.parts[mark]], at_once)
    for one in rounds:
        one.write_counts()


if __name__ == "__main__":
    # Who is started in the background has it ignored, and so would every pytest below.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
