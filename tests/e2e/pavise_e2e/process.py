"""Programs that the tests start: in a host, under a uid, with their log kept, ended by pid."""

import os
import signal
import subprocess

from . import settings
from .waiting import wait_until

STOP_S = 15
SANITIZER_MARKS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:",
                   "CHECK failed")


class Process:
    """One started program. Standard output and error go to a file that a failure shows."""

    def __init__(self, name, argv, log_path, *, host=None, uid=None, nofile=None, env=None,
                 files=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log_path = log_path
        self.expects_death = False
        if env:  # for the program alone, not for those that lead to it
            argv = [settings.program("env"), *(f"{key}={env[key]}" for key in env), *argv]
        with open(log_path, "ab") as log:
            self._popen = subprocess.Popen(
                wrap(argv, host=host, uid=uid, nofile=nofile, files=files),
                stdin=stdin, stdout=log, stderr=log, env=settings.environment())
        self.pid = self._popen.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def is_running(self):
        return self._popen.poll() is None

    def signal(self, number):
        self.expects_death = self.expects_death or number == signal.SIGTERM
        if self.is_running():
            os.kill(self.pid, number)

    def kill(self):
        """kill -9, as a test does it on purpose."""
        self.expects_death = True
        self.signal(signal.SIGKILL)
        self._popen.wait(STOP_S)

    def wait(self, seconds=settings.PATIENCE_S):
        """The exit code of a program that is to end by itself."""
        self.expects_death = True
        return self._popen.wait(seconds)

    def terminate(self, seconds=settings.PATIENCE_S):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def finish(self):
        """Ends it at the end of a test. Returns what was wrong with its life, or None."""
        if self.expects_death and not self.is_running():
            return self._sanitizer_report()
        if not self.is_running():
            return f"{self.name} ended by itself with {self._popen.returncode}"
        os.kill(self.pid, signal.SIGTERM)
        try:
            code = self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self._popen.wait()
            return f"{self.name} did not end within {STOP_S} s of SIGTERM"
        if code not in (0, -signal.SIGTERM):
            return f"{self.name} ended with {code} after SIGTERM"
        return self._sanitizer_report()

    def _sanitizer_report(self):
        log = self.log()
        found = [mark for mark in SANITIZER_MARKS if mark in log]
        return f"{self.name} reported: {', '.join(found)}" if found else None

    def cpu_seconds(self):
        """User and system time used so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for_log(self, text, seconds=settings.PATIENCE_S):
        wait_until(f"{self.name} logs {text!r}", lambda: text in self.log(), seconds)


def wrap(argv, *, host=None, uid=None, nofile=None, files=None):
    """The command that runs `argv` in a host, under a uid, with a limit, and with other files in
    place of the machine's ({"/etc/hosts": PATH}); each step execs the next, so the pid is the
    program's own."""
    command = []
    if files:
        mounts = "".join(f"mount --bind '{own}' {path} && " for path, own in files.items())
        command += [settings.program("unshare"), "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh"]
    if host is not None and host.namespace is not None:
        command += [settings.program("nsenter"), f"--net={host.namespace}"]
    command += [settings.program("setpriv"), "--pdeathsig", "KILL"]
    if uid is not None:
        command += [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if nofile is not None:
        command += [settings.program("prlimit"), f"--nofile={nofile}:{nofile}"]
    return command + [str(word) for word in argv]
