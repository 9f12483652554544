"""What changes under open connections and new ones, and what is never shown of it."""

import base64
import json
import re
import ssl
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import Crowd, echo, exchange
from pavise_e2e.edge import Edge, Pki, run
from pavise_e2e.http_application import HttpApplication
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca, client_context
from pavise_e2e.waiting import in_threads, wait_until

HOST = "mtls.httpbin.org"
NUM_OPEN = 50


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("edge-changes") / "pki").usual()
    made.leaf("next", "ca", "/CN=next", f"subjectAltName = DNS:{HOST}",
              "extendedKeyUsage = serverAuth")
    return made


def serial_of(tls):
    der = tls.getpeercert(binary_form=True)
    done = run("openssl", "x509", "-noout", "-serial", input=ssl.DER_cert_to_PEM_cert(der))
    return int(done.stdout.partition("=")[2], 16)


# --- acceptance 26 --------------------------------------------------------------------------------


class Client:
    """One connection over which requests go, with the certificate `client`."""

    def __init__(self, edge):
        context = ssl.create_default_context(cafile=edge.pki.certificate("ca"))
        context.load_cert_chain(edge.pki.certificate("client"), edge.pki.key("client"))
        self.tls = context.wrap_socket(edge.connect(), server_hostname=HOST)
        self._stream = self.tls.makefile("rb")

    def status(self, path="/v1/a"):
        self.tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        status, length = self._stream.readline().split()[1].decode(), 0
        while line := self._stream.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self._stream.read(length)
        return status

    def close(self):
        self._stream.close()
        self.tls.close()


class Newcomers(Crowd):
    """New connections, one request each."""

    def __init__(self, edge, threads=3):
        self.statuses = []
        self._edge = edge
        super().__init__(self._ask, threads)

    def _ask(self):
        client = Client(self._edge)
        self.statuses.append(client.status())
        client.close()

    def wait_for_more(self):
        have = len(self.statuses) + len(self.failures)
        wait_until("new connections are made",
                   lambda: len(self.statuses) + len(self.failures) >= have + 10)


def test_changes_under_open_connections_and_new_ones(loopback, pki):
    """Acceptance 26: certificate, CA and rule change; nobody fails, new ones get the new."""
    application = HttpApplication()
    keys = {"protocol": "http", "certificates": [pki.presented("server")],
            "clientCerts": pki.listed("ca"), "httpRules": [{"pathPrefix": "/v1"}]}
    edge = Edge(loopback, pki, application.port, keys)
    clients = in_threads(Client, [edge] * NUM_OPEN)
    newcomers = Newcomers(edge)
    try:
        def all_answer():
            return [client.status() for client in clients] == ["200"] * NUM_OPEN

        assert all_answer()
        for change in ({"certificates": [pki.presented("next")]},
                       {"clientCerts": pki.listed("ca2", "ca")},
                       {"httpRules": [{"pathPrefix": "/v1/a"}, {"pathPrefix": "/v2"}]}):
            keys = {**keys, **change}
            assert "event=reload_done" in edge.reload(keys)
            assert all_answer()
            newcomers.wait_for_more()
        newcomers.stop()
        assert newcomers.failures == [] and set(newcomers.statuses) == {"200"}
        fresh = Client(edge)
        assert serial_of(fresh.tls) == pki.serial("next")
        assert fresh.status("/v2") == "200" and fresh.status("/v1/b") == "404"
        assert clients[0].status("/v1/b") == "200" and clients[0].status("/v2") == "404"
        assert serial_of(clients[0].tls) == pki.serial("server")
        fresh.close()
        assert edge.curl(client="client2", path="/v2")[1] == "200"
    finally:
        newcomers.stop()
        for client in clients:
            client.close()
        application.stop()


# --- the workload's own certificate ---------------------------------------------------------------


class WorkloadEdge(Edge):
    """TLS ends with the workload's certificate, and clients are workloads themselves."""

    def __init__(self, lab, pki, port, *authority, authorization=None, identity=None):
        self._authorization, self._identity = authorization, identity
        lab.authority(*authority)
        super().__init__(lab, pki, port, {})
        self.agent.wait_ready()
        self.ca = Ca(lab.path("authority.state"), lab.directory)

    def configuration(self, keys):
        config = super().configuration(keys)
        if self._authorization is not None:
            config["inbound"]["authorization"] = self._authorization
        if self._identity is not None:
            config["identity"] = self._identity
        return config

    def pair(self, spiffe_id):
        return self.ca.issue(spiffe_id.rpartition("/")[2], f"URI:{spiffe_id}")

    def serial(self, pair):
        """Of the certificate that is shown; its chain holds, and the application answers."""
        context = client_context(pair, self.ca.certificate)
        with context.wrap_socket(self.connect()) as tls:
            assert exchange(tls, b"ping") == b"ping"
            return serial_of(tls)

    def outcome(self, pair):
        try:
            self.serial(pair)
        except (ssl.SSLError, ConnectionError, EOFError) as error:
            return getattr(error, "reason", None) or type(error).__name__
        return "served"


def spiffe(path, domain=settings.TRUST_DOMAIN):
    return f"spiffe://{domain}/{path}"


def test_workloads_as_clients(loopback, pki):
    """A port without `certificates`: identities are judged by `inbound.authorization`."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    edge = WorkloadEdge(loopback, pki, application.port, authorization=[
        {"action": "allow", "peers": [spiffe("ns/a/sa/*")], "ports": [8443]}])
    assert edge.outcome(edge.pair(spiffe("ns/a/sa/web"))) == "served"
    assert application.accepts == 1
    for pair in (edge.pair(spiffe("ns/b/sa/job")), edge.pair(spiffe("ns/a/sa/far", "other.org")),
                 (pki.certificate("client"), pki.key("client")), None):
        assert edge.outcome(pair) != "served"
    assert application.accepts == 1
    wanted = ["peer_identity"] * 3 + ["unauthorized"]
    wait_until("all four are listed", lambda: sorted(
        reason for reason in edge.agent.status.reasons() if reason in wanted) == wanted)
    assert spiffe("ns/b/sa/job") in edge.agent.status.wait_for_refusal("unauthorized")["detail"]


def test_short_lived_certificates(loopback, pki):
    """Acceptance 38: rotated under load, and the chain holds throughout."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    edge = WorkloadEdge(loopback, pki, application.port, "--ttl", "4s", "--rotate-every", "1s")
    pair = edge.pair(spiffe("ns/a/sa/load"))
    seen = set()

    def is_enough():
        seen.add(edge.serial(pair))  # an error is a failure of the test
        return len(seen) >= 3

    wait_until("three serials were shown", is_enough)


def test_rotation_on_demand(loopback, pki):
    """Acceptance 38: POST /rotate where the agent asks for its certificates itself (a server of the
    Workload API decides alone when there is another)."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    port, token = free_port(), "a-token-of-enough-length"
    entry = {"token": token, "spiffeId": spiffe("ns/a/sa/edge")}
    tokens = loopback.write("tokens.yaml", json.dumps([entry]), mode=0o600)
    edge = WorkloadEdge(
        loopback, pki, application.port, "--listen", f"127.0.0.1:{port}", "--tokens", tokens,
        identity={"source": "istioCa", "istioCa": {
            "address": f"127.0.0.1:{port}",
            "rootsFile": str(loopback.path("authority.state") / "ca.crt"),
            "tokenFile": str(loopback.write("token", token, mode=0o600))}})
    pair = edge.pair(spiffe("ns/a/sa/load"))
    first = edge.serial(pair)
    assert edge.serial(pair) == first
    assert edge.agent.status.post("/rotate")[0] == 200
    wait_until("another serial is shown", lambda: edge.serial(pair) != first)


# --- what is never shown --------------------------------------------------------------------------


def test_no_output_holds_a_key(loopback, pki):
    """Acceptance 22."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    keys = {"certificates": [pki.presented("server")], "clientCerts": pki.listed("ca")}
    edge = Edge(loopback, pki, application.port, keys, authority=True)
    for wrong in ({"clientCerts": [{"file": str(pki.key("ca"))}]},
                  {"certificates": [{**pki.presented("server"), "keyFile": str(pki.key("ca"))}]},
                  {"certificates": [{**pki.presented("server"),
                                     "certFile": str(pki.key("server"))}]}):
        assert "event=reload_refused" in edge.reload({**keys, **wrong})
    shown = [edge.agent.log()]
    shown += [edge.agent.status.get(path)[1] for path in (
        "/", "/config", "/certs", "/identity", "/listeners", "/connections", "/tunnels",
        "/destinations", "/refusals", "/trust", "/metrics")]
    address = f"127.0.0.1:{edge.status_port}"
    for what in ((), ("identity",), ("connections",), ("trust",)):
        for form in ((), ("-o", "json")):
            done = run(settings.binary(), "status", *what, "--address", address, *form)
            assert done.returncode == 0, done.stderr
            shown.append(done.stdout + done.stderr)
    text = "\n".join(shown)
    assert "8443" in text and "PRIVATE" not in text
    for name in ("server", "ca"):
        body = re.sub(r"-----.*?-----|\s", "", pki.key(name).read_text())
        for start in range(40, len(base64.b64decode(body)), 40):
            assert body[start:start + 30] not in text


def test_raw_bytes_with_openssl(loopback, pki):
    """Acceptance 25: an application that speaks no HTTP, a client that is no browser."""
    application = loopback.application(loopback.host, "127.0.0.1", 0, echo)
    edge = Edge(loopback, pki, application.port, {
        "certificates": [pki.presented("server")], "clientCerts": pki.listed("ca")})

    def said(*options):
        client = subprocess.Popen(
            [settings.program("openssl"), "s_client", "-quiet", "-connect",
             f"127.0.0.1:{edge.port}", *map(str, options)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=settings.environment())
        with client:
            client.stdin.write(b"said in the open\n")
            client.stdin.flush()  # and it stays open, so that a refusal is seen
            got = client.stdout.readline()
            client.kill()
        return got == b"said in the open\n"

    shown = ("-cert", pki.certificate("client"), "-key", pki.key("client"))
    assert said("-servername", HOST, *shown)
    assert said("-noservername", *shown)  # the port's only certificate
    assert not said("-servername", HOST)
    edge.reload({"certificates": [pki.presented("server"), pki.presented("next")],
                 "clientCerts": pki.listed("ca")})
    assert not said("-noservername", *shown)  # and two, with no fallbackServerName
    assert said("-servername", HOST, *shown)
