"""The audit of connections (`status.audit`): who connects to the application, heard by a collector
over TCP or a unix socket, while curl, openssl and redis-cli are the clients."""

import signal
import socket
import threading
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once
from pavise_e2e.audit import Collector
from pavise_e2e.edge import BOUND, Edge, Pki, run
from pavise_e2e.lab import spiffe_id
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("audit") / "pki").usual()


@pytest.fixture
def collectors():
    made = []

    def make(**how):
        made.append(Collector(**how))
        return made[-1]

    yield make
    for collector in made:
        collector.stop()


class AuditedEdge(Edge):
    """An edge whose `audit` key of a configuration is status.audit."""

    def configuration(self, keys):
        keys = dict(keys)
        audit = keys.pop("audit", None)
        drain = keys.pop("drain", "5s")
        config = {"drain": {"deadline": drain}, **super().configuration(keys)}
        if audit is not None:
            config["status"]["audit"] = audit
        return config


def edge_for(lab, pki, port, audit, **keys):
    keys = {"certificates": [pki.presented("server")], "clientCerts": pki.listed("ca"), **keys}
    return AuditedEdge(lab, pki, port, {"audit": audit, **keys})


def wait_connected(edge):
    wait_until("the collector is reached",
               lambda: edge.agent.status.metric("pavise_audit_connected") == 1)


def test_who_connects(loopback, pki, web, collectors):
    """Each connection from its beginning to its end: who it is, by which rule it was refused."""
    collector = collectors()
    edge = edge_for(loopback, pki, web.port, {"address": collector.address})
    assert edge.curl(client="client")[:2] == (0, "200")
    closed = collector.wait_for("close_conn")
    assert closed["reason"] == "done" and closed["bytes_received"] > 0 and "rule" not in closed
    conn = closed["id"]
    new = collector.wait_for("new_conn", id=conn)
    assert new["srcip"] == "127.0.0.1" and new["srcp"] == closed["srcp"]
    assert new["trgp"] == "8443" and new["transport"] == "direct"
    auth = collector.wait_for("auth", id=conn)
    subject = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in",
                  pki.certificate("client")).stdout.strip().removeprefix("subject=")
    assert auth["status"] == "accepted" and auth["peer_verified"] is True
    assert (auth["username"], auth["identity"], auth["peer_subject"]) == ("svc-a", subject, subject)
    assert int(auth["peer_serial"].replace(":", ""), 16) == pki.serial("client")
    assert auth["tls_version"] == "TLSv1.3" and auth["server_name"] == "mtls.httpbin.org"

    assert edge.curl()[0] == 56  # no certificate
    refused = collector.wait_for("auth", status="refused")
    assert refused["verify_error"] == "no_certificate" and refused["rule"] == "clientAuth"
    assert "peer_subject" not in refused and "peer_verified" not in refused
    run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-cert",
        pki.certificate("client2"), "-key", pki.key("client2"), input="")
    wrong = collector.wait_for("auth", peer_subject="CN=intruder")
    assert wrong["status"] == "refused" and wrong["verify_error"] == "untrusted"
    assert wrong["peer_verified"] is False and wrong["rule"] == "clientCerts"
    assert "identity" not in wrong and "username" not in wrong  # it is only a claim
    end = collector.wait_for("close_conn", id=wrong["id"])
    assert end["reason"] == "peer_identity" and "CN=intruder" in end["detail"]
    with edge.connect() as plain:
        plain.sendall(b"PING\r\n")
        assert collector.wait_for("close_conn", reason="tls_required")["rule"] == "tlsMode"
    check_story(collector)


def check_story(collector):
    """Every number once and in order; every end has its beginning."""
    numbers = [record["audit_seq"] for record in collector.records()]
    assert numbers == list(range(1, len(numbers) + 1))
    begun = {body["id"] for body in collector.of("new_conn")}
    assert {body["id"] for body in collector.of("close_conn")} <= begun
    assert all(abs(record["ts"] - time.time()) < 3600 for record in collector.records())


def test_requests_over_a_unix_socket(loopback, pki, web, collectors):
    """A client that is told 400: the handshake was accepted, the request was not."""
    collector = collectors(path=loopback.path("audit.sock"))
    edge = edge_for(loopback, pki, web.port, {"address": collector.address}, protocol="http",
                    onClientAuthFailure="http400")
    assert edge.curl()[:2] == (0, "400")
    request = collector.wait_for("request_refused")
    assert request["http_status"] == 400 and request["reason"] == "no_client_certificate"
    assert request["rule"] == "clientAuth"
    assert collector.wait_for("auth", id=request["id"])["verify_error"] == "no_certificate"
    assert edge.curl(client="client")[:2] == (0, "200")
    collector.wait_for("auth", username="svc-a")
    assert len(collector.of("request_refused")) == 1


def test_plain_redis_behind_tls(loopback, pki, collectors):
    """redis-cli, as in Redis Enterprise: new_conn, auth, close_conn."""
    settings.program("redis-server")
    port = free_port()
    redis = loopback.start("redis", ["redis-server", "--port", port, "--save", ""])
    loopback.wait_port(loopback.host, "127.0.0.1", port)
    collector = collectors()
    edge = edge_for(loopback, pki, port, {"address": collector.address})
    assert edge.pongs(client="client")
    conn = collector.wait_for("auth", username="svc-a")["id"]
    collector.wait_for("close_conn", id=conn)
    assert [next(iter(r.keys() - {"ts", "audit_seq"})) for r in collector.records()] == \
        ["new_conn", "auth", "close_conn"]
    redis.signal(signal.SIGTERM)


def test_a_collector_that_is_gone(loopback, pki, web, collectors):
    """Connections do not wait for it; it gets what was queued when it comes, and comes back."""
    port = free_port()
    edge = edge_for(loopback, pki, web.port, {"address": f"127.0.0.1:{port}"})
    edge.agent.wait_for_log("event=audit_unreachable")
    for _ in range(3):
        assert edge.curl(client="client")[:2] == (0, "200")
    assert edge.agent.status.metric("pavise_audit_connected") == 0
    assert edge.agent.status.metric("pavise_audit_connects_total", result="failed") >= 1
    assert edge.agent.status.metric("pavise_audit_queue_bytes") > 0
    collector = collectors(port=port)
    wait_until("all are heard of", lambda: len(collector.of("close_conn")) == 3)
    check_story(collector)
    edge.agent.wait_for_log("event=audit_connected")
    assert edge.agent.status.metric("pavise_audit_records_total", result="dropped") == 0
    assert edge.agent.log().count("event=audit_unreachable") == 1


def test_a_collector_that_hangs_up_each_time(loopback, pki, web):
    """An address where something else listens: said once, not at every attempt."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        def refuse():
            try:
                while True:
                    other.accept()[0].close()
            except OSError:
                pass

        threading.Thread(target=refuse, daemon=True).start()
        edge = edge_for(loopback, pki, web.port,
                        {"address": f"127.0.0.1:{other.getsockname()[1]}"})
        wait_until("it was tried often", lambda: edge.agent.status.metric(
            "pavise_audit_connects_total", result="ok") >= 4)
        assert edge.agent.log().count("event=audit_unreachable") == 1
        assert edge.agent.log().count("event=audit_connected") <= 1
        other.shutdown(socket.SHUT_RDWR)


def test_a_collector_that_does_not_read(loopback, pki, web, collectors):
    """The queue is bounded; what has no room is dropped, counted and said, and no client waits."""
    collector = collectors(path=loopback.path("audit.sock"), reads=False)
    edge = edge_for(loopback, pki, web.port,
                    {"address": collector.address, "queueMaxBytes": 16384})
    wait_connected(edge)
    status = edge.agent.status

    def dropped():
        return status.metric("pavise_audit_records_total", result="dropped")

    def fill():
        for _ in range(200):
            with edge.connect() as plain:
                plain.sendall(b"x")
                plain.settimeout(settings.PATIENCE_S)
                try:
                    assert plain.recv(1) == b""
                except ConnectionResetError:
                    pass
        return dropped() > 0

    assert wait_until("something is dropped", fill)
    assert status.metric("pavise_audit_queue_bytes") <= 16384
    assert edge.curl(client="client")[:2] == (0, "200")
    edge.agent.wait_for_log("event=audit_dropped")
    collector.read()
    queued = status.metric("pavise_audit_records_total", result="queued")
    wait_until("the rest has come", lambda: len(collector.records()) >= queued)
    numbers = [record["audit_seq"] for record in collector.records()]
    assert numbers == sorted(set(numbers))
    before = dropped()
    assert edge.curl(client="client")[:2] == (0, "200")
    collector.wait_for("auth", username="svc-a")
    assert dropped() == before
    last = collector.records()[-1]["audit_seq"]
    assert last - len(collector.records()) == before  # the gaps say how many


def test_changes_without_restart(loopback, pki, web, collectors):
    """On, to another collector, off: for new connections, and a mistake changes nothing."""
    first, second = collectors(), collectors(path=loopback.path("audit.sock"))
    keys = {"certificates": [pki.presented("server")], "clientAuth": "none"}
    edge = AuditedEdge(loopback, pki, web.port, keys)
    with edge.connect() as before:
        wait_until("it is taken in",
                   lambda: edge.agent.status.metric("pavise_open_connections") == 1)
        edge.reload({**keys, "audit": {"address": first.address}})
        assert edge.curl()[:2] == (0, "200")
        conn = first.wait_for("close_conn")["id"]
        before.close()
        assert edge.curl()[:2] == (0, "200")
        wait_until("the next is heard of", lambda: len(first.of("close_conn")) == 2)
        # The one from before the audit is not audited.
        assert conn == first.of("new_conn")[0]["id"] and len(first.of("new_conn")) == 2
    said = edge.reload({**keys, "audit": {"address": "nobody"}})
    assert 'address: \\"nobody\\": it has no port' in said and "event=reload_refused" in said
    assert edge.curl()[:2] == (0, "200")
    wait_until("the old one is in force", lambda: len(first.of("close_conn")) == 3)
    edge.reload({**keys, "audit": {"address": second.address}})
    assert edge.curl()[:2] == (0, "200")
    second.wait_for("close_conn")
    assert len(first.of("new_conn")) == 3
    edge.reload(keys)
    assert edge.curl()[:2] == (0, "200")
    assert len(second.of("new_conn")) == 1


def test_the_end_is_heard_of(loopback, pki, web, collectors):
    """What ends with the agent is in the audit."""
    collector = collectors()
    edge = edge_for(loopback, pki, web.port, {"address": collector.address},
                    tlsMode="permissive", drain="1s")
    with edge.connect() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n")  # and never the rest
        conn = collector.wait_for("new_conn")["id"]
        edge.agent.signal(signal.SIGTERM)
        assert collector.wait_for("close_conn", id=conn)["reason"] == "drain_deadline"


def test_the_mesh_is_audited(lab, collectors):
    """Connections through the tunnel have the identity of the peer; a peer that is refused at the
    tunnel port has no connection, only its refusal."""
    collector = collectors(path=lab.path("audit.sock"))
    lab.path("audit.sock").chmod(0o666)
    lab.pair(server={"status": {"audit": {"address": collector.address}},
                     "inbound": {"authorization": [{"action": "allow",
                                                    "peers": [spiffe_id("web")]}]}})
    lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000, b"hello")
    auth = collector.wait_for("auth")
    assert auth["status"] == "accepted" and auth["identity"] == spiffe_id("web")
    assert auth["tls_version"] == "TLSv1.3" and auth["srcip"] == lab.web.v4
    new = collector.wait_for("new_conn", id=auth["id"])
    assert new["transport"] == "tunnel" and new["trgp"] == "9000"
    collector.wait_for("close_conn", id=auth["id"], reason="done")
    with lab.other.connect(lab.server.v4, 15008) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger = collector.wait_for("auth", status="refused", id=0)
    assert stranger["reason"] == "tls_failed" and stranger["transport"] == "tunnel"
    lab.agent(lab.other)
    try:
        with lab.connect(lab.other, lab.server.v4, 9000) as refused:
            refused.sendall(b"x")
            refused.settimeout(settings.PATIENCE_S)
            refused.recv(1)
    except OSError:
        pass
    auth = collector.wait_for("auth", identity=spiffe_id("other"))
    assert auth["status"] == "refused" and "no rule of inbound.auth" in auth["detail"]
    collector.wait_for("close_conn", id=auth["id"], reason="unauthorized")


def test_by_way_of_mutual_tls(loopback, pki, web, collectors):
    """The agent's own outbound listener takes the lines to a collector that speaks TLS."""
    collector = collectors()
    loopback.authority()
    tls, listener = free_port(), free_port()
    front = loopback.run_agent("front", {
        "outbound": {"listen": []},
        "inbound": {"listen": [], "tunnel": [], "ports": [
            {"port": 6514, "listen": f"127.0.0.1:{tls}", "deliver": collector.address,
             "tlsMode": "required", "certificates": [pki.presented("server")],
             "clientCerts": pki.listed("ca")}]},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)
    port = free_port()
    loopback.run_agent("edge", {
        "outbound": {
            "listen": [],
            "listeners": [{"listen": f"127.0.0.1:{listener}", "destination": f"127.0.0.1:{tls}"}],
            "certificates": [pki.presented("client")],
            "destinations": [{"match": {"ports": [tls]}, "tls": "mutual", "clientCert": "client",
                              "serverName": "localhost", "serverCerts": pki.listed("ca")}]},
        "inbound": {"listen": [], "tunnel": [], "ports": [
            {"port": 8080, "listen": f"127.0.0.1:{port}", "deliver": f"127.0.0.1:{web.port}",
             "tlsMode": "disabled"}]},
        "status": {"listen": f"127.0.0.1:{free_port()}",
                   "audit": {"address": f"127.0.0.1:{listener}"}}}, host=loopback.host)
    assert run("curl", "-sS", "--noproxy", "*", "--max-time", BOUND,
               f"http://127.0.0.1:{port}/").returncode == 0
    assert collector.wait_for("close_conn")["trgp"] == "8080"
    assert len(collector.of("new_conn")) == 1  # its own connection is no news
    assert front.status.rows("/connections")[0]["security"] == "mutual_tls"
