"""OCSP: responses that `openssl ocsp` makes, responders, and what a client of a port is given."""

import socketserver
import subprocess
import threading
import time

from . import settings
from .edge import Pki, run
from .waiting import wait_until

HOST = "www.x"
TRICKLE_S = 0.1


def make_pki(directory, responder=None):
    """A CA, certificates `www` and `other` with it in their files, and one that signs for OCSP;
    `responder` is a URL that `www` names."""
    made = Pki(directory)
    made.ca("ca", "/O=Test/CN=Root")
    made.ca("stranger", "/O=Test/CN=Stranger")
    named = [] if responder is None else [f"authorityInfoAccess = OCSP;URI:{responder}"]
    made.leaf("www", "ca", "/CN=www", f"subjectAltName = DNS:{HOST}", *named)
    made.leaf("other", "ca", "/CN=other", "subjectAltName = DNS:other.x")
    made.leaf("responder", "ca", "/CN=responder", "extendedKeyUsage = OCSPSigning")
    for name in ("www", "other"):
        with made.certificate(name).open("a", encoding="ascii") as chain:
            chain.write(made.certificate("ca").read_text(encoding="ascii"))
    return made


class Responses:
    """`openssl ocsp` over files: a response about one certificate."""

    def __init__(self, pki, directory):
        self._pki, self._dir = pki, directory
        directory.chmod(0o755)
        self.file = directory / "response.der"

    def answer(self, about, status="V", signer="ca", days=7):
        pki, index = self._pki, self._dir / "ocsp-index.txt"
        revoked = "250101000000Z" if status == "R" else ""
        index.write_text(f"{status}\t450101000000Z\t{revoked}\t{pki.serial(about):X}\tunknown\t"
                         f"/CN={about}\n", encoding="ascii")
        request = self._dir / "request.der"
        for argv in (["-issuer", pki.certificate("ca"), "-cert", pki.certificate(about),
                      "-no_nonce", "-reqout", request],
                     ["-index", index, "-CA", pki.certificate("ca"), "-rsigner",
                      pki.certificate(signer), "-rkey", pki.key(signer), "-reqin", request,
                      "-respout", self.file, *(["-ndays", days] if days else [])]):
            done = run("openssl", "ocsp", *argv)
            assert done.returncode == 0, done.stderr
        self.file.chmod(0o644)


class OpensslResponder:
    """`openssl ocsp -port`, with one certificate in its index."""

    def __init__(self, pki, directory, port, about="www", status="V", signer="ca", days=7):
        index = directory / "responder-index.txt"
        revoked = "250101000000Z" if status == "R" else ""
        index.write_text(f"{status}\t450101000000Z\t{revoked}\t{pki.serial(about):X}\tunknown\t"
                         f"/CN={about}\n", encoding="ascii")
        argv = ["openssl", "ocsp", "-index", index, "-port", port, "-CA", pki.certificate("ca"),
                "-rsigner", pki.certificate(signer), "-rkey", pki.key(signer),
                *(["-ndays", days] if days else [])]
        log = directory / "responder.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                [settings.program(argv[0]), *map(str, argv[1:])], env=settings.environment(),
                stdout=output, stderr=output)
        # A bare connect would stop it from answering anybody else.
        wait_until("the responder listens", lambda: b"waiting for OCSP" in log.read_bytes())

    def stop(self):
        self._process.terminate()
        self._process.wait(settings.PATIENCE_S)


class RawResponder:
    """Answers every request with `answer`, a whole HTTP answer; `trickles`: a byte at a time."""

    def __init__(self):
        outer = self
        self.answer, self.trickles, self.requests = b"", False, []
        self.again = b""  # sent after it without end

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    outer.requests.append(read_request(self.request))
                    outer.send(self.request)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/ocsp"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def send(self, connection):
        pieces = [bytes([byte]) for byte in self.answer] if self.trickles else [self.answer]
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(TRICKLE_S if self.trickles else 0)
        while self.again:
            connection.sendall(self.again)

    def respond(self, body, status="200 OK", head=""):
        self.answer = (f"HTTP/1.1 {status}\r\nContent-Type: application/ocsp-response\r\n{head}"
                       f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def read_request(connection):
    """(head, body)"""
    connection.settimeout(settings.PATIENCE_S)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(4096) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n")
               if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(4096)
    return head.decode(), body


def stapled(edge, *options, name=HOST):
    """What `openssl s_client -status` says of the response; None: none was sent."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-servername", name,
               "-status", "-CAfile", edge.pki.certificate("ca"), "-verify_return_error", *options,
               input="")
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr
    if "OCSP response: no response sent" in done.stdout:
        return None
    return done.stdout.partition("Cert Status: ")[2].partition("\n")[0]
