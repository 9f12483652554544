"""Small unmodified applications: servers that record what reached them, and client helpers."""

import contextlib
import hashlib
import socket
import struct
import threading
import time

from . import settings
from .waiting import Background, wait_until

threading.stack_size(256 * 1024)  # thousands of connections, a thread for each


class Application:
    """A TCP server: a thread per connection runs `serve(connection, application)`. `accepts`
    counts connections, `sources` holds the addresses they came from, `received` all bytes of all of
    them, `ends` how each one ended."""

    def __init__(self, host, address, port, serve):
        self.accepts = 0
        self.sources = set()
        self.received = bytearray()
        self.ends = []
        self._serve = serve
        self._connections = set()
        self._lock = threading.Lock()
        self._listening = host.listen(address, port)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, source = self._listening.accept()
            except OSError:
                return  # stopped
            with self._lock:
                self.accepts += 1
                self.sources.add(source[0])
                self._connections.add(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        end = "done"
        try:
            self._serve(connection, self)
        except ConnectionResetError:
            end = "reset"
        except OSError as error:
            end = type(error).__name__
        with self._lock:
            self._connections.discard(connection)
            self.ends.append(end)
        connection.close()

    def note(self, data):
        with self._lock:
            self.received += data

    def wait_for_end(self, num=1):
        wait_until(f"{num} connections have ended", lambda: len(self.ends) >= num)

    def stop(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


# --- what applications do -----------------------------------------------------------------------


def echo(connection, application):
    while data := connection.recv(65536):
        application.note(data)
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


GREETING = b"220 server speaks first\r\n"


def speak_first(connection, application):
    connection.sendall(GREETING)
    echo(connection, application)


ANSWER_DELAY_S = 2


def answer_after_the_end(connection, application):
    """Reads until the client has ended writing; answers a while later with the digest."""
    data = receive_all(connection)
    application.note(data)
    time.sleep(ANSWER_DELAY_S)
    connection.sendall(hashlib.sha256(data).hexdigest().encode())


def end_first(connection, application):
    """Sends, ends writing, and goes on reading."""
    connection.sendall(GREETING)
    connection.shutdown(socket.SHUT_WR)
    application.note(receive_all(connection))


def send(data):
    """Sends `data`, ends writing and waits for the client's end."""
    def serve(connection, _):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)

    return serve


def reset_after_a_byte(connection, application):
    application.note(connection.recv(1))
    reset(connection)


def read_to_the_end(connection, application):
    application.note(receive_all(connection))


# --- clients ------------------------------------------------------------------------------------


def receive_all(connection):
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def receive_exactly(connection, length):
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError(f"the connection ended after {len(data)} of {length} bytes")
        data += part
    return bytes(data)


def exchange(connection, data):
    connection.sendall(data)
    return receive_exactly(connection, len(data))


def assert_cut(connection, data=b"are you there?"):
    """The connection is ended by the other side, and not as if all were well."""
    try:
        connection.sendall(data)
        got = connection.recv(len(data))
    except (ConnectionResetError, BrokenPipeError):
        return
    raise AssertionError("still open" if got else "ended in an orderly way")


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def writing(connection, data, chunk):
    """Writes `data` in pieces, in a thread of its own."""
    def write():
        for start in range(0, len(data), chunk):
            connection.sendall(data[start:start + chunk])

    return Background(write)


def writing_slowly(connection, data, pieces, pause_s):
    """Writes `data` in `pieces` with pauses, in a thread of its own."""
    def write():
        length = -(-len(data) // pieces)
        for start in range(0, len(data), length):
            time.sleep(pause_s)
            connection.sendall(data[start:start + length])

    return Background(write)


def echo_once(host, address, port, data=b"hello"):
    """A new connection, one exchange, an orderly end. Raises when anything is not as it should."""
    with host.connect(address, port) as connection:
        got = exchange(connection, data)
        assert got == data
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def outcome(host, address, port, data=b"hello"):
    """How a connection ends that sends `data` and wants it back: "echoed", "refused" (nobody took
    it), "reset" or "closed" (taken, then ended without the data), "timeout"."""
    try:
        with host.connect(address, port) as connection:
            connection.sendall(data)
            got = connection.recv(len(data))
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except TimeoutError:
        return "timeout"
    return "echoed" if got else "closed"


class Crowd:
    """Threads that do the same again and again until told to stop; what went wrong is kept in
    `failures`."""

    def __init__(self, act, threads):
        self.failures = []
        self._act, self._over = act, threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._over.is_set():
            try:
                self._act()
            except (OSError, EOFError, IndexError, AssertionError) as error:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {error!r}")
            time.sleep(0.01)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(settings.PATIENCE_S)


class Load(Crowd):
    """Makes connections and exchanges data."""

    def __init__(self, host, address, port, threads=4, data=b"x" * 1000):
        self.exchanges = 0
        self._target = (host, address, port, data)
        super().__init__(self._exchange, threads)

    def _exchange(self):
        echo_once(*self._target)
        self.exchanges += 1
