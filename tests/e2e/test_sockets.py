"""Listening sockets that the service manager hands in, and what it is told (sd_notify)."""

import os
import signal
import time

from pavise_e2e import settings
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

OWN_ID = f"spiffe://{settings.TRUST_DOMAIN}/uid/{os.getuid()}"


def test_every_listener_is_handed_in(both):
    agent = both.activated(["out", "tunnel", "status", "health"], ready=False)
    agent.wait_for_log("Listening on")
    # Connections that come before the agent does: the first starts it, all wait in the queue.
    early = [both.lab.connect(both.lab.host, "127.0.0.1", both.health) for _ in range(5)]
    agent.wait_ready()
    for connection in early:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    for _ in range(10):
        both.echo()
    assert agent.status.rows("/tunnels")[0]["peerId"] == OWN_ID
    assert "4 listening sockets were handed in, 0 are bound by this process" in agent.log()


def test_what_is_not_handed_in_is_bound_and_said(both):
    agent = both.activated(["tunnel", "status"])
    both.echo()
    assert "2 listening sockets were handed in, 3 are bound by this process" in agent.log()
    assert "level=warn event=sockets" in agent.log()


def test_a_socket_that_nobody_serves_is_refused(both):
    stray = f"127.0.0.1:{free_port()}"
    agent = both.activated(["status"], [stray], ready=False)
    agent.wait_for_log("Listening on")
    both.lab.connect(both.lab.host, "127.0.0.1", both.status)
    assert agent.wait() == 1
    assert f'"extra" that listens on {stray}' in agent.log()


def test_sockets_survive_a_reload(both):
    agent = both.activated(["out", "tunnel", "status", "health"])
    agent.signal(signal.SIGHUP)
    agent.wait_for_log("reload_done")
    both.echo()


def test_the_service_manager_hears(both, manager):
    authority = next(p for p in both.lab.processes if p.name == "authority")
    authority.signal(signal.SIGSTOP)  # no identity yet
    agent = both.lab.run_agent("agent", both.config, host=both.lab.host, ready=False,
                               env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"})
    wait_until("it says what it waits for", lambda: any(
        line.startswith("STATUS=identity is ") for line in manager.lines()))
    assert "READY=1" not in manager.lines()
    authority.signal(signal.SIGCONT)
    manager.wait_for("READY=1")
    manager.wait_for(f"STATUS=ready as {OWN_ID}")
    manager.wait_for("WATCHDOG=1")
    assert manager.lines().count("READY=1") == 1
    agent.signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    wait_until("ready again", lambda: manager.lines().count("READY=1") == 2)
    # A manager that has sent the signal takes no answer from before it.
    for number in range(3, 13):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        agent.signal(signal.SIGHUP)
        wait_until("ready again", lambda: manager.lines().count("READY=1") == number)
        said = [line for line in manager.lines() if line.startswith("MONOTONIC_USEC=")]
        assert int(said[-1].partition("=")[2]) >= before
    # While it drains it reloads nothing, but a manager does not wait for that in vain.
    assert agent.status.post("/drain")[0] == 200
    agent.signal(signal.SIGHUP)
    wait_until("an answer", lambda: manager.lines().count("READY=1") == 13)
    assert "the sidecar is draining" in agent.log()
    assert "STOPPING=1" not in manager.lines()
    assert agent.terminate() == 0
    manager.wait_for("STOPPING=1")


def test_a_service_manager_that_is_gone_is_no_reason_to_fail(both):
    agent = both.lab.run_agent("agent", both.config, host=both.lab.host,
                               env={"NOTIFY_SOCKET": both.lab.path("nobody.sock")})
    both.echo()
    assert "event=notify" in agent.log() and "nobody.sock" in agent.log()
