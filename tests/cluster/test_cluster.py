"""docs/kubernetes.md in a real cluster: real API server, kubelet, container runtime, kube-proxy."""

import json
import pathlib

from cluster import pod

HERE = pathlib.Path(__file__).resolve().parent
REDIS = (HERE / "manifests/redis.yaml").read_text()
WEB = (HERE / "manifests/web.yaml").read_text()
DEPLOY = HERE.parents[1] / "deploy/kubernetes"


def logs_of(space, label, container):
    return space.kubectl("logs", "-l", label, "-c", container, "--tail=-1").stdout


def first_pair(space, **redis):
    space.inject(REDIS, **redis)
    space.inject(WEB)
    space.rolled_out("redis", "web")


def test_first_pair(cluster, space):
    """Getting started, steps 3 and 4: a Service, two ends with a sidecar, strict."""
    made = space()
    first_pair(made)
    assert "redis says +PONG" in logs_of(made, "app=web", "web")
    phase, log = made.run("client", "curl", "-sS", "http://web/hits")
    assert (phase, log.strip()[:1]) == ("Succeeded", ":")
    said = made.status("destinations", "deploy/web")
    assert "service" in said and "pinned" in said
    assert "spiffe://cluster.example/" in said
    # Whoever has no sidecar is refused; the control is that the same pod with one was not.
    phase, log = made.run("stranger", "curl", "-sS", "--max-time", "10", "http://web/hits",
                          inject=False)
    assert phase == "Failed"
    assert "reason=direct_refused" in logs_of(made, "app=web", "pavise")
    # Nothing of it went in the clear.
    for app in "web", "redis":
        for line in logs_of(made, f"app={app}", "pavise").splitlines():
            assert "reason=done" not in line or "security=mutual_tls" in line, line


def test_permissive_lets_in_who_has_no_sidecar(space):
    made = space()
    first_pair(made, mode="permissive")
    phase, _ = made.run("stranger", "redis-cli", "-h", "redis", "ping", inject=False)
    assert phase == "Succeeded"


def test_the_application_waits_for_the_sidecar(cluster, space):
    """No identity, no application: and the pod says which step is pending."""
    made = space()
    made.inject(pod("waits", "curl", "-sS", "http://web/", annotations={
        "pavise/identity-socket": "nobody.sock"}))

    def pending():
        said = json.loads(made.kubectl("get", "pod", "waits", "-o", "json").stdout)["status"]
        init = {each["name"]: each for each in said.get("initContainerStatuses", [])}
        return "running" in init.get("pavise", {}).get("state", {}) and said

    said = cluster.until("the agent runs", pending)
    assert not said["initContainerStatuses"][1]["started"]
    assert said["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert "identity" in made.status("", "waits")


def test_probes_in_strict_mode(space):
    """http, tcp, exec and grpc; and a probe that fails does fail."""
    made = space()
    first_pair(made)
    said = json.loads(made.kubectl("get", "pods", "-o", "json").stdout)
    for each in said["items"]:
        for status in each["status"]["containerStatuses"]:
            assert status["ready"] and status["restartCount"] == 0, status
    made.inject(pod("sick", "sleep", "1000", container={"readinessProbe": {
        "tcpSocket": {"port": 9}, "periodSeconds": 1}}))
    made.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].started}=true", "pod/sick")
    assert made.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "pod/sick",
                        check=False).returncode != 0


JOB = """
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: app
          image: registry.example/app:1
          command: [sh, -c, "redis-cli -h redis ping && exit {code}"]
"""
CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - name: app
              image: registry.example/app:1
              command: [redis-cli, -h, redis, ping]
"""


def test_jobs(space):
    """A Job ends by itself, well or not, and so does one of a CronJob."""
    made = space()
    made.inject(REDIS)
    made.inject(CRON)
    made.rolled_out("redis")
    for name, code, condition in ("good", 0, "Complete"), ("bad", 3, "Failed"):
        made.inject(JOB.format(name=name, code=code))
        made.kubectl("wait", f"--for=condition={condition}", "--timeout=60s", f"job/{name}")
        said = json.loads(made.kubectl("get", "pods", "-l", f"job-name={name}", "-o",
                                       "json").stdout)["items"][0]["status"]
        assert said["phase"] == {0: "Succeeded", 3: "Failed"}[code]
        assert said["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code
        assert said["initContainerStatuses"][1]["state"]["terminated"]["exitCode"] == 0
    made.kubectl("create", "job", "--from=cronjob/cron", "by-hand")
    made.kubectl("wait", "--for=condition=Complete", "--timeout=60s", "job/by-hand")


def test_an_ordinary_container(space):
    """The form for clusters without native sidecars: a Job ends here too."""
    made = space()
    made.inject(REDIS)
    made.rolled_out("redis")
    made.inject(JOB.format(name="ordinary", code=0), sidecar="container")
    made.kubectl("wait", "--for=condition=Complete", "--timeout=60s", "job/ordinary")


def test_the_end_of_a_pod(cluster, space):
    """The agent outlives the application, whose last call still goes out."""
    made = space()
    first_pair(made)
    name = made.kubectl("get", "pods", "-l", "app=web", "-o", "name").stdout.split()[0]
    follow = cluster.follow("-n", made.name, "logs", "-f", "--timestamps", "--all-containers", name)
    made.kubectl("delete", name)
    said = follow()
    assert "at the end redis says :" in said
    goodbye = next(i for i, line in enumerate(said.splitlines()) if "at the end" in line)
    agent = [i for i, line in enumerate(said.splitlines()) if "event=stopped" in line or
             "event=drain" in line]
    assert agent and agent[-1] > goodbye


def test_a_rolling_update_under_load(space):
    """No request fails while all pods of a Deployment are replaced, twice."""
    made = space()
    first_pair(made)
    made.inject(pod("load", "python3", "/load.py", "http://web/hits", "40"))
    made.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/load")
    for _ in range(2):
        made.kubectl("rollout", "restart", "deployment/web")
        made.rolled_out("web")
    phase, log = made.ended("load")
    assert phase == "Succeeded", log
    assert int(log.split()[1].rstrip(",")) > 100, log
