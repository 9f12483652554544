"""docs/migration.md, walked from its first step to its last with its own files and commands."""

import re

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once, outcome
from pavise_e2e.lab import UIDS
from pavise_e2e.waiting import wait_until

yaml = pytest.importorskip("yaml")

PAGE = (settings.REPOSITORY / "docs/migration.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(?:sh|yaml)\n# ([^\n]*)\n(.*?)```", PAGE, re.DOTALL))
FILE = "/etc/pavise/agent.yaml"
REFUSED = ("refused", "reset", "closed")

UNITS = settings.REPOSITORY / "deploy/systemd"
# systemd is not here: what the units would do.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{calls}
case "$*" in
reload*) kill -HUP "$(cat {pid})" ;;
"enable --now pavise-intercept") {up} ;;
"disable --now pavise-intercept") {down} ;;
esac
"""


def unit_line(unit, key):
    return re.search(rf"^{key}=/usr/bin/(.*)", (UNITS / unit).read_text(encoding="utf-8"),
                     re.MULTILINE).group(1)


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.hosts = {"web": lab.web, "data": lab.server, "other": lab.other}
        self.agents = {}
        lab.authority()
        self.app = lab.application(lab.server, lab.server.v4, 9000, echo)

    def here(self, text):
        """The page's text with this laboratory's addresses and places."""
        for host, address in (("web", "10.0.0.1"), ("data", "10.0.0.2"), ("other", "10.0.0.3")):
            text = re.sub(re.escape(address) + r"(?![\d/])", self.hosts[host].v4, text)
        text = text.replace("10.0.0.0/24", "10.77.0.0/24")
        return text.replace("unix:///run/pavise/authority.sock", self.lab.endpoint())

    def put(self, name, block):
        """The file of that block, as NAME's configuration."""
        config = yaml.safe_load(self.here(BLOCKS[block]))
        assert config["intercept"]["inbound"]["excludePorts"] == [22]  # nobody is locked out
        config["intercept"]["uid"] = UIDS[self.hosts[name].name]
        return self.lab.configuration(f"agent-{name}", config)

    def begin(self, name):
        """What `systemctl start` would have done."""
        config = yaml.safe_load(self.here(BLOCKS["/etc/pavise/agent.yaml, permissive"]))
        uid = UIDS[self.hosts[name].name]
        config["intercept"]["uid"] = uid
        self.agents[name] = self.lab.run_agent(f"agent-{name}", config, host=self.hosts[name],
                                               uid=uid)
        own = str(self.lab.path(f"agent-{name}.yaml"))
        self.lab.path(f"{name}.bin").mkdir()
        self.lab.write(f"{name}.pid", str(self.agents[name].pid))
        self.lab.write(f"{name}.bin/systemctl", SYSTEMCTL.format(
            calls=self.lab.path(f"{name}.calls"), pid=self.lab.path(f"{name}.pid"),
            up=unit_line("pavise-intercept.service", "ExecStart").replace(FILE, own),
            down=unit_line("pavise-intercept.service", "ExecStop").replace(FILE, own)), 0o755)

    def run(self, name, block):
        """The commands of a block, on that host; their output."""
        script = self.here(BLOCKS[block]).replace(FILE, str(self.lab.path(f"agent-{name}.yaml")))
        path = f"{self.lab.path(f'{name}.bin')}:{self.lab.pavise.parent}:/usr/sbin:/usr/bin:/bin"
        done = self.hosts[name].run(["env", f"PATH={path}", "sh", "-ec", script])
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        return done.stdout.decode()

    def reload(self, name, block, configuration):
        """As `run`, and until the agent has said that the new configuration is in force."""
        self.put(name, configuration)
        before = self.agents[name].log().count("reload_done")
        said = self.run(name, block)
        wait_until(f"{name} has reloaded",
                   lambda: self.agents[name].log().count("reload_done") > before)
        return said

    def call(self, name):
        echo_once(self.hosts[name], self.hosts["data"].v4, 9000)

    def plaintext(self, name, direction):
        return self.agents[name].status.metric("pavise_plaintext_connections_total",
                                               direction=direction)


def ended(connection):
    connection.settimeout(settings.PATIENCE_S)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def walk(lab):
    for program in ("sh", "curl", "env"):
        settings.program(program)
    return Walk(lab)


def test_the_whole_way_and_back(walk):
    start = "on data, then on web: start"
    walk.begin("data")
    walk.run("data", start)
    walk.call("web")
    assert walk.plaintext("data", "inbound") == 1

    held = walk.lab.connect(walk.hosts["other"], walk.hosts["data"].v4, 9000)
    wait_until("it is shown", lambda: re.search(
        rf"none +{re.escape(walk.hosts['other'].v4)}:", walk.run("data", "on data: look")))
    held.close()
    walk.begin("web")
    walk.run("web", start)
    walk.call("web")
    assert walk.plaintext("data", "inbound") == 2  # web is not among them any more
    look = walk.run("web", "on web: look")
    assert re.search(rf"^{re.escape(walk.hosts['data'].v4)} +pinned", look, re.MULTILINE)
    assert walk.plaintext("web", "outbound") == 0

    walk.reload("web", "on web: reload", "/etc/pavise/agent.yaml on web, pinned")
    walk.call("web")
    free = walk.lab.application(walk.hosts["other"], walk.hosts["other"].v4, 9000, echo)
    echo_once(walk.hosts["web"], walk.hosts["other"].v4, 9000)
    walk.reload("web", "on web: reload", "/etc/pavise/agent.yaml on web, deny")
    walk.call("web")
    echo_once(walk.hosts["web"], walk.hosts["other"].v4, 9000)  # the exception
    assert free.accepts == 2

    held = walk.lab.connect(walk.hosts["other"], walk.hosts["data"].v4, 9000)
    held.sendall(b"x")
    assert held.recv(1) == b"x"
    walk.reload("data", "on data: reload", "/etc/pavise/agent.yaml on data, strict")
    assert ended(held)
    walk.call("web")
    assert outcome(walk.hosts["other"], walk.hosts["data"].v4, 9000) in REFUSED
    assert walk.agents["data"].status.wait_for_refusal("direct_refused")

    walk.reload("data", "on data: back", "/etc/pavise/agent.yaml, permissive")
    walk.call("other")
    walk.run("data", "on data: remove")
    walk.agents["data"].terminate()
    walk.call("other")
    walk.reload("web", "on web: reload", "/etc/pavise/agent.yaml, permissive")
    assert outcome(walk.hosts["web"], walk.hosts["data"].v4, 9000) in REFUSED
    walk.run("web", "on web: forget")
    walk.call("web")
    calls = walk.lab.path("data.calls").read_text(encoding="utf-8").split("\n")
    assert calls == ["enable --now pavise-agent", "enable --now pavise-intercept",
                     "reload pavise-agent", "reload pavise-agent",
                     "disable --now pavise-intercept", "disable --now pavise-agent", ""]


def test_the_units_read_the_pages_file():
    assert FILE in PAGE
    for unit in ("pavise-agent.service", "pavise-intercept.service"):
        assert FILE in unit_line(unit, "ExecStart")


def test_every_block_is_walked():
    walked = open(__file__, encoding="utf-8").read()
    assert len(BLOCKS) == len(re.findall(r"^```(?:sh|yaml)", PAGE, re.MULTILINE)) == 12
    for block in BLOCKS:
        assert f'"{block}"' in walked, block
