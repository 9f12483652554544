"""Direct connections to the application's ports: what comes without a tunnel."""

import pytest

from pavise_e2e.applications import echo, echo_once, outcome
from pavise_e2e.pki import client_context

REFUSED = ("refused", "reset")  # an orderly end would say that there is a server


def start(lab, inbound, intercepted=True):
    lab.authority()
    return lab.agent(lab.server, {"inbound": inbound}, intercepted=intercepted)


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_strict_refuses_before_a_byte(lab, family):
    server = start(lab, {"mode": "strict"})
    address = getattr(lab.server, family)
    app = lab.application(lab.server, address, 9000, echo)
    assert outcome(lab.other, address, 9000) in REFUSED
    with pytest.raises(OSError):  # TLS-looking or not
        with lab.other.connect(address, 9000) as tcp:
            client_context().wrap_socket(tcp)
    assert app.accepts == 0
    assert server.status.wait_for_refusal("direct_refused")["direction"] == "inbound"


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_permissive_passes_untouched(lab, family):
    server = start(lab, {"mode": "permissive"})
    address = getattr(lab.server, family)
    app = lab.application(lab.server, address, 9000, echo)
    data = bytes(range(256)) * 100
    echo_once(lab.other, address, 9000, data)
    assert bytes(app.received) == data
    assert server.status.metric("pavise_plaintext_connections_total", direction="inbound") == 1


def test_tls_mode_of_a_port_wins(lab):
    ports = [{"port": 9001, "tlsMode": "disabled"}, {"port": 9002, "tlsMode": "tunnelOnly"}]
    start(lab, {"mode": "strict", "ports": ports})
    apps = {port: lab.application(lab.server, lab.server.v4, port, echo)
            for port in (9000, 9001, 9002)}
    echo_once(lab.other, lab.server.v4, 9001)
    assert outcome(lab.other, lab.server.v4, 9000) in REFUSED
    assert outcome(lab.other, lab.server.v4, 9002) in REFUSED
    assert [apps[port].accepts for port in (9000, 9001, 9002)] == [0, 1, 0]


def test_tunnel_only_under_permissive(lab):
    start(lab, {"mode": "permissive", "ports": [{"port": 9002, "tlsMode": "tunnelOnly"}]})
    app = lab.application(lab.server, lab.server.v4, 9002, echo)
    assert outcome(lab.other, lab.server.v4, 9002) in REFUSED
    assert app.accepts == 0
    # The tunnel is what it is for.
    lab.agent(lab.web)
    echo_once(lab.web, lab.server.v4, 9002)
    assert app.accepts == 1


def test_agents_own_ports_are_not_forwarded_to(lab):
    start(lab, {"mode": "permissive"})
    for port in (15001, 15006):
        assert outcome(lab.other, lab.server.v4, port) in REFUSED
    assert outcome(lab.other, lab.server.v4, 15020) == "refused"  # listens on loopback alone


def test_application_on_loopback_stays_unreachable(lab):
    start(lab, {"mode": "permissive"})
    app = lab.application(lab.server, "127.0.0.1", 9000, echo)
    assert outcome(lab.other, lab.server.v4, 9000) in REFUSED
    assert app.accepts == 0


@pytest.mark.parametrize("mode, tls_mode, passes", [
    ("strict", None, False), ("strict", "disabled", True),
    ("permissive", None, True), ("permissive", "tunnelOnly", False)])
def test_port_with_a_listener_of_its_own(lab, mode, tls_mode, passes):
    """No redirection: the agent listens where callers call."""
    port = {"port": 9000, "listen": f"{lab.server.v4}:9000", "deliver": "127.0.0.1:9000"}
    if tls_mode:
        port["tlsMode"] = tls_mode
    start(lab, {"listen": [], "mode": mode, "ports": [port]}, intercepted=False)
    app = lab.application(lab.server, "127.0.0.1", 9000, echo)
    assert outcome(lab.other, lab.server.v4, 9000) in (("echoed",) if passes else REFUSED)
    assert app.accepts == int(passes)
    lab.agent(lab.web)
    echo_once(lab.web, lab.server.v4, 9000)  # through the tunnel in any case
    assert app.accepts == int(passes) + 1
