"""Peers that must not get through: no byte of theirs reaches the application, and /refusals says
why."""

import contextlib
import ssl

import pytest

from pavise_e2e import h2
from pavise_e2e.applications import echo, echo_once, outcome
from pavise_e2e.lab import ENTRIES, spiffe_id
from pavise_e2e.pki import Ca, client_context

APP_PORT = 9000
FOREIGN_DOMAIN = "elsewhere.test"
REFUSED = ("refused", "reset", "closed")


@pytest.fixture
def target(lab):
    """An agent on `server` in front of an application; the CA that signed its identity."""
    lab.authority()
    lab.target_agent = lab.agent(lab.server)
    lab.app = lab.application(lab.server, lab.server.v4, APP_PORT, echo)
    lab.ca = Ca(lab.path("authority.state"), lab.directory)
    return lab


def tunnel_status(lab, pair, alpn=("h2",)):
    """What a raw peer on `other` gets for a CONNECT to the application: an HTTP status, or None
    when the tunnel is not even opened."""
    context = client_context(pair, lab.ca.certificate, alpn)
    with contextlib.suppress(OSError, h2.StreamError):  # ssl.SSLError is an OSError
        with lab.other.connect(lab.server.v4, 15008) as tcp, context.wrap_socket(tcp) as tls:
            client = h2.Client(tls)
            status, stream = client.connect(f"{lab.server.v4}:{APP_PORT}")
            if status == 200:
                client.send(stream, b"hello")
                assert client.receive(stream) == b"hello"
            return status
    return None


def test_a_right_certificate_gets_through(target):
    """The control: the raw peer of this file is otherwise in order."""
    pair = target.ca.issue("good", f"URI:{spiffe_id('other')}")
    assert tunnel_status(target, pair) == 200
    assert target.app.accepts == 1


WRONG_CERTIFICATES = {
    "expired": {"names": [f"URI:{spiffe_id('other')}"], "start_h": -48, "end_h": -1},
    "not yet valid": {"names": [f"URI:{spiffe_id('other')}"], "start_h": 24, "end_h": 48},
    "no SPIFFE ID": {"names": ["DNS:other.example.org"]},
    "two SPIFFE IDs": {"names": [f"URI:{spiffe_id('other')}", f"URI:{spiffe_id('web')}"]},
    "ID of another trust domain": {"names": [f"URI:spiffe://{FOREIGN_DOMAIN}/ns/a/sa/b"]},
    "ID without a path": {"names": ["URI:spiffe://example.org"]},
}


@pytest.mark.parametrize("what", WRONG_CERTIFICATES)
def test_wrong_certificate(target, what):
    options = dict(WRONG_CERTIFICATES[what])
    pair = target.ca.issue("wrong", *options.pop("names"), **options)
    assert tunnel_status(target, pair) is None
    refusal = target.target_agent.status.wait_for_refusal("peer_identity", "tls_failed")
    assert refusal["direction"] == "inbound" and refusal["detail"]
    if what == "expired":
        assert "expired" in refusal["detail"]
    assert target.app.accepts == 0


def test_no_certificate(target):
    assert tunnel_status(target, None) is None
    refusal = target.target_agent.status.wait_for_refusal("peer_identity", "tls_failed")
    assert "certificate" in refusal["detail"].lower()
    assert target.app.accepts == 0


def test_certificate_of_an_unknown_ca(target):
    target.authority(name="foreign", trust_domain=FOREIGN_DOMAIN, entries=None)
    ca = Ca(target.path("foreign.state"), target.directory)
    for name in (f"spiffe://{FOREIGN_DOMAIN}/ns/a/sa/b", spiffe_id("other")):
        pair = ca.issue(f"n{len(name)}", f"URI:{name}")
        assert tunnel_status(target, pair) is None
    assert target.target_agent.status.wait_for_refusal("peer_identity", "tls_failed")["detail"]
    assert target.app.accepts == 0


def test_sidecar_of_another_trust_domain(target):
    """A whole foreign sidecar: it refuses us as we refuse it."""
    target.authority(name="foreign", trust_domain=FOREIGN_DOMAIN, entries=None)
    other = target.agent(target.other, {"identity": {"endpoint": target.endpoint("foreign")},
                                        "outbound": {"mesh": {"onUnreachable": "plaintext"}}})
    assert outcome(target.other, target.server.v4, APP_PORT) in REFUSED
    assert other.status.wait_for_refusal("peer_identity", "tls_failed")["detail"]
    assert target.app.accepts == 0


def test_tls12_and_wrong_alpn(target):
    pair = target.ca.issue("good", f"URI:{spiffe_id('other')}")
    assert tunnel_status(target, pair, alpn=("http/1.1",)) is None
    context = client_context(pair)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):
        with target.other.connect(target.server.v4, 15008) as tcp:
            context.wrap_socket(tcp)
    assert target.app.accepts == 0


def test_plain_text_at_the_tunnel_port(target):
    with target.other.connect(target.server.v4, 15008) as connection:
        connection.sendall(h2.PREFACE + b"hello" * 100)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert target.app.accepts == 0
    assert target.target_agent.status.is_ready()


def test_peer_that_is_not_authorised(lab):
    rules = [{"action": "deny", "peers": [spiffe_id("web")], "ports": [9001]},
             {"action": "allow", "peers": [spiffe_id("web")]}]
    web, server = lab.pair(server={"inbound": {"authorization": rules}})
    other = lab.agent(lab.other)
    apps = [lab.application(lab.server, lab.server.v4, port, echo) for port in (9000, 9001)]
    echo_once(lab.web, lab.server.v4, 9000)  # the control
    assert outcome(lab.web, lab.server.v4, 9001) in REFUSED  # by the rule that denies
    assert outcome(lab.other, lab.server.v4, 9000) in REFUSED  # for want of one that allows
    assert [app.accepts for app in apps] == [1, 0]
    for agent in (web, other):
        assert agent.status.wait_for_refusal("refused_by_peer")
    refusals = [row for row in server.status.rows("/refusals") if row["reason"] == "unauthorized"]
    assert {row["peerId"] for row in refusals} == {spiffe_id("web"), spiffe_id("other")}
    assert all(row["detail"] for row in refusals)
    assert server.status.metric("pavise_policy_decisions_total", decision="deny") == 2


def test_server_whose_identity_is_not_the_expected_one(lab):
    rule = {"name": "strict", "match": {"ports": [9000]}, "tls": "mesh",
            "peers": ["spiffe://example.org/ns/default/sa/somebody-else"]}
    web, _ = lab.pair(web={"outbound": {"destinations": [rule]}})
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    refusal = web.status.wait_for_refusal("peer_not_accepted")
    assert spiffe_id("server") in refusal["detail"] or refusal["peerId"] == spiffe_id("server")
    assert app.accepts == 0


def test_uid_without_an_entry_gets_no_identity(lab):
    """The agent comes up, says what is pending, and passes nothing."""
    lab.authority(entries=[entry for entry in ENTRIES if "web" not in entry["spiffeId"]])
    lab.agent(lab.server)
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    web = lab.agent(lab.web, {"outbound": {"mesh": {"onUnreachable": "plaintext"}}}, ready=False)
    web.wait_for_log("started")
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    assert web.status.wait_for_refusal("no_identity")
    code, body = web.status.get("/readyz")
    assert code == 503 and "identity" in body
    assert app.accepts == 0
