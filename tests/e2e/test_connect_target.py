"""What a peer with a right certificate may CONNECT to: this host's own addresses and ports of
applications, nothing else."""

import contextlib

import pytest

from pavise_e2e import h2
from pavise_e2e.applications import echo
from pavise_e2e.lab import spiffe_id
from pavise_e2e.pki import Ca, client_context

EXPLICIT_PORT = 7777


@pytest.fixture
def dial(lab):
    """dial() opens a tunnel from `other` to the agent on `server`, by hand."""
    lab.authority()
    lab.target_agent = lab.agent(lab.server, {
        "inbound": {
            "ports": [{"port": 9002, "deliver": "127.0.0.1:9002"}],
            "authorization": [{"action": "deny", "ports": [9003]}, {"action": "allow"}]},
        "outbound": {"listeners": [{"listen": f"0.0.0.0:{EXPLICIT_PORT}",
                                    "destination": f"{lab.web.v4}:1"}]},
        "status": {"health": "0.0.0.0:15021"}})
    lab.apps = [lab.application(lab.server, "0.0.0.0", port, echo) for port in (9000, 9002, 9003)]
    ca = Ca(lab.path("authority.state"), lab.directory)
    context = client_context(ca.issue("peer", f"URI:{spiffe_id('other')}"), ca.certificate)
    with contextlib.ExitStack() as stack:
        def connect():
            tcp = stack.enter_context(lab.other.connect(lab.server.v4, 15008))
            return h2.Client(stack.enter_context(context.wrap_socket(tcp)))

        connect.lab = lab
        yield connect


@pytest.mark.parametrize("authority", ["10.77.0.2:9000", "[fd77::2]:9000", "127.0.0.1:9002"])
def test_allowed(dial, authority):
    """Own addresses; loopback only for a port that has `deliver`. IPv6 needs no listener of the
    application, the answer is then 503."""
    client = dial()
    status, stream = client.connect(authority)
    if authority.startswith("["):
        assert status == 503
        return
    assert status == 200
    client.send(stream, b"hello")
    assert client.receive(stream) == b"hello"
    client.send(stream, b"", end=True)
    assert client.receive(stream) == b""


FOREIGN = ["10.77.0.1:9000", "10.77.0.3:9000", "192.0.2.1:80", "[fd77::1]:9000", "10.77.0.255:9000",
           "224.0.0.1:9000"]
LOOPBACK = ["127.0.0.1:9000", "127.0.0.6:9000", "127.255.255.254:9000", "[::1]:9000",
            "[::ffff:127.0.0.1]:9000", "0.0.0.0:9000", "[::]:9000"]
OWN_PORTS = [f"{address}:{port}" for address in ("10.77.0.2", "127.0.0.1", "[fd77::2]")
             for port in (15001, 15006, 15008, 15020, 15021)]
OWN_PORTS += [f"10.77.0.2:{EXPLICIT_PORT}", f"127.0.0.1:{EXPLICIT_PORT}"]  # it takes IPv4 alone
MALFORMED = ["10.77.0.2", "10.77.0.2:", "10.77.0.2:0", "10.77.0.2:65536", "10.77.0.2:09000",
             "user@10.77.0.2:9000", "server:9000", "fd77::2:9000", "[fd77::2%eth0]:9000",
             "10.77.2:9000", "0x0a4d0002:9000", "10.77.0.2:9000/", ""]


@pytest.mark.parametrize("kind", ["FOREIGN", "LOOPBACK", "OWN_PORTS", "MALFORMED"])
def test_refused_with_400(dial, kind):
    client = dial()
    for authority in globals()[kind]:
        try:
            status = client.connect(authority)[0]
        except h2.StreamError:
            # A request that HTTP/2 itself calls malformed may be reset instead.
            assert kind == "MALFORMED", authority
            client = dial()
            continue
        assert status == 400, authority
    assert sum(app.accepts for app in dial.lab.apps) == 0
    if kind != "MALFORMED":
        assert "bad_target" in dial.lab.target_agent.status.reasons()


def test_other_methods_are_refused_with_400(dial):
    client = dial()
    for method in ("GET", "POST", "OPTIONS"):
        stream = client.request([(":method", method), (":scheme", "https"),
                                 (":authority", "10.77.0.2:9000"), (":path", "/")], end=True)
        assert client.status(stream) == 400
    assert sum(app.accepts for app in dial.lab.apps) == 0


def test_unauthorised_port_is_refused_with_401(dial):
    assert dial().connect("10.77.0.2:9003")[0] == 401
    assert dial.lab.apps[2].accepts == 0


def test_dead_application_is_503(dial):
    assert dial().connect("10.77.0.2:9999")[0] == 503


def test_refusals_do_not_end_the_tunnel(dial):
    client = dial()
    assert client.connect("192.0.2.1:80")[0] == 400
    assert client.connect("10.77.0.2:9003")[0] == 401
    status, stream = client.connect("10.77.0.2:9000")
    assert status == 200
    client.send(stream, b"still here")
    assert client.receive(stream) == b"still here"
