"""hitch inside, where it belongs: as a client it presents no certificate. HAProxy is outside."""

import os

from ..recipe import Command, Recipe, not_installed, program
from .haproxy import Haproxy

CONFIG = """
frontend = "[{listen.ip}]:{listen.port}"
backend = "[{app.ip}]:{app.port}"
pem-file = "{own.combined}"
tls-protos = TLSv1.3
ciphersuites = "TLS_AES_128_GCM_SHA256"
ecdh-curve = "X25519"
workers = 1
backlog = 4096
daemon = off
quiet = on
syslog = off
ocsp-dir = ""
{user}
"""
OF_CLIENTS = """
client-verify = required
client-verify-ca = "{own.root}"
"""


class Hitch(Recipe):
    name = "hitch in, haproxy out"
    family = "hitch"

    def __init__(self):
        self._out = Haproxy(65536)

    def missing(self):
        return not_installed("hitch", "hitch") or self._out.missing()

    def command(self, bench, side, listen, app, config):
        user = 'user = "nobody"\ngroup = "nogroup"' if os.geteuid() == 0 else ""
        path = bench.write(self.file_name(side, listen, "conf"), config.format(
            listen=listen, app=app, own=bench.pki.inside, user=user))
        return Command((program("hitch"), f"--config={path}"))

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, app, CONFIG + OF_CLIENTS)

    def terminate(self, bench, listen, app):
        return self.command(bench, "terminate", listen, app, CONFIG)

    def outside(self, bench, listen, peer):
        return self._out.outside(bench, listen, peer)
