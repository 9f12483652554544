"""deploy/compose without an engine: docker-compose reads the file, and the commands of its Pavise
services run as processes, in its order, under its users, at its addresses."""

import graphlib
import subprocess

import pytest
import yaml

from pavise_e2e import settings
from pavise_e2e.applications import echo, exchange, outcome
from pavise_e2e.status import Status
from pavise_e2e.waiting import wait_until

FOLDER = settings.REPOSITORY / "deploy/compose"
FILE = FOLDER / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items()
        if service["image"].startswith("pavise")}
WEB, DATA = "spiffe://demo.example/ns/default/sa/web", "spiffe://demo.example/ns/default/sa/data"


def test_compose_accepts_the_file():
    done = subprocess.run([settings.program("docker-compose"), "-f", FILE, "config", "-q"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=60, env=settings.environment())
    assert (done.returncode, done.stdout) == (0, "")


def needs(service):
    wanted = service.get("depends_on", {})
    return wanted if isinstance(wanted, dict) else {name: {} for name in wanted}


def in_order():
    """Service names, each after those that it depends on; fails on one that is not there."""
    graph = {name: set(needs(service)) for name, service in SERVICES.items()}
    assert set().union(*graph.values()) <= set(graph)
    return list(graphlib.TopologicalSorter(graph).static_order())


def network_owner(name):
    mode = SERVICES[name].get("network_mode", "")
    return mode.partition("service:")[2] or name


def agent_beside(name):
    """The sidecar in the network of a service."""
    [agent] = [other for other in OURS if other != name and OURS[other]["command"][0] == "agent"
               and network_owner(other) == network_owner(name)]
    return agent


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_an_application_starts_behind_its_sidecar(name):
    """In its host's network, when the rules are in force and the agent is ready; another uid."""
    host, agent = network_owner(name), agent_beside(name)
    conditions = {other: how.get("condition") for other, how in needs(SERVICES[name]).items()}
    assert conditions == {host: "service_healthy", agent: "service_healthy"}
    assert SERVICES[agent]["healthcheck"]["test"] == ["CMD", "/usr/bin/pavise", "status", "--ready"]
    assert SERVICES[host]["healthcheck"]["test"] == ["CMD", "/usr/bin/pavise", "intercept", "show"]
    assert SERVICES[name].get("user") != SERVICES[agent]["user"]


def test_a_network_outlives_what_uses_it():
    """Its owner does nothing that could end: no agent and no application takes it along."""
    owners = {network_owner(name) for name in SERVICES if "network_mode" not in SERVICES[name]}
    assert owners and all(SERVICES[name]["command"][:3] == ["intercept", "up", "--hold"]
                          for name in owners)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_of_ours_may_little(name):
    service = OURS[name]
    may = service.get("cap_add", [])
    assert may == (["NET_ADMIN"] if service["command"][0] == "intercept" else [])
    assert service["cap_drop"] == ["ALL"] and service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service and "ports" not in service


class Containers:
    """Each service of ours as a process: its host stands for its network, and a directory for each
    of its mounts."""

    def __init__(self, lab):
        self.lab = lab
        self.hosts = {"web-host": lab.web, "data-host": lab.server}
        self.identity = lab.path("identity")
        self.identity.mkdir(mode=0o777)
        self.identity.chmod(0o777)
        self.agents = {}
        for name in self.hosts:
            address = SERVICES[name]["networks"]["hosts"]["ipv4_address"]
            done = self.hosts[name].run(["ip", "addr", "add", f"{address}/24", "dev", "eth0"])
            assert done.returncode == 0, done.stderr

    def _moved(self, service, word):
        """A path of the container, where it is here."""
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            if source == "identity":
                word = word.replace(target, str(self.identity))
            elif word == target:
                text = (FOLDER / source).read_text().replace("/run/pavise", str(self.identity))
                word = str(self.lab.write(source.strip("./"), text))
        return word

    def start(self, name):
        service = OURS[name]
        host = self.hosts.get(network_owner(name), self.lab.other)
        words = [self.lab.pavise, *(self._moved(service, word) for word in service["command"])]
        process = self.lab.start(name, words, host=host, uid=int(service["user"].split(":")[0]))
        if service["command"][0] == "agent":
            self.agents[name] = Status(host)
            wait_until(f"{name} is ready", self.agents[name].is_ready)
        elif service["command"][0] == "intercept":
            show = [self.lab.pavise, *service["healthcheck"]["test"][2:]]
            wait_until("the rules are in force", lambda: host.run(show).returncode == 0)
        else:
            wait_until("the authority listens", (self.identity / "authority.sock").exists)
        assert process.is_running()
        return process


def test_the_services_as_processes(lab):
    containers = Containers(lab)
    processes = {name: containers.start(name) for name in in_order() if name in OURS}
    app = lab.application(lab.server, "127.0.0.1", 6379, echo)  # where compose.yaml binds redis
    assert "127.0.0.1" in SERVICES["redis"]["command"]
    address = SERVICES["data-host"]["networks"]["hosts"]["ipv4_address"]
    held = lab.connect(lab.web, address, 6379)
    assert exchange(held, b"note") == b"note"
    row = containers.agents["web-agent"].rows("/connections")[0]
    assert (row["security"], row["ownId"], row["peerId"]) == ("mutual_tls", WEB, DATA)
    accepts = app.accepts
    assert outcome(lab.other, lab.server.v4, 6379) in ("refused", "reset", "closed")
    assert app.accepts == accepts
    held.close()
    assert processes["data-agent"].terminate() == 0  # its host stays, and so do the rules
    assert outcome(lab.other, lab.server.v4, 6379) in ("refused", "reset", "closed")
    assert outcome(lab.web, address, 6379) in ("refused", "reset", "closed")
    assert app.accepts == accepts
    containers.start("data-agent")
    assert exchange(lab.connect(lab.web, address, 6379), b"again") == b"again"
    assert processes["data-host"].terminate() == 0
