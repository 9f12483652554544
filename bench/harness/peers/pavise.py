"""Two agents with explicit listeners: no redirection, so no privileges."""

import json

from ..plan import Address
from ..recipe import Command, Recipe, app_behind


class Tunnel(Recipe):
    """One tunnel for all connections. With `socket` identities come from the Workload API there,
    as on a real host; without, from the files that every contender uses."""

    family = "pavise"
    alpn = "h2"
    connections = "one tunnel"
    is_peer = False

    def __init__(self, name, aead, socket=None):
        self.name = name
        self.aead = aead
        self.socket = socket

    def with_workload_api(self, socket):
        return Tunnel(self.name, self.aead, socket)

    def identity(self, identity):
        if self.socket:
            return {"source": "workloadApi", "endpoint": f"unix://{self.socket}"}
        return {"source": "files", "files": {
            "certificate": str(identity.chain), "key": str(identity.key),
            "bundle": str(identity.root)}}

    def command(self, bench, side, listen, config):
        base = {"workers": 1, "log": {"level": "error"},
                "status": {"listen": str(Address("127.0.0.1", listen.port + 1))},
                "drain": {"deadline": "0s"}}
        path = bench.write(self.file_name(side, listen, "yaml"), json.dumps({**base, **config}))
        return Command((bench.tools.pavise, "agent", "--config", path),
                       {"PAVISE_AEAD": self.aead})

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, {
            "identity": self.identity(bench.pki.inside),
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [str(listen)],
                        "ports": [{"port": app.port, "deliver": str(app)}]}})

    def outside(self, bench, listen, peer):
        return self.command(bench, "outside", listen, {
            "identity": self.identity(bench.pki.outside),
            "inbound": {"listen": [], "tunnel": []},
            "outbound": {
                "listen": [],
                "listeners": [{"listen": str(listen), "destination": str(app_behind(peer.ip))}],
                "mesh": {"networks": ["127.0.0.0/8"], "port": peer.port}}})
