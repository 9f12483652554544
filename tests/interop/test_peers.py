"""Programs in Go that know nothing of us: mTLS and HBONE by go-spiffe and Go's own TLS and HTTP/2,
mTLS by ghostunnel. SPIRE gives everybody's certificates."""

import hashlib
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once, exchange, outcome
from pavise_e2e.lab import UIDS, spiffe_id
from pavise_e2e.process import wrap
from pavise_e2e.waiting import wait_until
from spire import Spire

DATA = hashlib.shake_256(b"interop").digest(300_000)
TLS_PORT, APP_PORT, TUNNEL_PORT = 8443, 9000, 15008
SYNC_S = 60


@pytest.fixture
def spire(lab, peer):
    return Spire(lab, peer("spire-server"), peer("spire-agent"))


def start_agent(lab, spire, host, change=None):
    agent = lab.agent(host, {"identity": {"endpoint": spire.endpoint}, **(change or {})},
                      ready=False)
    wait_until(f"{agent.name} is ready", agent.status.is_ready, SYNC_S)
    return agent


def words(spire, mode, accepted, **options):
    """The arguments of spiffe-peer."""
    result = [mode, "-endpoint", spire.endpoint, "-peer", spiffe_id(accepted)]
    for key, value in options.items():
        result += [f"-{key}", value]
    return result


def start_server(lab, argv, host):
    """A server of spiffe-peer, with the identity of `other`."""
    server = lab.start(argv[1], argv, host=host, uid=UIDS["other"])
    server.wait_for_log("listening", SYNC_S)
    return server


def run_client(argv, host, data=DATA):
    """A client of spiffe-peer to its end, with the identity of `other`: (exit code, what came
    back, what it said)."""
    done = subprocess.run(wrap(argv, host=host, uid=UIDS["other"]), input=data, timeout=SYNC_S,
                          capture_output=True, env=settings.environment(), check=False)
    return done.returncode, done.stdout, done.stderr.decode()


# --- TLS origination ----------------------------------------------------------------------------


def start_go_spiffe(lab, spire, peer):
    start_server(lab, [peer("spiffe-peer"), *words(spire, "mtls-server", "web",
                                                   listen=f"{lab.other.v4}:{TLS_PORT}")],
                 lab.other)


def start_ghostunnel(lab, spire, peer):
    lab.application(lab.other, "127.0.0.1", APP_PORT, echo)
    lab.start("ghostunnel", [
        peer("ghostunnel"), "server", "--listen", f"{lab.other.v4}:{TLS_PORT}",
        "--target", f"127.0.0.1:{APP_PORT}", "--use-workload-api-addr", spire.endpoint,
        "--allow-uri", spiffe_id("web")], host=lab.other, uid=UIDS["other"])
    lab.wait_port(lab.other, lab.other.v4, TLS_PORT)


@pytest.mark.parametrize("start", [start_go_spiffe, start_ghostunnel])
def test_mutual_tls_to(lab, spire, peer, start):
    """A plain application on `web` reaches a server that speaks mTLS, by its SPIFFE ID only."""
    start(lab, spire, peer)
    rule = {"match": {"ports": [TLS_PORT]}, "tls": "mutual"}
    web = start_agent(lab, spire, lab.web, {"outbound": {"destinations": [
        {"name": "right", **rule, "peers": [spiffe_id("other")]}]}})
    with lab.web.connect(lab.other.v4, TLS_PORT) as connection:
        assert exchange(connection, DATA) == DATA
    web.wait_for_log("security=mutual_tls")
    web.terminate()
    lab.release(lab.web, web)
    wrong = start_agent(lab, spire, lab.web, {"outbound": {"destinations": [
        {"name": "wrong", **rule, "peers": [spiffe_id("server")]}]}})
    assert outcome(lab.web, lab.other.v4, TLS_PORT) in ("reset", "closed")
    wrong.status.wait_for_refusal("peer_not_accepted", "peer_identity")


# --- the mesh -----------------------------------------------------------------------------------


def test_hbone_from_go(lab, spire, peer):
    """Go's HTTP/2 client opens a tunnel to our agent, which knows it by its certificate."""
    agent = start_agent(lab, spire, lab.server, {"inbound": {"authorization": [
        {"action": "allow", "peers": [spiffe_id("other")], "ports": [APP_PORT]}]}})
    lab.application(lab.server, lab.server.v4, APP_PORT, echo)

    def ask(port, accepted="server"):
        return run_client([peer("spiffe-peer"), *words(
            spire, "hbone-client", accepted, address=f"{lab.server.v4}:{TUNNEL_PORT}",
            authority=f"{lab.server.v4}:{port}")], lab.other)

    code, back, said = ask(APP_PORT)
    assert code == 0 and back == DATA, said
    assert spiffe_id("server") in said
    agent.wait_for_log(f"peer_id={spiffe_id('other')}")
    code, back, said = ask(APP_PORT + 1)
    assert code != 0 and back == b"" and "401" in said
    code, back, said = ask(APP_PORT, accepted="web")
    assert code != 0 and back == b""


def test_hbone_to_go(lab, spire, peer):
    """Our agent opens a tunnel to Go's HTTP/2 server; its application notices nothing."""
    web = start_agent(lab, spire, lab.web)
    lab.application(lab.other, lab.other.v4, APP_PORT, echo)
    server = start_server(lab, [peer("spiffe-peer"), *words(
        spire, "hbone-server", "web", listen=f"{lab.other.v4}:{TUNNEL_PORT}",
        deliver=f"{lab.other.v4}:{APP_PORT}")], lab.other)
    echo_once(lab.web, lab.other.v4, APP_PORT, DATA)
    echo_once(lab.web, lab.other.v4, APP_PORT, b"again")
    assert f"CONNECT {lab.other.v4}:{APP_PORT} by {spiffe_id('web')} over HTTP/2" in server.log()
    row = web.status.rows("/tunnels")[0]
    assert row["peerId"] == spiffe_id("other")


def test_go_spiffe_through_two_agents(lab, spire, peer):
    """A client and a server that speak mTLS themselves, with two agents between them."""
    start_agent(lab, spire, lab.server)
    web = start_agent(lab, spire, lab.web)
    start_server(lab, [peer("spiffe-peer"), *words(
        spire, "mtls-server", "other", listen=f"{lab.server.v4}:{TLS_PORT}")], lab.server)
    code, back, said = run_client([peer("spiffe-peer"), *words(
        spire, "mtls-client", "other", address=f"{lab.server.v4}:{TLS_PORT}")], lab.web)
    assert code == 0 and back == DATA, said
    assert spiffe_id("other") in said
    assert web.status.rows("/tunnels")[0]["peerId"] == spiffe_id("server")
