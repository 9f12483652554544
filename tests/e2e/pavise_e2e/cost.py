"""What a running agent costs, in numbers that do not depend on the machine's speed: system calls,
allocations, bytes in use, instructions."""

import pathlib
import re
import signal
import struct
import subprocess

from . import settings
from .waiting import wait_until

COUNT_ALLOC = settings.REPOSITORY / "tests/testing/count_alloc.c"


class Allocations:
    """The counts of a program that runs with `environment()`."""

    def __init__(self, directory, name):
        self._path = pathlib.Path(directory) / f"{name}.allocations"
        self._library = pathlib.Path(directory) / "count_alloc.so"
        if not self._library.exists():
            subprocess.run([settings.program("cc"), "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE",
                            "-o", self._library, COUNT_ALLOC], check=True)

    def environment(self):
        return {"LD_PRELOAD": self._library, "COUNT_ALLOC": self._path}

    def read(self):
        """(allocations, frees, bytes in use) so far"""
        return struct.unpack("=QQQ", self._path.read_bytes())


class SystemCalls:
    """Counts the system calls of a process while it is open: `with SystemCalls(process) as calls`,
    then `calls.total` and `calls.by_name`."""

    def __init__(self, process, path):
        self._process = process
        self._path = pathlib.Path(path)
        self.by_name = {}

    def __enter__(self):
        self._strace = subprocess.Popen(
            [settings.program("strace"), "-c", "-f", "-o", self._path, "-p",
             str(self._process.pid)], stderr=subprocess.PIPE, text=True)
        line = self._strace.stderr.readline()  # once for all threads
        assert "attached" in line, line
        return self

    def __exit__(self, *_):
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait(settings.PATIENCE_S)
        self._strace.stderr.close()
        row = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE)
        table = {name: int(calls) for calls, name in row.findall(self._path.read_text())}
        self._path.unlink()
        assert table.pop("total", None), "strace counted nothing"
        self.by_name = table

    @property
    def total(self):
        return sum(self.by_name.values())


def instructions(path):
    """The total of a program that ran under callgrind with --callgrind-out-file=path."""
    text = pathlib.Path(path).read_text()
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE).group(1))


def settled(what, read, every=0.1):
    """The value of `read()` once it has stopped changing."""
    seen = []

    def is_still():
        seen.append(read())
        return len(seen) > 3 and len(set(seen[-4:])) == 1

    wait_until(f"{what} stops changing", is_still, every=every)
    return seen[-1]
