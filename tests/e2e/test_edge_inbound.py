"""TLS that ends at the application's ports, with real clients: curl, openssl, redis-cli."""

import os
import resource
import socket
import ssl
import subprocess
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo
from pavise_e2e.edge import CLIENT, Edge, Pki, WebApplication, run, server_context
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("edge") / "pki").usual()
    past, future = ("20200101000000Z", "20200201000000Z"), ("20900101000000Z", "20910101000000Z")
    made.leaf("past", "ca", "/CN=svc-past", CLIENT, dates=past)
    made.leaf("future", "ca", "/CN=svc-future", CLIENT, dates=future)
    made.leaf("srveku", "ca", "/CN=server-eku-only", "extendedKeyUsage = serverAuth")
    made.leaf("other", "ca", "/CN=svc-b", CLIENT)
    made.leaf("weak", "ca", "/CN=svc-weak", CLIENT, key=("rsa:1024",))
    made.leaf("int", "ca", "/O=Test/CN=Int", "basicConstraints = critical,CA:TRUE,pathlen:0",
              "keyUsage = critical,keyCertSign")
    made.leaf("ci", "int", "/CN=svc-via-int", CLIENT)
    made.leaf("rsa", "ca", "/CN=www.x.rsa", "subjectAltName = DNS:www.x", key=("rsa:2048",))
    made.leaf("ec", "ca", "/CN=www.x.ec", "subjectAltName = DNS:www.x")
    made.leaf("wild", "ca", "/CN=wild.y", "subjectAltName = DNS:*.y")
    made.leaf("any", "ca", "/CN=any", "subjectAltName = DNS:any.z")
    return made


def edge_for(lab, pki, web, **keys):
    return Edge(lab, pki, web.port, {"certificates": [pki.presented("server")], **keys})


# --- who gets in


def test_required_certificates(loopback, pki, web):
    """Acceptance 9, 15: several CAs in one list; no certificate is an alert, never a reset."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca", "ca2"))
    assert edge.curl(client="client")[:2] == (0, "200")
    assert edge.curl(client="client2")[:2] == (0, "200")
    for _ in range(20):
        assert edge.curl("--tlsv1.3")[0] == 56
    code, _, output = edge.curl("--tls-max", "1.2")
    assert code == 35 and "handshake failure" in output
    assert len(web.seen) == 2
    assert "peer did not return a certificate" in edge.agent.log()
    refusal = edge.agent.status.wait_for_refusal("peer_identity")
    assert refusal["rule"] == "clientAuth" and "port 8443" in refusal["detail"]
    assert edge.agent.status.metric("pavise_peers_refused_total", direction="inbound",
                                    reason="no_certificate") == 21


@pytest.mark.parametrize("name, alert, reason", [
    ("client2", "unknown ca", "untrusted"), ("past", "certificate expired", "expired"),
    ("future", "certificate expired", "not_yet_valid"),
    ("srveku", "unsupported certificate", "bad_usage")])
def test_refused_certificates(loopback, pki, web, name, alert, reason):
    """Acceptance 16: each kind of wrong certificate, its alert, and its reason in the metrics."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"))
    for version in (("--tlsv1.3",), ("--tls-max", "1.2")):
        code, _, output = edge.curl(*version, client=name)
        # curl 60: it takes this alert of TLS 1.2 for a verdict on the server, and hides it.
        assert (code in (35, 56) and alert in output) or code == 60
    assert edge.curl(client="client")[:2] == (0, "200")
    assert len(web.seen) == 1
    assert edge.agent.status.metric("pavise_peers_refused_total", direction="inbound",
                                    reason=reason) == 2
    subject = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in",
                  pki.certificate(name)).stdout.strip().removeprefix("subject=")
    assert edge.agent.status.wait_for_refusal("peer_identity")["peerSubject"] == subject


def test_optional_and_none(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientAuth="optional", clientCerts=pki.listed("ca"))
    assert edge.curl()[:2] == (0, "200")
    assert edge.curl(client="client")[:2] == (0, "200")
    assert edge.curl(client="client2")[0] in (55, 56)
    edge.reload({"certificates": [pki.presented("server")], "clientAuth": "none"})
    assert edge.curl(client="client2")[:2] == (0, "200")  # it is not even asked for


def weak_client(edge):
    """The first line of the answer to a client with an RSA key of 1024 bits, or its alert: OpenSSL
    has to be told not to refuse the key by itself."""
    context = ssl.create_default_context(cafile=edge.pki.certificate("ca"))
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(edge.pki.certificate("weak"), edge.pki.key("weak"))
    try:
        with context.wrap_socket(edge.connect(), server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.recv(100).decode().partition("\r\n")[0]
    except ssl.SSLError as refused:
        return refused.reason


def test_weak_certificate(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"))
    assert "BAD_CERTIFICATE" in weak_client(edge)
    assert edge.agent.status.wait_for_refusal("peer_identity")["rule"] == "allowWeakClientCerts"


def test_outdated_and_weak_are_forgiven_where_said(loopback, pki, web):
    """Acceptance 34: exactly that, and nothing else."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"),
                    allowOutdatedClientCerts=True, allowWeakClientCerts=True)
    assert edge.curl(client="past")[:2] == (0, "200")
    assert weak_client(edge).startswith("HTTP/1.1 200")
    for name in ("future", "client2", "srveku"):
        assert edge.curl(client=name)[0] in (55, 56)


def test_pinned_leaf_and_intermediate(loopback, pki, web):
    """Acceptance 29, 30."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("client"))
    assert edge.curl(client="client")[:2] == (0, "200")
    assert edge.curl(client="other")[0] == 56
    edge.reload({"certificates": [pki.presented("server")], "clientCerts": pki.listed("int")})
    assert edge.curl(client="ci")[:2] == (0, "200")
    assert edge.curl(client="client")[0] == 56


def asked_for(edge, version):
    """The CAs that openssl s_client was asked for a certificate of, in their order."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-nameopt", "RFC2253",
               "-servername", "localhost", version, input="")
    _, found, rest = done.stdout.partition("Acceptable client certificate CA names\n")
    return [line for line in rest.splitlines()[:4] if line.startswith("CN=")] if found else []


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_question_names_its_cas(loopback, pki, web, version):
    def subject(name):
        return run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in",
                   pki.certificate(name)).stdout.strip().removeprefix("subject=")

    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca2", "ca"))
    assert asked_for(edge, version) == [subject("ca2"), subject("ca")]
    edge.reload({"certificates": [pki.presented("server")], "clientCerts": pki.listed("client")})
    assert asked_for(edge, version) == [subject("ca")]  # the issuer of the pinned one
    edge.reload({"certificates": [pki.presented("server", clientCerts=pki.listed("ca2"))],
                 "clientCerts": pki.listed("ca")})
    assert asked_for(edge, version) == [subject("ca2")]
    edge.reload({"certificates": [pki.presented("server")], "clientAuth": "none"})
    assert asked_for(edge, version) == []


# Java's own choice among the certificates of one store is by the names that the server sends.
_TWO_CERTIFICATES = """
import java.io.*;
import java.security.KeyStore;
import javax.net.ssl.*;

class Two {
    public static void main(String[] argv) throws Exception {
        KeyStore store = KeyStore.getInstance(new File(argv[0]), "changeit".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, "changeit".toCharArray());
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(KeyStore.getInstance(new File(argv[1]), "changeit".toCharArray()));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(
                "127.0.0.1", Integer.parseInt(argv[2]))) {
            socket.setEnabledProtocols(new String[] {argv[3]});
            socket.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes());
            System.out.println(new BufferedReader(
                new InputStreamReader(socket.getInputStream())).readLine());
        }
    }
}
"""


def test_a_client_with_two_certificates(loopback, pki, web):
    """Of a store with two it shows the one that the list takes, whichever that is."""
    program = loopback.write("Two.java", _TWO_CERTIFICATES)
    both, roots = loopback.path("both.p12"), loopback.path("roots.p12")
    for name in ("client", "client2"):
        one = loopback.path(f"{name}.p12")
        run("openssl", "pkcs12", "-export", "-in", pki.certificate(name), "-inkey", pki.key(name),
            "-name", name, "-out", one, "-passout", "pass:changeit").check_returncode()
        run("keytool", "-importkeystore", "-srckeystore", one, "-srcstorepass", "changeit",
            "-destkeystore", both, "-deststoretype", "pkcs12",
            "-deststorepass", "changeit").check_returncode()
    run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", pki.certificate("ca"),
        "-keystore", roots, "-storetype", "pkcs12", "-storepass", "changeit").check_returncode()
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca2"))
    for version in ("TLSv1.2", "TLSv1.3"):
        for ca in ("ca2", "ca"):
            edge.reload({"certificates": [pki.presented("server")], "clientCerts": pki.listed(ca)})
            done = run("java", program, both, roots, edge.port, version)
            assert done.stdout.startswith("HTTP/1.1 200"), done.stdout + done.stderr


def test_client_depth(loopback, pki, web):
    """One intermediate by default, none when it says 0."""
    chain = loopback.write("chain.crt", pki.certificate("ci").read_text() +
                           pki.certificate("int").read_text())
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"))
    with_chain = ("--cert", chain, "--key", pki.key("ci"))
    assert edge.curl(*with_chain)[:2] == (0, "200")
    edge.reload({"certificates": [pki.presented("server")], "clientCerts": pki.listed("ca"),
                 "clientDepth": 0})
    assert edge.curl(*with_chain)[0] == 56
    assert edge.curl(client="client")[:2] == (0, "200")


FULL = {"CN": "svc-a", "O": "Acme", "OU": ["sre", "eng"], "L": "SF", "ST": "CA", "C": "US"}


@pytest.mark.parametrize("mode, subject, passes", [
    ("sanCn", {"CN": "svc-a"}, True), ("sanCn", {"CN": "svc-a.local"}, True),
    ("sanCn", {"CN": "zzz"}, False), ("fullSubject", FULL, True),
    ("fullSubject", {**FULL, "OU": ["eng", "sre"]}, True),
    ("fullSubject", {**FULL, "O": "Other"}, False), ("fullSubject", {"CN": "svc-a"}, False)])
def test_subjects(loopback, pki, web, mode, subject, passes):
    """Acceptance 31, 32."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"), subjectValidation=mode,
                    authorizedSubjects=[{"CN": "somebody else"}, subject])
    code, status, _ = edge.curl(client="client")
    assert (code == 0 and status == "200") is passes
    if not passes:
        refusal = edge.agent.status.wait_for_refusal("peer_identity")
        assert refusal["rule"] == "authorizedSubjects"


def test_a_leaf_switches_subjects_off(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca", "client"),
                    subjectValidation="sanCn", authorizedSubjects=[{"CN": "nobody"}])
    assert edge.curl(client="other")[:2] == (0, "200")  # for the whole list
    assert "has no effect while clientCerts holds" in edge.agent.log()


def test_certificates_of_the_seed(loopback, tmp_path, web):
    """Acceptance 14: version 1, no SAN, made by the commands that people copy."""
    seed = Pki(tmp_path / "seed")

    def openssl(*argv):
        assert run("openssl", *argv, cwd=tmp_path / "seed").returncode == 0

    openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "30", "-subj", "/CN=ROOTCA")
    for name in ("mtls.httpbin.org", "CLIENT"):
        openssl("req", "-nodes", "-newkey", "rsa:2048", "-keyout", f"{name}.key", "-out", "r.csr",
                "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", "r.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-set_serial", "01", "-days", "30", "-out", f"{name}.crt")

    edge = Edge(loopback, seed, web.port, {
        "certificates": [seed.presented("mtls.httpbin.org", serverNames=["mtls.httpbin.org"])],
        "clientCerts": seed.listed("ca")})
    assert edge.curl(client="CLIENT")[:2] == (0, "200")
    assert edge.curl()[0] == 56


# --- what is presented


def test_by_server_name(loopback, pki, web):
    """Acceptance 19, 25: exact, one label, all; RSA and ECDSA side by side; a missing name."""
    certificates = [pki.presented("rsa"), pki.presented("ec"), pki.presented("wild"),
                    pki.presented("any", serverNames=["*"])]
    edge = Edge(loopback, pki, web.port, {"certificates": certificates, "clientAuth": "none"})
    ecdsa = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
    rsa = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    assert edge.presented("-servername", "www.x", *ecdsa) == "CN=www.x.ec"
    assert edge.presented("-servername", "WWW.X", *rsa) == "CN=www.x.rsa"
    assert edge.presented("-servername", "www.x", "-sigalgs", "RSA-PSS+SHA256") == "CN=www.x.rsa"
    assert edge.presented("-servername", "a.y") == "CN=wild.y"
    assert edge.presented("-servername", "a.b.y") == "CN=any"
    assert edge.presented("-noservername") is None
    edge.reload({"certificates": certificates[:3], "clientAuth": "none"})
    assert edge.presented("-servername", "a.b.y") is None
    assert "failed to match any SSL certificate by SNI: a.b.y" in edge.agent.log()
    edge.reload({"certificates": certificates[:3], "clientAuth": "none",
                 "fallbackServerName": "b.y"})
    assert edge.presented("-noservername") == "CN=wild.y"


def test_the_key_that_the_version_can_use(loopback, pki, web):
    """A client of TLS 1.3 whose cipher suites for TLS 1.2 are for RSA, where 1.2 is the newest."""
    edge = edge_for(loopback, pki, web, certificates=[pki.presented("rsa"), pki.presented("ec")],
                    clientAuth="none")

    def subject():
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-servername",
                   "www.x", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", input="")
        return next((line for line in done.stdout.splitlines()
                     if line.startswith("subject=")), None)

    assert subject() == "subject=CN = www.x.ec"
    edge.reload({"certificates": [pki.presented("rsa"), pki.presented("ec")], "clientAuth": "none",
                 "maxVersion": "1.2"})
    assert subject() == "subject=CN = www.x.rsa"


def test_versions_by_server_name(loopback, pki, web):
    """Acceptance 20."""
    edge = Edge(loopback, pki, web.port, {
        "clientAuth": "none",
        "certificates": [pki.presented("server", serverNames=["a"], maxVersion="1.2"),
                         pki.presented("any", serverNames=["b"], minVersion="1.3")]})
    for name, version, passes in (("a", ("--tls-max", "1.2"), True), ("a", ("--tlsv1.3",), False),
                                  ("b", ("--tlsv1.3",), True), ("b", ("--tls-max", "1.2"), False)):
        code = edge.curl("-k", *version, host=name)[0]
        assert code == (0 if passes else 35)


def test_cipher_lists(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientAuth="none",
                    ciphers="ECDHE-ECDSA-AES256-GCM-SHA384",
                    tls13CipherSuites=["TLS_CHACHA20_POLY1305_SHA256"])
    assert edge.curl("--tls-max", "1.2", "--ciphers",
                     "ECDHE-ECDSA-AES128-GCM-SHA256")[0] == 35
    assert edge.curl("--tls-max", "1.2")[:2] == (0, "200")
    assert edge.curl("--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256")[:2] == (0, "200")
    assert edge.curl("--tls13-ciphers", "TLS_AES_128_GCM_SHA256")[0] in (35, 56)


class Renegotiator:
    """openssl s_client in TLS 1.2 that talks line by line and is told to renegotiate."""

    def __init__(self, pki, port):
        self._process = subprocess.Popen(
            [settings.program("openssl"), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{port}",
             "-CAfile", pki.certificate("ca"), "-brief"], env=settings.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.output = b""

    def say(self, line):
        try:
            self._process.stdin.write(line)
        except BrokenPipeError:
            pass  # it has ended, and what it printed says why

    def hears(self, what):
        """Whether it prints `what` before it ends."""
        while what not in self.output:
            data = os.read(self._process.stdout.fileno(), 4096)
            if not data:
                return False
            self.output += data
        return True

    def end(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


def test_no_renegotiation(loopback, pki):
    """A client that asks for it in the middle loses its connection; the same client with OpenSSL's
    server, which was told to allow it, goes on."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    edge = Edge(loopback, pki, application.port, {"certificates": [pki.presented("server")],
                                                  "clientAuth": "none"})
    allows = free_port()
    loopback.start("s_server", [
        settings.program("openssl"), "s_server", "-accept", allows, "-cert",
        pki.certificate("server"), "-key", pki.key("server"), "-tls1_2", "-client_renegotiation",
        "-rev"])
    loopback.wait_port(loopback.host, "127.0.0.1", allows)
    for port, answer, goes_on in ((allows, b"cba", True), (edge.port, b"abc", False)):
        client = Renegotiator(pki, port)
        try:
            client.say(b"abc\n")
            assert client.hears(answer + b"\n")
            client.output = b""
            client.say(b"R\n")
            assert client.hears(b"RENEGOTIATING")
            time.sleep(0.2)  # else OpenSSL reads both lines as one word
            client.say(b"abc\n")
            assert client.hears(answer + b"\n") == goes_on, client.output
            assert goes_on or b"no renegotiation" in client.output.lower(), client.output
        finally:
            client.end()


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-SHA", "AES128-SHA256"])
def test_forward_secrecy(loopback, pki, web, cipher):
    """No key exchange by RSA, which this certificate could do; its ECDHE sibling is served."""
    edge = Edge(loopback, pki, web.port, {"certificates": [pki.presented("rsa")],
                                          "clientAuth": "none"})
    tls = ("-tls1_2", "-servername", "www.x", "-cipher")
    assert edge.presented(*tls, f"{cipher}:@SECLEVEL=0") is None
    assert edge.presented(*tls, "ECDHE-RSA-AES128-GCM-SHA256") is not None


def test_encrypted_key(loopback, pki, web):
    key = loopback.path("encrypted.key")
    done = run("openssl", "pkcs8", "-topk8", "-in", pki.key("server"), "-out", key, "-passout",
               "pass:not told")
    assert done.returncode == 0
    key.chmod(0o644)
    phrase = loopback.write("phrase", "not told\n")
    certificate = pki.presented("server", keyFile=str(key), keyPassphrase=f"file:{phrase}")
    edge = Edge(loopback, pki, web.port, {"certificates": [certificate], "clientAuth": "none"})
    assert edge.curl()[:2] == (0, "200")
    assert "not told" not in edge.agent.log()
    assert "not told" not in edge.agent.status.get("/config")[1]


def test_no_session_is_resumed(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientAuth="none")
    session = loopback.path("session")
    for version in ("-tls1_2", "-tls1_3"):
        run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", version, "-sess_out",
            session, input="")
        again = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", version,
                    *(("-sess_in", session) if session.exists() else ()), input="")
        assert "Reused" not in again.stdout and "New, TLS" in again.stdout


def reused(edge, session, *options, name="mtls.httpbin.org"):
    """Whether openssl s_client's connection was a resumed one that the application answered."""
    done = run("timeout", "5", "openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}",
               "-servername", name, "-ign_eof", *options, "-sess_in", session,
               input="GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
    return "Reused, TLS" in done.stdout and '"path": "/"' in done.stdout


def keep_session(edge, session, *options):
    run("timeout", "5", "openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-servername",
        "mtls.httpbin.org", "-ign_eof", *options, "-sess_out", session,
        input="GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
    assert session.exists()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(loopback, pki, web, version):
    """S5, AP25: for one server name, until a reload, and only while the certificate is let in."""
    keys = {"certificates": [pki.presented("server", serverNames=["mtls.httpbin.org", "b"])],
            "resumption": True}
    edge = edge_for(loopback, pki, web, **keys, clientCerts=pki.listed("ca"))
    own = ("-cert", pki.certificate("client"), "-key", pki.key("client"), version)
    session = loopback.path("session")
    keep_session(edge, session, *own)
    assert reused(edge, session, *own)
    assert edge.agent.status.metric("pavise_handshakes_total", direction="inbound",
                                    result="resumed") == 1
    assert not reused(edge, session, version, name="b")  # no certificate, another name
    edge.agent.wait_for_log("peer did not return a certificate")
    edge.reload({**keys, "clientCerts": pki.listed("ca2")})
    num_seen = len(web.seen)
    assert not reused(edge, session, *own) and len(web.seen) == num_seen
    edge.reload({**keys, "clientCerts": pki.listed("ca")})
    assert not reused(edge, session, *own) and len(web.seen) == num_seen + 1  # a full handshake


@pytest.mark.parametrize("binds, resumes", [(True, True), (False, False)])
def test_no_session_without_extended_master_secret(loopback, pki, web, binds, resumes):
    """RFC 7627 section 5.3: also of a client that would speak TLS 1.3 where the port does not."""
    edge = edge_for(loopback, pki, web, clientAuth="none", resumption=True, maxVersion="1.2")
    context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
    if not binds:
        context.options |= 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which Python has no name for

    def connect(session=None):
        with context.wrap_socket(edge.connect(), server_hostname="localhost",
                                 session=session) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200") and tls.version() == "TLSv1.2"
            return tls.session, tls.session_reused

    session, _ = connect()
    assert session.has_ticket is resumes
    assert connect(session)[1] is resumes


def test_alpn(loopback, pki, web):
    def agreed(*offer):
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-alpn", *offer,
                   input="")
        return done.stdout

    edge = edge_for(loopback, pki, web, clientAuth="none")
    assert "No ALPN negotiated" in agreed("h2,http/1.1")
    edge.reload({"certificates": [pki.presented("server")], "clientAuth": "none",
                 "alpn": ["http/1.1"]})
    assert "ALPN protocol: http/1.1" in agreed("h2,http/1.1")
    assert "CONNECTED" in agreed("h2") and "ALPN protocol" not in agreed("h2")


def test_workload_certificate(loopback, pki, web):
    """Without `certificates` the workload's own is shown, and identities are judged by it."""
    edge = Edge(loopback, pki, web.port, {"clientAuth": "none"}, authority=True)
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", input="")
    shown = run("openssl", "x509", "-noout", "-ext", "subjectAltName", input=done.stdout)
    assert f"URI:spiffe://{settings.TRUST_DOMAIN}/" in shown.stdout


# --- plaintext, probes, pieces


def test_plaintext_on_a_tls_port(loopback, pki, web):
    """Acceptance 10, 27."""
    edge = edge_for(loopback, pki, web, clientAuth="none")
    done = run("curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{edge.port}/")
    assert done.returncode in (52, 56) and web.seen == []
    assert edge.agent.status.wait_for_refusal("tls_required")["rule"] == "tlsMode"
    assert edge.curl()[:2] == (0, "200")


def test_permissive(loopback, pki, web):
    edge = edge_for(loopback, pki, web, tlsMode="permissive", clientCerts=pki.listed("ca"))
    done = run("curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{edge.port}/")
    assert done.returncode == 0
    assert edge.curl(client="client")[:2] == (0, "200")
    assert edge.curl()[0] == 56  # TLS that fails is not plaintext


def test_a_server_that_speaks_first(loopback, pki):
    def greet(connection, _application):
        connection.sendall(b"220 ready\r\n")
        connection.recv(1)

    application = loopback.application(loopback.host, "127.0.0.1", 0, greet)
    edge = Edge(loopback, pki, application.port, {
        "tlsMode": "permissive", "clientAuth": "none", "certificates": [pki.presented("server")]})
    with edge.connect() as connection:
        assert connection.recv(100) == b"220 ready\r\n"


def test_bare_connects_are_harmless(loopback, pki, web):
    """Acceptance 8: a probe that connects and leaves is no refusal and reaches nothing."""
    edge = edge_for(loopback, pki, web, clientCerts=pki.listed("ca"))
    for _ in range(5):
        edge.connect().close()
    wait_until("the probes are over",
               lambda: edge.agent.log().count("event=connection_closed") == 5)
    assert edge.agent.status.rows("/refusals") == [] and web.seen == []


def test_client_hello_in_pieces(loopback, pki, web):
    """A ClientHello, one byte to the segment, and one byte to the record."""
    edge = edge_for(loopback, pki, web, clientAuth="none")
    for by_record in (False, True):
        context = ssl.create_default_context(cafile=pki.certificate("ca"))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="mtls.httpbin.org")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        if by_record:
            hello = b"".join(hello[:3] + b"\0\1" + hello[i:i + 1] for i in range(5, len(hello)))
        with edge.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(hello)):
                connection.sendall(hello[i:i + 1])
            while tls.version() is None or not tls.cipher():
                incoming.write(connection.recv(65536))
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    continue
            connection.sendall(outgoing.read())
    assert "reason=tls_failed" not in edge.agent.log()


# --- towards the application


def test_app_tls_reencrypt_and_passthrough(loopback, pki):
    """Acceptance 6, 7."""
    application = WebApplication(server_context(pki, "any"))
    try:
        keys = {"certificates": [pki.presented("server")], "clientAuth": "none"}
        edge = Edge(loopback, pki, application.port,
                    {**keys, "appTls": {"mode": "reencrypt"}})
        assert edge.curl()[:2] == (0, "200")
        assert edge.presented() == "O=Test,CN=mtls.httpbin.org"
        verified = {"mode": "reencrypt", "verify": True, "caCerts": pki.listed("ca"),
                    "serverName": "any.z"}
        edge.reload({**keys, "appTls": verified})
        assert edge.curl()[:2] == (0, "200")
        edge.reload({**keys, "appTls": {**verified, "caCerts": pki.listed("any"),
                                        "serverName": ""}})
        assert edge.curl()[:2] == (0, "200")  # pinned: the name does not matter
        edge.reload({**keys, "appTls": {**verified, "serverName": "other.z"}})
        assert edge.curl()[0] != 0
        assert edge.agent.status.wait_for_refusal("app_unreachable")["rule"] == "appTls"
        edge.reload({"appTls": {"mode": "passthrough"}})
        assert edge.presented() == "CN=any"
        done = run("curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{edge.port}/")
        assert done.returncode != 0
    finally:
        application.stop()


# --- changes while running


def test_reload(loopback, pki, web):
    """Acceptance 21, 26, 33, 35: new connections follow, open ones live, a bad batch is nothing."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    keys = {"certificates": [pki.presented("server")], "clientCerts": pki.listed("ca")}
    edge = Edge(loopback, pki, application.port, keys)
    context = ssl.create_default_context(cafile=pki.certificate("ca"))
    context.load_cert_chain(pki.certificate("client"), pki.key("client"))
    with context.wrap_socket(edge.connect(), server_hostname="localhost") as tls:
        def answers():
            tls.sendall(b"ping")
            return tls.recv(4) == b"ping"

        assert answers()
        for bad, code in (([{"file": str(pki.key("ca"))}], "invalid_certificate"),
                          (pki.listed("past"), "certificate_expired"),
                          (pki.listed("ca", "ca"), "duplicated_certs")):
            log = edge.reload({**keys, "clientCerts": bad})
            assert "reload_refused" in log and f"clientCerts: {code}" in log
            assert edge.presented() == "O=Test,CN=mtls.httpbin.org" and answers()
        assert "keyFile: the key is not that" in edge.reload(
            {**keys, "certificates": [pki.presented("server", keyFile=str(pki.key("any")))]})
        edge.reload({"certificates": [pki.presented("any")], "clientCerts": pki.listed("ca2")})
        assert edge.presented() == "CN=any"
        assert answers()  # admitted by what was in force then
    assert "PRIVATE" not in edge.agent.log()


# --- redis


def redis_server(lab, *options):
    port = free_port()
    lab.start(f"redis-{port}", [settings.program("redis-server"), "--port", port, "--save", "",
                                "--dir", lab.directory, *options], host=lab.host)
    lab.wait_port(lab.host, "127.0.0.1", port)
    return port


def test_plain_redis_behind_tls(loopback, pki):
    """Acceptance 27."""
    settings.program("redis-cli")
    edge = Edge(loopback, pki, redis_server(loopback),
                {"certificates": [pki.presented("server")], "clientAuth": "none"})
    assert edge.pongs() and not edge.pongs(tls=False)


def test_peers_only(loopback, pki):
    """Acceptance 28: plaintext is for clients, TLS for replication peers."""
    settings.program("redis-cli")
    edge = Edge(loopback, pki, redis_server(loopback), {
        "tlsMode": "peersOnly", "certificates": [pki.presented("server")],
        "peerCerts": pki.listed("ca")})
    assert edge.pongs(tls=False) and edge.pongs(client="client")
    assert not edge.pongs() and not edge.pongs(client="client2")


def test_expiry_and_what_is_in_force(loopback, pki, web):
    """RE31, RE32, AZ12: each certificate's time left, one warning for it, the mode of the port."""
    pki.leaf("soon", "ca", "/CN=soon", "subjectAltName = DNS:mtls.httpbin.org",
             dates=("20200101000000Z", time.strftime("%Y%m%d%H%M%SZ",
                                                     time.gmtime(time.time() + 10 * 86400))))
    keys = {"certificates": [pki.presented("soon")], "clientCerts": pki.listed("ca")}
    edge = edge_for(loopback, pki, web, **keys)
    left = edge.agent.status.metric("pavise_cert_expires_in_seconds",
                                    logical_name="inbound/8443/soon",
                                    path=str(pki.certificate("soon")))
    assert 9 * 86400 < left <= 10 * 86400
    assert edge.agent.status.metric("pavise_cert_expires_in_seconds",
                                    logical_name="inbound/8443/clientCerts",
                                    path=str(pki.certificate("ca"))) > 3000 * 86400
    wait_until("the warning", lambda: "event=certificate_expires" in edge.agent.log())
    edge.reload({**keys, "appTls": {"mode": "reencrypt"}})
    wait_until("the reloaded port is shown", lambda: edge.agent.status.json(
        "/ports")["ports"][0]["enableEndToEndTls"] is True)
    warnings = [line for line in edge.agent.log().splitlines()
                if "event=certificate_expires" in line]
    assert len(warnings) == 1 and "name=inbound/8443/soon" in warnings[0]
    rows = edge.agent.status.json("/certs")["certificates"]
    assert [row["name"] for row in rows if row["kind"] == "configured"] == [
        "inbound/8443/soon", "inbound/8443/clientCerts"]
    port = edge.agent.status.json("/ports")["ports"][0]
    assert (port["mode"], port["clientAuth"], port["appTls"]) == (
        "required", "required", "reencrypt")


def test_half_open_handshakes_give_way(loopback, pki, web):
    """Whoever starts TLS and then waits takes no place from others for long; what is logged of
    it is bounded."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    edge = edge_for(loopback, pki, web, clientAuth="none", workers=1)
    waiting = []
    try:
        for _ in range(1024 + 300):
            waiting.append(edge.connect())
            waiting[-1].sendall(b"\x16\x03\x01")
        assert edge.curl()[:2] == (0, "200")
        wait_until("the oldest gave way", lambda: edge.agent.status.metric(
            "pavise_connections_closed_total", direction="inbound", reason="limit") >= 300)
    finally:
        for connection in waiting:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until("the log says how much it left out",
               lambda: "event=lines_suppressed" in edge.agent.log())
