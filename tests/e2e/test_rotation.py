"""Certificates come and go under load; the identity server comes and goes."""

import time

from pavise_e2e import settings
from pavise_e2e.applications import assert_cut, echo, echo_once, exchange, outcome
from pavise_e2e.lab import ENTRIES, spiffe_id
from pavise_e2e.waiting import wait_until

REFUSED = ("refused", "reset", "closed")
LENGTH_S, LEAST_SERIALS = (20, 7) if settings.is_quick() else (60, 20)


def test_rotation_under_load(lab):
    """Every 2 s a new certificate on both sides: no exchange fails, every connection that was
    open at the start is open at the end, new tunnels are made with new certificates."""
    web, server = lab.pair(authority=["--ttl", "8s", "--rotate-every", "2s"])
    lab.application(lab.server, lab.server.v4, 9000, echo)
    held = [lab.connect(lab.web, lab.server.v4, 9000) for _ in range(10)]
    load = lab.load(lab.web, lab.server.v4, 9000, threads=6)
    end = time.monotonic() + LENGTH_S
    beat = 0
    while time.monotonic() < end:
        beat += 1
        for connection in held:
            message = f"beat {beat}".encode()
            assert exchange(connection, message) == message
        time.sleep(0.2)
    load.stop()
    assert not load.failures and load.exchanges > LENGTH_S
    assert len(serials_used(server)) >= LEAST_SERIALS
    assert len(serials_used(web)) >= LEAST_SERIALS
    identity = web.status.json("/identity")
    assert identity["rotations"] >= LEAST_SERIALS - 1 and identity["counts"]["refused"] == 0
    assert web.status.reasons() == [] and server.status.reasons() == []


def tunnel_of(agent, port):
    """The tunnel of the one open connection to `port`."""
    row, = (row for row in agent.status.rows("/connections")
            if row["direction"] == "outbound" and row["destination"].endswith(f":{port}"))
    return next(t for t in agent.status.rows("/tunnels") if t["id"] == row["tunnelId"])


def test_no_connection_rides_another_ones_tunnel(lab):
    """Tunnels are shared by what they were made with: the acceptable peers, and the own identity.
    After a rotation new connections go by a new one, while the old one serves what is on it."""
    rules = [{"match": {"ports": [port]}, "tls": "mesh", "peers": peers}
             for port, peers in ((9000, [spiffe_id("server")]), (9001, [spiffe_id("server")]),
                                 (9002, [spiffe_id("server"), spiffe_id("web")]))]
    web, _ = lab.pair(web={"workers": 1, "outbound": {"destinations": rules}},
                      authority=["--ttl", "1h", "--rotate-every", "4s"])

    def hold(port):
        connection = lab.connect(lab.web, lab.server.v4, port)
        assert exchange(connection, b"hello") == b"hello"
        return connection

    def three_in_one_generation():
        """Their tunnels, unless a rotation came between."""
        connections = [hold(port) for port in (9000, 9001, 9002)]
        tunnels = [tunnel_of(web, port) for port in (9000, 9001, 9002)]
        if len({tunnel["ownSerial"] for tunnel in tunnels}) == 1:
            return connections, tunnels
        for connection in connections:
            connection.close()
        wait_until("they are gone", lambda: not [
            row for row in web.status.rows("/connections") if row["direction"] == "outbound"])
        return None

    for port in (9000, 9001, 9002):
        lab.application(lab.server, lab.server.v4, port, echo)
    connections, tunnels = wait_until("three connections", three_in_one_generation)
    assert tunnels[0]["id"] == tunnels[1]["id"] != tunnels[2]["id"]

    before = tunnels[0]["ownSerial"]
    connections.pop(1).close()
    wait_until("it is gone", lambda: len(web.status.rows("/connections")) == 2)
    wait_until("web has another certificate", lambda: web.status.serial() != before)
    connections.append(hold(9001))
    after = tunnel_of(web, 9001)
    assert after["id"] not in {tunnel["id"] for tunnel in tunnels}
    assert after["ownSerial"] != before
    assert tunnel_of(web, 9000)["ownSerial"] == before
    for connection in connections:
        assert exchange(connection, b"still open") == b"still open"


def serials_used(agent):
    """Serials of the peer's certificates over which connections really went."""
    return {word.partition("=")[2] for line in agent.log().splitlines()
            if "event=connection_closed" in line and "reason=done" in line
            for word in line.split() if word.startswith("peer_serial=")}


def test_rotation_on_demand(lab):
    web, _ = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    with lab.web.connect(lab.server.v4, 9000) as held:
        assert exchange(held, b"before") == b"before"
        code, body = web.status.post("/rotate")
        assert code == 200, body
        assert web.status.get("/rotate")[0] == 405
        assert exchange(held, b"after") == b"after"
    echo_once(lab.web, lab.server.v4, 9000)


def test_authority_stopped_and_started_again(lab):
    """Traffic goes on while certificates last; then nothing goes, least of all in plain text;
    with the authority back everything goes again, and no agent was restarted."""
    options = ["--ttl", "6s", "--rotate-every", "2s"]
    web, server = lab.pair(web={"outbound": {"mesh": {"onUnreachable": "plaintext"}}},
                           authority=options)
    authority = lab.processes[0]
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"first") == b"first"
    assert authority.terminate() == 0
    assert outcome(lab.web, lab.server.v4, 9000) == "echoed"

    def is_expired():
        return web.status.json("/identity")["state"] == "expired"

    wait_until("the certificate of web has expired", is_expired)
    wait_until("nothing goes any more", lambda: outcome(lab.web, lab.server.v4, 9000) in REFUSED)
    accepts = app.accepts
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    assert app.accepts == accepts
    assert "identity_expired" in web.status.reasons()
    assert web.status.get("/readyz")[0] == 503
    assert exchange(held, b"still open") == b"still open"

    lab.authority(*options, name="authority")
    for agent in (web, server):
        agent.wait_ready()
    wait_until("traffic works again",
               lambda: outcome(lab.web, lab.server.v4, 9000) == "echoed")
    assert exchange(held, b"to the end") == b"to the end"


def test_authority_killed_and_started_again(lab):
    """kill -9 leaves the socket file behind; it is no obstacle."""
    web, _ = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    lab.processes[0].kill()
    echo_once(lab.web, lab.server.v4, 9000)
    lab.authority(name="authority")
    wait_until("web is connected to its source again", lambda:
               web.status.json("/identity")["source"]["state"] == "connected")
    echo_once(lab.web, lab.server.v4, 9000)


def test_agent_waits_for_an_authority_that_comes_later(lab):
    web = lab.agent(lab.web, {"outbound": {"mesh": {"onUnreachable": "plaintext"}}}, ready=False)
    web.wait_for_log("started")
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    assert app.accepts == 0
    assert web.status.get("/readyz")[0] == 503 and web.status.get("/livez")[0] == 200
    lab.authority()
    web.wait_ready()


def test_withdrawn_identity_ends_what_is_open(lab):
    """The entry of web is removed: its connections are cut and new ones refused."""
    web, _ = lab.pair(authority=["--ttl", "8s", "--rotate-every", "2s"])
    lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"hello") == b"hello"
    lab.rewrite_entries([entry for entry in ENTRIES if "/web" not in entry["spiffeId"]])
    web.wait_for_log("identity_withdrawn")
    wait_until("nothing is left open",
               lambda: web.status.metric("pavise_open_connections") == 0)
    assert_cut(held)
    wait_until("nothing goes any more", lambda:
               outcome(lab.web, lab.server.v4, 9000) in REFUSED)
    assert web.status.json("/identity")["svids"] == []
