"""One cluster for all tests of a run, made by PAVISE_CLUSTER's programs (setup.sh). Whatever is
missing fails the run by name; nothing here is ever skipped."""

import base64
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import cluster as clusters  # noqa: E402 pylint: disable=wrong-import-position

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet",
            "kube-proxy", "kubectl", "containerd", "containerd-shim-runc-v2", "coredns", "csi",
            "signer", "pause.c")
@pytest.fixture(scope="session")
def cluster():
    """PAVISE_CLUSTER_NODE: the folder of one that runs already (cluster.py)."""
    programs = pathlib.Path(os.environ["PAVISE_CLUSTER"])
    missing = [name for name in PROGRAMS if not (programs / name).exists()]
    assert not missing, f"not built: {missing}; setup.sh says why"
    assert os.geteuid() == 0, "needs root"
    pavise = pathlib.Path(os.environ["PAVISE"]).resolve()
    running = os.environ.get("PAVISE_CLUSTER_NODE")
    folder = pathlib.Path(running or tempfile.mkdtemp(prefix="pavise-cluster-"))
    made = clusters.Cluster(folder, programs, pavise)
    if running:
        made.pid = (folder / "pid").read_text()
        yield made
        return
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Space:
    """A namespace of a test's own, deleted with all that is in it at the end."""

    def __init__(self, cluster, name, labels):
        self.cluster, self.name = cluster, name
        words = [f"{key}={value}" for key, value in labels.items()]
        cluster.kubectl("create", "namespace", name)
        if words:
            cluster.kubectl("label", "namespace", name, *words)

    def kubectl(self, *words, **options):
        return self.cluster.kubectl("-n", self.name, *words, **options)

    def apply(self, text):
        return self.kubectl("apply", "-f", "-", text=text)

    def inject(self, text, **settings):
        """By `pavise inject`, and applied."""
        return self.apply(self.cluster.injected(text, **settings))

    def rolled_out(self, *names):
        for name in names:
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")

    def status(self, what, name):
        return self.kubectl("exec", name, "-c", "pavise", "--", "/usr/bin/pavise", "status",
                            *what.split()).stdout

    def run(self, name, *words, annotations=None, labels=None, spec=None, inject=True, **settings):
        """A pod that runs `words` in the image app, and how it ended: (phase, log)."""
        text = clusters.pod(name, *words, annotations=annotations, labels=labels, spec=spec)
        self.inject(text, **settings) if inject else self.apply(text)
        return self.ended(name)

    def ended(self, name, seconds=90):
        def phase():
            said = self.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}").stdout
            return said if said in ("Succeeded", "Failed") else None

        self.cluster.until(f"the end of {name}", phase, seconds)
        log = self.kubectl("logs", name, "-c", "app", check=False).stdout
        return phase(), log


@pytest.fixture
def space(cluster, request):
    made = []

    def make(**labels):
        name = f"t{len(made)}-" + request.node.name.removeprefix("test_").replace("_", "-")[:40]
        made.append(Space(cluster, name.strip("-").lower(), labels))
        return made[-1]

    yield make
    for each in made:
        if request.node.rep_call.failed:
            print(each.kubectl("get", "pods", "-o", "wide", check=False).stdout)
            print(each.kubectl("get", "events", check=False).stdout[-4000:])
            for pod in each.kubectl("get", "pods", "-o", "name", check=False).stdout.split():
                print(pod, each.kubectl("logs", pod, "--all-containers", "--tail=15",
                                        check=False).stdout[-3000:])
        each.cluster.kubectl("delete", "namespace", each.name, "--wait=false")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"rep_{report.when}", report)


@pytest.fixture(scope="session")
def encoded():
    return lambda path: base64.b64encode(pathlib.Path(path).read_bytes()).decode()
