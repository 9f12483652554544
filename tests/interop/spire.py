"""SPIRE's server and agent on this machine: join token, unix attestor, certificates of 10 s."""

import subprocess

from pavise_e2e import settings
from pavise_e2e.lab import UIDS, spiffe_id
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

NODE = f"spiffe://{settings.TRUST_DOMAIN}/node"
CA_TTL_S = 60  # SPIRE prepares the next CA at half of it and signs with it soon after

SERVER = """
server {{
  trust_domain = "{domain}"
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{dir}/spire-server.sock"
  data_dir = "{dir}/spire-server"
  ca_ttl = "{ca_ttl}s"
  default_x509_svid_ttl = "10s"
  log_level = "INFO"
}}
plugins {{
  DataStore "sql" {{ plugin_data {{
    database_type = "sqlite3"
    connection_string = "{dir}/spire-server/db.sqlite3"
  }} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
}}
"""

AGENT = """
agent {{
  trust_domain = "{domain}"
  server_address = "127.0.0.1"
  server_port = "{port}"
  socket_path = "{dir}/spire-agent.sock"
  data_dir = "{dir}/spire-agent"
  trust_bundle_path = "{dir}/bootstrap.crt"
  log_level = "INFO"
}}
plugins {{
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"""


class Spire:
    """Both programs, with an entry for each host's uid."""

    def __init__(self, lab, server, agent):
        self._lab, self._server, self._agent = lab, server, agent
        self.endpoint = f"unix://{lab.path('spire-agent.sock')}"
        self.entries = {}
        words = {"domain": settings.TRUST_DOMAIN, "port": free_port(), "dir": lab.directory,
                 "ca_ttl": CA_TTL_S}
        for name in ("spire-server", "spire-agent"):
            lab.path(name).mkdir()
        config = lab.write("spire-server.conf", SERVER.format(**words))
        lab.start("spire-server", [server, "run", "-config", config])
        wait_until("SPIRE's server is healthy", lambda: self._try("healthcheck"), every=0.3)
        lab.write("bootstrap.crt", self._call("bundle", "show"))
        token = self._call("token", "generate", "-spiffeID", NODE).split()[1]
        config = lab.write("spire-agent.conf", AGENT.format(**words))
        lab.start("spire-agent", [agent, "run", "-config", config, "-joinToken", token])
        for name in UIDS:
            self.create(name)
        wait_until("SPIRE's agent listens", lab.path("spire-agent.sock").exists, every=0.3)

    def _run(self, *words):
        return subprocess.run([self._server, *words, "-socketPath",
                               self._lab.path("spire-server.sock")], text=True, timeout=60,
                              capture_output=True, env=settings.environment(), check=False)

    def _try(self, *words):
        return self._run(*words).returncode == 0

    def _call(self, *words):
        done = self._run(*words)
        assert done.returncode == 0, f"spire-server {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def create(self, name):
        """An entry for the uid of a host."""
        out = self._call("entry", "create", "-parentID", NODE, "-spiffeID", spiffe_id(name),
                         "-selector", f"unix:uid:{UIDS[name]}", "-x509SVIDTTL", "10")
        self.entries[name] = next(line.split(":")[1].strip() for line in out.splitlines()
                                  if line.startswith("Entry ID"))

    def delete(self, name):
        self._call("entry", "delete", "-entryID", self.entries.pop(name))

    def num_roots(self):
        return self._call("bundle", "show").count("BEGIN CERTIFICATE")
