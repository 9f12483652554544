"""TLS sessions are resumed, but never across a change of bundle, policy or identity.
The client on the tunnel port is openssl, which keeps and offers whatever it likes."""

import json
import subprocess
import time

import pytest

from pavise_e2e import h2, settings
from pavise_e2e.lab import merged
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

CLIENT_ID = "spiffe://example.org/ns/default/sa/openssl"
RESULTS = ("ok", "resumed", "failed", "refused", "timeout")
TRIES = 5 if settings.is_quick() else 20
TUNNEL = "127.0.0.2"


class Server:
    """An agent with a tunnel port, and what openssl needs to come in."""

    def __init__(self, lab, name="agent"):
        self.lab = lab
        self.port = free_port(TUNNEL)
        self.config = {"outbound": {"listen": []},
                       "inbound": {"listen": [], "tunnel": [f"{TUNNEL}:{self.port}"]},
                       "status": {"listen": f"127.0.0.1:{free_port()}"}}
        self.agent = lab.run_agent(name, self.config, host=lab.host)
        self.status = self.agent.status

    def counts(self, direction="inbound"):
        return {result: self.status.metric("pavise_handshakes_total", direction=direction,
                                           result=result) for result in RESULTS}

    def wait_for_result(self, before):
        """The one result that has been counted since `before`."""
        now = wait_until("a handshake is counted",
                         lambda: (c := self.counts()) != before and c)
        changed = [result for result in RESULTS if now[result] != before[result]]
        assert len(changed) == 1 and now[changed[0]] == before[changed[0]] + 1
        return changed[0]

    def open(self, pair, ca, *options):
        """openssl with an HTTP/2 preface, left open: (process, log)."""
        log = self.lab.path("s_client.out")
        with log.open("wb") as out:
            client = subprocess.Popen(
                [settings.program("openssl"), "s_client", "-connect", f"{TUNNEL}:{self.port}",
                 "-tls1_3", "-alpn", "h2", "-cert", pair[0], "-key", pair[1], "-CAfile",
                 ca.certificate, *options],
                stdin=subprocess.PIPE, stdout=out, stderr=out, env=settings.environment())
        client.stdin.write(h2.PREFACE + bytes([0, 0, 0, h2.SETTINGS, 0, 0, 0, 0, 0]))
        client.stdin.flush()
        return client, log

    def connect(self, pair, ca, *options, session_to=None):
        """(what the agent counted, what openssl said)."""
        before = self.counts()
        client, log = self.open(pair, ca, *options,
                                *(["-sess_out", session_to] if session_to else []))
        try:
            result = self.wait_for_result(before)
            if session_to:
                wait_until("a session was kept",
                           lambda: session_to.exists() and session_to.stat().st_size > 0)
        finally:
            client.stdin.close()
            client.wait(settings.PATIENCE_S)
        return result, log.read_text(errors="replace")


@pytest.fixture
def server(loopback):
    loopback.authority()
    return Server(loopback)


@pytest.fixture
def ca(server, loopback):
    return Ca(loopback.path("authority.state"), loopback.directory)


@pytest.fixture
def pair(ca):
    return ca.issue("openssl", f"URI:{CLIENT_ID}")


def take_session(server, pair, ca):
    """A session that resumes, as a second connection shows."""
    session = server.lab.path("session.pem")
    result, said = server.connect(pair, ca, session_to=session)
    assert result == "ok" and "New, TLSv1.3" in said
    result, said = server.connect(pair, ca, "-sess_in", session)
    assert result == "resumed" and "Reused, TLSv1.3" in said
    return session


def restart_authority(lab, status, between=lambda: None):
    """With its first answer to a caller the authority issues a new certificate."""
    before = status.serial()
    lab.processes[0].terminate()
    between()
    lab.path("authority.sock").unlink(missing_ok=True)
    lab.authority()
    wait_until("another certificate is in use", lambda: status.serial() != before)


def expect_in_full(server, pair, ca, session):
    for _ in range(TRIES):
        result, said = server.connect(pair, ca, "-sess_in", session)
        assert result == "ok" and "New, TLSv1.3" in said and "Reused" not in said


def test_after_a_reload_with_another_policy(server, pair, ca):
    session = take_session(server, pair, ca)
    config = merged(server.config, {
        "identity": {"endpoint": server.lab.endpoint()},
        "inbound": {"authorization": [{"action": "allow", "peers": [CLIENT_ID]}]}})
    server.agent.config_path.write_text(json.dumps(config))
    server.agent.signal(1)
    server.agent.wait_for_log("reload_done")
    expect_in_full(server, pair, ca, session)


def test_after_a_rotation(server, pair, ca):
    session = take_session(server, pair, ca)
    restart_authority(server.lab, server.status)
    expect_in_full(server, pair, ca, session)


def test_at_another_agent(server, pair, ca):
    session = take_session(server, pair, ca)
    other = Server(server.lab, "other")
    expect_in_full(other, pair, ca, session)


def change_authority(server):
    """Another CA takes over: the old one's certificates are not trusted any more."""
    state = server.lab.path("authority.state")
    restart_authority(server.lab, server.status,
                      lambda: state.rename(server.lab.path("old.state")))


def test_after_the_root_is_gone(server, pair, ca):
    session = take_session(server, pair, ca)
    change_authority(server)
    old = Ca(server.lab.path("old.state"), server.lab.directory)
    for _ in range(TRIES):
        result, said = server.connect(pair, old, "-sess_in", session)
        assert result == "refused" and "Reused" not in said


def test_open_tunnels_end_with_their_root(server, pair, ca):
    before = server.counts()
    client, _ = server.open(pair, ca)
    assert server.wait_for_result(before) == "ok"
    assert server.status.metric("pavise_tunnels_cut_total") == 0
    assert len(server.status.rows("/tunnels")) == 1
    change_authority(server)
    wait_until("the tunnel is closed", lambda: server.status.rows("/tunnels") == [])
    assert server.status.metric("pavise_tunnels_cut_total", reason="authorization_lost") == 1
    assert "reason=authorization_lost" in server.agent.log()
    client.wait(settings.PATIENCE_S)
    client.stdin.close()


def test_after_the_client_certificate_has_expired(server, ca):
    lifetime_s = 6
    end = time.time() + lifetime_s
    pair = ca.issue("short", f"URI:{CLIENT_ID}", end_h=lifetime_s / 3600)
    session = take_session(server, pair, ca)
    time.sleep(max(0, end + 1 - time.time()))
    result, said = server.connect(pair, ca, "-sess_in", session)
    assert result == "refused" and "Reused" not in said


# --- the agent as client ------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_origination_resumes(loopback, version):
    """`tls: mutual` to openssl: the second connection needs no certificates."""
    loopback.authority()
    ca = Ca(loopback.path("authority.state"), loopback.directory)
    certificate, key = ca.issue("config", "URI:spiffe://example.org/ns/runtime/sa/config")
    port, listen = free_port("127.0.0.3"), free_port()
    loopback.start("s_server", [
        settings.program("openssl"), "s_server", "-accept", f"127.0.0.3:{port}", version, "-cert",
        certificate, "-key", key, "-CAfile", ca.certificate, "-Verify", "2",
        "-verify_return_error", "-www"])
    loopback.wait_port(loopback.host, "127.0.0.3", port)
    agent = loopback.run_agent("agent", {
        "outbound": {"listen": [],
                     "listeners": [{"listen": f"127.0.0.1:{listen}",
                                    "destination": f"127.0.0.3:{port}"}],
                     "destinations": [{"name": "config", "match": {"networks": ["127.0.0.3"]},
                                       "tls": "mutual"}]},
        "inbound": {"listen": [], "tunnel": []},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)

    def get():
        with loopback.host.connect("127.0.0.1", listen) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.0 200"), answer
        return answer

    def count(result):
        return agent.status.metric("pavise_handshakes_total", direction="outbound", result=result)

    assert b"New, TLSv1" in get()
    for i in range(3):
        assert b"Reused, TLSv1" in get()
        assert (count("ok"), count("resumed")) == (1, i + 1)
    restart_authority(loopback, agent.status)
    assert b"New, TLSv1" in get()
