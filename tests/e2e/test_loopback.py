"""Two agents on one machine, no privilege: explicit listeners on loopback addresses."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once, exchange, outcome
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

OWN_ID = f"spiffe://{settings.TRUST_DOMAIN}/uid/{os.getuid()}"


class Pair:
    """The README's pair of agents; `address` and `port` are where the client application calls."""

    def __init__(self, lab, server=None, client=None):
        lab.authority()
        self.app = lab.application(lab.host, "127.0.0.1", 0, echo)
        tunnel, self.port = free_port("127.0.0.2"), free_port()
        self.health = free_port()
        self.server = lab.run_agent("agent-server", {
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{tunnel}"],
                        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{self.app.port}"}]},
            "status": {"listen": f"127.0.0.1:{free_port()}",
                       "health": f"127.0.0.1:{self.health}"},
            **(server or {})}, host=lab.host)
        self.client = lab.run_agent("agent-client", {
            "outbound": {"listen": [],
                         "listeners": [{"listen": f"127.0.0.1:{self.port}",
                                        "destination": "127.0.0.2:11000"}],
                         "mesh": {"networks": ["127.0.0.0/8"], "port": tunnel}},
            "inbound": {"listen": [], "tunnel": []},
            "status": {"listen": f"127.0.0.1:{free_port()}"},
            **(client or {})}, host=lab.host)
        self.host = lab.host

    def echo(self, data=b"hello"):
        echo_once(self.host, "127.0.0.1", self.port, data)


@pytest.fixture
def pair(loopback):
    return Pair(loopback)


def test_relays_without_root(pair):
    data = hashlib.shake_256(b"loopback").digest(3_000_000)
    with pair.host.connect("127.0.0.1", pair.port) as connection:
        connection.settimeout(settings.PATIENCE_S)
        assert exchange(connection, data[:100_000]) == data[:100_000]
    pair.echo(b"again")
    assert pair.client.status.rows("/tunnels")[0]["peerId"] == OWN_ID


def test_listener_to_a_closed_port_of_the_peer(pair, loopback):
    pair.app.stop()
    assert outcome(pair.host, "127.0.0.1", pair.port) in ("reset", "closed")
    assert pair.client.status.wait_for_refusal("app_unreachable")


# --- the status port ----------------------------------------------------------------------------

JSON_PAGES = {
    "/identity": ("state", "svids", "source", "rotations"),
    "/certs": ("certificates",),
    "/listeners": ("listeners",),
    "/connections": ("connections",),
    "/tunnels": ("tunnels",),
    "/destinations": ("destinations",),
    "/refusals": ("refusals",),
    "/config": ("identity", "outbound", "inbound", "status"),
}


def test_pages(pair):
    status = pair.client.status
    held = pair.host.connect("127.0.0.1", pair.port)
    assert exchange(held, b"hello") == b"hello"
    for path, keys in JSON_PAGES.items():
        page = status.json(path)
        assert all(key in page for key in keys), path
    for path in ("/livez", "/readyz", "/healthz/ready", "/startupz", "/metrics", "/"):
        assert status.get(path)[0] == 200, path
    row = status.rows("/connections")[0]
    assert (row["direction"], row["security"]) == ("outbound", "mutual_tls")
    assert (row["ownId"], row["peerId"]) == (OWN_ID, OWN_ID)
    assert (row["bytesSent"], row["bytesReceived"]) == (5, 5)
    assert row["destination"] == "127.0.0.2:11000"
    identity = status.json("/identity")
    assert identity["state"] == "valid" and identity["svids"][0]["spiffeId"] == OWN_ID
    assert [row["address"] for row in status.rows("/destinations")] == ["127.0.0.2"]
    held.close()
    wait_until("the connection is gone", lambda: status.rows("/connections") == [])


def test_reading_changes_nothing_and_posts_are_guarded(pair):
    status = pair.client.status
    for path in ("/rotate", "/drain", "/logging", "/destinations/forget", "/quitquitquit"):
        assert status.get(path)[0] in (404, 405), path
    for path in ("/identity", "/config", "/metrics"):
        assert status.post(path)[0] == 405, path
    assert status.get("/nothing")[0] == 404
    assert status.post("/quitquitquit")[0] == 404  # off by default
    pair.echo()


@pytest.mark.parametrize("header", ["Host: attacker.example", "Host: 127.0.0.1\r\nOrigin: "
                                    "http://attacker.example", "Host: 10.0.0.1"])
def test_foreign_host_and_origin_are_refused(pair, header):
    """DNS rebinding and cross-site requests."""
    port = pair.client.status.port
    for method in ("GET /identity", "POST /rotate"):
        if method.startswith("GET") and "Origin" in header:
            continue
        with pair.host.connect("127.0.0.1", port) as connection:
            connection.sendall(f"{method} HTTP/1.1\r\n{header}\r\nContent-Length: 0\r\n\r\n"
                               .encode())
            answer = connection.recv(200)
        assert re.match(rb"HTTP/1.1 (400|403|421) ", answer), answer


def test_metrics_move(pair):
    client, server = pair.client.status, pair.server.status

    def numbers():
        return (client.metric("pavise_connections_opened_total", direction="outbound"),
                client.metric("pavise_bytes_total", direction="sent"),
                client.metric("pavise_bytes_total", direction="received"),
                server.metric("pavise_connections_opened_total", direction="inbound"))

    before = numbers()
    for _ in range(3):
        pair.echo(b"x" * 100)
    wait_until("the numbers have moved", lambda: numbers() == tuple(
        old + step for old, step in zip(before, (3, 300, 300, 3))))
    assert client.metric("pavise_handshakes_total", direction="outbound", result="ok") >= 1
    assert client.metric("pavise_plaintext_connections_total") == 0
    assert server.metric("pavise_plaintext_connections_total") == 0
    assert server.metric("pavise_handshakes_total", direction="inbound", result="ok") >= 1
    assert client.metric("pavise_certificate_not_after_timestamp_seconds", kind="identity") > 1e9


LABEL = r'[a-z_]+="[^"]*"'
SAMPLE = rf"([a-z_]+)(\{{{LABEL}(,{LABEL})*\}})? [-+0-9.einfNa]+"


def test_metrics_are_well_formed(pair):
    pair.echo()
    names, helped = set(), set()
    for line in pair.client.status.get("/metrics")[1].splitlines():
        if line.startswith("# HELP "):
            assert line.split()[2] not in helped, line
            helped.add(line.split()[2])
        elif not line.startswith("#"):
            sample = re.fullmatch(SAMPLE, line)
            assert sample, line
            names.add(sample.group(1))
    assert names and all(name in helped or name.rsplit("_", 1)[0] in helped for name in names)


def test_health_listener_has_no_more_than_health(pair):
    status = type(pair.server.status)(pair.host, pair.health)
    for path in ("/livez", "/readyz", "/startupz", "/metrics"):
        assert status.get(path)[0] == 200, path
    for path in ("/", "/identity", "/config", "/connections", "/certs", "/refusals"):
        assert status.get(path)[0] == 404, path
    for path in ("/drain", "/rotate", "/quitquitquit"):
        assert status.post(path)[0] == 404, path


def test_status_command(pair, loopback):
    pair.echo()

    def status(*words):
        return subprocess.run([loopback.pavise, "status", *words], text=True, timeout=60,
                              capture_output=True, env=settings.environment(), check=False)

    address = f"127.0.0.1:{pair.client.status.port}"
    for words in ([], ["identity"], ["connections"], ["tunnels"], ["destinations"]):
        done = status(*words, "--address", address)
        assert done.returncode == 0 and done.stdout, done.stderr
    assert OWN_ID in status("identity", "--config", str(pair.client.config_path)).stdout
    page = json.loads(status("identity", "--address", address, "-o", "json").stdout)
    assert page["svids"][0]["spiffeId"] == OWN_ID
    assert status("--ready", "--address", address).returncode == 0
    pair.client.kill()
    assert status("--ready", "--address", address).returncode != 0


def test_logging_level_by_post(pair):
    status = pair.client.status

    def closed():
        return status.metric("pavise_connections_closed_total", direction="outbound")

    assert status.post("/logging?level=error")[0] == 200
    before = pair.client.log().count("event=connection_closed")
    pair.echo()
    wait_until("the first one is over", lambda: closed() == 1)
    assert status.post("/logging?level=loud")[0] == 400
    assert status.post("/logging?level=info")[0] == 200
    pair.echo()
    wait_until("the second one is logged", lambda:
               pair.client.log().count("event=connection_closed") == before + 1)


def test_drain_by_post(pair):
    assert pair.server.status.post("/drain")[0] == 200
    wait_until("not ready", lambda: not pair.server.status.is_ready())
    wait_until("nothing new comes in", lambda:
               outcome(pair.host, "127.0.0.1", pair.port) in ("reset", "closed"))
    assert pair.server.is_running()


# --- secrets ------------------------------------------------------------------------------------


def test_no_secret_and_no_payload_in_any_output(loopback):
    """Keys of the CA and application data are in no log, page or metric, also at level debug."""
    pair = Pair(loopback, client={"log": {"level": "debug"}},
                server={"log": {"level": "debug"}})
    payload = b"payload-marker-0123456789"
    pair.echo(payload)
    seen = "".join(text for _, text in loopback.logs())
    for agent in (pair.client, pair.server):
        seen += "".join(agent.status.get(path)[1] for path in [*JSON_PAGES, "/metrics", "/"])
    assert "connection_closed" in seen and OWN_ID in seen
    key = loopback.path("authority.state/ca.key").read_text()
    secrets = [line for line in key.splitlines() if line and not line.startswith("-----")]
    assert secrets
    for secret in [*secrets, "PRIVATE KEY", payload.decode()]:
        assert secret not in seen
