"""Programs that the benchmark starts: pinned, ended with it, their CPU time and memory read."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_STOP_S = 5
_FIRST = -20  # the best of nice values
_CPUCLOCK_SCHED = 2
# What a shell set for other programs must not choose whom ours trust.
_FOREIGN = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def cpus():
    """(CPU of the load and the application, CPU of the sidecars)."""
    allowed = sorted(usable())
    return allowed[0], allowed[min(1, len(allowed) - 1)]


def usable():
    """Every CPU that the run may use."""
    return os.sched_getaffinity(os.getppid())


def environment(more=None):
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**kept, "LC_ALL": "C.UTF-8", **(more or {})}


def pinned(cpu):
    """For preexec_fn: nothing is left between fork and the program, and its start is its own. Load
    and sidecars go before everything else on the machine, where we may decide that."""
    def prepare():
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {cpu})
        try:
            os.setpriority(os.PRIO_PROCESS, 0, _FIRST)
        except PermissionError:
            pass
    return prepare


class Process:
    """One started program and its children. Its output goes to a file that a failure shows."""

    def __init__(self, name, argv, log_path, cpu, env=None):
        self.name = name
        self._cpu = cpu
        self.log_path = pathlib.Path(log_path)
        with open(log_path, "ab") as log:
            self._popen = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(env), preexec_fn=pinned(cpu))
        self.pid = self._popen.pid

    def is_running(self):
        return self._popen.poll() is None

    def log_tail(self):
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "(it said nothing)"

    def pids(self):
        """Itself and its children, and theirs."""
        found, rest = [], [self.pid]
        while rest:
            pid = rest.pop()
            found.append(pid)
            try:
                children = _read(f"/proc/{pid}/task/{pid}/children")
            except OSError:
                continue
            rest += [int(child) for child in children.split()]
        return found

    def hold_to_cpu(self):
        """Once more, for all of it: hitch's workers take a CPU of their own choice."""
        for pid in self.pids():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), {self._cpu})
            except OSError:
                pass  # it has just ended

    def cpu_ns(self):
        """User and system time of all threads, at the precision of the scheduler."""
        return sum(_cpu_ns(pid) for pid in self.pids())

    def memory(self):
        """(RSS, anonymous RSS) in bytes, children included."""
        totals = [0, 0]
        for pid in self.pids():
            for line in _read(f"/proc/{pid}/status").splitlines():
                for index, key in enumerate(("VmRSS:", "RssAnon:")):
                    if line.startswith(key):
                        totals[index] += int(line.split()[1]) * 1024
        return tuple(totals)

    def stop(self):
        """SIGTERM, then SIGKILL, for itself and its children."""
        pids = self.pids()
        for pid in pids:
            _signal(pid, signal.SIGTERM)
        try:
            self._popen.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            for pid in pids:
                _signal(pid, signal.SIGKILL)
            self._popen.wait(_STOP_S)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _read(path):
    with open(path, encoding="ascii", errors="replace") as stream:
        return stream.read()


def _cpu_ns(pid):
    """The process's own CPU clock (clock_getcpuclockid): what /proc/PID/stat says in ticks of
    10 ms, of which a short cell has too few. Threads that have ended are in it."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError:
        return 0  # it has just ended
