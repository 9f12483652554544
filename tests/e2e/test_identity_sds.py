"""Identity from Envoy's secret discovery service, as SPIRE's and Istio's agents serve it."""

import os

import pytest

from pavise_e2e.applications import echo, echo_once, exchange
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca
from pavise_e2e.sds import SdsServer, certificate, filename, inline, spiffe_validator, trusted_ca
from pavise_e2e.waiting import wait_until

WEB = "spiffe://example.org/ns/default/sa/web"
NEXT = "spiffe://example.org/ns/default/sa/next"
VERSION, ERROR = 1, 6  # fields of a DiscoveryRequest


class World:
    """An agent that has its identity from SDS and calls one that has it from the authority."""

    def __init__(self, lab):
        self.lab = lab
        lab.authority()  # its CA signs what the SDS server hands out
        self.ca = Ca(lab.path("authority.state"), lab.directory)
        self.bundle = self.ca.certificate.read_bytes()
        self.path = lab.path("sds.sock")
        self.server = SdsServer(self.path)
        self.app = lab.application(lab.host, "127.0.0.1", 0, echo)
        self.tunnel, self.port = free_port("127.0.0.2"), free_port()
        lab.run_agent("agent-server", {
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{self.tunnel}"],
                        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{self.app.port}"}]},
            "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=lab.host)

    def run_agent(self, **sds):
        self.agent = self.lab.run_agent("agent-sds", {
            "identity": {"source": "sds", "endpoint": f"unix://{self.path}", "sds": sds},
            "outbound": {"listen": [],
                         "listeners": [{"listen": f"127.0.0.1:{self.port}",
                                        "destination": "127.0.0.2:11000"}],
                         "mesh": {"networks": ["127.0.0.0/8"], "port": self.tunnel}},
            "inbound": {"listen": [], "tunnel": []},
            "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=self.lab.host, ready=False)
        return self.agent

    def pair(self, spiffe_id=WEB):
        return self.ca.issue(spiffe_id.rpartition("/")[2], f"URI:{spiffe_id}")

    def secret(self, spiffe_id=WEB, name="default"):
        chain, key = (path.read_bytes() for path in self.pair(spiffe_id))
        return certificate(name, inline(chain), inline(key))

    def echo(self):
        echo_once(self.lab.host, "127.0.0.1", self.port, b"hello")

    def wait_id(self, spiffe_id):
        def is_used():
            svids = self.agent.status.json("/identity")["svids"]
            return svids and svids[0]["spiffeId"] == spiffe_id

        wait_until(f"{spiffe_id} is in force", is_used)


@pytest.fixture
def world(loopback):
    made = World(loopback)
    yield made
    made.server.close()


def test_traffic_and_rotation(world):
    agent = world.run_agent()
    first = world.server.asked().requests[0]
    assert [name.decode() for name in first[3]] == ["default", "ROOTCA"]
    assert VERSION not in first and first[2]  # no version as yet, but a node
    ack = world.server.push(world.secret(), trusted_ca("ROOTCA", inline(world.bundle)))
    assert ack[VERSION] == [b"1"] and ERROR not in ack
    agent.wait_ready()
    world.echo()
    with world.lab.host.connect("127.0.0.1", world.port) as held:
        assert exchange(held, b"before") == b"before"
        assert world.server.push(world.secret(NEXT))[VERSION] == [b"2"]  # the bundle is as before
        world.wait_id(NEXT)
        assert exchange(held, b"after") == b"after"
    world.echo()
    source = agent.status.json("/identity")["source"]
    assert (source["kind"], source["state"], source["lastError"]) == ("sds", "connected", "")


def test_bad_push_is_refused_and_outage_survived(world):
    agent = world.run_agent(certificate=WEB, bundle="ALL")
    stream = world.server.asked()
    world.server.push(world.secret(name=WEB), spiffe_validator(
        "ALL", {"example.org": inline(world.bundle), "friend.org": inline(world.bundle)}))
    agent.wait_ready()
    chain, _ = (path.read_bytes() for path in world.pair())
    _, key = (path.read_bytes() for path in world.pair(NEXT))
    nack = world.server.push(certificate(WEB, inline(chain), inline(key)))
    assert nack[VERSION] == [b"1"] and b"key" in nack[ERROR][0]
    assert key.split(b"\n")[1] not in nack[ERROR][0]
    assert "refused a response" in agent.status.json("/identity")["source"]["lastError"]
    world.echo()
    stream.end(14, "attestation failed")
    again = world.server.asked(streams=2)
    assert again.requests[0][VERSION] == [b"1"]
    world.echo()
    again.end(7, "no identity issued")
    wait_until("the identity is gone",
               lambda: agent.status.json("/identity")["state"] == "withdrawn")
    with pytest.raises((OSError, AssertionError)):
        world.echo()
    last = world.server.asked(streams=3)
    assert VERSION not in last.requests[0]
    world.server.push(world.secret(name=WEB),
                      spiffe_validator("ALL", {"example.org": inline(world.bundle)}))
    wait_until("the identity is back",
               lambda: agent.status.json("/identity")["state"] == "valid")
    world.echo()


def test_files_named_by_secrets_are_followed(world):
    agent = world.run_agent()
    live = [world.lab.path(name) for name in ("live.crt", "live.key")]

    def put(pair):
        for path, content in zip(live, [p.read_bytes() for p in pair]):
            path.with_suffix(".new").write_bytes(content)
            os.replace(path.with_suffix(".new"), path)

    answer = world.server.push(certificate("default", *map(filename, live)),
                               trusted_ca("ROOTCA", inline(world.bundle)))
    assert ERROR not in answer
    wait_until("the missing file is reported", lambda: "live.crt" in str(
        agent.status.json("/identity")["source"]["lastError"]))
    assert not agent.status.is_ready()
    put(world.pair())
    agent.wait_ready()
    world.echo()
    put(world.pair(NEXT))
    world.wait_id(NEXT)
    world.echo()
