"""A storm of connections while certificates rotate: long streams that never stop sending, new
connections at a steady rate, every byte accounted for by SHA-256, in one thread of its own."""

import asyncio
import contextlib
import hashlib
import os
import socket
import statistics
import time

from . import settings
from .waiting import Background

CHUNK = 2048
PAUSE_S = 0.1  # of a long stream, between two messages
SHORT = b"s" * 700  # what a new connection sends and wants back


class Stream:
    """What one long connection sent and got back."""

    def __init__(self, number):
        self.seed = hashlib.sha256(str(number).encode())
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.bytes = 0

    def chunk(self):
        """The next bytes to send, different each time."""
        self.seed.update(b".")
        data = self.seed.digest() * (CHUNK // 32)
        self.sent.update(data)
        self.bytes += len(data)
        return data


class Storm:
    """`streams` long connections and `rate` new ones a second from `client` to an echo server of
    its own on `server`, until stop(). What went wrong is in `failures`."""

    def __init__(self, client, server, address, port, *, streams, rate):
        self.failures = []
        self.streams = [Stream(i) for i in range(streams)]
        self.short = 0  # new connections that did all they should
        self.open = 0  # long ones that are open
        self._client, self._rate = client, rate
        self._target = (address, port)
        self._listening = server.listen(address, port)
        self._over = False
        self._pending = set()
        self._thread = Background(lambda: asyncio.run(self._main()))

    # --- the echo server

    async def _echo(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
            await writer.drain()
        writer.close()

    # --- the clients

    async def _connect(self):
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        with self._client.entered():
            sock = socket.socket(family)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self._target)
        return await asyncio.open_connection(sock=sock)

    def _note(self, who, error):
        self.failures.append(f"{time.strftime('%H:%M:%S')} {who}: {error!r}")

    async def _hold(self, stream, number):
        opened = 0
        try:
            reader, writer = await self._connect()
            opened = 1
            self.open += opened
            while not self._over:
                data = stream.chunk()
                writer.write(data)
                got = await asyncio.wait_for(reader.readexactly(len(data)), settings.PATIENCE_S)
                stream.received.update(got)
                await asyncio.sleep(PAUSE_S)
            await self._end(reader, writer)
        except (OSError, EOFError, asyncio.TimeoutError, AssertionError) as error:
            self._note(f"long stream {number} after {stream.bytes} bytes", error)
        finally:
            self.open -= opened

    async def _short(self):
        try:
            reader, writer = await self._connect()
            writer.write(SHORT)
            got = await asyncio.wait_for(reader.readexactly(len(SHORT)), settings.PATIENCE_S)
            assert got == SHORT, "other bytes came back"
            await self._end(reader, writer)
            self.short += 1
        except (OSError, EOFError, asyncio.TimeoutError, AssertionError) as error:
            self._note("new connection", error)

    async def _end(self, reader, writer):
        """An orderly end, after which nothing more comes."""
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(1), settings.PATIENCE_S) == b"", "more came"
        writer.close()

    def _start(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _main(self):
        server = await asyncio.start_server(self._echo, sock=self._listening, backlog=1024)
        for number, stream in enumerate(self.streams):
            self._start(self._hold(stream, number))
        start, made = time.monotonic(), 0
        while not self._over:
            while made < (time.monotonic() - start) * self._rate:
                self._start(self._short())
                made += 1
            await asyncio.sleep(0.5 / self._rate)
        await asyncio.gather(*self._pending)
        server.close()

    # --- the verdict

    def bytes(self):
        return sum(stream.bytes for stream in self.streams)

    def lost(self):
        """Numbers of the streams that did not get back what they sent."""
        return [number for number, stream in enumerate(self.streams)
                if not stream.bytes or stream.sent.digest() != stream.received.digest()]

    def stop(self):
        """Ends everything in order; after it the counters are final."""
        self._over = True
        self._thread.result(3 * settings.PATIENCE_S)


class Usage:
    """Descriptors and memory of a process over time."""

    def __init__(self, process):
        self.name = process.name
        self._proc = f"/proc/{process.pid}"
        self.descriptors, self.memory = [], []

    def sample(self):
        self.descriptors.append(len(os.listdir(f"{self._proc}/fd")))
        with open(f"{self._proc}/statm", encoding="ascii") as statm:
            self.memory.append(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    def growth(self):
        """(descriptors, bytes of memory) that the last quarter has more than the second one."""
        def quarters(values):
            quarter = len(values) // 4
            return (statistics.median(values[quarter:2 * quarter]),
                    statistics.median(values[-quarter:]))

        before, after = quarters(self.descriptors)
        before_memory, after_memory = quarters(self.memory)
        return after - before, after_memory - before_memory

    def complaint(self):
        """Why its descriptors or memory are not flat, or None."""
        descriptors, memory = self.growth()
        if descriptors > 20:
            return f"{self.name} holds {descriptors:.0f} more descriptors"
        # A sanitizer keeps what is freed.
        if memory > max(4 << 20, 0.1 * self.memory[0]) and not settings.has_sanitizer():
            return f"{self.name} has grown by {memory / (1 << 20):.1f} MiB"
        return None
