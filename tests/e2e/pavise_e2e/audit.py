"""A collector of the audit: it takes the agent's connection and keeps the records."""

import json
import os
import select
import socket
import threading

from . import settings
from .waiting import wait_until


class Collector:
    """Listens on 127.0.0.1, or on the unix socket `path`. With `reads` false it takes the
    connection and leaves what comes where it is, until `read`."""

    def __init__(self, port=0, path=None, reads=True):
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", port))
            self.port = self._listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        else:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(os.fspath(path))
            self._listener.listen()
            self.address = f"unix://{path}"
        self._text = b""
        self._reads = threading.Event()
        self._stop_read, self._stop_write = os.pipe()
        if reads:
            self.read()
        self.num_connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self):
        self._reads.set()

    def _run(self):
        while self._wait(self._listener):
            connection, _ = self._listener.accept()
            self.num_connections += 1
            with connection:
                self._take(connection)

    def _wait(self, what):
        ready, _, _ = select.select([what, self._stop_read], [], [])
        return self._stop_read not in ready

    def _take(self, connection):
        begun = b""
        self._reads.wait()
        while self._wait(connection):
            data = connection.recv(65536)
            if not data:
                return  # a line that was begun comes again on the next connection
            whole, newline, begun = (begun + data).rpartition(b"\n")
            self._text += whole + newline

    def records(self):
        return [json.loads(line) for line in self._text.splitlines()]

    def of(self, event, **fields):
        """The bodies of `event` that have these fields."""
        bodies = [record[event] for record in self.records() if event in record]
        return [body for body in bodies if fields.items() <= body.items()]

    def wait_for(self, event, **fields):
        """The first such body."""
        return wait_until(f"{event} with {fields} is audited",
                          lambda: (self.of(event, **fields) or [None])[0])

    def stop(self):
        self._reads.set()
        os.write(self._stop_write, b"x")
        self._thread.join(settings.PATIENCE_S)
        self._listener.close()
        for fd in (self._stop_read, self._stop_write):
            os.close(fd)
