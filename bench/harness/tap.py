"""What crosses the wire between the two sides: a relay that reads the server's first messages, and
a server that nobody should trust."""

import socket
import ssl
import struct
import threading

HANDSHAKE_RECORD = 22
SERVER_HELLO = 2
SUPPORTED_VERSIONS = 43
PRE_SHARED_KEY = 41
WAIT_S = 5


class ServerHello:
    """`version` 0x0304 is TLS 1.3; `is_resumed` when the server took a ticket."""

    def __init__(self, body):
        self.cipher = None
        self.version = struct.unpack_from(">H", body, 0)[0]
        at = 2 + 32
        at += 1 + body[at]
        self.cipher = struct.unpack_from(">H", body, at)[0]
        at += 2 + 1 + 2
        self.is_resumed = False
        while at + 4 <= len(body):
            kind, length = struct.unpack_from(">HH", body, at)
            if kind == SUPPORTED_VERSIONS:
                self.version = struct.unpack_from(">H", body, at + 4)[0]
            self.is_resumed = self.is_resumed or kind == PRE_SHARED_KEY
            at += 4 + length


def server_hello(stream):
    """The last ServerHello among the plaintext records at the start of `stream`, or None. (A
    HelloRetryRequest is one, too, and comes before it.)"""
    at, messages = 0, b""
    while at + 5 <= len(stream):
        kind, _, length = struct.unpack_from(">BHH", stream, at)
        if kind == HANDSHAKE_RECORD:
            messages += stream[at + 5:at + 5 + length]
        at += 5 + length
    found, at = None, 0
    while at + 4 <= len(messages):
        length = int.from_bytes(messages[at + 1:at + 4], "big")
        body = messages[at + 4:at + 4 + length]
        if messages[at] == SERVER_HELLO and len(body) == length:
            found = ServerHello(body)
        at += 4 + length
    return found


class _Listener:
    """Accepts in a thread of its own until it is closed; a context."""

    def __init__(self, listen):
        self._socket = socket.create_server(listen.pair)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self._socket.accept()
            except OSError:
                return
            conn.settimeout(WAIT_S)
            threading.Thread(target=self._guarded, args=(conn,), daemon=True).start()

    def _guarded(self, conn):
        try:
            self.serve(conn)
        except OSError:
            pass  # the other end's business
        finally:
            conn.close()

    def serve(self, conn):
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A thread in accept keeps the socket alive; shutdown wakes it.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Tap(_Listener):
    """Carries connections to `to` and keeps what either side sent."""

    def __init__(self, listen, to):
        self._to = to
        self.sent = []      # per connection, by the client
        self.answered = []  # and by the server
        super().__init__(listen)

    def hellos(self):
        return [server_hello(bytes(stream)) for stream in self.answered]

    def serve(self, conn):
        sent, answered = bytearray(), bytearray()
        self.sent.append(sent)
        self.answered.append(answered)
        with socket.create_connection(self._to.pair) as onward:
            onward.settimeout(WAIT_S)
            back = threading.Thread(target=_carry, args=(onward, conn, answered), daemon=True)
            back.start()
            _carry(conn, onward, sent)
            back.join(WAIT_S)


def _carry(source, sink, kept):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            kept += data
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Rogue(_Listener):
    """A TLS server with the right name and the wrong root."""

    def __init__(self, listen, identity, alpn):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(identity.chain, identity.key)
        if alpn:
            self._context.set_alpn_protocols([alpn])
        self.num_calls = 0
        self.num_trusted = 0  # handshakes that a client went through with
        super().__init__(listen)

    def serve(self, conn):
        self.num_calls += 1
        with self._context.wrap_socket(conn, server_side=True) as tls:
            # Over after the handshake for the server; a client that refuses sends an alert.
            if tls.recv(1):
                self.num_trusted += 1
                tls.sendall(b"?")
