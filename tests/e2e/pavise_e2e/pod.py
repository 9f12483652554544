"""A kubelet for one pod on one machine: what it does with a manifest, as far as a sidecar can tell.
The containers of the injection run from their images by crun, in the pod's network namespace, as
the manifest says and in its order; the user's commands run as programs of this machine."""

import pathlib
import subprocess
import time

import yaml

from . import settings
from .image import Container, runtime_default
from .status import Status
from .waiting import wait_until

# In a mount namespace of its own: words until "--" are pairs of a folder and where it is mounted.
MOUNTED = """
mount -t tmpfs tmpfs /run
while [ "$1" != -- ]; do mkdir -p "$2" && mount --bind "$1" "$2" && shift 2; done
shift
exec "$@"
"""

# Process 1 of a namespace takes no signal from inside, and `unshare` none while it waits.
PAUSE = """
trap 'exit 0' TERM
setpriv --pdeathsig KILL unshare --pid --fork --kill-child sleep infinity &
wait
"""


def only_child(pid):
    """The process that another has started, or None."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return next(iter(children.read_text().split()), None) if pid else None


def process_namespace(lab):
    """A process namespace for several, in which something like the pause container is 1."""
    pause = lab.start("pause", ["sh", "-c", PAUSE])
    wait_until("there is a process 1", lambda: only_child(only_child(pause.pid)))
    return f"/proc/{only_child(only_child(pause.pid))}/ns/pid"


def injected(manifest, **options):
    """The pod that `pavise inject` makes of a manifest."""
    words = [word for key, value in options.items()
             for word in ("--set", f"{key.replace('_', '-')}={value}")]
    done = subprocess.run([settings.binary(), "inject", *words, "-"], input=manifest, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


class Pod:
    """A pod on `host`, whose node is `node`. `images` are by reference; `sources` are folders by
    what a volume takes from the cluster: a ConfigMap's name, a CSI driver's."""

    def __init__(self, lab, manifest, images, host, node, *, sources):
        self.pod = manifest
        self.started = []  # the containers' names in the order of their start
        self._lab, self._images, self._sources = lab, images, sources
        self._host, self._node = host, node
        is_v6 = manifest["metadata"]["annotations"].get("pavise/ip-family") == "ipv6"
        self._address = host.v6 if is_v6 else host.v4  # the pod's first one
        self._processes, self._containers = {}, {}
        shares = self._spec("shareProcessNamespace")
        self._shared = process_namespace(lab) if shares else None
        lab.path("volumes").mkdir(exist_ok=True)
        self._volumes = {one["name"]: self._volume(one) for one in self._spec("volumes")}

    def _spec(self, key):
        return self.pod["spec"].get(key, [])

    # --- volumes

    def _volume(self, volume):
        if "configMap" in volume:
            return self._sources[volume["configMap"]["name"]]
        if "csi" in volume:
            return self._sources[volume["csi"]["driver"]]
        folder = self._lab.path("volumes") / volume["name"]
        folder.mkdir()
        for item in volume.get("downwardAPI", {}).get("items", []):
            self._write(folder / item["path"], item["fieldRef"]["fieldPath"])
        if "emptyDir" in volume:
            folder.chmod(0o777)
        return folder

    def _write(self, path, field):
        before, _, after = field.partition("['")
        assert before == "metadata.annotations" and after.endswith("']")
        path.write_text(self.pod["metadata"]["annotations"][after[:-2]], encoding="utf-8")

    def _mounts(self, container):
        return [(self._volumes[mount["name"]], mount["mountPath"],
                 "ro" if mount.get("readOnly") else "rw")
                for mount in container.get("volumeMounts", [])]

    # --- containers

    def _of_image(self, container):
        """One of the injection's, with nothing but what its manifest allows it."""
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["privileged"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        added = [f"CAP_{name}" for name in security["capabilities"].get("add", [])]
        made = Container(self._lab, container["name"], self._images[container["image"]],
                         args=container["args"], host=self._host, capabilities=added,
                         mounts=self._mounts(container), seccomp=runtime_default(added),
                         pid_namespace=self._shared)
        assert made.uid == security["runAsUser"]
        self._containers[container["name"]] = made
        return made

    def _start_program(self, container):
        mounts = [word for folder, inside, _ in self._mounts(container)
                  for word in (folder, inside)]
        env = {one["name"]: one["value"] for one in container.get("env", [])}
        shared = [settings.program("nsenter"), f"--pid={self._shared}"] if self._shared else []
        return self._lab.start(container["name"], [
            *shared, settings.program("unshare"), "--mount", "--propagation", "private", "sh", "-c",
            MOUNTED, "sh", *mounts, "--", *container["command"]], host=self._host, env=env)

    def _start(self, container):
        self.started.append(container["name"])
        if container["image"] in self._images:
            made = self._lab.start(container["name"], self._of_image(container).argv())
        else:
            made = self._start_program(container)
        self._processes[container["name"]] = made
        return made

    def process(self, name):
        return self._processes[name]

    def facts(self, name):
        """/proc/PID/status of a container of the injection's: crun's child."""
        crun = self._processes[name].pid
        child = pathlib.Path(f"/proc/{crun}/task/{crun}/children").read_text().split()[0]
        lines = pathlib.Path(f"/proc/{child}/status").read_text().splitlines()
        return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}

    def execute(self, name, command, **options):
        """As `kubectl exec` does it in a container of the injection's."""
        return self._containers[name].execute(command, **options)

    # --- probes

    def handle(self, handler):
        """Whether the kubelet would be content with the answer; it asks the pod's address."""
        if "exec" in handler:
            return self._host.run(handler["exec"]["command"]).returncode == 0
        try:
            if "httpGet" in handler:
                asked = Status(self._node, handler["httpGet"]["port"], self._address)
                return 200 <= asked.get(handler["httpGet"]["path"])[0] < 400
            self._node.connect(self._address, handler["tcpSocket"]["port"]).close()
            return True
        except OSError:
            return False

    def probe(self, container, kind):
        return self.handle(self.container(container)[kind])

    def container(self, name):
        return next(one for one in [*self._spec("initContainers"), *self._spec("containers")]
                    if one["name"] == name)

    def _wait_started(self, container):
        probe = container["startupProbe"]
        for _ in range(probe["failureThreshold"]):
            assert self._processes[container["name"]].is_running(), container["name"]
            if self.handle(probe):
                return
            time.sleep(0.05)  # the kubelet: probe["periodSeconds"]
        raise AssertionError(f"{container['name']} was never started: the kubelet gives up")

    # --- life

    def begin(self, before_the_wait=lambda: None, before_the_application=lambda pod: None):
        """Up to the application's start; `before_the_wait` is called when a sidecar has been
        started and is waited for."""
        for container in self._spec("initContainers"):
            process = self._start(container)
            if container.get("restartPolicy") == "Always":
                before_the_wait()
                self._wait_started(container)
            else:
                code = process.wait()
                assert code == 0, f"{container['name']} ended with {code}:\n{process.log()}"
        for container in self._spec("containers"):
            if container["image"] not in self._images:
                before_the_application(self)
            self._start(container)
            self._run_hook(container)

    def _run_hook(self, container):
        """The next container waits for it."""
        hook = container.get("lifecycle", {}).get("postStart", {}).get("exec")
        if hook and container["name"] in self._containers:
            done = self.execute(container["name"], hook["command"])
            assert done.returncode == 0, done.stdout + done.stderr

    def end(self):
        """The pod is deleted: SIGTERM to the application, and to the sidecars, the last one first,
        when it has ended. Exit codes by name."""
        codes = {one["name"]: self._processes[one["name"]].terminate()
                 for one in self._spec("containers")}
        return {**codes, **self.end_of_job()}

    def end_of_job(self):
        """The containers have ended by themselves; the sidecars are told."""
        for container in self._spec("containers"):
            self._processes[container["name"]].wait()
        return {one["name"]: self._processes[one["name"]].terminate()
                for one in reversed(self._spec("initContainers"))
                if one.get("restartPolicy") == "Always"}
