"""What a test builds with: hosts, an identity server, agents, programs. Everything that a lab
started is ended with it, and a process that did not live or end well fails the test."""

import copy
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from . import settings
from .applications import Application, Load
from .network import LocalHost, Network
from .process import Process
from .status import Status
from .waiting import wait_until

UIDS = {"web": 1301, "server": 1302, "other": 1303}
ENTRIES = [{"uid": uid, "spiffeId": f"spiffe://{settings.TRUST_DOMAIN}/ns/default/sa/{name}"}
           for name, uid in UIDS.items()]


def spiffe_id(name):
    return f"spiffe://{settings.TRUST_DOMAIN}/ns/default/sa/{name}"


def merged(base, change):
    """`base` with the keys of `change`, sections merged, everything else replaced."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Agent(Process):
    """A running `pavise agent` and its status port."""

    def __init__(self, *arguments, config_path, status, **options):
        super().__init__(*arguments, **options)
        self.config_path = config_path
        self.status = status

    def wait_ready(self):
        def is_ready():
            assert self.is_running(), f"{self.name} ended:\n{self.log()}"
            return self.status.is_ready()

        wait_until(f"{self.name} is ready", is_ready)

    def rewrite(self, change):
        """`change(configuration)` alters its file, which it reads when it is told."""
        config = json.loads(self.config_path.read_text())
        change(config)
        self.config_path.write_text(json.dumps(config, indent=2) + "\n")

    def reload(self, event="reload_done"):
        """SIGHUP, and its outcome in the log."""
        before = self.log().count(f"event={event}")
        self.signal(signal.SIGHUP)
        wait_until(f"{self.name} logs {event}",
                   lambda: self.log().count(f"event={event}") > before)


class Lab:
    """The files and processes of one test."""

    def __init__(self, pavise):
        self.pavise = pavise
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pavise-e2e-"))
        self.directory.chmod(0o755)
        self.processes = []
        self._applications = []
        self._connections = []
        self._loads = []

    def path(self, name):
        return self.directory / name

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    # --- processes

    def start(self, name, argv, **options):
        return self._keep(Process(name, argv, self.path(f"{name}.log"), **options))

    def _keep(self, process):
        self.processes.append(process)
        return process

    def authority(self, *options, name="authority", trust_domain=settings.TRUST_DOMAIN,
                  entries=None, env=None):
        """`pavise authority`, its CA in `NAME.state`, up when this returns."""
        socket_path = self.path(f"{name}.sock")
        argv = [self.pavise, "authority", "--socket", socket_path, "--trust-domain", trust_domain,
                "--state", self.path(f"{name}.state")]
        if entries is not None:
            argv += ["--entries", self.write(f"{name}.entries.yaml", json.dumps(entries))]
        process = self.start(name, argv + list(options), env=env)
        wait_until(f"{name} listens", socket_path.exists)
        return process

    def endpoint(self, name="authority"):
        return f"unix://{self.path(f'{name}.sock')}"

    def configuration(self, name, config):
        """Writes a configuration file: JSON is YAML."""
        if settings.has_thread_sanitizer():  # it reads the program's own file to name functions
            config = {"sandbox": "off", **config}
        return self.write(f"{name}.yaml", json.dumps(config, indent=2) + "\n")

    def run_agent(self, name, config, *, host, uid=None, ready=True, wrap=(), **options):
        """`wrap`: words in front of the agent's command, such as a profiler's."""
        base = {"drain": {"deadline": "5s"}}
        if "source" not in config.get("identity", {}):
            base["identity"] = {"endpoint": self.endpoint()}
        config = merged(base, config)
        path = self.configuration(name, config)
        listen = config.get("status", {}).get("listen", "127.0.0.1:15020")
        status = Status(host, int(listen.rpartition(":")[2]))
        argv = [*wrap, self.pavise, "agent", "--config", path]
        agent = Agent(name, argv, self.path(f"{name}.log"), config_path=path, status=status,
                      host=host, uid=uid, **options)
        self._keep(agent)
        if ready:
            agent.wait_ready()
        return agent

    def successor(self, agent, name, *, host, ready=True, **options):
        """Another process that takes over from `agent`, by the same file; when this returns it has,
        unless `ready` is false."""
        argv = [self.pavise, "agent", "--config", agent.config_path, "--take-over"]
        successor = Agent(name, argv, self.path(f"{name}.log"), config_path=agent.config_path,
                          status=agent.status, host=host, **options)
        self._keep(successor)
        if ready:
            successor.wait_for_log("event=took_over")
        return successor

    @staticmethod
    def wait_port(host, address, port):
        """Until a program that was started listens; asked from its own host."""
        def is_open():
            try:
                host.connect(address, port).close()
                return True
            except OSError:
                return False

        wait_until(f"{address}:{port} listens", is_open)

    # --- applications

    def application(self, host, address, port, serve):
        application = Application(host, address, port, serve)
        self._applications.append(application)
        return application

    def connect(self, host, address, port):
        """A connection that is closed with the lab at the latest."""
        connection = host.connect(address, port)
        self._connections.append(connection)
        return connection

    def load(self, host, address, port, **options):
        """Load that stops with the lab at the latest."""
        load = Load(host, address, port, **options)
        self._loads.append(load)
        return load

    # --- the end

    def logs(self):
        """(name, text) of every log in the lab."""
        for path in sorted(self.directory.glob("*.log")):
            yield path.stem, path.read_text(encoding="utf-8", errors="replace")

    def close(self):
        for load in self._loads:
            load.stop()
        for connection in self._connections:
            connection.close()
        for application in self._applications:
            application.stop()
        wrong = [process.finish() for process in reversed(self.processes)]
        if not os.environ.get("PAVISE_E2E_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)
        wrong = [sentence for sentence in wrong if sentence]
        assert not wrong, "; ".join(wrong)


class LoopbackLab(Lab):
    """Agents on one machine without privileges: explicit listeners on loopback addresses."""

    def __init__(self, pavise):
        super().__init__(pavise)
        self.host = LocalHost()


class NetworkLab(Lab):
    """Agents on hosts of their own: `web` calls, `server` serves, `other` is somebody else. With
    interception the applications are those of the test's own process, which is root."""

    def __init__(self, pavise):
        if os.geteuid() != 0:
            pytest.skip("needs root for network namespaces")
        settings.program("ip")
        settings.program("nft")
        super().__init__(pavise)
        self.network = Network()
        self.web, self.server, self.other = self.network.hosts

    def authority(self, *options, entries=ENTRIES, **more):
        return super().authority(*options, entries=entries, **more)

    def rewrite_entries(self, entries, name="authority"):
        """New entries for a running authority, which reads them on SIGHUP."""
        self.write(f"{name}.entries.yaml", json.dumps(entries))
        next(p for p in self.processes if p.name == name).signal(signal.SIGHUP)

    def agent(self, host, change=None, *, intercepted=True, name=None, **options):
        """An agent in a host under the host's uid, with `change` to the default configuration."""
        uid = UIDS[host.name]
        config = merged({"intercept": {"uid": uid},
                         "outbound": {"mesh": {"networks": ["10.77.0.0/24", "fd77::/64"]}}},
                        change or {})
        agent = self.run_agent(name or f"agent-{host.name}", config, host=host, uid=uid, **options)
        if intercepted:
            self.intercept(host, agent)
        return agent

    def intercept(self, host, agent):
        done = host.run([self.pavise, "intercept", "up", "--config", agent.config_path])
        assert done.returncode == 0, done.stderr.decode()

    def release(self, host, agent):
        """Removes the rules, as `intercept` put them in."""
        done = host.run([self.pavise, "intercept", "down", "--config", agent.config_path])
        assert done.returncode == 0, done.stderr.decode()

    def pair(self, web=None, server=None, authority=()):
        """The usual: an authority and intercepted agents on `web` and `server`, all ready."""
        self.authority(*authority)
        server_agent = self.agent(self.server, server)
        web_agent = self.agent(self.web, web)
        return web_agent, server_agent

    def close(self):
        try:
            super().close()
        finally:
            self.network.remove()
