"""A server of Envoy's secret discovery service in hand-made HTTP/2 and protobuf: a witness that
shares no code with the agent's gRPC."""

import os
import socket
import struct
import threading

from .h2 import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, SETTINGS
from .waiting import wait_until

TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
METHOD = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"


# --- protobuf: varints and length-delimited fields are all there is

def _varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def fields(message):
    """{number: [value, ...]} of the length-delimited fields."""
    found, at = {}, 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte, at = message[at], at + 1
            number, shift = number | (byte & 127) << shift, shift + 7
            if byte < 128:
                return number

    while at < len(message):
        key = varint()
        if key & 7 != 2:
            varint()
            continue
        length = varint()
        found.setdefault(key >> 3, []).append(message[at:at + length])
        at += length
    return found


def inline(data):
    return field(2, data)


def filename(path):
    return field(1, str(path))


def certificate(name, chain, key):
    """A Secret with a TLS certificate; `chain` and `key` are DataSources."""
    return field(1, name) + field(2, field(1, chain) + field(2, key))


def trusted_ca(name, bundle):
    return field(1, name) + field(4, field(1, bundle))


def spiffe_validator(name, domains):
    """A Secret with the SPIFFE validator; `domains` maps trust domains to DataSources."""
    config = b"".join(field(1, field(1, td) + field(2, bundle)) for td, bundle in domains.items())
    extension = (field(1, "envoy.tls.cert_validator.spiffe")
                 + field(2, field(1, TYPES + "SPIFFECertValidatorConfig") + field(2, config)))
    return field(1, name) + field(4, field(12, extension))


# --- HTTP/2

def _frame(kind, flags, stream, payload=b""):
    return (struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream)
            + payload)


def _literal(name, value):
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Stream:
    """One StreamSecrets call, as the server sees it."""

    def __init__(self, connection, number):
        self._connection = connection
        self._number = number
        self._pending = b""
        self.requests = []
        connection.sendall(_frame(HEADERS, END_HEADERS, number, b"\x88" + _literal(
            "content-type", "application/grpc")))

    def take(self, data):
        self._pending += data
        while len(self._pending) >= 5:
            length = struct.unpack_from("!I", self._pending, 1)[0]
            if len(self._pending) < 5 + length:
                return
            self.requests.append(fields(self._pending[5:5 + length]))
            self._pending = self._pending[5 + length:]

    def send(self, message):
        for data in (struct.pack("!BI", 0, len(message)) + message,):
            for at in range(0, len(data), 16384):
                self._connection.sendall(_frame(DATA, 0, self._number, data[at:at + 16384]))

    def end(self, status, text=""):
        self._connection.sendall(_frame(HEADERS, END_HEADERS | END_STREAM, self._number, _literal(
            "grpc-status", str(status)) + _literal("grpc-message", text)))


class SdsServer:
    """Listens at `path`; the newest stream is the agent's."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        os.chmod(path, 0o666)
        self._socket.listen(16)
        self._versions = 0
        self.streams = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")
        if reader.read(len(PREFACE)) != PREFACE:
            return
        connection.sendall(_frame(SETTINGS, 0, 0))
        stream = None
        while head := reader.read(9):
            kind, flags, number = struct.unpack("!BBI", head[3:])
            payload = reader.read(struct.unpack("!I", b"\0" + head[:3])[0])
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(_frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                connection.sendall(_frame(PING, ACK, 0, payload))
            elif kind == HEADERS:
                stream = Stream(connection, number)
                self.streams.append(stream)
            elif kind == DATA:
                stream.take(payload)

    # --- what a test says

    def asked(self, streams=1):
        """The newest stream, once it is the `streams`-th at least and has asked."""
        return wait_until(f"stream {streams} of the SDS server has asked",
                          lambda: len(self.streams) >= streams and self.streams[-1].requests
                          and self.streams[-1])

    def push(self, *secrets, stream=None):
        """Sends the secrets; the request that answers them, ACK or NACK."""
        stream = stream or self.asked()
        before = len(stream.requests)
        self._versions += 1
        stream.send(field(1, str(self._versions))
                    + b"".join(field(2, field(1, TYPES + "Secret") + field(2, s)) for s in secrets)
                    + field(4, TYPES + "Secret") + field(5, f"nonce-{self._versions}"))
        wait_until("the response is answered", lambda: len(stream.requests) > before)
        return stream.requests[before]
