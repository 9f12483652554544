"""The wire proof reads ServerHellos made here by hand, and by a real TLS server."""

import struct

from harness.tap import server_hello

RECORD = struct.Struct(">BHH")


def hello(cipher=0x1301, extensions=b"", session=b"s" * 32):
    body = (b"\x03\x03" + b"r" * 32 + bytes([len(session)]) + session + struct.pack(">H", cipher) +
            b"\0" + struct.pack(">H", len(extensions)) + extensions)
    return b"\x02" + len(body).to_bytes(3, "big") + body


def record(kind, data):
    return RECORD.pack(kind, 0x0303, len(data)) + data


TLS_1_3 = struct.pack(">HHH", 43, 2, 0x0304)
TICKET = struct.pack(">HHH", 41, 2, 0)


def test_version_cipher_and_resumption():
    found = server_hello(record(22, hello(extensions=TLS_1_3)))
    assert (found.version, found.cipher, found.is_resumed) == (0x0304, 0x1301, False)
    assert server_hello(record(22, hello(extensions=TICKET + TLS_1_3))).is_resumed


def test_older_versions_are_seen_as_such():
    assert server_hello(record(22, hello(cipher=0xc02f))).version == 0x0303


def test_the_hello_after_a_retry_counts():
    stream = (record(22, hello(cipher=0x1302, extensions=TLS_1_3)) + record(20, b"\x01") +
              record(22, hello(extensions=TLS_1_3)) + record(23, b"x" * 40))
    assert server_hello(stream).cipher == 0x1301


def test_a_message_may_span_records():
    message = hello(extensions=TLS_1_3)
    assert server_hello(record(22, message[:10]) + record(22, message[10:])).cipher == 0x1301


def test_what_is_no_hello_gives_none():
    for stream in (b"", b"\x16\x03", record(22, hello()[:-1]), record(21, b"\x02\x28"),
                   b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        assert server_hello(stream) is None, stream
