"""stunnel on both sides."""

from ..recipe import Command, Recipe, not_installed, program

CONFIG = """
foreground = yes
pid =
syslog = no
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[side]
client = {client}
accept = {listen}
connect = {to}
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
curves = X25519
{more}
"""
OWN = """
cert = {own.chain}
key = {own.key}
"""
VERIFY = """
CAfile = {own.root}
verifyChain = yes
"""
SERVER = """
checkHost = {peer_name}
sni = {peer_name}
"""


class Stunnel(Recipe):
    name = "stunnel"
    family = "stunnel"

    def missing(self):
        return not_installed("stunnel4", "stunnel4") and not_installed("stunnel", "stunnel4")

    def command(self, bench, side, listen, to, more):
        makes_tls = side in ("outside", "originate")
        own = bench.pki.outside if makes_tls else bench.pki.inside
        path = bench.write(self.file_name(side, listen, "conf"), CONFIG.format(
            listen=listen, client="yes" if makes_tls else "no", to=to,
            more=more.format(own=own, peer_name=bench.pki.inside.name)))
        return Command((program("stunnel4") or program("stunnel"), path))

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, app, OWN + VERIFY + "requireCert = yes")

    def outside(self, bench, listen, peer):
        return self.command(bench, "outside", listen, peer, OWN + VERIFY + SERVER)

    def terminate(self, bench, listen, app):
        return self.command(bench, "terminate", listen, app, OWN)

    def originate(self, bench, listen, peer):
        return self.command(bench, "originate", listen, peer, VERIFY + SERVER)
