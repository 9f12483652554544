"""HAProxy in TCP mode on both sides."""

import resource

from ..recipe import Command, Recipe, not_installed, program

MOST = 8000
CONFIG = """
global
    nbthread 1
    {tuning}
    maxconn {most}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-server-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519
defaults
    mode tcp
    timeout connect 5s
    timeout client 600s
    timeout server 600s
listen side
    bind {listen} {bind_tls}
    server next {to} {server_tls}
"""


def most_connections():
    """HAProxy does not start without two descriptors for each of them."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST if hard == resource.RLIM_INFINITY else max(100, min(MOST, hard // 2 - 100))


class Haproxy(Recipe):
    family = "haproxy"

    def __init__(self, buffer_bytes=None):
        self.name = f"haproxy {buffer_bytes // 1024}k" if buffer_bytes else "haproxy"
        self.tuning = f"tune.bufsize {buffer_bytes}" if buffer_bytes else ""

    def missing(self):
        return not_installed("haproxy", "haproxy")

    def command(self, bench, side, listen, **values):
        path = bench.write(self.file_name(side, listen, "cfg"),
                           CONFIG.format(
                               listen=listen, tuning=self.tuning, most=most_connections(),
                               **values))
        return Command((program("haproxy"), "-db", "-f", path))

    def inside(self, bench, listen, app):
        own = bench.pki.inside
        return self.command(
            bench, "inside", listen, to=app, server_tls="",
            bind_tls=f"ssl crt {own.combined} ca-file {own.root} verify required")

    def terminate(self, bench, listen, app):
        if self.tuning:
            return None
        return self.command(bench, "terminate", listen, to=app, server_tls="",
                            bind_tls=f"ssl crt {bench.pki.inside.combined}")

    def originate(self, bench, listen, peer):
        if self.tuning:
            return None
        return self.command(bench, "originate", listen, to=peer, bind_tls="",
                            server_tls=f"ssl {self.verify(bench)}")

    def verify(self, bench):
        name = bench.pki.inside.name
        return f"ca-file {bench.pki.inside.root} verify required verifyhost {name} sni str({name})"

    def outside(self, bench, listen, peer):
        return self.command(
            bench, "outside", listen, to=peer, bind_tls="",
            server_tls=f"ssl crt {bench.pki.outside.combined} {self.verify(bench)}")
