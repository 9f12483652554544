"""Ports where TLS ends: certificates made by openssl, an agent in front of an application, and the
programs that people use as clients."""

import http.server
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import threading

from . import settings
from .network import free_port
from .waiting import wait_until

_CA = """
[ca]
default_ca = main
[main]
database = {dir}/index.txt
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = optional
organizationName = optional
organizationalUnitName = optional
localityName = optional
stateOrProvinceName = optional
countryName = optional
"""
CLIENT = "extendedKeyUsage = clientAuth"
BOUND = str(settings.PATIENCE_S)  # of a client that gets no answer


def run(*argv, **options):
    """The finished program, whatever its exit code; text, within a bounded time."""
    return subprocess.run([settings.program(argv[0]), *map(str, argv[1:])],
                          env=settings.environment(), capture_output=True, text=True,
                          timeout=2 * settings.PATIENCE_S, check=False, **options)


_P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


class Pki:
    """Files of certificates in one directory, each by its name."""

    def __init__(self, directory):
        self._dir = pathlib.Path(directory)
        self._dir.mkdir()
        self._dir.chmod(0o755)
        (self._dir / "index.txt").touch()
        (self._dir / "ca.cnf").write_text(_CA.format(dir=self._dir), encoding="ascii")

    def certificate(self, name):
        return self._dir / f"{name}.crt"

    def key(self, name):
        return self._dir / f"{name}.key"

    def listed(self, *names):
        """A list of certificates, as the configuration wants it."""
        return [{"file": str(self.certificate(name))} for name in names]

    def presented(self, name, /, **keys):
        """An entry of `inbound.ports[].certificates`."""
        return {"name": name, "certFile": str(self.certificate(name)),
                "keyFile": str(self.key(name)), **keys}

    def serial(self, name):
        done = run("openssl", "x509", "-noout", "-serial", "-in", self.certificate(name))
        return int(done.stdout.partition("=")[2], 16)

    @staticmethod
    def _openssl(*argv):
        done = run("openssl", *argv)
        assert done.returncode == 0, done.stderr

    def ca(self, name, subject):
        self._openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-keyout", self.key(name), "-out",
                      self.certificate(name), "-days", "3650", "-subj", subject, "-addext",
                      "basicConstraints=critical,CA:TRUE", "-addext",
                      "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(self, name, issuer, subject, *extensions, dates=(), key=_P256):
        request = self._dir / f"{name}.csr"
        added = [word for line in extensions for word in ("-addext", line.replace(" = ", "="))]
        self._openssl("req", "-nodes", "-newkey", *key, "-keyout", self.key(name), "-out", request,
                      "-subj", subject, *added)
        start, end = dates or ("20200101000000Z", "20900101000000Z")
        self._openssl("ca", "-batch", "-notext", "-config", self._dir / "ca.cnf", "-cert",
                      self.certificate(issuer), "-keyfile", self.key(issuer), "-in", request,
                      "-out", self.certificate(name), "-startdate", start, "-enddate", end)

    def usual(self):
        """The fixtures of most tests."""
        self.ca("ca", "/O=Test/CN=Root One")
        self.ca("ca2", "/O=Test/CN=Root Two")
        self.leaf("server", "ca", "/O=Test/CN=mtls.httpbin.org",
                  "subjectAltName = DNS:mtls.httpbin.org,DNS:localhost,IP:127.0.0.1",
                  "extendedKeyUsage = serverAuth")
        self.leaf("client", "ca", "/C=US/ST=CA/L=SF/O=Acme/OU=eng/OU=sre/CN=svc-a",
                  "subjectAltName = DNS:svc-a.local", CLIENT)
        self.leaf("client2", "ca2", "/CN=intruder", CLIENT)
        return self


class WebApplication:
    """An HTTP/1.1 server that answers with what it was asked; `tls` makes it HTTPS."""

    def __init__(self, tls=None, port=0):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                seen.append((self.path, dict(self.headers)))
                body = json.dumps({"path": self.path}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Edge:
    """An agent with one inbound port, in front of an application on 127.0.0.1."""

    def __init__(self, lab, pki, app_port, keys, authority=False, **options):
        self.lab, self.pki, self.app_port = lab, pki, app_port
        self.port, self.status_port = free_port(), free_port()
        if authority:
            lab.authority()
        self.agent = lab.run_agent("edge", self.configuration(keys), host=lab.host,
                                   ready=authority, **options)
        lab.wait_port(lab.host, "127.0.0.1", self.status_port)

    def configuration(self, keys):
        keys = dict(keys)
        top = {key: keys.pop(key) for key in ("workers", "sandbox") if key in keys}
        port = {"port": 8443, "listen": f"127.0.0.1:{self.port}",
                "deliver": f"127.0.0.1:{self.app_port}", "tlsMode": "required", **keys}
        return {**top, "outbound": {"listen": []},
                "inbound": {"listen": [], "tunnel": [], "ports": [port]},
                "status": {"listen": f"127.0.0.1:{self.status_port}"}}

    def curl(self, *options, client=None, host="mtls.httpbin.org", path="/", ca="ca"):
        """(exit code, HTTP status or "", output)"""
        argv = ["curl", "-sS", "--noproxy", "*", "--max-time", BOUND, "--cacert",
                self.pki.certificate(ca), "--resolve", f"{host}:{self.port}:127.0.0.1", "-w",
                "\n%{http_code}"]
        if client is not None:
            argv += ["--cert", self.pki.certificate(client), "--key", self.pki.key(client)]
        done = run(*argv, *options, f"https://{host}:{self.port}{path}")
        return done.returncode, done.stdout.rpartition("\n")[2], done.stdout + done.stderr

    def presented(self, *options):
        """The subject of the certificate that openssl s_client is shown; None: none."""
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *options, input="")
        shown = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253",
                    input=done.stdout)
        return shown.stdout.strip().removeprefix("subject=") if shown.returncode == 0 else None

    def redis(self, *words, client=None, tls=True):
        argv = ["redis-cli", "-p", self.port]
        if tls:
            argv += ["--tls", "--cacert", self.pki.certificate("ca")]
        if client is not None:
            argv += ["--cert", self.pki.certificate(client), "--key", self.pki.key(client)]
        return run("timeout", BOUND, *argv, *words)

    def pongs(self, **options):
        done = self.redis("ping", **options)
        return done.returncode == 0 and done.stdout.strip() == "PONG"

    def reload(self, keys):
        """A new configuration in force; returns the log that the reload wrote."""
        before = len(self.agent.log())
        self.lab.configuration("edge", {"drain": {"deadline": "5s"},
                                        "identity": {"endpoint": self.lab.endpoint()},
                                        **self.configuration(keys)})
        self.agent.signal(signal.SIGHUP)
        wait_until("the reload is over",
                   lambda: "event=reload_" in self.agent.log()[before:])
        return self.agent.log()[before:]

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), settings.PATIENCE_S)


def server_context(pki, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate(name), pki.key(name))
    return context
