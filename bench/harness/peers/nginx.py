"""nginx's stream module on both sides."""

import os

from ..recipe import Command, Recipe, not_installed, program

MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
CONFIG = """
load_module {module};
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 40000;
pid {pid};
error_log stderr crit;
events {{
    worker_connections 30000;
}}
stream {{
    proxy_buffer_size {buffer_kb}k;
    tcp_nodelay on;
    server {{
        listen {listen} backlog=4096 {listen_tls};
        proxy_pass {to};
        {tls}
    }}
}}
"""
INSIDE = """
        ssl_certificate {own.chain};
        ssl_certificate_key {own.key};
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve X25519;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_cache shared:sessions:10m;
"""
OF_CLIENTS = """
        ssl_client_certificate {own.root};
        ssl_verify_client on;
        ssl_verify_depth 3;
"""
OUTSIDE = """
        proxy_ssl on;
        proxy_ssl_trusted_certificate {own.root};
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 3;
        proxy_ssl_name {peer_name};
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        proxy_ssl_session_reuse on;
"""
OWN = """
        proxy_ssl_certificate {own.chain};
        proxy_ssl_certificate_key {own.key};
"""


class Nginx(Recipe):
    family = "nginx"

    def __init__(self, buffer_kb):
        self.name = "nginx" if buffer_kb == 16 else f"nginx {buffer_kb}k"
        self.buffer_kb = buffer_kb
        self.is_default = buffer_kb == 16

    def missing(self):
        if not os.path.exists(MODULE):
            return "nginx's stream module is not installed (apt-get install libnginx-mod-stream)"
        return not_installed("nginx", "nginx")

    def command(self, bench, side, listen, **values):
        text = CONFIG.format(
            module=MODULE, listen=listen, buffer_kb=self.buffer_kb,
            pid=bench.directory / self.file_name(side, listen, "pid"), **values)
        path = bench.write(self.file_name(side, listen, "conf"), text)
        return Command((program("nginx"), "-p", bench.directory, "-e", "stderr", "-c", path))

    def inside(self, bench, listen, app):
        return self.ends_tls(bench, "inside", listen, app, INSIDE + OF_CLIENTS)

    def outside(self, bench, listen, peer):
        return self.makes_tls(bench, "outside", listen, peer, OUTSIDE + OWN)

    def terminate(self, bench, listen, app):
        return self.ends_tls(bench, "terminate", listen, app, INSIDE) if self.is_default else None

    def originate(self, bench, listen, peer):
        return self.makes_tls(bench, "originate", listen, peer, OUTSIDE) if self.is_default \
            else None

    def ends_tls(self, bench, side, listen, app, how):
        return self.command(bench, side, listen, to=app, listen_tls="ssl",
                            tls=how.format(own=bench.pki.inside))

    def makes_tls(self, bench, side, listen, peer, how):
        return self.command(bench, side, listen, to=peer, listen_tls="", tls=how.format(
            own=bench.pki.outside, peer_name=bench.pki.inside.name))
