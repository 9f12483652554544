"""The PROXY protocol, version 2: from a load balancer in front, and to the application behind."""

import contextlib
import socket
import ssl
import struct

import pytest

from pavise_e2e.applications import echo
from pavise_e2e.edge import Edge, Pki
from pavise_e2e.waiting import wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("edge") / "pki").usual()


def header(source, destination=("192.0.2.2", 443), command=0x21):
    body = (socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) +
            struct.pack(">HH", source[1], destination[1]))
    return SIGNATURE + bytes((command, 0x11)) + struct.pack(">H", len(body)) + body


def tlvs(data):
    found = {}
    while data:
        kind, length = struct.unpack_from(">BH", data)
        found[kind] = data[3:3 + length]
        data = data[3 + length:]
    return found


def taken_apart(data):
    """(source, destination, TLVs, what follows the header)"""
    assert data[:12] == SIGNATURE and data[12:14] == b"\x21\x11"
    length, = struct.unpack(">H", data[14:16])
    body, rest = data[16:16 + length], data[16 + length:]
    ports = struct.unpack(">HH", body[8:12])
    return ((socket.inet_ntoa(body[:4]), ports[0]), (socket.inet_ntoa(body[4:8]), ports[1]),
            tlvs(body[12:]), rest)


def start(lab, pki, **keys):
    application = lab.application(lab.host, "127.0.0.1", 0, echo)
    return application, Edge(lab, pki, application.port, keys)


def received(application, ends_with):
    wait_until("the application has it", lambda: application.received.endswith(ends_with))
    return bytes(application.received)


def test_plain_connections_are_announced(loopback, pki):
    application, edge = start(loopback, pki, tlsMode="disabled", sendProxy=True)
    with edge.connect() as connection:
        own = connection.getsockname()
        connection.sendall(b"payload")
        data = received(application, b"payload")
    source, destination, extra, rest = taken_apart(data)
    assert source == own and destination == ("127.0.0.1", 8443)
    assert extra == {} and rest == b"payload"


def test_the_client_of_tls_is_announced(loopback, pki):
    """Acceptance: the certificate's fields, as the client's own file has them."""
    application, edge = start(loopback, pki, certificates=[pki.presented("server")],
                              clientCerts=pki.listed("ca"), alpn=["redis"],
                              forwardClientCert="proxyV2")
    context = ssl.create_default_context(cafile=pki.certificate("ca"))
    context.load_cert_chain(pki.certificate("client"), pki.key("client"))
    context.set_alpn_protocols(["redis"])
    with context.wrap_socket(edge.connect(), server_hostname="localhost") as tls:
        own = tls.getsockname()
        tls.sendall(b"payload")
        data = received(application, b"payload")
    source, _, extra, rest = taken_apart(data)
    assert source == own and rest == b"payload"
    assert extra[0x01] == b"redis" and extra[0x02] == b"localhost"
    assert b"CN=svc-a" in extra[0xe0] and b"O=Acme" in extra[0xe0]
    flags, verify = struct.unpack_from(">BI", extra[0x20])
    inner = tlvs(extra[0x20][5:])
    assert flags == 7 and verify == 0
    assert inner[0x21] == b"TLSv1.3" and inner[0x22] == b"svc-a"
    assert inner[0x23].startswith(b"TLS_")


def test_a_balancer_in_front(loopback, pki):
    """Its header names the client, in any pieces; what follows is the client's."""
    application, edge = start(loopback, pki, tlsMode="disabled", acceptProxy="required",
                              proxyFrom=["127.0.0.0/8"], sendProxy=True)
    with edge.connect() as connection:
        for byte in header(("198.51.100.7", 4242)):
            connection.sendall(bytes((byte,)))
        connection.sendall(b"payload")
        source, _, _, rest = taken_apart(received(application, b"payload"))
        assert source == ("198.51.100.7", 4242) and rest == b"payload"
        row, = edge.agent.status.rows("/connections")
        assert row["source"] == "198.51.100.7:4242"


def test_a_balancer_in_front_of_tls(loopback, pki):
    _, edge = start(loopback, pki, acceptProxy="required", proxyFrom=["127.0.0.1"],
                    clientAuth="none", certificates=[pki.presented("server")])
    context = ssl.create_default_context(cafile=pki.certificate("ca"))
    connection = edge.connect()
    connection.sendall(header(("198.51.100.7", 4242)))
    with context.wrap_socket(connection, server_hostname="localhost") as tls:
        tls.sendall(b"ping")
        assert tls.recv(4) == b"ping"


def test_health_checks_of_the_balancer(loopback, pki):
    application, edge = start(loopback, pki, tlsMode="disabled", acceptProxy="required",
                              proxyFrom=["127.0.0.1"])
    edge.connect().close()
    with edge.connect() as connection:
        connection.sendall(SIGNATURE + b"\x20\x00\x00\x00ping")
        assert connection.recv(4) == b"ping"
    assert edge.agent.status.rows("/refusals") == [] and application.accepts == 1


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n" + bytes(16),
    SIGNATURE + b"\x21\x11\xff\xff" + bytes(12), SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
    header(("198.51.100.7", 0))], ids=["http", "v1", "too long", "version 3", "port 0"])
def test_what_is_no_header(loopback, pki, sent):
    application, edge = start(loopback, pki, tlsMode="disabled", acceptProxy="required",
                              proxyFrom=["127.0.0.1"])
    with edge.connect() as connection:
        connection.sendall(sent)
        with pytest.raises(ConnectionResetError):
            assert connection.recv(1) == b""
            raise ConnectionResetError
    refusal = edge.agent.status.wait_for_refusal("proxy_header")
    assert refusal["rule"] == "acceptProxy" and application.accepts == 0


def test_only_from_the_networks_named(loopback, pki):
    application, edge = start(loopback, pki, tlsMode="disabled", acceptProxy="required",
                              proxyFrom=["192.0.2.0/24"])
    with contextlib.suppress(ConnectionResetError):
        with edge.connect() as connection:
            connection.sendall(header(("198.51.100.7", 4242)))
            assert connection.recv(1) == b""
    refusal = edge.agent.status.wait_for_refusal("proxy_header")
    assert refusal["rule"] == "proxyFrom" and application.accepts == 0
