"""Starts and ends the cluster of node.py, and asks it things by kubectl."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import images
import node

HERE = pathlib.Path(__file__).resolve().parent
CONTROLLERS = pathlib.Path("/sys/fs/cgroup")


def cgroups():
    """The folders that the kubelet's cgroup has: one in each hierarchy, or one."""
    if (CONTROLLERS / "cgroup.controllers").exists():
        return [CONTROLLERS / node.CGROUP]
    return [path / node.CGROUP for path in CONTROLLERS.iterdir()
            if path.is_dir() and path.is_mount()]


def make_cgroups():
    for folder in cgroups():
        folder.mkdir(exist_ok=True)
        for name in "cpuset.cpus", "cpuset.mems":
            if (folder / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())


def remove_cgroups():
    for folder in cgroups():
        for path in [*sorted((path for path in folder.rglob("*") if path.is_dir()),
                             key=lambda path: -len(path.parts)), folder]:
            if path.exists():
                path.rmdir()


class Cluster:
    def __init__(self, folder, programs, pavise):
        self.folder = pathlib.Path(folder)
        self.programs = pathlib.Path(programs)
        self.pavise = pathlib.Path(pavise)
        self.process = self.pid = None

    def start(self):
        make_cgroups()
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "node.log", "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", sys.executable,
                 str(HERE / "node.py"), str(self.folder), str(self.programs), str(self.pavise)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until("process 1", self._child)
        self.until("the node", self._ready, 180)
        (self.folder / "pid").write_text(self.pid)
        self._images()
        self.kubectl("apply", "-f", HERE / "manifests/spiffe-csi.yaml")
        self.until("names in DNS", self._has_names)

    def _images(self):
        """Section 1 of docs/kubernetes.md, and the images that are not Pavise's."""
        folder = self.folder / "images"
        images.applications(folder / "app")
        images.pause(folder / "pause", self.programs / "pause.c")
        for name, options in ("pavise", []), ("pavise-intercept", ["--intercept"]):
            subprocess.run([sys.executable, str(images.BUILD), *options, str(self.pavise),
                            str(folder / name)], check=True, capture_output=True)
        for name in "pause", "app", "pavise", "pavise-intercept":
            self.inside("skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                        f"oci:{folder / name}:latest", f"docker://{node.NODE}:5000/{name}:1")

    def _child(self):
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = path.read_text().strip()
        return self.pid

    def _ready(self):
        said = self.kubectl("get", "node", "node", "-o", "json", check=False)
        return said.returncode == 0 and any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in json.loads(said.stdout)["status"]["conditions"])

    def until(self, what, ask, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError((self.folder / "node.log").read_text()[-2000:])
            found = ask()
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s; it is {found!r}")
            time.sleep(0.2)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(int(self.pid), signal.SIGKILL)  # process 1: everything else ends with it
        self.process.wait()
        for _ in range(100):
            try:
                remove_cgroups()
                break
            except OSError:
                time.sleep(0.1)
        for path in sorted(self.folder.glob("kubelet/pods")):
            shutil.rmtree(path, ignore_errors=True)

    # --------------------------------------------------------------------------------- questions

    def _there(self, words):
        return ["nsenter", "--wd=.", "-t", self.pid, "-n", "-m", "--", *map(str, words)]

    def inside(self, *words, check=True, text=""):
        """A command in the node's network and mounts."""
        done = subprocess.run(self._there(words), text=True, input=text, capture_output=True,
                              check=False)
        if check and done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        return done

    def kubectl(self, *words, **options):
        return self.inside(self.programs / "kubectl", "--kubeconfig",
                           self.folder / "admin.kubeconfig", *words, **options)

    def _has_names(self):
        return self.inside("/usr/bin/python3", "-c", "import socket\n"
                           "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                           "s.settimeout(1)\n"
                           "s.sendto(bytes.fromhex('000101000001000000000000"
                           "0a6b756265726e657465730764656661756c740373766307636c7573746572"
                           "056c6f63616c0000010001'), ('" + node.NODE + "', 53))\n"
                           "assert s.recv(512)[7] == 1", check=False).returncode == 0

    def injected(self, text, **settings):
        """What `pavise inject` makes of a manifest, with the images of this cluster."""
        given = {"image": "registry.example/pavise:1",
                 "intercept_image": "registry.example/pavise-intercept:1", **settings}
        words = [word for key, value in given.items()
                 for word in ("--set", f"{key.replace('_', '-')}={value}")]
        done = subprocess.run([str(self.pavise), "inject", *words, "-"], input=text, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def begin(self, *words):
        """A command in the node's network and mounts, begun."""
        return subprocess.Popen(self._there(words), text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def follow(self, *words):
        """kubectl with these words, begun; what it has said, when it ends."""
        process = self.begin(self.programs / "kubectl", "--kubeconfig",
                             self.folder / "admin.kubeconfig", *words)
        return lambda: process.communicate(timeout=90)[0]


def pod(name, *words, annotations=None, labels=None, spec=None, container=None):
    """A manifest: one container, app, that runs `words`."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}, "labels": labels or {}},
        "spec": {"restartPolicy": "Never", **(spec or {}), "containers": [
            {"name": "app", "image": "registry.example/app:1", "command": list(words),
             **(container or {})}]}})


def main():
    """cluster.py FOLDER BIN PAVISE: until it is told to end."""
    made = Cluster(*sys.argv[1:4])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        made.start()
        print(f"ready; process 1 is {made.pid}", flush=True)
        made.process.wait()
    finally:
        made.stop()


if __name__ == "__main__":
    main()
