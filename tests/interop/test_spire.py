"""SPIRE as the source of identities: rotation, a new CA, withdrawal."""

import time

import pytest

from pavise_e2e.applications import echo, echo_once, exchange, outcome
from pavise_e2e.waiting import wait_until
from spire import CA_TTL_S, Spire

REFUSED = ("refused", "reset", "closed")
# SPIRE's agent hears of entries every 5 s.
SYNC_S = 60

SOURCES = {
    "workloadApi": {},
    "sds": {"source": "sds", "sds": {"certificate": "default", "bundle": "ROOTCA"}},
}


@pytest.fixture
def spire(lab, peer):
    return Spire(lab, peer("spire-server"), peer("spire-agent"))


@pytest.fixture(params=SOURCES)
def pair(lab, spire, request):
    """Two agents that SPIRE gives identities, and an echo server behind one of them."""
    identity = {"endpoint": spire.endpoint, **SOURCES[request.param]}
    agents = []
    for host in (lab.server, lab.web):
        agent = lab.agent(host, {"identity": identity}, ready=False)
        wait_until(f"{agent.name} is ready", agent.status.is_ready, SYNC_S)
        agents.append(agent)
    lab.application(lab.server, lab.server.v4, 9000, echo)
    server, web = agents
    return web, server


def traffic(lab, held, seconds):
    """New connections and an old one for a time: each must do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert exchange(held, b"old") == b"old"
        echo_once(lab.web, lab.server.v4, 9000, b"new")
        time.sleep(0.2)


def test_rotations_and_a_new_ca(lab, spire, pair):
    """Certificates of 10 s through a change of the CA that signs them: no exchange fails."""
    web, server = pair
    held = lab.connect(lab.web, lab.server.v4, 9000)
    roots = spire.num_roots()
    traffic(lab, held, CA_TTL_S)
    assert spire.num_roots() > roots, "SPIRE has not changed its CA"
    for agent in (web, server):
        identity = agent.status.json("/identity")
        assert identity["state"] == "valid" and identity["rotations"] >= 5, identity
        assert identity["counts"]["refused"] == 0
        assert agent.status.reasons() == []


def test_withdrawn_and_given_again(lab, spire, pair):
    """An entry that is deleted lets nothing new through; created again it works, and nothing was
    restarted. The Workload API says PERMISSION_DENIED, which ends what is open, too; SDS says only
    that it has no such secret (INVALID_ARGUMENT), so the certificate lives on to its end."""
    web, _ = pair
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"hello") == b"hello"
    spire.delete("web")
    source = web.status.json("/identity")["source"]["kind"]
    wanted = "expired" if source == "sds" else "withdrawn"
    wait_until(f"the identity is {wanted}",
               lambda: web.status.json("/identity")["state"] == wanted, SYNC_S)
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    if wanted == "withdrawn":
        with pytest.raises((OSError, EOFError)):
            exchange(held, b"are you there?")
    spire.create("web")
    wait_until("traffic goes again",
               lambda: outcome(lab.web, lab.server.v4, 9000) == "echoed", SYNC_S)
