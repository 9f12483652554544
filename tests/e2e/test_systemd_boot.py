"""docs/systemd.md by the word, with systemd as process 1 on a host of its own."""

import threading

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import outcome
from pavise_e2e.machine import Machine, commands
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

# The sanitizers' builds need more than the units leave them.
pytestmark = pytest.mark.skipif(settings.has_sanitizer(), reason="units fit the shipped program")
NOT_HERE = ("./dev build", "apt-get install")  # done already, and there is no network
READY = "ready as spiffe://example.org/ns/default/sa/redis"
AGENT = "pavise-agent"


def of_the_page(section, leave_out=()):
    lines = commands(section).splitlines()
    return "\n".join(line for line in lines
                     if not line.startswith((*NOT_HERE, *leave_out))) + "\n"


@pytest.fixture
def machine(lab):
    made = Machine(lab, lab.server)
    made.install()
    made.sh(of_the_page("Install"))
    made.write("/etc/redis/redis.conf", "bind 127.0.0.1\nport 6379\nsave \"\"\nsupervised systemd\n"
                                        "dir /var/lib/redis\ndaemonize no\n")
    yield made
    made.stop()


def state(machine):
    return machine.show(AGENT, "ActiveState")


def is_answered(host):
    """Whether the status port takes a connection and answers."""
    with host.connect("127.0.0.1", 15020) as connection:
        connection.settimeout(settings.PATIENCE_S)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return connection.recv(12) == b"HTTP/1.1 200"


class Asking:
    """Asks the status port all the time; what was refused or lost is in `failures`."""

    def __init__(self, host):
        self.answers, self.failures = 0, []
        self._host, self._over = host, False
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self):
        while not self._over:
            try:
                assert is_answered(self._host), "another answer"
                self.answers += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    def goes_on(self, num=20):
        before = self.answers
        wait_until("it is answered", lambda: self.answers >= before + num or self.failures)
        assert not self.failures

    def stop(self):
        self._over = True
        self._thread.join(settings.PATIENCE_S)
        assert not self.failures and self.answers


def test_the_page_by_the_word(lab, machine):
    assert outcome(lab.web, lab.server.v4, 6379) != "echoed"
    machine.sh(of_the_page("Start"))
    assert state(machine) == "active"
    assert machine.show(AGENT, "StatusText") == READY
    assert machine.do("redis-cli", "-h", "127.0.0.1", "PING").strip() == "PONG"
    with pytest.raises(OSError):  # strict: a direct connection is refused
        with lab.web.connect(lab.server.v4, 6379) as connection:
            connection.sendall(b"PING\r\n")
            if not connection.recv(10):
                raise ConnectionResetError
    # A changed configuration, and one that is wrong, which changes nothing.
    machine.sh("sed -i 's/^drain:.*//; $a drain: {deadline: 7s}' /etc/pavise/agent.yaml")
    machine.do("systemctl", "reload", AGENT)
    wait_until("it has reloaded", lambda: "event=reload_done" in machine.journal(AGENT))
    wait_until("it says so", lambda: state(machine) == "active")
    assert "7s" in machine.do("pavise", "status", "config")
    machine.sh("echo 'drian: {}' >> /etc/pavise/agent.yaml")
    machine.do("systemctl", "reload", AGENT)
    wait_until("it has refused", lambda: "event=reload_refused" in machine.journal(AGENT))
    wait_until("it goes on", lambda: state(machine) == "active")
    assert machine.show(AGENT, "NRestarts") == "0"
    # Rules stay when the agent ends, and go when that is asked for.
    machine.do("systemctl", "stop", AGENT)
    assert machine.show(AGENT, "Result") == "success"
    assert "pavise" in machine.do("nft", "list", "tables")
    machine.do("systemctl", "stop", "pavise-intercept")
    assert "pavise" not in machine.do("nft", "list", "tables")


def test_active_means_ready(machine):
    """Not before there is an identity, and what comes after it waits."""
    machine.sh(of_the_page("Start", ("systemctl enable", "systemctl restart", "systemctl status",
                                     "pavise status")))
    machine.do("systemctl", "start", "--no-block", AGENT, "redis-server")
    wait_until("it says what it waits for", lambda: machine.show(AGENT, "StatusText"))
    assert "ready as" not in machine.show(AGENT, "StatusText")
    assert (state(machine), machine.show("redis-server", "ActiveState")) == ("activating",
                                                                             "inactive")
    machine.do("systemctl", "start", "pavise-authority")
    wait_until("redis has started", lambda: machine.show("redis-server",
                                                         "ActiveState") == "active")
    assert (state(machine), machine.show(AGENT, "StatusText")) == ("active", READY)


def test_sockets_that_systemd_keeps(lab, machine):
    """A restart refuses nobody."""
    machine.do("systemctl", "start", "pavise-authority")
    machine.sh(of_the_page("Socket activation"))
    assert "7 listening sockets were handed in, 0 are bound" in machine.journal(AGENT)
    asking = Asking(lab.server)
    asking.goes_on()
    before = machine.show(AGENT, "MainPID")
    machine.do("systemctl", "restart", AGENT)
    asking.goes_on()
    asking.stop()
    assert machine.show(AGENT, "MainPID") != before


def test_an_upgrade_in_place(lab, machine):
    """systemd follows: the successor is the service's main process, and is not restarted."""
    machine.do("systemctl", "start", "pavise-authority", AGENT)
    asking = Asking(lab.server)
    asking.goes_on()
    before = machine.show(AGENT, "MainPID")
    machine.sh(of_the_page("Upgrade"))
    wait_until("another process is the main one", lambda: machine.show(AGENT, "MainPID") != before)
    wait_until("the old one has ended", lambda: "event=stopped" in machine.journal(AGENT))
    asking.goes_on()
    asking.stop()
    assert (state(machine), machine.show(AGENT, "NRestarts")) == ("active", "0")
    assert machine.show(AGENT, "StatusText") == READY
    # One that systemd took for a stranger it would kill at once instead of letting it drain.
    assert "not our child" not in machine.journal(AGENT)
    # Nor has the successor spoken before systemd listens to it.
    assert "reception only permitted" not in machine.journal(AGENT)
    machine.do("systemctl", "stop", AGENT)
    assert machine.show(AGENT, "Result") == "success"
    assert "event=drained" in machine.journal(AGENT).rpartition("event=took_over")[2]


def test_a_key_that_only_root_can_read(lab, machine):
    """LoadCredential=: the agent has its key from a file that it may not read."""
    lab.authority()
    ca = Ca(lab.path("authority.state"), lab.directory)
    certificate, key = ca.issue("redis", "URI:spiffe://example.org/ns/default/sa/redis")
    for name, path in (("tls.crt", certificate), ("tls.key", key), ("ca.crt", ca.certificate)):
        machine.do("install", "-D", "-m", "600", path, f"/etc/pavise/tls/{name}")
    # The identity is what the drop-in's comment says.
    dropin = settings.REPOSITORY / "deploy/systemd/pavise-agent.service.d/credentials.conf"
    lines = [line[2:] for line in dropin.read_text().splitlines() if line.startswith("#   ")]
    config = machine.do("cat", "/etc/pavise/agent.yaml").partition("inbound:")
    machine.write("/etc/pavise/agent.yaml", "\n".join(line[2:] for line in lines) + "\n" +
                  "".join(config[1:]))
    machine.write("/etc/systemd/system/pavise-agent.service.d/credentials.conf",
                  dropin.read_text())
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "start", AGENT)
    assert machine.show(AGENT, "StatusText") == READY
    refused = machine.run("setpriv", "--reuid=1337", "--regid=1337", "--clear-groups", "cat",
                          "/etc/pavise/tls/tls.key")
    assert "Permission denied" in refused.stdout
