"""OCSP responses that `openssl ocsp` makes, stapled to the certificate of an application's port."""

import pytest

from pavise_e2e.edge import Edge, Pki, WebApplication, run

HOST = "www.x"


class Responder:
    """`openssl ocsp` over files: answers about one certificate in place."""

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


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("edge-stapling") / "pki")
    made.ca("ca", "/O=Test/CN=Root")
    made.ca("stranger", "/O=Test/CN=Stranger")
    made.leaf("www", "ca", "/CN=www", f"subjectAltName = DNS:{HOST}")
    made.leaf("other", "ca", "/CN=other", "subjectAltName = DNS:other.x")
    made.leaf("responder", "ca", "/CN=responder", "extendedKeyUsage = OCSPSigning")
    for name in ("www", "other"):
        with made.certificate(name).open("a", encoding="ascii") as chain:
            chain.write(made.certificate("ca").read_text(encoding="ascii"))
    return made


@pytest.fixture
def responder(pki, tmp_path_factory):
    return Responder(pki, tmp_path_factory.mktemp("edge-responses"))


@pytest.fixture
def web():
    application = WebApplication()
    yield application
    application.stop()


def keys_for(pki, **stapling):
    return {"clientAuth": "none",
            "certificates": [pki.presented("www", stapling={"enabled": True, **stapling}),
                             pki.presented("other")]}


def stapled(edge, *options, name=HOST):
    """What `openssl s_client -status` says of the response; None: none was sent."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-servername", name,
               "-status", "-CAfile", edge.pki.certificate("ca"), "-verify_return_error", *options,
               input="")
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr
    if "OCSP response: no response sent" in done.stdout:
        return None
    return done.stdout.partition("Cert Status: ")[2].partition("\n")[0]


def test_a_response_from_a_file(loopback, pki, web, responder):
    """To the certificate it is about and no other, in both versions, for who asks; issuer's and
    delegated signatures."""
    responder.answer("www")
    edge = Edge(loopback, pki, web.port, keys_for(pki, file=str(responder.file)))
    assert stapled(edge, "-tls1_3") == "good" and stapled(edge, "-tls1_2") == "good"
    assert stapled(edge, name="other.x") is None
    assert edge.curl("--cert-status", host=HOST)[1] == "200"
    responder.answer("www", signer="responder")
    assert "event=reload_done" in edge.reload(keys_for(pki, file=str(responder.file)))
    assert stapled(edge) == "good"
    assert "event=reload_done" in edge.reload(keys_for(pki, enabled=False))
    assert stapled(edge) is None


def test_what_is_withheld(loopback, pki, web, responder):
    """AP16, RE33: a revoked certificate's response goes out only where `stapleRevoked` says so."""
    keys = keys_for(pki, file=str(responder.file))
    responder.answer("www", status="R")
    edge = Edge(loopback, pki, web.port, keys)
    assert stapled(edge) is None
    assert edge.agent.log().count("that the certificate is revoked; it is not sent") == 1
    edge.reload(keys_for(pki, file=str(responder.file), stapleRevoked=True))
    assert stapled(edge) == "revoked"
    responder.answer("other")
    log = edge.reload(keys)
    assert "event=reload_done" not in log and "about another certificate" in log
    assert stapled(edge) == "revoked"


def test_a_mistake_changes_nothing(loopback, pki, web, responder):
    """A reload with a response that is no good is refused as a whole, with its place."""
    keys = keys_for(pki, file=str(responder.file))
    responder.answer("www")
    edge = Edge(loopback, pki, web.port, keys)
    good = responder.file.read_bytes()
    for bad, why in ((good[:-1], "OCSP response"), (b"", "OCSP response"),
                     (bytes([*good[:120], good[120] ^ 1, *good[121:]]), "OCSP response")):
        responder.file.write_bytes(bad)
        log = edge.reload(keys)
        assert "event=reload_done" not in log and why in log
        assert "certificate www: stapling: file: " in log
        assert stapled(edge) == "good"
    log = edge.reload(keys_for(pki))
    assert "stapling: file is missing: this version asks no responder" in log
    assert stapled(edge) == "good"
