"""Container images of deploy/image: built, unpacked, and run by crun without an engine."""

import gzip
import json
import os
import pathlib
import platform
import subprocess
import tarfile

import pytest

from . import settings
from .waiting import wait_until

BUILD = settings.REPOSITORY / "deploy/image/build.py"
CAPABILITY = "SCHILY.xattr.security.capability"
PYTHON = "/usr/bin/python3"


def build(folder, *options):
    """An image layout in `folder`; the digest."""
    done = subprocess.run([PYTHON, BUILD, *options, settings.binary(), folder], text=True,
                          capture_output=True, check=False, env=settings.environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[1].rstrip(",")


class Image:
    """A layout that was read back as the specification says."""

    def __init__(self, folder):
        self._blobs = folder / "blobs"
        index = json.loads((folder / "index.json").read_bytes())
        self.manifest = self._json(index["manifests"][0])
        self.config = self._json(self.manifest["config"])

    def _blob(self, descriptor):
        content = (self._blobs / descriptor["digest"].replace(":", "/")).read_bytes()
        assert len(content) == descriptor["size"]
        return content

    def _json(self, descriptor):
        return json.loads(self._blob(descriptor))

    def unpack(self, folder):
        folder.mkdir()
        for layer in self.manifest["layers"]:
            path = folder.with_suffix(".tar")
            path.write_bytes(gzip.decompress(self._blob(layer)))
            with tarfile.open(path) as archive:
                archive.extractall(folder)
                for entry in archive:
                    value = entry.pax_headers.get(CAPABILITY)
                    if value is not None:
                        os.setxattr(folder / entry.name, "security.capability", value.encode())
        return folder


# The profile that Debian's engines call their default; Docker's and containerd's are much the same.
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}


def runtime_default(capabilities):
    """The profile as an engine hands it to crun for a container with these capabilities."""
    if not PROFILE.exists():
        pytest.skip(f"there is no {PROFILE} (golang-github-containers-common)")
    profile = json.loads(PROFILE.read_bytes())
    machine, architecture = MACHINES[platform.machine()]
    have = {"arches": {machine}, "caps": set(capabilities)}

    def applies(rule):
        included, excluded = rule.get("includes") or {}, rule.get("excludes") or {}
        return all(have[kind] & set(included[kind]) for kind in included) and \
            not any(have[kind] & set(excluded[kind]) for kind in excluded)

    return {"defaultAction": profile["defaultAction"],
            "defaultErrnoRet": profile["defaultErrnoRet"], "architectures": [architecture],
            "syscalls": [{key: rule[key] for key in ("names", "action", "args", "errnoRet")
                          if rule.get(key)} for rule in profile["syscalls"] if applies(rule)]}


# crun refuses a machine whose cgroups are half version 1, which is not what is tested here. Each
# container has a group of its own, as far as one can tell from inside.
OWN_CGROUPS = """
umount -l /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup && mkdir -p "/sys/fs/cgroup/pavise-e2e/$0" &&
echo 0 > "/sys/fs/cgroup/pavise-e2e/$0/cgroup.procs" && exec "$@"
"""


class Container:
    """One container: an unpacked image, who it runs as, in which network namespace."""

    def __init__(self, lab, name, image, *, args=None, host=None, capabilities=(), mounts=(),
                 seccomp=None, pid_namespace=None):
        self.folder = lab.path(f"{name}.bundle")
        self.folder.mkdir()
        image.unpack(self.folder / "rootfs")
        inner = image.config["config"]
        uid = self.uid = int(inner["User"].split(":")[0])
        spec = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": uid, "gid": uid},
                "args": inner["Entrypoint"] + (inner["Cmd"] if args is None else args),
                "cwd": inner["WorkingDir"], "noNewPrivileges": True,
                # As the engines have done it since 1.1: nothing inheritable, nothing ambient.
                "capabilities": {kind: list(capabilities)
                                 for kind in ("bounding", "effective", "permitted")}},
            "root": {"path": "rootfs", "readonly": True},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                       *({"destination": str(inside), "type": "none", "source": str(outside),
                          "options": ["rbind", option]} for outside, inside, option in mounts)],
            "linux": {"namespaces": [{"type": "mount"}, {"type": "ipc"},
                                     {"type": "pid", **(
                                         {"path": pid_namespace} if pid_namespace else {})},
                                     {"type": "network", **(
                                         {"path": str(host.namespace)} if host else {})}]},
        }
        if seccomp is not None:
            spec["linux"]["seccomp"] = seccomp
        (self.folder / "config.json").write_text(json.dumps(spec), encoding="ascii")
        self._group = name
        self.name = f"pavise-e2e-{os.getpid()}-{name}"

    def _crun(self, *words):
        return [settings.program("unshare"), "--mount", "--propagation", "private", "sh", "-c",
                OWN_CGROUPS, self._group, settings.program("crun"), "--cgroup-manager=disabled",
                f"--root={self.folder / 'state'}", *words]

    def argv(self):
        return self._crun("run", "--bundle", self.folder, self.name)

    def run(self, seconds=60):
        return subprocess.run(self.argv(), text=True, capture_output=True, timeout=seconds,
                              check=False, env=settings.environment())

    def execute(self, words, uid=None, seconds=60):
        """A command in the container while it runs, as its user or another."""
        wait_until("it runs", (self.folder / "state" / self.name / "status").exists)
        user = f"--user={self.uid if uid is None else uid}"
        return subprocess.run(self._crun("exec", user, self.name, *words), text=True,
                              capture_output=True, timeout=seconds, check=False,
                              env=settings.environment())
