"""Upgrade in place: a new process takes over the listening sockets of one that runs. Nothing is
lost, nothing is refused, and a successor that is no good changes nothing."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, exchange
from pavise_e2e.faketime import Clock
from pavise_e2e.lab import UIDS
from pavise_e2e.pod import only_child, process_namespace
from pavise_e2e.storm import Storm
from pavise_e2e.waiting import wait_until

STREAMS, RATE = (50, 20) if settings.is_quick() else (200, 50)
NEW = 50  # exchanges on connections of their own that each phase waits for


def goes_on(load, num=NEW):
    before = load.exchanges
    wait_until("the load goes on", lambda: load.exchanges >= before + num)
    assert not load.failures


def storm_goes_on(storm):
    """Two seconds' worth of new connections have done all they should, and every stream lives."""
    before = storm.short
    wait_until("new connections are made", lambda: storm.short >= before + 2 * RATE)
    assert not storm.failures and storm.open == STREAMS


@pytest.mark.parametrize("victim", ["web", "server"])
def test_nothing_is_lost_under_load(lab, victim):
    """Streams that send all the time, and new connections at a steady rate; every byte counts."""
    drain = {"drain": {"deadline": "60s"}}
    agents = dict(zip(("web", "server"), lab.pair(web=drain, server=drain)))
    storm = Storm(lab.web, lab.server, lab.server.v4, 9000, streams=STREAMS, rate=RATE)
    wait_until("all streams are open", lambda: storm.open == STREAMS)
    storm_goes_on(storm)
    old = agents[victim]
    new = lab.successor(old, "successor", host=getattr(lab, victim), uid=UIDS[victim])
    old.wait_for_log("event=handed_over")
    assert new.status.is_ready()
    storm_goes_on(storm)  # the streams run on in the old process
    assert old.is_running()
    storm.stop()
    assert not storm.failures and storm.lost() == []
    assert old.wait() == 0
    assert "drain_deadline" not in old.log()
    lab.application(lab.server, lab.server.v4, 9001, echo)
    with lab.web.connect(lab.server.v4, 9001) as connection:
        assert exchange(connection, b"and after") == b"and after"


@pytest.mark.parametrize("counts", [(1, 3), (3, 1), (2, 2)])
def test_other_numbers_of_workers(both, counts):
    """Every queue goes over: also those that the new process has no worker of its own for."""
    both.config["workers"] = counts[0]
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    goes_on(load)
    both.config["workers"] = counts[1]
    written = json.loads(old.config_path.read_text())
    old.config_path.write_text(json.dumps({**written, "workers": counts[1]}))
    new = both.lab.successor(old, "successor", host=both.lab.host)
    goes_on(load)
    assert old.wait() == 0
    goes_on(load)
    load.stop()
    assert not load.failures
    assert "0 are bound by this process" in new.log()


def test_again_and_again(both):
    agent = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    probes = both.lab.load(both.lab.host, "127.0.0.1", both.port, threads=1)
    for i in range(3):
        goes_on(load)
        successor = both.lab.successor(agent, f"successor-{i}", host=both.lab.host)
        assert successor.status.is_ready()
        assert agent.wait() == 0
        agent = successor
    goes_on(load)
    load.stop()
    probes.stop()
    assert not load.failures and not probes.failures


def test_a_handshake_under_way_ends_in_the_old_process(both):
    """It is no connection yet, but it was accepted: the old process does not end before it."""
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_alpn_protocols(["h2"])
    session = client.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    hello = outgoing.read()
    with socket.create_connection(("127.0.0.2", both.tunnel), settings.PATIENCE_S) as peer:
        peer.sendall(hello[:20])
        address = "{}:{}".format(*peer.getsockname())
        wait_until("it was accepted", lambda: any(
            row["peer"] == address for row in old.status.rows("/tunnels")))
        both.lab.successor(old, "successor", host=both.lab.host)
        old.wait_for_log("event=handed_over")
        goes_on(load)
        peer.sendall(hello[20:])
        assert peer.recv(1) == b"\x16"  # its ServerHello
        assert "event=drained" not in old.log()
    assert old.wait() == 0
    load.stop()
    assert not load.failures
    assert "drain_deadline" not in old.log()


def test_the_status_port_answers_all_the_time(both):
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    new = both.lab.successor(old, "successor", host=both.lab.host, ready=False)
    answers = []

    def took_over():
        answers.append(old.status.get("/readyz")[0])
        return "event=took_over" in new.log()

    wait_until("the successor has taken over", took_over, every=0)
    assert set(answers) == {200}
    assert old.wait() == 0


# --- a successor that is no good ----------------------------------------------------------------


def goes_on_as_before(both, old, load):
    old.wait_for_log("event=take_over_failed")
    assert old.log().count("event=take_over_failed") == 1
    goes_on(load)
    load.stop()
    assert not load.failures
    assert old.status.is_ready() and old.is_running()
    # It can still be taken over from.
    both.lab.successor(old, "good", host=both.lab.host)
    assert old.wait() == 0
    both.echo()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_successor_without_identity(both, end):
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    good = old.config_path.read_text()
    broken = json.loads(good)
    broken["identity"]["endpoint"] = "unix:///nobody/is/here.sock"
    old.config_path.write_text(json.dumps(broken))
    new = both.lab.successor(old, "bad", host=both.lab.host, ready=False)
    new.wait_for_log("event=started")
    goes_on(load)
    assert old.status.is_ready() and "took_over" not in new.log()
    old.config_path.write_text(good)
    new.expects_death = True
    new.signal(end)
    new.wait()
    assert f"the successor (pid {new.pid}) ended before it was ready" in both_log(old)
    goes_on_as_before(both, old, load)


def both_log(agent):
    agent.wait_for_log("event=take_over_failed")
    return agent.log()


def test_successor_with_a_broken_configuration(both):
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    good = old.config_path.read_text()
    old.config_path.write_text(good.replace('"outbound"', '"outbund"'))
    new = both.lab.successor(old, "bad", host=both.lab.host, ready=False)
    assert new.wait() == 1
    goes_on(load)
    old.signal(signal.SIGUSR2)  # the same by the launcher, which tells how it ended
    wait_until("it is said", lambda: "ended by itself before it was ready" in old.log())
    old.config_path.write_text(good)
    goes_on_as_before(both, old, load)


@pytest.mark.parametrize("takes_over", [False, True])
def test_a_reload_waits_for_the_successor(both, manager, takes_over):
    """The sockets that it got are those of the configuration before. The service manager hears that
    a reload is under way, and that it is over."""
    old = both.lab.run_agent("agent", both.config, host=both.lab.host,
                             env={"NOTIFY_SOCKET": manager.path})
    manager.wait_for("READY=1")
    authority = next(p for p in both.lab.processes if p.name == "authority")
    authority.signal(signal.SIGSTOP)
    new = both.lab.successor(old, "successor", host=both.lab.host, ready=False)
    new.wait_for_log("event=started")
    old.signal(signal.SIGHUP)
    old.wait_for_log("event=reload_delayed")
    assert "event=reload_done" not in old.log()
    manager.wait_for("RELOADING=1")
    assert manager.lines().count("READY=1") == 1
    if takes_over:
        authority.signal(signal.SIGCONT)
        new.wait_for_log("event=took_over")
        assert old.wait() == 0
        assert f"send SIGHUP to it (pid {new.pid})" in old.log()
        assert "event=reload_done" not in old.log()
        assert f"MAINPID={new.pid}\nREADY=1" in "\n".join(manager.lines())
    else:
        new.expects_death = True
        new.signal(signal.SIGKILL)
        new.wait()
        old.wait_for_log("event=reload_done")
        authority.signal(signal.SIGCONT)
        assert old.log().index("event=take_over_failed") < old.log().index("event=reload_done")
        wait_until("it is over", lambda: manager.lines().count("READY=1") == 2)
    both.echo()


# --- deadlines, on a clock that is moved -------------------------------------------------------


def test_a_successor_gives_up_after_a_minute(both):
    """Without an identity; the old process goes on as before."""
    clock = Clock(both.lab.path("successor.clock"), monotonic=True)
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    authority = next(p for p in both.lab.processes if p.name == "authority")
    authority.signal(signal.SIGSTOP)
    new = both.lab.successor(old, "late", host=both.lab.host, ready=False, env=clock.environment)
    new.wait_for_log("event=started")
    clock.set_offset(50)
    goes_on(load)
    assert new.is_running() and "take_over_failed" not in new.log()
    clock.set_offset(61)
    assert new.wait() == 3
    assert "not ready within 60 s, the predecessor goes on: identity is" in new.log()
    authority.signal(signal.SIGCONT)
    goes_on_as_before(both, old, load)


def test_a_predecessor_sends_a_silent_successor_away(both):
    """One that has fetched the sockets and says nothing more does not hold reloads and other
    successors up for ever."""
    clock = Clock(both.lab.path("predecessor.clock"), monotonic=True)
    old = both.lab.run_agent("agent", both.config, host=both.lab.host, env=clock.environment)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.settimeout(30)
        silent.connect(f"\0pavise/take-over/127.0.0.1:{both.status}")
        silent.send(word(FETCH))
        kinds = []
        while LISTENER not in kinds:
            message, fds, *_ = socket.recv_fds(silent, 64, 64)
            kinds.append(struct.unpack("=16sII", message)[2])
            for fd in fds:
                os.close(fd)
        clock.set_offset(80)  # more than a successor waits by itself
        old.signal(signal.SIGHUP)
        old.wait_for_log("event=reload_delayed")
        assert "take_over_failed" not in old.log()
        clock.set_offset(91)
        assert silent.recv(64) == word(BUSY)
        assert silent.recv(64) == b""
    old.wait_for_log("took too long and was sent away")
    old.wait_for_log("event=reload_done")
    assert old.status.is_ready()
    both.echo()
    old.kill()  # gRPC's waits at its end are the kernel's, which has another time


def beside_an_application(both):
    """An agent that leaves with the application: (their process namespace, the words that enter it,
    the application, the agent)."""
    lab = both.lab
    namespace = process_namespace(lab)
    enter = ["nsenter", f"--pid={namespace}", "unshare", "--mount", "sh", "-c",
             "mount -t proc proc /proc && exec \"$@\"", "sh"]
    app = lab.start("app", [*enter, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                            "sleep", "infinity"])
    config = {**both.config, "drain": {"withApplication": True}}
    old = lab.run_agent("agent", config, host=lab.host, wrap=enter)
    return namespace, enter, app, old


def test_the_application_ends_before_the_successor_is_ready(both):
    """Of drain.withApplication: nobody is left to wait for, in either process."""
    lab = both.lab
    _, enter, app, old = beside_an_application(both)
    authority = next(p for p in lab.processes if p.name == "authority")
    authority.signal(signal.SIGSTOP)
    new = lab.start("successor", [*enter, lab.pavise, "agent", "--config", old.config_path,
                                  "--take-over"])
    new.wait_for_log("event=identity_source state=connecting")  # it has long seen the application
    assert old.is_running() and "application_ended" not in old.log()
    os.kill(int(only_child(app.pid)), signal.SIGKILL)  # nsenter is its parent
    app.wait()
    assert old.wait() == 0
    authority.signal(signal.SIGCONT)
    assert new.wait() == 0
    assert "event=application_ended" in old.log() and "event=application_ended" in new.log()


def watcher_in(namespace):
    """The process that looks at the application, by its name, in the namespace of that path."""
    def is_it(process):
        try:
            return ((process / "comm").read_text() == "pavise-watcher\n" and
                    os.path.samefile(process / "ns/pid", namespace))
        except OSError:  # it has ended
            return False
    [process] = filter(is_it, pathlib.Path("/proc").glob("[0-9]*"))
    return int(process.name)


def test_the_application_ends_before_the_successor_starts(both):
    """What the predecessor has seen of the application, the successor knows: it does not wait for
    one that has ended already."""
    lab = both.lab
    namespace, enter, app, old = beside_an_application(both)
    watcher = watcher_in(namespace)
    old.wait_for_log("event=application_seen")
    os.kill(watcher, signal.SIGSTOP)  # the end is not noticed yet
    os.kill(int(only_child(app.pid)), signal.SIGKILL)
    app.wait()
    new = lab.start("successor", [*enter, lab.pavise, "agent", "--config", old.config_path,
                                  "--take-over"])
    assert new.wait() == 0
    assert "event=application_ended" in new.log()
    os.kill(watcher, signal.SIGCONT)
    assert old.wait() == 0


FETCH, SOCKETS, LISTENER, READY, PINS, BUSY = 1, 2, 3, 4, 5, 7


def word(kind):
    return struct.pack("=16sII", b"pavise-handover", 1, kind)


@contextlib.contextmanager
def ready_successor(both):
    """A successor that has said that it is ready, and its predecessor's end of the connection."""
    path = both.lab.configuration("late", {"identity": {"endpoint": both.lab.endpoint()},
                                           **both.config})
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, \
            both.lab.host.listen("127.0.0.1", both.status) as status:
        listener.bind(f"\0pavise/take-over/127.0.0.1:{both.status}")
        listener.listen()
        listener.settimeout(30)
        late = both.lab.start("late", [both.lab.pavise, "agent", "--config", path, "--take-over"])
        late.expects_death = True
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            assert connection.recv(64) == word(FETCH)
            socket.send_fds(connection, [word(SOCKETS)], [status.fileno()])
            socket.send_fds(connection, [word(LISTENER)], [listener.fileno()])
            assert connection.recv(64) == word(READY)
            yield late, connection


@pytest.mark.parametrize("last_word", ["busy", "unknown version"])
def test_successor_that_is_sent_away(both, last_word):
    """By a predecessor that does not wait any longer, and so serves on: never both of them."""
    with ready_successor(both) as (late, connection):
        connection.send(word(BUSY) if last_word == "busy" else b"something else")
    assert late.wait() == 3
    assert "event=take_over_failed" in late.log() and "event=took_over" not in late.log()


@pytest.mark.parametrize("predecessor", ["hands over", "ends"])
def test_successor_that_is_told_to_stop(both, predecessor):
    """It takes over from nobody any more, whatever the predecessor does."""
    with ready_successor(both) as (late, connection), open(os.memfd_create("pins"), "rb") as pins:
        late.signal(signal.SIGTERM)
        late.wait_for_log("event=draining")
        if predecessor == "hands over":
            with contextlib.suppress(BrokenPipeError):
                socket.send_fds(connection, [word(PINS)], [pins.fileno()])
                assert connection.recv(64) == b""
    assert late.wait() == 0
    assert "event=took_over" not in late.log()


def test_nobody_to_take_over_from(both):
    path = both.lab.configuration("alone", {"identity": {"endpoint": both.lab.endpoint()},
                                            **both.config})
    alone = both.lab.start("alone", [both.lab.pavise, "agent", "--config", path, "--take-over"])
    assert alone.wait() == 3
    assert "no running agent to take over from" in alone.log()


# --- what goes over -----------------------------------------------------------------------------


def test_pins_go_over_too(both):
    """Also those that were made while the successor was starting."""
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    authority = next(p for p in both.lab.processes if p.name == "authority")
    authority.signal(signal.SIGSTOP)
    new = both.lab.successor(old, "successor", host=both.lab.host, ready=False)
    new.wait_for_log("event=started")
    both.echo()
    until = old.status.rows("/destinations")[0]["until"]
    authority.signal(signal.SIGCONT)
    new.wait_for_log("event=took_over")
    assert old.wait() == 0
    row = new.status.rows("/destinations")[0]
    assert (row["address"], row["state"], row["until"]) == ("127.0.0.2", "pinned", until)


def test_the_state_directory_has_one_writer(both):
    state = both.lab.path("state")
    both.config["identity"] = {"endpoint": both.lab.endpoint(), "stateDirectory": str(state)}
    old = both.lab.run_agent("agent", both.config, host=both.lab.host)
    both.echo()
    new = both.lab.successor(old, "successor", host=both.lab.host)
    assert old.wait() == 0
    both.lab.wait_port(both.lab.host, "127.0.0.1", both.status)
    assert new.status.post("/destinations/forget?address=127.0.0.2")[0] == 200
    assert new.terminate() == 0
    # The old process ended last of all that knew the pin; what it knew is not what is kept.
    assert "127.0.0.2" not in (state / "pins").read_text()


# --- SIGUSR2 ------------------------------------------------------------------------------------


def test_sigusr2_starts_a_successor(both, manager):
    old = both.lab.run_agent("agent", both.config, host=both.lab.host,
                             env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"})
    manager.wait_for("READY=1")
    load = both.lab.load(both.lab.host, "127.0.0.1", both.port)
    goes_on(load)
    old.signal(signal.SIGUSR2)
    assert old.wait() == 0
    pid = int(re.search(r"the successor \(pid (\d+)\) accepts", old.log()).group(1))
    try:
        manager.wait_for(f"MAINPID={pid}")
        goes_on(load)
        load.stop()
        assert not load.failures
        assert old.status.is_ready()
        seen = len(manager.lines())
        wait_until("the successor is watched in its place",
                   lambda: "WATCHDOG=1" in manager.lines()[seen:])
        assert "STOPPING=1" not in manager.lines()
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until("it has ended", lambda: has_ended(pid))


def has_ended(pid):
    """Also where nobody collects what is left of it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_sockets_of_systemd_go_over(both):
    old = both.activated(["out", "tunnel", "status", "health"])
    both.echo()
    both.lab.successor(old, "successor", host=both.lab.host)
    assert old.wait() == 0
    both.echo()
