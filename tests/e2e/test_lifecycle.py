"""The agent's own life: killed, asked to stop, reloaded, short of descriptors. Traffic first."""

import contextlib
import hashlib
import signal
import socket
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import (assert_cut, echo, echo_once, exchange, outcome, receive_all,
                                     receive_exactly, send)
from pavise_e2e.network import Wire
from pavise_e2e.waiting import Background, wait_until

REFUSED = ("refused", "reset", "closed")
MARKER = b"marker-that-must-not-cross-in-clear"


# --- kill -9 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["web", "server"])
def test_killed_agent_leaks_nothing_and_comes_back(lab, victim):
    agents = dict(zip(("web", "server"), lab.pair(
        web={"outbound": {"mesh": {"onUnreachable": "plaintext"}}})))
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000, MARKER)
    with Wire(lab.network, lab.server) as wire:
        load = lab.load(lab.web, lab.server.v4, 9000, data=MARKER * 20)
        wait_until("traffic", lambda: load.exchanges > 20)
        held = lab.connect(lab.web, lab.server.v4, 9000)
        assert exchange(held, MARKER) == MARKER
        agents[victim].kill()
        if victim == "server":  # what was open ends, and not as if all were well
            assert_cut(held, MARKER)
        for _ in range(20):
            assert outcome(lab.web, lab.server.v4, 9000, MARKER) in REFUSED
            time.sleep(0.02)
        # The rules are still in force: only the agent comes back.
        lab.agent(getattr(lab, victim), {"outbound": {"mesh": {"onUnreachable": "plaintext"}}},
                  name="agent-again", intercepted=False)
        wait_until("traffic works again",
                   lambda: outcome(lab.web, lab.server.v4, 9000, MARKER) == "echoed")
        before = load.exchanges
        wait_until("the load works again", lambda: load.exchanges > before + 20)
        load.stop()
    assert app.sources == {lab.server.v4}  # its own agent, never the caller itself
    assert not wire.has(MARKER)
    assert wire.opened(lab.server.v4, 9000) == 0
    assert wire.bytes_seen() > 0


# --- a network without IPv6 ----------------------------------------------------------------------


def test_without_ipv6(lab):
    """As in Docker's networks, where not even ::1 is there: the defaults work, and it is said."""
    for host in (lab.web, lab.server):
        done = host.run([settings.program("sysctl"), "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
        assert done.returncode == 0, done.stderr
    web, _ = lab.pair(web={}, server={})
    lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000, MARKER)
    assert "event=listeners_left_out" in web.log()
    assert {row["address"] for row in web.status.rows("/listeners")
            if row["kind"] == "outbound"} == {"127.0.0.1:15001"}
    done = lab.web.run([settings.program("sysctl"), "-qw", "net.ipv6.conf.all.disable_ipv6=0"])
    assert done.returncode == 0, done.stderr
    lab.web.run([settings.program("ip"), "addr", "add", "::1/128", "dev", "lo"])
    web.signal(signal.SIGHUP)
    wait_until("a reload listens there, too", lambda: "[::1]:15001" in {
        row["address"] for row in web.status.rows("/listeners")})


# --- SIGTERM ------------------------------------------------------------------------------------

TRANSFERS, MIB = 6, 1 << 20
PER_TRANSFER = (4 if settings.is_quick() else 8) * MIB


@pytest.mark.parametrize("victim", ["web", "server"])
@pytest.mark.parametrize("direction", ["download", "upload"])
def test_sigterm_during_transfers_loses_nothing(lab, victim, direction):
    drain = {"drain": {"deadline": "60s"}}
    agents = dict(zip(("web", "server"), lab.pair(web=drain, server=drain)))
    data = hashlib.shake_256(direction.encode()).digest(PER_TRANSFER)
    app = lab.application(lab.server, lab.server.v4, 9000,
                          send(data) if direction == "download" else keep_digest)
    app.digests = []
    connections = [lab.connect(lab.web, lab.server.v4, 9000) for _ in range(TRANSFERS)]
    half = Gate()
    transfers = [Background(download if direction == "download" else upload, connection, data,
                            half) for connection in connections]
    wait_until("every transfer is half done", lambda: half.waiting == TRANSFERS)
    # Half of it may still be in this host's buffers: a stream is open when the application has it.
    wait_until("every transfer has arrived", lambda: app.accepts >= TRANSFERS)
    agents[victim].signal(signal.SIGTERM)
    agents[victim].wait_for_log("draining")
    assert agents[victim].status.get("/readyz")[0] == 503
    half.open()
    want = hashlib.sha256(data).hexdigest()
    for transfer in transfers:
        assert transfer.result(120) == want
    if direction == "upload":
        app.wait_for_end(TRANSFERS)
        assert app.digests == [want] * TRANSFERS
    for connection in connections:
        connection.close()
    assert agents[victim].wait() == 0


class Gate:
    """Threads wait at it until it is opened."""

    def __init__(self):
        self.waiting = 0
        self._is_open = False

    def pass_through(self):
        self.waiting += 1
        wait_until("the gate opens", lambda: self._is_open)

    def open(self):
        self._is_open = True


def keep_digest(connection, application):
    application.digests.append(hashlib.sha256(receive_all(connection)).hexdigest())


def download(connection, data, half):
    first = receive_exactly(connection, len(data) // 2)
    half.pass_through()
    rest = receive_all(connection)
    return hashlib.sha256(first + rest).hexdigest()


def upload(connection, data, half):
    connection.sendall(data[:len(data) // 2])
    half.pass_through()
    connection.sendall(data[len(data) // 2:])
    connection.shutdown(socket.SHUT_WR)
    assert receive_all(connection) == b""
    return hashlib.sha256(data).hexdigest()


def test_draining_agent_serves_its_application_but_takes_nothing_new_in(lab):
    drain = {"drain": {"deadline": "60s"}}
    web, server = lab.pair(web=drain, server=drain)
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"before") == b"before"
    web.signal(signal.SIGTERM)
    web.wait_for_log("draining")
    echo_once(lab.web, lab.server.v4, 9000)  # outbound goes on until the deadline
    server.signal(signal.SIGTERM)
    # Each worker hears of it by itself.
    wait_until("nothing new comes in", lambda: all(
        outcome(lab.web, lab.server.v4, 9000) in REFUSED for _ in range(5)))
    accepts = app.accepts
    for _ in range(10):
        assert outcome(lab.web, lab.server.v4, 9000) in REFUSED
    assert app.accepts == accepts
    assert exchange(held, b"after") == b"after"
    held.close()
    assert web.wait() == 0 and server.wait() == 0


def test_drain_ends_at_the_deadline(lab):
    web, _ = lab.pair(web={"drain": {"deadline": "1s"}})
    lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"hello") == b"hello"
    assert web.terminate() == 0
    assert_cut(held)


def test_idle_agent_ends_at_once(lab):
    lab.authority()
    web = lab.agent(lab.web, {"drain": {"deadline": "1h"}})
    assert web.terminate() == 0


# --- SIGHUP -------------------------------------------------------------------------------------


def test_reload_under_load(lab):
    web, server = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    load = lab.load(lab.web, lab.server.v4, 9000)
    for i in range(5 if settings.is_quick() else 15):
        def add_rule(config, port=20_000 + i):
            config["outbound"]["destinations"] = [
                {"name": f"rule-{port}", "match": {"ports": [port]}, "tls": "deny"}]

        web.rewrite(add_rule)
        server.rewrite(lambda config, n=i: config["inbound"].update(
            authorization=[{"action": "allow", "ports": [9000, 20_000 + n]}])
            if "inbound" in config else config.update(
                inbound={"authorization": [{"action": "allow"}]}))
        web.reload()
        server.reload()
        assert exchange(held, b"beat") == b"beat"
        before = load.exchanges
        wait_until("the load goes on", lambda n=before: load.exchanges > n + 10)
    load.stop()
    assert not load.failures
    rules = web.status.json("/config")["outbound"]["destinations"]
    assert [rule["name"] for rule in rules] == [f"rule-{20_000 + i}"]
    assert web.status.metric("pavise_config_last_reload_successful") == 1


BAD_CHANGES = {
    "unknown key": lambda config: config["outbound"].update(meshh={}),
    "wrong type": lambda config: config["outbound"].update(listeners="none"),
    "bad address": lambda config: config["outbound"].update(listen=["127.0.0.1:99999"]),
    "address in use": lambda config: config["outbound"].update(
        listeners=[{"listen": "127.0.0.1:9", "destination": "10.77.0.2:9000"}]),
}


@pytest.mark.parametrize("what", BAD_CHANGES)
def test_bad_reload_keeps_the_old_configuration(lab, what):
    web, _ = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    blocker = lab.web.listen("127.0.0.1", 9)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"before") == b"before"
    before = web.status.json("/config")
    web.rewrite(BAD_CHANGES[what])
    web.reload("reload_refused")
    line = next(x for x in web.log().splitlines() if "event=reload_refused" in x)
    if what == "address in use":
        assert "127.0.0.1:9" in line
    else:
        assert f"{web.config_path}:" in line
        line_number, column = line.partition(f"{web.config_path}:")[2].split(":")[:2]
        assert int(line_number) > 1 and int(column) > 0
    assert exchange(held, b"after") == b"after"
    echo_once(lab.web, lab.server.v4, 9000)
    assert web.status.json("/config") == before
    assert web.status.metric("pavise_config_last_reload_successful") == 0
    assert web.status.is_ready()
    blocker.close()


def test_reload_that_takes_authorisation_away_cuts_what_is_open(lab):
    _, server = lab.pair()
    lab.application(lab.server, lab.server.v4, 9000, echo)
    held = lab.connect(lab.web, lab.server.v4, 9000)
    assert exchange(held, b"hello") == b"hello"
    server.rewrite(lambda config: config.update(
        inbound={"authorization": [{"action": "deny"}]}))
    server.reload()
    wait_until("nothing is left open",
               lambda: server.status.metric("pavise_open_connections") == 0)
    assert_cut(held)
    # Each worker hears of it by itself.
    wait_until("nothing new comes in", lambda: all(
        outcome(lab.web, lab.server.v4, 9000) in REFUSED for _ in range(5)))
    assert "authorization_lost" in server.status.reasons()


# --- descriptors --------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["web", "server"])
def test_out_of_descriptors(lab, victim):
    """64 descriptors and 500 connections: alive, answers, does not spin, recovers."""
    lab.authority()
    limits = {victim: {"nofile": 64}}
    agents = {name: lab.agent(getattr(lab, name), **limits.get(name, {}))
              for name in ("server", "web")}
    lab.application(lab.server, lab.server.v4, 9000, echo)
    echo_once(lab.web, lab.server.v4, 9000)
    agent = agents[victim]
    connections = []
    for _ in range(500):
        with contextlib.suppress(ConnectionResetError):  # refused: that is its right now
            connections.append(lab.connect(lab.web, lab.server.v4, 9000))
            connections[-1].sendall(b"hello")
    for _ in range(10):  # while starved
        assert agent.status.get("/livez")[0] == 200
        assert agent.status.get("/metrics")[0] == 200
    used, window_s = agent.cpu_seconds(), 2
    time.sleep(window_s)
    # A loop that spins takes whole cores; a starved one has next to nothing to do.
    assert agent.cpu_seconds() - used < 0.7 * window_s
    for connection in connections:
        connection.close()
    wait_until("new connections work again",
               lambda: outcome(lab.web, lab.server.v4, 9000) == "echoed", every=0.1)
    wait_until("all of them have ended", lambda: agent.status.metric(
        "pavise_open_connections") == 0, every=0.1)
    assert agent.is_running()
