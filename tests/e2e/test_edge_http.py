"""HTTP rules on ports where TLS ends: curl, nghttp, h2load, gRPC and a WebSocket as clients."""

import base64
import hashlib
import os
import socket
import ssl
import struct
import threading
from concurrent import futures

import grpc
import pytest

from pavise_e2e import settings
from pavise_e2e.edge import BOUND, CLIENT, Edge, Pki, WebApplication, run
from pavise_e2e.http_application import HttpApplication
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

HOST = "mtls.httpbin.org"
BOTH = pytest.mark.parametrize("version", ["--http1.1", "--http2"])
RULE = {"hosts": [HOST], "pathPrefix": "/v1", "stripPathPrefix": True, "methods": ["GET"],
        "paths": [{"path": "/json", "type": "exact"}]}


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("edge-http") / "pki").usual()
    dates = ("20200101000000Z", "20200201000000Z")
    made.leaf("past", "ca", "/CN=svc-past", CLIENT, dates=dates)
    made.leaf("future", "ca", "/CN=svc-future", CLIENT,
              dates=("20900101000000Z", "20910101000000Z"))
    made.leaf("srveku", "ca", "/CN=server-eku-only", "extendedKeyUsage = serverAuth")
    made.leaf("a", "ca", "/CN=a.test", "subjectAltName = DNS:a.test")
    made.leaf("b", "ca", "/CN=b.test", "subjectAltName = DNS:b.test")
    return made


@pytest.fixture
def web():
    """In place of conftest's: it speaks both versions of HTTP."""
    application = HttpApplication()
    yield application
    application.stop()


def edge_for(lab, pki, web, **keys):
    return Edge(lab, pki, web.port, {"protocol": "http", "certificates": [pki.presented("server")],
                                     "clientCerts": pki.listed("ca"), **keys})


def refusals(edge):
    done = run("curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{edge.status_port}/refusals")
    return done.stdout


# --- who gets in, and where to


@BOTH
def test_missing_certificate_is_400(loopback, pki, web, version):
    """Acceptance 12, 13: the seed's own flow, in both versions."""
    edge = edge_for(loopback, pki, web, onClientAuthFailure="http400", httpRules=[RULE])
    code, status, output = edge.curl("-i", version, path="/v1/json")
    assert (code, status) == (0, "400"), output
    head, _, body = output.rpartition("\n")[0].replace("\r\n", "\n").partition("\n\n")
    assert "content-type: text/html" in head.lower()
    assert "content-length: 154" in head.lower()
    assert "400 Bad Request" in body
    assert web.seen == []
    code, status, output = edge.curl(version, client="client", path="/v1/json?q=1")
    assert (code, status) == (0, "200"), output
    assert web.seen[-1][:2] == ("GET", "/json?q=1")
    before = len(web.seen)
    for options, path in ((("-X", "POST"), "/v1/json"), ((), "/v1/json/x"), ((), "/v1/other"),
                          (("-H", "Host: other.org"), "/v1/json"), ((), "/json")):
        assert edge.curl(version, *options, client="client", path=path)[1] == "404", path
    assert len(web.seen) == before
    assert "client certificate was not present" in edge.agent.log()
    assert "httpRules" in refusals(edge)


@pytest.mark.parametrize("client", ["client2", "past", "future", "srveku"])
def test_wrong_certificate_is_400_and_says_why(loopback, pki, web, client):
    """Acceptance 16."""
    edge = edge_for(loopback, pki, web, onClientAuthFailure="http400")
    assert edge.curl(client="client")[1] == "200"
    code, status, output = edge.curl(client=client)
    assert (code, status) == (0, "400"), output
    assert "client certificate verification is not passed: FAILED:" in edge.agent.log()
    assert len(web.seen) == 1


@BOTH
def test_exempted_uris(loopback, pki, web, version):
    """Acceptance 8, 17: judged request by request, by the path that the application gets."""
    edge = edge_for(loopback, pki, web, skipMtlsUriRegex=["^/open"], forwardClientCert="headers")
    assert edge.curl(version, path="/open")[1] == "200"
    assert edge.curl(version, path="/x")[1] == "400"
    assert edge.curl(version, path="/open", client="client2")[1] == "200"
    assert not any(name.lower().startswith("x-ssl-client") for name, _ in web.seen[-1][2])
    for path in ("/open/../x", "/open/%2e%2e/x", "/open%2f..%2fx", "/open/..;/x"):
        assert edge.curl(version, "--path-as-is", path=path)[1] == "400", path
    assert edge.curl(version, "--path-as-is", path="/x/..//open/1")[1] == "200"
    assert web.seen[-1][1] == "/open/1"
    assert edge.curl(version, path="/x", client="client")[1] == "200"
    with edge.connect():
        pass  # a probe of the port asks for nothing and is nobody's error
    assert [line for line in edge.agent.log().splitlines() if "reason=tls_failed" in line] == []


@BOTH
def test_host_and_sni(loopback, pki, web, version):
    """Acceptance 18."""
    edge = edge_for(loopback, pki, web, clientAuth="required", certificates=[
        pki.presented("a", clientCerts=pki.listed("ca")),
        pki.presented("b", clientCerts=pki.listed("ca2"))])
    assert edge.curl(version, host="a.test", client="client")[1] == "200"
    code, status, output = edge.curl(version, "-H", "Host: b.test", host="a.test", client="client")
    assert (code, status) == (0, "400"), output
    assert "client certificate verified with SNI a.test, but the host is b.test" in (
        edge.agent.log())
    assert edge.curl(version, "-H", "Host: c.test", host="a.test", client="client")[1] == "200"


# --- what the application is told


@BOTH
def test_headers_about_the_client(loopback, pki, web, version):
    """Acceptance 23: what openssl says of the certificate, nothing of what the client claims."""
    edge = edge_for(loopback, pki, web, forwardClientCert="headers")
    claims = []
    for name in ("X-Ssl-Client-S-DN", "x_ssl_client_s_dn", "X-SSL-Client.Verify",
                 "X-Forwarded-Client-Cert", "X-Ssl-Client-Spiffe-Id"):
        claims += ["-H", f"{name}: CN=forged"]
    assert edge.curl(version, *claims, client="client")[1] == "200"
    got = {name.lower(): value for name, value in web.seen[-1][2]}
    assert not [name for name, value in got.items() if "forged" in value]

    def openssl(*options):
        done = run("openssl", "x509", "-noout", "-in", pki.certificate("client"), *options)
        return done.stdout.strip().partition("=")[2]

    assert got["x-ssl-client-s-dn"] == openssl("-subject", "-nameopt", "RFC2253")
    assert "OU=sre,OU=eng,O=Acme" in got["x-ssl-client-s-dn"]
    assert got["x-ssl-client-serial"] == openssl("-serial")
    sha1 = openssl("-fingerprint", "-sha1").replace(":", "").lower()
    sha256 = openssl("-fingerprint", "-sha256").replace(":", "").lower()
    assert got["x-ssl-client-fingerprint"] == sha1
    assert got["x-ssl-client-sha256"] == sha256
    assert got["x-forwarded-client-cert"].startswith(
        f'Hash={sha256};Subject="{got["x-ssl-client-s-dn"]}"')


def test_redirect(loopback, pki, web):
    """Acceptance 10."""
    edge = edge_for(loopback, pki, web)
    plain = ("curl", "-sS", "-i", "--noproxy", "*", "--max-time", BOUND,
             f"http://127.0.0.1:{edge.port}/a?b")
    assert "HTTP/1.1 2" not in run(*plain).stdout
    edge.reload({"protocol": "http", "certificates": [pki.presented("server")],
                 "clientCerts": pki.listed("ca"), "redirectToHttps": True})
    done = run(*plain)
    assert done.stdout.startswith("HTTP/1.1 301 "), done.stdout + done.stderr
    assert f"Location: https://127.0.0.1:{edge.port}/a?b" in done.stdout
    assert web.seen == []


# --- HTTP/1.1 by hand


def tls_socket(edge, pki, client="client"):
    context = ssl.create_default_context(cafile=pki.certificate("ca"))
    context.load_cert_chain(pki.certificate(client), pki.key(client))
    return context.wrap_socket(edge.connect(), server_hostname=HOST)


def read_to_end(conn):
    got = b""
    while piece := conn.recv(65536):
        got += piece
    return got


def test_pipelining_and_chunks(loopback, pki, web):
    edge = edge_for(loopback, pki, web)
    head = f" HTTP/1.1\r\nHost: {HOST}\r\n"
    requests = (f"GET /1{head}\r\nPOST /2{head}Content-Length: 3\r\n\r\nabc"
                f"POST /3{head}Transfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
                f"HEAD /4{head}\r\nGET /5{head}Connection: close\r\n\r\n").encode()
    for piece in (len(requests), 7):
        web.seen.clear()
        with tls_socket(edge, pki) as conn:
            for at in range(0, len(requests), piece):
                conn.sendall(requests[at:at + piece])
            got = read_to_end(conn)
        assert got.count(b"HTTP/1.1 200 OK\r\n") == got.count(b"HTTP/1.1 ") == 5, got
        order = [got.find(f'"path": "/{n}"'.encode()) for n in (1, 2, 3, 5)]
        assert order == sorted(order) and -1 not in order, got
        assert [(method, path, body) for method, path, _, body in web.seen] == [
            ("GET", "/1", b""), ("POST", "/2", b"abc"), ("POST", "/3", b"hello world"),
            ("HEAD", "/4", b""), ("GET", "/5", b"")]


@pytest.mark.parametrize("lines", [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "X: y\r\n folded\r\n\r\n",
    "Host: other\r\n\r\n",
    "X: y\nZ: z\r\n\r\n",
])
def test_smuggling_is_refused(loopback, pki, web, lines):
    """The whole table is in tests/http/http1_smuggling_test.c; this is that it is wired in."""
    edge = edge_for(loopback, pki, web)
    hidden = f"GET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    with tls_socket(edge, pki) as conn:
        conn.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}{hidden}".encode())
        got = read_to_end(conn)
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n"), got
    assert got.count(b"HTTP/1.1") == 1
    assert web.seen == []


def test_websocket(loopback, pki, web):
    edge = edge_for(loopback, pki, web)
    key = base64.b64encode(os.urandom(16)).decode()
    with tls_socket(edge, pki) as conn:
        conn.sendall((f"GET /socket HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
                      f"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                      "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        stream = conn.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        headers = {}
        while (line := stream.readline().strip()):
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        for text in (b"hello", b"GET / HTTP/1.1\r\n\r\n", os.urandom(100)):
            mask = os.urandom(4)
            masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
            conn.sendall(struct.pack("!BB", 0x82, 0x80 | len(text)) + mask + masked)
            assert stream.read(2) == struct.pack("!BB", 0x82, len(text))
            assert stream.read(len(text)) == text
        conn.sendall(struct.pack("!BB", 0x88, 0x80) + b"\0\0\0\0")
        assert stream.read() == b"\x88\x00"


@BOTH
def test_large_bodies(loopback, pki, web, version, tmp_path):
    edge = edge_for(loopback, pki, web)
    body = tmp_path / "body"
    body.write_bytes(os.urandom(8 << 20))
    for options in ((), ("-H", "Transfer-Encoding: chunked")):
        out = tmp_path / "out"
        code, status, output = edge.curl(version, *options, "--data-binary", f"@{body}", "-H",
                                         "Expect:", "-o", out, client="client", path="/echo")
        assert (code, status) == (0, "200"), output
        assert out.read_bytes() == body.read_bytes()


# --- HTTP/2


def test_nghttp_and_h2load(loopback, pki, web):
    edge = edge_for(loopback, pki, web, clientAuth="none", clientCerts=[])
    url = f"https://127.0.0.1:{edge.port}/"
    done = run("nghttp", "-nv", "--no-dep", url + "1", url + "2")
    assert done.stdout.count(":status: 200") == 2, done.stdout + done.stderr
    done = run("h2load", "-n", "500", "-c", "4", "-m", "10", url)
    assert "500 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout


def test_trailers_that_are_too_large(loopback, pki, web):
    """The stream is reset, and the application does not get a part of them; the next one passes."""
    edge = edge_for(loopback, pki, web, clientAuth="none", clientCerts=[])
    url = f"https://127.0.0.1:{edge.port}/echo"
    body = loopback.write("body", "x" * 100)
    for num, seen in ((10, "error_code=ENHANCE_YOUR_CALM"), (5, ":status: 200")):
        # Without a length the application waits for the end, and cannot have answered before it.
        done = run("nghttp", "-nv", "--no-dep", "--no-content-length", "-d", body,
                   *["--trailer=x-large: " + "v" * 4000] * num, url)
        assert seen in done.stdout, done.stdout + done.stderr
    assert "the request's trailers are too large" in refusals(edge)
    assert edge.agent.status.metric("pavise_http_refused_total", reason="request_too_large") == 1


class GrpcApplication:
    """A gRPC server without TLS: one unary method, one that streams both ways."""

    def __init__(self):
        self.metadata = []
        server = self._server = grpc.server(futures.ThreadPoolExecutor(4))

        def unary(request, context):
            self.metadata.append(dict(context.invocation_metadata()))
            context.set_trailing_metadata((("x-trailer", "late"),))
            if request == b"fail":
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
            return request[::-1]

        def both(requests, context):
            context.set_trailing_metadata((("x-trailer", "late"),))
            for request in requests:
                yield request.upper()

        handlers = {"Reverse": grpc.unary_unary_rpc_method_handler(unary),
                    "Upper": grpc.stream_stream_rpc_method_handler(both)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Text", handlers),))
        self.port = server.add_insecure_port("127.0.0.1:0")
        server.start()

    def stop(self):
        self._server.stop(None)


def test_grpc(loopback, pki):
    application = GrpcApplication()
    try:
        edge = edge_for(loopback, pki, application, forwardClientCert="headers")
        credentials = grpc.ssl_channel_credentials(
            pki.certificate("ca").read_bytes(), pki.key("client").read_bytes(),
            pki.certificate("client").read_bytes())
        options = (("grpc.ssl_target_name_override", HOST), ("grpc.enable_http_proxy", 0))
        with grpc.secure_channel(f"127.0.0.1:{edge.port}", credentials, options) as channel:
            reverse = channel.unary_unary("/test.Text/Reverse")
            answer, call = reverse.with_call(b"abc", timeout=settings.PATIENCE_S,
                                             metadata=(("x-ssl-client-s-dn", "CN=forged"),))
            assert answer == b"cba"
            assert ("x-trailer", "late") in tuple(call.trailing_metadata())
            assert application.metadata[0]["x-ssl-client-s-dn"].endswith("CN=svc-a")
            large = os.urandom(3 << 20)
            assert reverse(large, timeout=settings.PATIENCE_S) == large[::-1]
            with pytest.raises(grpc.RpcError) as failed:
                reverse(b"fail", timeout=settings.PATIENCE_S)
            assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert failed.value.details() == "not now"
            asked = threading.Event()

            def words():
                yield b"one"
                assert asked.wait(settings.PATIENCE_S)  # the first answer comes before this
                yield b"two"

            upper = channel.stream_stream("/test.Text/Upper")(words(), timeout=settings.PATIENCE_S)
            assert next(upper) == b"ONE"
            asked.set()
            assert next(upper) == b"TWO"
            assert list(upper) == []
            assert ("x-trailer", "late") in tuple(upper.trailing_metadata())
    finally:
        application.stop()


# --- what goes wrong behind, and other ways in


def test_client_that_takes_nothing(loopback, pki, web):
    """Its answer is cut, and the application is not blamed."""
    edge = Edge(loopback, pki, web.port, {"tlsMode": "disabled", "protocol": "http",
                                          "readTimeout": "1s"})
    body = bytes(16 << 20)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", edge.port))
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.sendall(body)
        wait_until("the refusals name it", lambda: "the client took nothing of it" in
                   refusals(edge))
    status = edge.agent.status
    assert status.metric("pavise_http_refused_total", reason="client_timeout") == 1
    assert status.metric("pavise_http_refused_total", reason="application_timeout") == 0


@BOTH
def test_application_fails(loopback, pki, web, version):
    edge = edge_for(loopback, pki, web, readTimeout="1s")
    assert edge.curl(version, client="client", path="/silent")[1] == "504"
    assert "status=504 edge_rule=readTimeout" in edge.agent.log()
    assert edge.curl(version, client="client", path="/garbage")[1] == "502"
    web.stop()
    assert edge.curl(version, client="client")[1] == "502"
    wait_until("the refusals name it", lambda: "cannot connect to the application" in
               refusals(edge))
    metrics = run("curl", "-sS", "--noproxy", "*",
                  f"http://127.0.0.1:{edge.status_port}/metrics").stdout
    assert 'pavise_http_refused_total{reason="application_timeout"} 1' in metrics
    assert "pavise_http_requests_total 3" in metrics


@BOTH
def test_an_application_that_takes_nothing(loopback, pki, version):
    """sendTimeout: a request that the application does not read is given up."""
    body = loopback.write("body", "x" * 16_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        edge = Edge(loopback, pki, listener.getsockname()[1],
                    {"protocol": "http", "certificates": [pki.presented("server")],
                     "clientAuth": "none", "sendTimeout": "1s"})
        answers = []
        client = threading.Thread(
            target=lambda: answers.append(edge.curl(version, "--data-binary", f"@{body}")))
        client.start()
        application, _ = listener.accept()
        with application:
            client.join(settings.PATIENCE_S)
    # curl 92: in HTTP/2 the stream is reset behind the answer, which curl then does not show.
    assert answers and (answers[0][1] == "504" or (version == "--http2" and answers[0][0] == 92))
    wait_until("the refusals say why",
               lambda: "it took nothing for sendTimeout" in refusals(edge))
    assert "status=504 edge_rule=sendTimeout" in edge.agent.log()


def test_application_with_tls(loopback, pki):
    """appTls: reencrypt, for requests."""
    from pavise_e2e.edge import server_context
    web = WebApplication(tls=server_context(pki, "server"))
    try:
        edge = edge_for(loopback, pki, web, appTls={"mode": "reencrypt"})
        for version in ("--http1.1", "--http2"):
            assert edge.curl(version, client="client", path="/a")[1] == "200"
        assert [path for path, _ in web.seen] == ["/a", "/a"]
    finally:
        web.stop()


@pytest.fixture
def mesh(loopback, pki, web):
    """Two agents with a tunnel between them; requests to `port` come out at the application."""
    loopback.authority()
    tunnel, port = free_port("127.0.0.2"), free_port()
    loopback.run_agent("mesh-server", {
        "outbound": {"listen": []},
        "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{tunnel}"], "ports": [
            {"port": 11000, "deliver": f"127.0.0.1:{web.port}", "protocol": "http",
             "forwardClientCert": "headers", "httpRules": [{"pathPrefix": "/v1"}],
             "tlsMode": "required", "clientCerts": pki.listed("ca"),
             "certificates": [pki.presented("a"), pki.presented("b")]}]},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)
    loopback.run_agent("mesh-client", {
        "outbound": {"listen": [],
                     "listeners": [{"listen": f"127.0.0.1:{port}",
                                    "destination": "127.0.0.2:11000"}],
                     "mesh": {"networks": ["127.0.0.0/8"], "port": tunnel}},
        "inbound": {"listen": [], "tunnel": []},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)
    return port


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_clients_through_the_tunnel(mesh, web, version, tmp_path):
    """The same rules, and headers with the workload's identity instead of what it claims."""
    body = tmp_path / "body"
    body.write_bytes(os.urandom(2 << 20))

    def curl(path, *options):
        return run("curl", "-sS", "--noproxy", "*", "--max-time", BOUND, version, "-w",
                   "%{http_code}", "-H", "X-Ssl-Client-Spiffe-Id: spiffe://forged/x", *options,
                   f"http://127.0.0.1:{mesh}{path}")

    assert curl("/v1/a").stdout.endswith("200")
    got = {name.lower(): value for name, value in web.seen[-1][2]}
    spiffe_id = f"spiffe://{settings.TRUST_DOMAIN}/uid/{os.getuid()}"
    assert got["x-ssl-client-spiffe-id"] == spiffe_id
    assert got["x-forwarded-client-cert"].endswith(f";URI={spiffe_id}")
    assert curl("/a").stdout.endswith("404")
    assert curl("/v1/a", "-H", "Host: a.test").stdout.endswith("200")  # a name of the port's own
    done = curl("/v1/b", "--data-binary", f"@{body}", "-H", "Expect:")
    assert done.stdout.endswith("200"), done.stdout + done.stderr
    assert web.seen[-1][3] == body.read_bytes()


def test_plaintext_port(loopback, pki, web):
    """Rules, and headers that nobody vouches for, without any TLS; HTTP/2 by its preface."""
    edge = Edge(loopback, pki, web.port, {
        "tlsMode": "disabled", "protocol": "http", "httpRules": [{"pathPrefix": "/v1"}]})
    url = f"http://127.0.0.1:{edge.port}"
    for version in ("--http1.1", "--http2-prior-knowledge"):
        def status(path):
            return run("curl", "-sS", "--noproxy", "*", "--max-time", BOUND, version, "-o",
                       os.devnull, "-w", "%{http_code}", "-H", "X-Ssl-Client-S-DN: CN=forged",
                       url + path).stdout
        assert status("/v1/a") == "200"
        assert status("/a") == "404"
        assert "forged" not in str(web.seen[-1])
    assert edge.agent.status.metric("pavise_plaintext_connections_total") == 4


def test_reload_keeps_what_is_open(loopback, pki, web):
    """Acceptance 26: rules change for new connections, open ones go on with theirs."""
    keys = {"protocol": "http", "certificates": [pki.presented("server")],
            "clientCerts": pki.listed("ca")}
    edge = Edge(loopback, pki, web.port, keys)
    ask = f"GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with tls_socket(edge, pki) as conn:
        stream = conn.makefile("rb")

        def answer():
            conn.sendall(ask)
            status = stream.readline()
            length = 0
            while (line := stream.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
            return status

        assert answer().startswith(b"HTTP/1.1 200 ")
        edge.reload({**keys, "httpRules": [{"pathPrefix": "/v2"}]})
        assert answer().startswith(b"HTTP/1.1 200 ")
        assert edge.curl(client="client", path="/a")[1] == "404"
        assert "event=reload_refused" in edge.reload({**keys, "skipMtlsUriRegex": ["("]})
        assert edge.curl(client="client", path="/v2")[1] == "200"


def test_what_check_refuses(loopback, tmp_path):
    for keys, word in (
            ('httpRules: [{pathPrefix: "/a"}]', "httpRules: needs protocol: http"),
            ("onClientAuthFailure: http400", "needs protocol: http"),
            ("forwardClientCert: headers", "needs protocol: http"),
            ('protocol: http, appTls: {mode: passthrough}', "passthrough"),
            ('protocol: http, skipMtlsUriRegex: ["a"]', "TLS does not end at this port"),
            ('protocol: http, httpRules: [{pathPrefix: "/a/../b"}]', "pathPrefix"),
            ("protocol: http, readTimeout: 31m", "readTimeout"),
            ("protocol: http, sendTimeout: 500ms", "sendTimeout")):
        path = tmp_path / "pavise.yaml"
        tls = "required" if "passthrough" in keys else "disabled"
        path.write_text(f"inbound: {{ports: [{{port: 80, tlsMode: {tls}, {keys}}}]}}\n",
                        encoding="ascii")
        done = run(settings.binary(), "check", "--config", path)
        assert done.returncode == 1 and word in done.stderr, done.stderr


@BOTH
def test_a_client_without_requests(loopback, pki, web, version):
    """readTimeout also ends a connection on which nothing is asked: in order, after its answer."""
    edge = edge_for(loopback, pki, web, clientAuth="none", clientCerts=[], readTimeout="1s")
    context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
    context.set_alpn_protocols(["h2" if version == "--http2" else "http/1.1"])
    with context.wrap_socket(edge.connect(), server_hostname=HOST) as client:
        client.settimeout(settings.PATIENCE_S)
        if version == "--http2":
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
                [0, 0, 0, 4, 0, 0, 0, 0, 0]))
        else:
            client.sendall(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        said = b""
        while chunk := client.recv(65536):
            said += chunk
        if version == "--http2":
            assert b"\x00\x00\x08\x07\x00" in said  # GOAWAY
        else:
            assert said.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_stalls(loopback, pki, web, chunked):
    """readTimeout also ends a request whose rest does not come; the application loses it."""
    edge = Edge(loopback, pki, web.port, {"tlsMode": "disabled", "protocol": "http",
                                          "readTimeout": "1s"})
    framing = b"Transfer-Encoding: chunked\r\n\r\n3\r\na" if chunked else \
        b"Content-Length: 3\r\n\r\na"
    with socket.create_connection(("127.0.0.1", edge.port)) as client:
        client.settimeout(settings.PATIENCE_S)
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: h\r\n" + framing)
        said = read_to_end(client)
    assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert "the client sent nothing of its body for readTimeout" in refusals(edge)


def test_answers_that_are_not_taken(loopback, pki, web):
    """An HTTP/2 client whose window stays shut is asked to go, and then let go: it held a
    connection for good."""
    edge = edge_for(loopback, pki, web, clientAuth="none", clientCerts=[], readTimeout="1s")
    context = ssl.create_default_context(cafile=str(pki.certificate("ca")))
    context.set_alpn_protocols(["h2"])
    shut = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])  # INITIAL_WINDOW_SIZE: 0
    head = b"\x82\x87\x84\x41" + bytes([len(HOST)]) + HOST.encode()  # GET https://HOST/
    ask = bytes([0, 0, len(head), 1, 5, 0, 0, 0, 1]) + head
    with context.wrap_socket(edge.connect(), server_hostname=HOST) as client:
        client.settimeout(settings.PATIENCE_S)
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + shut + ask)
        said = b""
        try:
            while chunk := client.recv(65536):
                said += chunk
        except ConnectionResetError:
            pass
        assert b"\x00\x00\x08\x07\x00" in said  # GOAWAY
    edge.agent.wait_for_log("the client took nothing of its answers for readTimeout")
    assert len(web.seen) == 1
