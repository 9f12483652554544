"""One agent that is both ends of a tunnel, and a service manager that listens to it."""

import socket

from . import settings
from .applications import echo, echo_once
from .network import free_port
from .waiting import wait_until


class Both:
    """One agent that is both ends: what the application sends to `port` leaves through an explicit
    listener and comes back through the tunnel listener."""

    def __init__(self, lab):
        lab.authority()
        self.lab = lab
        self.app = lab.application(lab.host, "127.0.0.1", 0, echo)
        self.port, self.status, self.health = free_port(), free_port(), free_port()
        self.tunnel = free_port("127.0.0.2")
        self.config = {
            "workers": 2,
            "outbound": {"listen": [],
                         "listeners": [{"listen": f"127.0.0.1:{self.port}",
                                        "destination": "127.0.0.2:11000"}],
                         "mesh": {"networks": ["127.0.0.0/8"], "port": self.tunnel}},
            "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{self.tunnel}"],
                        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{self.app.port}"}]},
            "status": {"listen": f"127.0.0.1:{self.status}",
                       "health": f"127.0.0.1:{self.health}"}}
        self.addresses = {"out": f"127.0.0.1:{self.port}", "tunnel": f"127.0.0.2:{self.tunnel}",
                          "status": f"127.0.0.1:{self.status}",
                          "health": f"127.0.0.1:{self.health}"}

    def activated(self, names, extra=(), **options):
        """The agent as systemd's own program starts it: at the first connection, with sockets."""
        words = [settings.program("systemd-socket-activate")]
        addresses = [self.addresses[name] for name in names] + list(extra)
        for address in addresses:
            words += ["--listen", address]
        names = [*names, *("extra" for _ in extra)]
        return self.lab.run_agent("agent", self.config, host=self.lab.host,
                                  wrap=[*words, "--fdname", ":".join(names)], **options)

    def echo(self, data=b"hello"):
        echo_once(self.lab.host, "127.0.0.1", self.port, data)


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, lab):
        self.path = lab.path("notify.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.heard = []

    def lines(self):
        try:
            while True:
                self.heard += self._socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.heard

    def wait_for(self, line):
        wait_until(f"the service manager hears {line!r}", lambda: line in self.lines())

    def close(self):
        self._socket.close()
