"""A DNS server of the test's own, for names to addresses."""

import socket
import struct
import threading

TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}
NXDOMAIN = 3


class Dns:
    """Answers A and AAAA on 127.0.0.1:53 of a host; what it says can change at any time."""

    def __init__(self, host, ttl=1, **names):
        self.host = host
        self.ttl = ttl
        self.names = dict(names)  # name to addresses
        self.num_queries = 0
        self._socket = None
        self._thread = None

    def start(self):
        with self.host.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Queries are then refused by the kernel."""
        if self._socket is not None:
            with self.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", ("127.0.0.1", 53))
            self._thread.join()
            self._socket.close()
            self._socket = None

    def _serve(self, listening):
        while True:
            query, client = listening.recvfrom(2048)
            if not query:
                return
            self.num_queries += 1
            listening.sendto(self._answer(query), client)

    def _answer(self, query):
        labels, at = [], 12
        while query[at] != 0:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        addresses = self.names.get(".".join(labels).lower())
        family = TYPES.get(kind)
        records = [socket.inet_pton(family, address) for address in addresses or ()
                   if family is not None and (":" in address) == (family == socket.AF_INET6)]
        code = NXDOMAIN if addresses is None else 0
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        body = b"".join(struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(record)) + record
                        for record in records)
        return head + question + body
