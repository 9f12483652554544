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
cert = {own.chain}
key = {own.key}
CAfile = {own.root}
verifyChain = yes
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
curves = X25519
{more}
"""


class Stunnel(Recipe):
    name = "stunnel"
    family = "stunnel"

    def missing(self):
        return not_installed("stunnel4", "stunnel4") and not_installed("stunnel", "stunnel4")

    def command(self, bench, side, listen, **values):
        path = bench.write(self.file_name(side, listen, "conf"),
                           CONFIG.format(listen=listen, **values))
        return Command((program("stunnel4") or program("stunnel"), path))

    def inside(self, bench, listen, app):
        return self.command(bench, "inside", listen, client="no", to=app, own=bench.pki.inside,
                            more="requireCert = yes")

    def outside(self, bench, listen, peer):
        return self.command(bench, "outside", listen, client="yes", to=peer,
                            own=bench.pki.outside, more=f"checkHost = {bench.pki.inside.name}\n"
                            f"sni = {bench.pki.inside.name}")
