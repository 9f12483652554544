"""deploy/systemd without systemd as process 1 (test_systemd_boot.py has it): what systemd's own
tools say of the units, their commands as processes, and the filter against what the agent really
calls."""

import configparser
import os
import re
import shutil
import signal
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, exchange, outcome
from pavise_e2e.lab import spiffe_id
from pavise_e2e.process import wrap
from pavise_e2e.single import Both
from pavise_e2e.waiting import wait_until

FOLDER = settings.REPOSITORY / "deploy/systemd"
UNITS = ["pavise-agent.service", "pavise-agent.socket", "pavise-authority.service",
         "pavise-intercept.service"]
SERVICES = [name for name in UNITS if name.endswith(".service")]
USERS = {"pavise": 1337, "pavise-authority": 1336}


class Several(dict):
    """Keys of a section that come again add to what there is, a line each."""

    def __setitem__(self, key, value):
        if key in self and isinstance(value, list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def unit(name):
    parser = configparser.RawConfigParser(dict_type=Several, strict=False, interpolation=None,
                                          delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read(FOLDER / name)
    return parser


def lines(parser, section, key):
    return [line for line in parser[section][key].split("\n") if line]


def analyze(*words):
    done = subprocess.run([settings.program("systemd-analyze"), *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=settings.environment({"SYSTEMD_PAGER": ""}), timeout=60)
    return done.returncode, done.stdout


@pytest.fixture
def folder(loopback):
    """The units as they would be installed, with the program where it is."""
    made = loopback.path("units")
    shutil.copytree(FOLDER, made)
    for name in UNITS:
        text = (made / name).read_text().replace("/usr/bin/pavise", str(loopback.pavise))
        (made / name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return made


def test_systemd_verifies_the_units(folder):
    code, said = analyze("verify", "--man=no", *(folder / name for name in UNITS))
    assert (code, said) == (0, "")


def test_systemd_would_see_a_mistake(folder):
    """The control: the same call finds an unknown key, an unknown filter, a missing program."""
    path = folder / "pavise-agent.service"
    path.write_text(path.read_text().replace("WatchdogSec", "WatchdogSecs")
                    .replace("@system-service", "@no-such-group"))
    _, said = analyze("verify", "--man=no", path)
    assert "WatchdogSecs" in said and "@no-such-group" in said


@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_ok_or_better(folder, name):
    # 4.0: below it is "OK", above "MEDIUM".
    code, said = analyze("security", "--offline=true", "--no-pager", "--threshold=40",
                         folder / name)
    assert code == 0, said
    assert re.search(r"exposure level for \S+: [0-3]\.\d OK", said), said


def test_the_socket_unit_is_what_a_default_agent_listens_on(lab):
    lab.authority(entries=[{"uid": 1301, "spiffeId": spiffe_id("web")}])
    streams = lines(unit("pavise-agent.socket"), "Socket", "ListenStream")
    words = [settings.program("systemd-socket-activate")]
    for stream in streams:
        words += ["--listen", stream]
    # systemd-socket-activate knows no BindIPv6Only=; the host's default stands for it.
    done = lab.web.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/bindv6only"])
    assert done.returncode == 0, done.stderr
    agent = lab.agent(lab.web, wrap=words, intercepted=False)
    assert f"{len(streams)} listening sockets were handed in, 0 are bound" in agent.log()


def allowed_calls():
    """What the agent's SystemCallFilter= leaves."""
    _, said = analyze("syscall-filter")
    groups, name = {}, None
    for line in said.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = line
            groups[name] = []
        elif word and not word.startswith("#") and name:
            groups[name].append(word)

    def expand(word):
        if not word.startswith("@"):
            return {word}
        return set().union(*(expand(inner) for inner in groups[word]))

    # @default is always there.
    allowed = expand("@default")
    for line in lines(unit("pavise-agent.service"), "Service", "SystemCallFilter"):
        calls = set().union(*(expand(word) for word in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


@pytest.mark.skipif(settings.has_sanitizer(), reason="a sanitizer has calls of its own")
def test_the_filter_lets_the_agent_do_all_that_it_does(loopback):
    """A life with traffic, a reload, an upgrade on SIGUSR2 and a drain, under strace."""
    both = Both(loopback)
    trace = loopback.path("trace")
    both.config["identity"] = {"endpoint": loopback.endpoint(),
                               "stateDirectory": str(loopback.path("state"))}
    agent = loopback.run_agent("agent", both.config, host=loopback.host, wrap=[
        settings.program("strace"), "-f", "-qq", "-e", "signal=none", "-o", trace])
    both.echo()
    pid = int(re.search(r"event=started.* pid=(\d+)", agent.log()).group(1))
    os.kill(pid, signal.SIGHUP)
    agent.wait_for_log("event=reload_done")
    os.kill(pid, signal.SIGUSR2)
    agent.wait_for_log("event=handed_over")
    both.echo()
    successor = int(re.search(r"the successor \(pid (\d+)\) accepts", agent.log()).group(1))
    os.kill(successor, signal.SIGTERM)
    assert agent.wait() == 0
    called = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert {"execve", "accept4", "landlock_restrict_self", "memfd_create"} <= called
    allowed = allowed_calls()
    assert not allowed & {"mount", "reboot", "init_module", "bpf"}
    assert not called - allowed


# --- the units' commands, as processes ----------------------------------------------------------


class Machine:
    """What `docs/systemd.md` leaves, below a directory: each path of the units is moved there."""

    def __init__(self, lab):
        self.lab = lab
        self.places = {"/usr/bin/pavise": lab.pavise}
        for path, user in (("/etc/pavise", None), ("/run/pavise-authority", "pavise-authority"),
                           ("/var/lib/pavise-authority", "pavise-authority"),
                           ("/var/lib/pavise/agent", "pavise")):
            place = lab.path(path.strip("/").replace("/", "-"))
            place.mkdir(mode=0o755 if user is None or path.startswith("/run") else 0o700)
            if user:
                os.chown(place, USERS[user], USERS[user])
            self.places[path] = place
        for name in ("agent.yaml", "entries.yaml"):
            text = self.moved((FOLDER / name).read_text())
            (self.places["/etc/pavise"] / name).write_text(text.replace("2002", "4002"))

    def moved(self, text):
        for path in sorted(self.places, key=len, reverse=True):
            text = text.replace(path, str(self.places[path]))
        return text

    def command(self, name, key="ExecStart"):
        service = unit(name)["Service"]
        words = self.moved(service[key].strip()).split()
        return words, USERS.get(service.get("User", "").strip())

    def start(self, name, host):
        words, uid = self.command(name)
        return self.lab.start(name, words, host=host, uid=uid)

    def run(self, name, key, host):
        words, uid = self.command(name, key)
        return subprocess.run(wrap(words, host=host, uid=uid), text=True, check=False, timeout=30,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=settings.environment())


def test_redis_behind_the_units(lab):
    machine = Machine(lab)
    server = lab.server
    entries = machine.places["/etc/pavise"] / "entries.yaml"
    entries.write_text(entries.read_text() + f'- {{uid: 1301, spiffeId: "{spiffe_id("web")}"}}\n')
    machine.start("pavise-authority.service", server)
    socket_path = machine.places["/run/pavise-authority"] / "authority.sock"
    wait_until("the authority listens", socket_path.exists)
    assert machine.run("pavise-intercept.service", "ExecStart", server).returncode == 0
    assert machine.run("pavise-agent.service", "ExecStartPre", server).returncode == 0
    agent = machine.start("pavise-agent.service", server)
    agent.wait_for_log("event=identity_changed")
    lab.application(server, "127.0.0.1", 6379, echo)
    web = {"identity": {"endpoint": f"unix://{socket_path}"}}
    client = lab.agent(lab.web, web)
    held = lab.connect(lab.web, server.v4, 6379)
    assert exchange(held, b"through the tunnel") == b"through the tunnel"
    assert outcome(lab.other, server.v4, 6379) in ("refused", "reset", "closed")
    assert client.status.rows("/tunnels")[0]["peerId"] == spiffe_id("redis")
    held.close()
    assert agent.terminate() == 0
    assert machine.run("pavise-intercept.service", "ExecStop", server).returncode == 0
