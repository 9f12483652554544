"""Istio's own certificate service as the source: a token in, certificates that rotate out."""

import pytest

from pavise_e2e.applications import echo, echo_once
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

OWN_ID = "spiffe://example.org/ns/default/sa/app"


@pytest.fixture
def istio_ca(loopback, peer):
    """(configuration of the source, directory): the service on this machine."""
    directory = loopback.path("istio")
    directory.mkdir()
    address = f"127.0.0.1:{free_port()}"
    service = loopback.start("istio-ca", [
        peer("istio-ca"), "-listen", address, "-directory", directory, "-subject", "default/app",
        "-ttl", "1h"])
    service.wait_for_log("listening")
    return {"source": "istioCa", "lifetime": "1h",
            "istioCa": {"address": address, "rootsFile": str(directory / "roots.pem"),
                        "tokenFile": str(directory / "token"),
                        "serverName": "istiod.istio-system.svc"}}, directory


def start_agent(lab, identity, name="agent", ready=True, **change):
    config = {"outbound": {"listen": []}, "inbound": {"listen": [], "tunnel": []},
              "status": {"listen": f"127.0.0.1:{free_port()}"}, "identity": identity, **change}
    return lab.run_agent(name, config, host=lab.host, ready=ready)


def test_identity_and_renewal(loopback, istio_ca):
    """Two agents with certificates of Istio's CA trust each other; a renewed one is another."""
    identity, _ = istio_ca
    app = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    tunnel, port = free_port("127.0.0.2"), free_port()
    start_agent(loopback, identity, "agent-server", inbound={
        "listen": [], "tunnel": [f"127.0.0.2:{tunnel}"],
        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{app.port}"}]})
    client = start_agent(loopback, identity, "agent-client", outbound={
        "listen": [], "listeners": [{"listen": f"127.0.0.1:{port}",
                                     "destination": "127.0.0.2:11000"}],
        "mesh": {"networks": ["127.0.0.0/8"], "port": tunnel}})
    echo_once(loopback.host, "127.0.0.1", port)
    page = client.status.json("/identity")
    assert [svid["spiffeId"] for svid in page["svids"]] == [OWN_ID]
    first = client.status.serial()
    assert client.status.post("/rotate")[0] == 200
    wait_until("there is another certificate", lambda: client.status.serial() != first)
    echo_once(loopback.host, "127.0.0.1", port)


def test_wrong_token(loopback, istio_ca):
    """Istio says UNAUTHENTICATED; with the right token in the file the agent is soon ready."""
    identity, directory = istio_ca
    right = (directory / "token").read_text()
    (directory / "token").write_text(right[:-8] + "AAAAAAAA")
    agent = start_agent(loopback, identity, ready=False)
    agent.wait_for_log("UNAUTHENTICATED")
    assert not agent.status.is_ready()
    (directory / "token").write_text(right)
    wait_until("ready", agent.status.is_ready, 60)


def test_longer_than_the_ca_allows(loopback, istio_ca):
    """Istio's CA refuses what is over its maximum; the sentence says which key to look at."""
    identity, _ = istio_ca
    agent = start_agent(loopback, {**identity, "lifetime": "2h"}, ready=False)
    agent.wait_for_log("check identity.lifetime")
    assert not agent.status.is_ready()
