"""Two agents with explicit listeners: no redirection, so no privileges."""

import json
import subprocess

from ..plan import APP, APP_PORT, Address
from ..recipe import ONE_TUNNEL, Command, Recipe, app_behind


class Pavise(Recipe):
    """What both kinds share. With `socket` identities come from the Workload API there, as on a
    real host; without, from the files that every contender uses."""

    family = "pavise"
    is_peer = False

    def __init__(self, name, aead="auto", socket=None):
        self.name = name
        self.aead = aead
        self.socket = socket

    def with_workload_api(self, socket):
        return type(self)(self.name, self.aead, socket)

    def identity(self, identity):
        if self.socket:
            return {"source": "workloadApi", "endpoint": f"unix://{self.socket}"}
        return {"source": "files", "files": {
            "certificate": str(identity.chain), "key": str(identity.key),
            "bundle": str(identity.root)}}

    def write_config(self, bench, side, listen, config):
        base = {"workers": 1, "log": {"level": "error"},
                "status": {"listen": str(Address("127.0.0.1", listen.port + 1))},
                "drain": {"deadline": "0s"}}
        return bench.write(self.file_name(side, listen, "yaml"), json.dumps({**base, **config}))

    def command(self, bench, side, listen, config):
        path = self.write_config(bench, side, listen, config)
        return Command((bench.tools.pavise, "agent", "--config", path),
                       {"PAVISE_AEAD": self.aead})

    def outside_config(self, bench, listen, destination, how):
        return {"identity": self.identity(bench.pki.outside),
                "inbound": {"listen": [], "tunnel": []},
                "outbound": {
                    "listen": [], **how,
                    "listeners": [{"listen": str(listen), "destination": str(destination)}]}}


class Tunnel(Pavise):
    """One tunnel for all connections."""

    alpn = "h2"
    connections = (ONE_TUNNEL,)

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, {
            "identity": self.identity(bench.pki.inside),
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [str(listen)],
                        "ports": [{"port": app.port, "deliver": str(app)}]}})

    def outside(self, bench, listen, peer):
        return self.command(bench, "outside", listen, self.outside_config(
            bench, listen, app_behind(peer.ip),
            {"mesh": {"networks": ["127.0.0.0/8"], "port": peer.port}}))


class Mutual(Pavise):
    """TLS for each connection, to a port on which the inside terminates it and gives tickets."""

    connections = ("full", "resumed")

    def inside_config(self, bench, listen, app):
        return {"identity": self.identity(bench.pki.inside),
                "outbound": {"listen": []},
                "inbound": {"listen": [], "tunnel": [], "ports": [
                    {"port": listen.port, "listen": str(listen), "deliver": str(app),
                     "tlsMode": "required", "clientAuth": "required",
                     "resumption": True}]}}

    def missing_inside(self, bench):
        listen = Address("127.0.0.2", APP_PORT)
        path = self.write_config(bench, "check", listen, self.inside_config(bench, listen, APP))
        check = subprocess.run([bench.tools.pavise, "check", "--config", path],
                               capture_output=True, text=True, check=False)
        if check.returncode == 0:
            return None
        sentence = check.stderr.strip().splitlines()[0].removeprefix(f"{path}:")
        return f"its inside cannot terminate TLS: {sentence.partition(' ')[2]}"

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, self.inside_config(bench, listen, app))

    def outside(self, bench, listen, peer):
        rule = {"match": {"networks": [f"{peer.ip}/32"]}, "tls": "mutual"}
        return self.command(bench, "outside", listen, self.outside_config(
            bench, listen, peer, {"destinations": [rule]}))

    def terminate(self, bench, listen, app):
        own = bench.pki.inside
        certificate = {"name": "own", "certFile": str(own.chain), "keyFile": str(own.key)}
        return self.command(bench, "terminate", listen, {
            "identity": self.identity(own),
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [], "ports": [
                {"port": listen.port, "listen": str(listen), "deliver": str(app),
                 "tlsMode": "required", "clientAuth": "none", "certificates": [certificate]}]}})

    def originate(self, bench, listen, peer):
        server = bench.pki.inside
        rule = {"match": {"networks": [f"{peer.ip}/32"]}, "tls": "simple",
                "serverName": server.name, "serverCerts": [{"file": str(server.root)}]}
        return self.command(bench, "originate", listen, self.outside_config(
            bench, listen, peer, {"destinations": [rule]}))
