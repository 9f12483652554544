"""The main job: unmodified applications on two hosts talk through two agents."""

import hashlib
import re
import socket

import pytest

from pavise_e2e import applications, nginx, settings
from pavise_e2e.applications import echo, echo_once, exchange, receive_all, receive_exactly
from pavise_e2e.lab import spiffe_id
from pavise_e2e.network import Wire

MARKER = b"marker-that-must-not-cross-in-clear"


def test_bytes_cross_in_mutual_tls_only(lab):
    web, server = lab.pair()
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    with Wire(lab.network, lab.server) as wire:
        echo_once(lab.web, lab.server.v4, 9000, MARKER * 10)
    assert bytes(app.received) == MARKER * 10
    assert wire.bytes_seen() > len(MARKER) * 20
    assert not wire.has(MARKER)
    assert wire.opened(lab.server.v4, 9000) == 0
    assert wire.opened(lab.server.v4, 15008) >= 1
    tunnel = web.status.rows("/tunnels")[0]
    assert (tunnel["tlsVersion"], tunnel["peerId"]) == ("TLSv1.3", spiffe_id("server"))
    assert server.status.rows("/tunnels")[0]["peerId"] == spiffe_id("web")


def test_the_capture_sees_what_is_not_protected(lab):
    """The negative control of the test above."""
    lab.application(lab.server, lab.server.v4, 9000, echo)
    with Wire(lab.network, lab.server) as wire:
        echo_once(lab.web, lab.server.v4, 9000, MARKER)
    assert wire.has(MARKER)
    assert wire.opened(lab.server.v4, 9000) == 1


def test_ipv6(lab):
    web, _ = lab.pair()
    lab.application(lab.server, lab.server.v6, 9000, echo)
    with Wire(lab.network, lab.server) as wire:
        echo_once(lab.web, lab.server.v6, 9000, MARKER)
    assert not wire.has(MARKER)
    assert web.status.rows("/tunnels")[0]["peer"] == f"[{lab.server.v6}]:15008"


def test_server_speaks_first(lab):
    lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, applications.speak_first)
    with lab.web.connect(lab.server.v4, 9000) as connection:
        greeting = receive_exactly(connection, len(applications.GREETING))
        assert greeting == applications.GREETING
        assert exchange(connection, b"HELO") == b"HELO"


def test_two_thousand_concurrent_connections(lab):
    web, server = lab.pair()
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    messages = [hashlib.sha256(str(i).encode()).digest() * 32 for i in range(2000)]
    connections = [lab.connect(lab.web, lab.server.v4, 9000) for _ in messages]
    for connection, message in zip(connections, messages):
        connection.sendall(message)
    for connection, message in zip(connections, messages):
        assert receive_exactly(connection, len(message)) == message
    assert app.accepts == 2000
    assert web.status.metric("pavise_open_connections", direction="outbound") == 2000
    assert server.status.metric("pavise_open_connections", direction="inbound") == 2000
    assert web.status.rows("/connections")[0]["peerId"] == spiffe_id("server")


def test_download_has_the_same_digest(lab):
    curl = settings.program("curl")
    size_mib = 256 if settings.is_quick() else 1024
    lab.pair()
    blob = lab.path("blob")
    make_blob(blob, size_mib)
    nginx.start(lab, lab.server,
                f"server {{ listen {lab.server.v4}:8080; root {lab.directory}; }}", 8080)
    with lab.web.popen([curl, "-sS", "--fail", f"http://{lab.server.v4}:8080/blob"],
                       stdout=-1) as client:
        assert digest(client.stdout) == digest(blob.open("rb"))
    assert client.returncode == 0


def make_blob(path, size_mib):
    """Different in every mebibyte, so that a lost or swapped part shows."""
    part = hashlib.shake_256(b"pavise").digest(1 << 20)
    with path.open("wb") as out:
        for i in range(size_mib):
            out.write(i.to_bytes(8, "big") + part[8:])
    path.chmod(0o644)


def digest(stream):
    sha = hashlib.sha256()
    with stream:
        while data := stream.read(1 << 20):
            sha.update(data)
    return sha.hexdigest()


def test_readers_that_stop_do_not_block_others(lab):
    """Far more unread data than a tunnel's window holds: what waits is theirs alone."""
    web, server = lab.pair()
    data = hashlib.shake_256(b"unread").digest(4 << 20)
    lab.application(lab.server, lab.server.v4, 9000, applications.send(data))
    lab.application(lab.server, lab.server.v4, 9001, echo)
    stopped = [lab.connect(lab.web, lab.server.v4, 9000) for _ in range(64)]
    for connection in stopped:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert connection.recv(1) == data[:1]
    for _ in range(20):  # on every worker's tunnel
        echo_once(lab.web, lab.server.v4, 9001, b"x" * 100_000)
    assert receive_all(stopped[0]) == data[1:]
    assert receive_all(stopped[-1]) == data[1:]


@pytest.mark.parametrize("chunk", [1, 1448, 16375, 16384, 100_003])
def test_odd_sizes_arrive_unchanged(lab, chunk):
    """Both directions at once, writes that match no record or frame size."""
    lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    data = hashlib.shake_256(b"odd").digest(min(chunk * 500, 8 << 20))
    with lab.web.connect(lab.server.v4, 9000) as connection:
        writer = applications.writing(connection, data, chunk)
        assert receive_exactly(connection, len(data)) == data
        writer.result()


def test_log_line_names_both_identities(lab):
    web, server = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000, b"x" * 1234)
    for agent, own, peer in ((web, "web", "server"), (server, "server", "web")):
        agent.wait_for_log("connection_closed")
        line = next(x for x in agent.log().splitlines() if "connection_closed" in x)
        assert re.search(rf'own_id="?{spiffe_id(own)}\b', line), line
        assert re.search(rf'peer_id="?{spiffe_id(peer)}\b', line), line
        assert "reason=done" in line and "bytes_sent=1234" in line, line
        assert "bytes_received=1234" in line, line
