"""The ways into a pod that a cluster offers: policy, webhook, Kustomize; and what is refused."""

import base64
import json
import pathlib
import shutil
import subprocess

import pytest

from cluster import pod

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parents[1] / "deploy/kubernetes"
REDIS = (HERE / "manifests/redis.yaml").read_text()
READY = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
# What the API server and the kubelet add to a pod by themselves.
ADDED = ("kube-api-access-", "kubernetes.io/", "kubectl.kubernetes.io/")


def with_images(text):
    for name in "pavise", "pavise-intercept":
        text = text.replace(f"{name}:latest", f"registry.example/{name}:1")
    return text


@pytest.fixture
def policy(cluster):
    text = with_images((DEPLOY / "policy/policy.yaml").read_text())
    files = DEPLOY / "validate.yaml"
    cluster.kubectl("apply", "-f", "-", text=text)
    cluster.kubectl("apply", "-f", files)
    yield
    cluster.kubectl("delete", "-f", files)
    cluster.kubectl("delete", "-f", "-", text=text)


def certificate(folder):
    def openssl(*words):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *words], check=True,
                       cwd=folder, capture_output=True)

    openssl("-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("-subj", "/CN=injector", "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "tls.key",
            "-out", "tls.crt", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
            "subjectAltName=DNS:pavise-injector.pavise.svc")
    return base64.b64encode((folder / "ca.crt").read_bytes()).decode()


@pytest.fixture
def webhook(cluster, tmp_path):
    bundle = certificate(tmp_path)
    text = with_images((DEPLOY / "webhook/webhook.yaml").read_text())
    text = text.replace('caBundle: ""', f"caBundle: {bundle}")
    cluster.kubectl("create", "namespace", "pavise", "--save-config")
    cluster.kubectl("-n", "pavise", "create", "secret", "tls", "pavise-injector",
                    f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key")
    cluster.kubectl("apply", "-f", "-", text=text)
    cluster.kubectl("-n", "pavise", "rollout", "status", "deployment/pavise-injector",
                    "--timeout=60s")
    yield
    cluster.kubectl("delete", "-f", "-", text=text)


def shape(space, name):
    """What a pod is made of, without what the cluster adds to any."""
    said = json.loads(space.kubectl("get", "pod", name, "-o", "json").stdout)
    spec = json.dumps([[{key: [mount for mount in value if not any(
        word in json.dumps(mount) for word in ADDED)] if key == "volumeMounts" else value
        for key, value in each.items()} for each in said["spec"].get(kind, [])]
        for kind in ("initContainers", "containers")])
    volumes = [each for each in said["spec"]["volumes"] if not each["name"].startswith(ADDED)]
    notes = {key: value for key, value in said["metadata"]["annotations"].items()
             if key.startswith("pavise/") and key != "pavise/original"}
    return spec, volumes, notes


def is_injected(cluster, space):
    """The label of the namespace works, once the API server has seen all of it."""
    def tried():
        said = space.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", check=False,
                             text=pod("try", "sleep", "1")).stdout
        return "pavise-intercept" in said

    cluster.until("pods are injected", tried)


def same_pod(cluster, space):
    """A pod that the cluster injects is the one that `pavise inject` makes, and works."""
    opted, by_hand = space(**{"pavise/inject": "enabled"}), space()
    is_injected(cluster, opted)
    server = pod("web", "python3", "-m", "http.server", "8080", container=READY)
    opted.apply(server)
    by_hand.inject(server)
    for each in opted, by_hand:
        each.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/web")
    assert shape(opted, "web") == shape(by_hand, "web")
    address = opted.kubectl("get", "pod", "web", "-o", "jsonpath={.status.podIP}").stdout
    opted.apply(pod("client", "curl", "-sS", "--max-time", "10", f"http://{address}:8080/"))
    assert opted.ended("client")[0] == "Succeeded"
    assert opted.run("out", "curl", "-sS", "--max-time", "10", f"http://{address}:8080/",
                     inject=False, labels={"pavise/inject": "disabled"})[0] == "Failed"
    return opted


def refused(space, sentence, **options):
    text = pod("wrong", "sleep", "1", **options)
    done = space.kubectl("apply", "-f", "-", check=False, text=text)
    assert done.returncode != 0 and sentence in done.stderr, done.stderr


@pytest.mark.usefixtures("policy")
def test_the_policy(cluster, space):
    opted = same_pod(cluster, space)
    refused(opted, "pavise/mode wants strict or permissive", annotations={"pavise/mode": "lax"})
    refused(opted, "runs as uid 1337", spec={"securityContext": {"runAsUser": 1337}})
    refused(opted, "agent's configuration, is missing", annotations={"pavise/injected": "1"})


@pytest.mark.usefixtures("webhook")
def test_the_webhook(cluster, space):
    opted = same_pod(cluster, space)
    refused(opted, "pavise/mode wants strict or permissive", annotations={"pavise/mode": "lax"})
    # It is there, or nobody starts.
    cluster.kubectl("-n", "pavise", "scale", "deployment/pavise-injector", "--replicas=0")
    cluster.until("nobody answers", lambda: opted.kubectl(
        "apply", "--dry-run=server", "-f", "-", check=False,
        text=pod("wrong", "sleep", "1")).returncode != 0)


def test_what_was_not_injected_is_refused(cluster, space):
    """validate.yaml alone, as when webhook and policy are missing."""
    cluster.kubectl("apply", "-f", DEPLOY / "validate.yaml")
    made = space(**{"pavise/inject": "enabled"})
    try:
        cluster.until("the policy is in force", lambda: made.kubectl(
            "apply", "--dry-run=server", "-f", "-", check=False,
            text=pod("wrong", "sleep", "1")).returncode != 0)
        refused(made, "was to be injected by Pavise and was not")
        made.inject(pod("right", "sleep", "1"))
    finally:
        cluster.kubectl("delete", "-f", DEPLOY / "validate.yaml")


def test_kustomize(cluster, space, tmp_path):
    """The component gives the pods of `pavise inject`; without its flags nothing is built. With one
    of them it is built without the sidecar: when this changes, docs/kubernetes.md has to."""
    made = space()
    shutil.copytree(DEPLOY / "component", tmp_path / "component")
    (tmp_path / "redis.yaml").write_text(REDIS)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [redis.yaml]\ncomponents: [component]\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pavise").symlink_to(cluster.pavise)

    def build(*flags):
        return subprocess.run([str(cluster.programs / "kustomize"), "build", *flags,
                               str(tmp_path)], text=True, capture_output=True, check=False,
                              env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})

    assert build().returncode != 0
    assert "pavise" not in build("--enable-alpha-plugins").stdout
    built = build("--enable-alpha-plugins", "--enable-exec")
    assert built.returncode == 0, built.stderr
    made.apply(with_images(built.stdout))
    made.rolled_out("redis")
    assert made.run("client", "redis-cli", "-h", "redis", "ping") == ("Succeeded", "PONG\n")


def test_pod_security(cluster, space):
    """`restricted` takes `explicit`, and refuses the redirect's NET_ADMIN by its name."""
    tight = {"securityContext": {"runAsNonRoot": True, "runAsUser": 1000,
                                 "seccompProfile": {"type": "RuntimeDefault"}}}
    mine = {"securityContext": {"allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]}}}
    made = space(**{"pod-security.kubernetes.io/enforce": "restricted"})
    done = made.kubectl("apply", "-f", "-", check=False, text=cluster.injected(
        pod("web", "sleep", "1", spec=tight, container=mine)))
    assert 'container "pavise-intercept" must not include "NET_ADMIN"' in done.stderr
    other = space()
    other.inject(REDIS)
    other.rolled_out("redis")
    config = ('outbound:\n  listen: []\n  listeners:\n  - {listen: "127.0.0.1:7000", '
              f'destination: "redis.{other.name}.svc.cluster.local:6379"}}\n')
    made.inject(pod("client", "redis-cli", "-p", "7000", "ping", spec=tight, container=mine,
                    annotations={"pavise/interception": "explicit", "pavise/config": config}))
    assert made.ended("client") == ("Succeeded", "PONG\n")


def test_network_policy(space):
    made = space()
    made.kubectl("apply", "-f", DEPLOY / "network-policy.yaml")
    assert "pavise-tunnels-only" in made.kubectl("get", "networkpolicy").stdout
