"""systemd as process 1 of a machine that is this one with a layer of its own over its files: what
is installed or written there is gone with it. Its network is a host of the lab's."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from . import settings
from .waiting import wait_until

SYSTEMD = "/lib/systemd/systemd"
GROUP = f"pavise-e2e/machine-{os.getpid()}"
# A group of its own, so that systemd makes its slices there. `unshare` takes no signal while it
# waits, and process 1 none from outside that it does not know.
OUTER = """
trap 'exit 0' TERM
umount -l /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup && mkdir -p "/sys/fs/cgroup/$GROUP" || exit 77
(echo 0 > "/sys/fs/cgroup/$GROUP/cgroup.procs" &&
 exec setpriv --pdeathsig KILL unshare --cgroup --pid --uts --ipc --fork --kill-child \
    sh -c "$INNER" "$0" "$@") &
wait
"""
# The kernel's own settings are the real machine's: they cannot be written here. Mounts are shared,
# as systemd would make them on a machine that is no container: credentials come by that way.
INNER = """
set -e
root=$1
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$2/upper,workdir=$2/work" "$root"
mkdir -p "$root$3"
mount --bind "$3" "$root$3"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
touch "$root/dev/console"
mount --bind "$4" "$root/dev/console"
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
    --bounding-set=-sys_module,-sys_time,-sys_rawio %s --system --unit=basic.target \
    --log-target=journal --show-status=no
""" % SYSTEMD
CLEAN = """
umount -l /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup && find "/sys/fs/cgroup/$GROUP" -depth -type d \
    -exec rmdir {} + 2>/dev/null
"""


def _children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class Machine:
    """Boots in `host`; the test is skipped by name where that cannot be done."""

    def __init__(self, lab, host):
        if not pathlib.Path(SYSTEMD).exists():
            pytest.skip(f"systemd as process 1: there is no {SYSTEMD}")
        self._lab, self._host = lab, host
        for name in ("root", "layer"):
            lab.path(name).mkdir()
        self._console = lab.write("machine.console", "")
        words = ["sh", "-c", OUTER, "sh", lab.path("root"), lab.path("layer"), lab.directory,
                 self._console]
        self._process = lab.start("machine", [
            settings.program("unshare"), "--mount", "--propagation", "private", *words],
            host=host, env={"GROUP": GROUP, "INNER": INNER})
        self._pid = None
        self._wait_booted()

    def _find(self):
        """Process 1 of the machine: the shell's child's child's child."""
        try:
            for one in _children(self._process.pid):
                for two in [one, *_children(one)]:
                    name = pathlib.Path(f"/proc/{two}/comm").read_text().strip()
                    if name == "systemd":
                        return int(two)
        except (FileNotFoundError, ProcessLookupError):
            pass
        return None

    def _is_booted(self):
        if not self._process.is_running():
            return True
        self._pid = self._pid or self._find()
        return self._pid is not None and \
            self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def _wait_booted(self):
        try:
            wait_until("the machine runs", self._is_booted, seconds=30)
            booted = self._process.is_running()
        except AssertionError:
            booted = False
        if not booted:
            reason = (self._process.log() + self._console.read_text()).strip().splitlines()[-1:]
            self._process.expects_death = True
            pytest.skip("systemd as process 1 does not start here: " + "".join(reason))

    def run(self, *words, seconds=60):
        return subprocess.run([settings.program("nsenter"), "-t", str(self._pid), "--all",
                               f"--wdns={self._lab.directory}", "--", *map(str, words)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                              check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                                "SYSTEMD_PAGER": "", "LANG": "C.UTF-8"})

    def do(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{self.journal()}"
        return done.stdout

    def sh(self, text):
        """Lines of a page's example, as root of the machine; the first that fails is the end."""
        return self.do("sh", "-exc", text)

    def show(self, unit, key):
        return self.do("systemctl", "show", "-P", key, unit).strip()

    def journal(self, unit=None):
        which = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "short", *which).stdout

    def write(self, path, text):
        """A file of the machine's."""
        place = self._lab.write("written", text)
        self.do("install", "-D", "-m", "644", place, path)

    def install(self):
        """The program and the units where the page's commands look for them."""
        program = self._lab.path("bazel-bin/agent")
        program.mkdir(parents=True)
        shutil.copy2(self._lab.pavise, program / "pavise")
        shutil.copytree(settings.REPOSITORY / "deploy/systemd",
                        self._lab.path("deploy/systemd"))

    def stop(self):
        self._process.terminate()
        wait_until("its processes are gone", lambda: not os.path.exists(f"/proc/{self._pid}"))
        subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", CLEAN],
                       env={**os.environ, "GROUP": GROUP}, check=False)


def commands(section):
    """The shell commands of a section of docs/systemd.md."""
    page = (settings.REPOSITORY / "docs/systemd.md").read_text(encoding="utf-8")
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert found, section
    return found
