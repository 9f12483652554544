"""`pavise injector`: reviews over HTTPS, recorded, malformed and large; the patch gives the pod
that `pavise inject` gives."""

import base64
import copy
import http.client
import json
import os
import socket
import ssl
import subprocess

import pytest
import yaml

from pavise_e2e import settings
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

GOLDEN = settings.REPOSITORY / "tests/inject/golden"
NAME = "pavise-injector.pavise.svc"
MIB = 1 << 20
KINDS = {"Pod": [], "CronJob": ["spec", "jobTemplate", "spec", "template"],
         "PodTemplate": ["template"]}


class Injector:
    def __init__(self, lab):
        lab.authority()
        self.port = free_port()
        ca = Ca(lab.path("authority.state"), lab.directory)
        self.certificate, self.key = ca.issue("one", f"DNS:{NAME}")
        self._context = ssl.create_default_context(cafile=ca.certificate)
        self.ca = ca
        config = lab.write("injector.yaml", json.dumps({
            "listen": f"127.0.0.1:{self.port}", "certificate": str(self.certificate),
            "key": str(self.key)}))
        self.process = lab.start("injector", [lab.pavise, "injector", "--config", config])
        lab.wait_port(lab.host, "127.0.0.1", self.port)

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), settings.PATIENCE_S)
        return self._context.wrap_socket(plain, server_hostname=NAME)

    def request(self, method, path, body=None, headers=None):
        client = http.client.HTTPConnection("127.0.0.1", self.port)
        client.sock = self.connect()
        try:
            client.request(method, path, body, headers or {"Content-Type": "application/json"})
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()

    def review(self, pod):
        sent = json.dumps(review(pod), ensure_ascii=False).encode()  # as Go encodes it
        code, body = self.request("POST", "/mutate?timeout=10s", sent)
        assert code == 200, body
        answer = json.loads(body)
        assert (answer["kind"], answer["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
        assert answer["response"]["uid"] == UID
        return answer["response"]


UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def review(pod):
    """As an API server sends it."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": UID, "kind": kind, "resource": resource, "requestKind": kind,
        "requestResource": resource, "namespace": "shop", "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod, "oldObject": None, "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}}


@pytest.fixture
def injector(loopback):
    return Injector(loopback)


def patched(pod, operations):
    """RFC 6902, the operations that are used here."""
    pod = copy.deepcopy(pod)
    for operation in operations:
        *way, last = [token.replace("~1", "/").replace("~0", "~")
                      for token in operation["path"].split("/")[1:]]
        at = pod
        for token in way:
            at = at[int(token) if isinstance(at, list) else token]
        if operation["op"] == "remove":
            del at[int(last) if isinstance(at, list) else last]
        elif isinstance(at, list):
            at.insert(int(last), operation["value"])
        else:
            assert operation["op"] == "add"
            at[last] = operation["value"]
    return pod


def pods_of(text):
    """The pods of a manifest."""
    for document in yaml.safe_load_all(text):
        for item in document.get("items", [document]) if document else []:
            way = KINDS.get(item.get("kind"), ["spec", "template"])
            for key in way:
                item = item.get(key) or {}
            if "containers" in item.get("spec", {}):
                yield item


def without_original(pod):
    """The annotation that keeps a file's text says nothing about the pod."""
    pod = copy.deepcopy(pod)
    (pod.get("metadata", {}).get("annotations") or {}).pop("pavise/original", None)
    return pod


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_pod_of_inject(injector, path):
    injected = subprocess.run([settings.binary(), "inject", path], check=True, text=True,
                              capture_output=True).stdout
    pairs = list(zip(pods_of(path.read_text(encoding="utf-8")), pods_of(injected)))
    assert pairs
    for before, wanted in pairs:
        response = injector.review(before)
        assert response["allowed"]
        patch = json.loads(base64.b64decode(response.get("patch", "W10=")))
        assert without_original(patched(before, patch)) == without_original(wanted)


def test_mistakes_are_denied_with_the_sentence(injector):
    response = injector.review({"metadata": {"annotations": {"pavise/mode": "lax"}},
                                "spec": {"containers": [{"name": "a"}]}})
    assert not response["allowed"]
    assert "pavise/mode wants strict or permissive" in response["status"]["message"]
    wait_until("it is in the log", lambda: "result=denied" in injector.process.log())


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"kind": "AdmissionReview"}', "\xff",
                                  json.dumps({**review({}), "apiVersion": "other/v1"})])
def test_malformed(injector, body):
    code, said = injector.request("POST", "/mutate", body.encode("latin-1"))
    assert code == 400 and said.strip()
    assert injector.request("GET", "/readyz") == (200, "ready\n")


def test_three_mib(injector):
    pod = {"metadata": {"annotations": {"note": "x" * (3 * MIB - 4096)}},
           "spec": {"containers": [{"name": "a"}]}}
    assert "patch" in injector.review(pod)
    with injector.connect() as tls:  # what is too long is refused before it has come
        tls.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (5 * MIB))
        assert tls.recv(12) == b"HTTP/1.1 413"
    assert injector.request("GET", "/readyz")[0] == 200


def test_other_paths(injector):
    assert injector.request("GET", "/mutate")[0] == 404
    assert injector.request("POST", "/")[0] == 404
    assert injector.request("DELETE", "/readyz")[0] == 404


def test_a_rotated_certificate_is_used_at_once(injector):
    serials = set()
    for name in ("two", "three"):
        with injector.connect() as tls:
            serials.add(tls.getpeercert()["serialNumber"])
        certificate, key = injector.ca.issue(name, f"DNS:{NAME}")
        os.replace(key, injector.key)
        os.replace(certificate, injector.certificate)
    assert len(serials) == 2


def test_the_end_waits_for_what_is_open(injector):
    body = json.dumps(review({"spec": {"containers": [{"name": "a"}]}})).encode()
    with injector.connect() as tls:
        tls.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        injector.process.signal(15)
        tls.sendall(body)
        assert tls.recv(12) == b"HTTP/1.1 200"
    assert injector.process.wait() == 0


@pytest.mark.parametrize("config, code", [
    ("{}", 1), ("certificate: /none\nkey: /none\n", 1), ("listen: x\n", 1)])
def test_bad_configurations(loopback, config, code):
    path = loopback.write("bad.yaml", config)
    done = subprocess.run([loopback.pavise, "injector", "--config", path], text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == code and done.stderr.startswith("pavise injector: ")


def test_usage(pavise):
    assert subprocess.run([pavise, "injector"], capture_output=True, check=False).returncode == 2
