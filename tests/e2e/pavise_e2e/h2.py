"""An HTTP/2 client of hand-made frames (RFC 9113, RFC 7541): enough for HBONE, and able to say
what a well-behaved one would not."""

import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# RFC 7541 appendix A: names, and the values of :status.
_NAME_INDEX = {":authority": 1, ":method": 2, ":path": 4, ":scheme": 6}
_STATUS_INDEX = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
# RFC 7541 appendix B: the digits.
_HUFFMAN_DIGITS = {format(i, "05b"): str(i) for i in range(3)}
_HUFFMAN_DIGITS.update({format(0b011001 + i, "06b"): str(3 + i) for i in range(7)})


class StreamError(Exception):
    """The server ended the stream or the connection instead of answering."""


def encode(headers):
    block = b""
    for name, value in headers:
        index = _NAME_INDEX.get(name)
        start = bytes([index]) if index else bytes([0, len(name)]) + name.encode()
        block += start + bytes([len(value)]) + value.encode()
    return block


def _digits(data, huffman):
    if not huffman:
        return data.decode("ascii")
    bits, text, code = "".join(format(byte, "08b") for byte in data), "", ""
    for bit in bits:
        code += bit
        if code in _HUFFMAN_DIGITS:
            text, code = text + _HUFFMAN_DIGITS[code], ""
    return text


def decode_status(block):
    """The value of :status, which comes first."""
    while block and block[0] & 0xE0 == 0x20:  # a dynamic table size update
        block = block[1:]
    first = block[0]
    if first & 0x80:
        return _STATUS_INDEX[first & 0x7F]
    index = first & 0x3F if first & 0x40 else first & 0x0F
    assert index in _STATUS_INDEX, "the first header is not :status"
    length = block[1] & 0x7F
    return int(_digits(block[2:2 + length], block[1] & 0x80))


class Client:
    """One HTTP/2 connection over a TLS socket."""

    def __init__(self, tls):
        self._tls = tls
        self._next_stream = 1
        # No dynamic table: every answer can be read by itself.
        settings = struct.pack("!HI", 1, 0)
        tls.sendall(PREFACE + self._frame(SETTINGS, 0, 0, settings))

    @staticmethod
    def _frame(kind, flags, stream, payload):
        return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags,
                                                                 stream) + payload

    def _read_frame(self):
        head = self._exactly(9)
        length = struct.unpack("!I", b"\0" + head[:3])[0]
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        return kind, flags, stream, self._exactly(length)

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            part = self._tls.recv(length - len(data))
            if not part:
                raise StreamError("the connection ended")
            data += part
        return data

    def _next_of(self, stream):
        """The next HEADERS, DATA or RST_STREAM of a stream."""
        while True:
            kind, flags, at, payload = self._read_frame()
            if kind == SETTINGS and not flags & ACK:
                self._tls.sendall(self._frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self._tls.sendall(self._frame(PING, ACK, 0, payload))
            elif kind == GOAWAY and struct.unpack_from("!I", payload, 4)[0] != 0:
                raise StreamError(f"GOAWAY {struct.unpack_from('!I', payload, 4)[0]}")
            elif at == stream and kind in (HEADERS, DATA, RST_STREAM):
                return kind, flags, payload

    def request(self, headers, end=False):
        """Sends a request; its stream number."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        flags = END_HEADERS | (END_STREAM if end else 0)
        self._tls.sendall(self._frame(HEADERS, flags, stream, encode(headers)))
        return stream

    def status(self, stream):
        kind, _, payload = self._next_of(stream)
        if kind != HEADERS:
            raise StreamError(f"frame type {kind} instead of an answer")
        return decode_status(payload)

    def connect(self, authority):
        """The status of CONNECT `authority`, and the stream."""
        stream = self.request([(":method", "CONNECT"), (":authority", authority)])
        return self.status(stream), stream

    def send(self, stream, data, end=False):
        self._tls.sendall(self._frame(DATA, END_STREAM if end else 0, stream, data))

    def receive(self, stream):
        """The next data of a stream; b"" at its end."""
        kind, flags, payload = self._next_of(stream)
        if kind == RST_STREAM:
            raise StreamError(f"RST_STREAM {struct.unpack('!I', payload)[0]}")
        assert kind == DATA
        return payload if payload or flags & END_STREAM else self.receive(stream)
