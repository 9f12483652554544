"""Identities of the cluster's own signer, trust stores, pods without IPv6."""

import json
import pathlib
import subprocess

from cluster import pod

HERE = pathlib.Path(__file__).resolve().parent
REDIS = (HERE / "manifests/redis.yaml").read_text()
SIGNER = "cluster.example/svid"


def test_pod_certificates(cluster, space):
    """`podCertificate`: the kubelet makes the key, a signer the certificate, the API server
    publishes whom to trust."""
    signer = cluster.begin(cluster.programs / "signer", cluster.folder / "admin.kubeconfig", SIGNER,
                           "cluster.example")
    try:
        cluster.until("the bundle", lambda: "svid" in cluster.kubectl(
            "get", "clustertrustbundles").stdout)
        made = space()
        own = {"identity": "podCertificate", "identity_signer": SIGNER}
        made.inject(REDIS, **own)
        made.rolled_out("redis")
        assert made.run("client", "redis-cli", "-h", "redis", "ping", **own) == \
            ("Succeeded", "PONG\n")
        said = made.status("identity", "deploy/redis")
        assert f"spiffe://cluster.example/ns/{made.name}/sa/default" in said
    finally:
        signer.terminate()
        signer.wait()


def test_trust(cluster, space, tmp_path):
    """A ConfigMap's CA becomes the application's, by the environment that it has anyway."""
    made = space()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Our Own CA",
                    "-keyout", "ca.key", "-out", "ca.crt"], check=True, cwd=tmp_path,
                   capture_output=True)
    made.kubectl("create", "configmap", "our-cas", f"--from-file={tmp_path}/ca.crt")
    script = ("import os, ssl; c = ssl.create_default_context(); "
              "print(os.environ['SSL_CERT_FILE'], any('Our Own CA' in str(each) "
              "for each in c.get_ca_certs()), len(c.get_ca_certs()) > 50)")
    phase, log = made.run("client", "python3", "-c", script,
                          annotations={"pavise/trust": "our-cas"})
    assert (phase, log.split()[1:]) == ("Succeeded", ["True", "True"]), log
    assert "Our Own CA" not in made.run("other", "python3", "-c", script.replace(
        "os.environ['SSL_CERT_FILE']", "'none'"))[1]


def test_no_ipv6(space):
    made = space()
    off = {"securityContext": {"sysctls": [
        {"name": "net.ipv6.conf.all.disable_ipv6", "value": "1"},
        {"name": "net.ipv6.conf.default.disable_ipv6", "value": "1"},
        {"name": "net.ipv6.conf.lo.disable_ipv6", "value": "1"}]}}
    server = pod("redis", "redis-server", "--protected-mode", "no", spec={
        **off, "restartPolicy": "Always"}, container={"readinessProbe": {
            "tcpSocket": {"port": 6379}, "periodSeconds": 1}})
    made.inject(server)
    made.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/redis")
    said = json.loads(made.kubectl("get", "pod", "redis", "-o", "json").stdout)["status"]
    assert [each["ip"] for each in said["podIPs"]] == [said["podIP"]]
    assert made.run("client", "redis-cli", "-h", said["podIP"], "ping", spec=off) == \
        ("Succeeded", "PONG\n")


def test_grpc_probe(space):
    """The kubelet's grpc probe is asked by the agent, of a server that answers and of none."""
    made = space()
    made.inject(pod("none", "sleep", "1000", container={"readinessProbe": {
        "grpc": {"port": 9000}, "periodSeconds": 1}}))
    made.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].started}=true", "pod/none")
    assert made.kubectl("wait", "--for=condition=Ready", "--timeout=4s", "pod/none",
                        check=False).returncode != 0
