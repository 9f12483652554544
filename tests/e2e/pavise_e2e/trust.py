"""What the tests of the trust store build with: CAs, TLS servers, and `pavise trust`."""

import http.server
import json
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading

from . import settings

OPENSSL_ENV = {"OPENSSL_CONF": "/dev/null"}


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True,
                          check=True, env=settings.environment(OPENSSL_ENV))


class TestCa:
    """A private CA and what it issues, as files in one directory."""

    __test__ = False

    def __init__(self, directory, name, days=30):
        self.directory, self.name = pathlib.Path(directory), name
        self.certificate = self.directory / f"{name}.pem"
        self.key = self.directory / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", self.key, "-out", self.certificate, "-days", days,
                "-subj", f"/O=Pavise tests/CN={name} root", "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def server_certificate(self, name="localhost"):
        """(certificate, key) for localhost and 127.0.0.1."""
        stem = self.directory / f"{self.name}-{name}"
        request, certificate, key = (stem.with_suffix(s) for s in (".csr", ".crt", ".skey"))
        extensions = stem.with_suffix(".ext")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                              "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", request, "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-out", certificate, "-days", 10, "-extfile", extensions)
        return certificate, key


class HttpsServer:
    """An HTTPS (or HTTP) server on 127.0.0.1 that answers each path with what `content` says."""

    def __init__(self, pair=None, content=None):
        self.content = content if content is not None else {}
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                outer.requests.append(self.path)
                status, body = outer.answer(self.path)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that do not trust us end the handshake

        self.server = Server(("127.0.0.1", 0), Handler)
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, pair))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.scheme = "http" if pair is None else "https"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, path):
        found = self.content.get(path, b"hello from the server\n")
        return found if isinstance(found, tuple) else (200, found)

    def url(self, path="/"):
        return f"{self.scheme}://localhost:{self.port}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class TrustLab:
    """A directory with sources, an output and a configuration; `pavise trust` on it."""

    def __init__(self, pavise):
        self.pavise = pavise
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pavise-trust-"))
        self.directory.chmod(0o755)
        self.sources, self.output = self.directory / "sources", self.directory / "out"
        self.ca_directory = self.directory / "ca"
        self.sources.mkdir()
        self.ca_directory.mkdir()
        self.config_path = self.directory / "pavise.yaml"
        self.servers = []
        self.configure()

    def configure(self, more=None, **change):
        """Writes the configuration: trustStore with `change`, other sections from `more`."""
        store = {"sources": [str(self.sources)], "output": str(self.output)} | change
        config = {"trustStore": store} | (more or {})
        self.config_path.write_text(json.dumps(config), encoding="utf-8")
        return self.config_path

    def ca(self, name="private", **options):
        return TestCa(self.ca_directory, name, **options)

    def server(self, pair=None, content=None):
        server = HttpsServer(pair, content)
        self.servers.append(server)
        return server

    def run(self, *arguments, env=None, stdin=None):
        """`pavise trust VERB ...` with the configuration."""
        verb, *rest = map(str, arguments)
        return subprocess.run(
            [self.pavise, "trust", verb, "--config", self.config_path, *rest], text=True,
            capture_output=True, env=settings.environment(env), input=stdin, check=False)

    def ok(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.ok(*arguments, "-o", "json", **options))

    def names(self, *arguments):
        return {row["name"] for row in self.json("list", *arguments)["certificates"]}

    def variables(self):
        """OUT/env as a dictionary."""
        lines = (self.output / "env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def pem(self, name="ca-bundle.pem"):
        return (self.output / name).read_text(encoding="ascii")

    def close(self):
        for server in self.servers:
            server.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def count(pem):
    return pem.count("-----BEGIN CERTIFICATE-----")
