"""A contender that runs: two sidecars, on their CPU."""

import socket
import time

from . import process
from .plan import APP, Address

READY_S = 10
RETRY_S = 0.0005


class NotMeasured(Exception):
    """A contender, or a cell of it, cannot be measured; the sentence says why."""


class Pair:
    """The sidecars of one recipe. `first_port` and the nine after it are its own."""

    def __init__(self, bench, recipe, first_port):
        self.bench = bench
        self.recipe = recipe
        self.name = recipe.name
        self.entry = Address("127.0.0.1", first_port)       # where clients connect
        self.tls_entry = Address("127.0.0.2", first_port + 2)  # where the inside listens
        self.sides = {}

    def start_side(self, side, command):
        log = self.bench.directory / f"{self.name.replace(' ', '-')}-{side}.log"
        self.sides[side] = process.Process(f"{self.name} ({side})", command.argv, log,
                                           process.cpus()[1], command.env)

    def start_inside(self):
        self.start_side("inside", self.recipe.inside(self.bench, self.tls_entry, APP))

    def start_outside(self):
        self.start_side("outside", self.recipe.outside(self.bench, self.entry, self.tls_entry))

    def start(self):
        """Both sides; ready when a byte has come back from the application."""
        self.start_inside()
        self.await_listening(self.tls_entry)
        self.start_outside()
        self.await_echo(self.entry)

    def stop(self):
        for side in reversed(list(self.sides.values())):
            side.stop()
        self.sides = {}

    def cpu_ns(self):
        return {name: side.cpu_ns() for name, side in self.sides.items()}

    def check_alive(self):
        for side in self.sides.values():
            if not side.is_running():
                raise NotMeasured(f"{side.name} ended: {side.log_tail()}")

    def await_listening(self, address):
        self._await(f"listens on {address}", lambda: is_listening(address))

    def await_echo(self, address):
        self._await("answers", lambda: echoes(address, b"?"))

    def _await(self, what, condition):
        end = time.monotonic() + READY_S
        while not condition():
            self.check_alive()
            if time.monotonic() > end:
                tails = "; ".join(side.log_tail() for side in self.sides.values())
                raise NotMeasured(f"{self.name} never {what}: {tails}")
            time.sleep(RETRY_S)
        for side in self.sides.values():
            side.hold_to_cpu()


class Outside(Pair):
    """One more outside of a recipe, with another peer; a context."""

    def __init__(self, bench, recipe, first_port, peer):
        super().__init__(bench, recipe, first_port + 4)
        self.tls_entry = peer

    def __enter__(self):
        self.start_outside()
        return self

    def __exit__(self, *_):
        self.stop()


def is_listening(address):
    try:
        socket.create_connection(address.pair, timeout=2).close()
        return True
    except OSError:
        return False


def echoes(address, data, timeout=5):
    """Whether the application behind `address` sends `data` back."""
    try:
        with socket.create_connection(address.pair, timeout=timeout) as conn:
            conn.settimeout(timeout)
            return exchange(conn, data)
    except OSError:
        return False


def exchange(conn, data):
    """Sends `data` and compares what comes back, piece by piece."""
    step = 16384
    for start in range(0, len(data), step):
        piece = data[start:start + step]
        conn.sendall(piece)
        got = b""
        while len(got) < len(piece):
            more = conn.recv(len(piece) - len(got))
            if not more:
                return False
            got += more
        if got != piece:
            return False
    return True
