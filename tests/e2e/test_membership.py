"""Who is in the mesh: destinations without a sidecar, memory, pins."""

import pytest

from pavise_e2e.applications import echo, echo_once, outcome
from pavise_e2e.lab import spiffe_id

PLAINTEXT = {"outbound": {"mesh": {"onUnreachable": "plaintext"}}}
REFUSED = ("refused", "reset", "closed")


def destination(agent, address):
    rows = agent.status.rows("/destinations")
    return next((row for row in rows if row["address"] == address), None)


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_destination_without_sidecar_under_deny(lab, family):
    lab.authority()
    web = lab.agent(lab.web)
    address = getattr(lab.other, family)
    app = lab.application(lab.other, address, 9000, echo)
    for _ in range(3):
        assert outcome(lab.web, address, 9000) in REFUSED
    assert app.accepts == 0
    refusal = web.status.wait_for_refusal("tunnel_unreachable")
    assert refusal["destination"].endswith(":9000") and refusal["detail"]
    assert destination(web, address)["state"] == "unreachable"


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_destination_without_sidecar_under_plaintext(lab, family):
    lab.authority()
    web = lab.agent(lab.web, PLAINTEXT)
    address = getattr(lab.other, family)
    app = lab.application(lab.other, address, 9000, echo)
    for _ in range(3):
        echo_once(lab.web, address, 9000)
    assert app.accepts == 3
    assert destination(web, address)["state"] == "plaintext"
    assert web.status.metric("pavise_plaintext_connections_total", direction="outbound") == 3


def test_rule_mesh_never_falls_back(lab):
    lab.authority()
    rule = {"name": "always", "match": {"networks": [lab.other.v4]}, "tls": "mesh"}
    web = lab.agent(lab.web, {"outbound": {"destinations": [rule],
                                           "mesh": {"onUnreachable": "plaintext"}}})
    app = lab.application(lab.other, lab.other.v4, 9000, echo)
    assert outcome(lab.web, lab.other.v4, 9000) in REFUSED
    assert app.accepts == 0
    assert web.status.wait_for_refusal("tunnel_unreachable")


def test_rules_deny_and_passthrough(lab):
    lab.authority()
    rules = [{"name": "closed", "match": {"ports": [9001]}, "tls": "deny"},
             {"name": "open", "match": {"networks": [lab.other.v4], "ports": ["9000-9002"]},
              "tls": "passthrough"}]
    web = lab.agent(lab.web, {"outbound": {"destinations": rules}})
    open_app = lab.application(lab.other, lab.other.v4, 9000, echo)
    closed_app = lab.application(lab.other, lab.other.v4, 9001, echo)
    echo_once(lab.web, lab.other.v4, 9000)
    assert outcome(lab.web, lab.other.v4, 9001) in REFUSED
    assert (open_app.accepts, closed_app.accepts) == (1, 0)
    assert "closed" in web.status.wait_for_refusal("denied_by_rule")["detail"]


def test_destination_outside_the_mesh_networks_passes(lab):
    lab.authority()
    lab.agent(lab.web, {"outbound": {"mesh": {"networks": ["10.99.0.0/16"]}}})
    app = lab.application(lab.other, lab.other.v4, 9000, echo)
    echo_once(lab.web, lab.other.v4, 9000)
    assert app.accepts == 1


def test_pinned_peer_is_not_downgraded_until_forgotten(lab):
    web, server = lab.pair(web=PLAINTEXT)
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000)
    pin = destination(web, lab.server.v4)
    assert (pin["state"], pin["peerId"]) == ("pinned", spiffe_id("server"))

    # The sidecar goes and so do its rules: only the pin keeps plain text from the application.
    server.kill()
    lab.release(lab.server, server)
    for _ in range(3):
        assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    assert app.accepts == 1
    assert destination(web, lab.server.v4)["state"] == "pinned"
    assert web.status.wait_for_refusal("tunnel_unreachable", "tunnel_lost")

    code, _ = web.status.post(f"/destinations/forget?address={lab.server.v4}")
    assert code == 200
    assert destination(web, lab.server.v4) is None
    echo_once(lab.web, lab.server.v4, 9000)
    assert app.accepts == 2
    assert destination(web, lab.server.v4)["state"] == "plaintext"
    assert web.status.post(f"/destinations/forget?address={lab.other.v4}")[0] == 404


def test_pinned_peer_is_found_again(lab):
    web, server = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000)
    server.kill()
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    lab.agent(lab.server, name="agent-server-again")
    echo_once(lab.web, lab.server.v4, 9000)
    assert destination(web, lab.server.v4)["state"] == "pinned"
