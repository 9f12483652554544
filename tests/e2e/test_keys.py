"""Private keys are in memory only, once, and as long as they are used: not in any output, not in a
core file, not in the buffers that they came in."""

import base64
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from pavise_e2e import settings
from pavise_e2e.lab import UIDS
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

PAGES = ("/identity", "/certs", "/listeners", "/connections", "/tunnels", "/destinations",
         "/refusals", "/config", "/trust", "/metrics", "/readyz", "/livez", "/startupz", "/")
# ECPrivateKey (RFC 5915) of P-256: version, the scalar, the public key.
SEC1 = re.compile(rb"\x02\x01\x01\x04\x20(.{32})\xa1\x44\x03\x42\x00(\x04.{64})", re.DOTALL)


class Tap:
    """A Unix socket that passes everything on to another and keeps what comes back."""

    def __init__(self, path, upstream):
        self.seen = bytearray()
        self._upstream = str(upstream)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        path.chmod(0o666)
        self._listening.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._upstream)
            except OSError:
                near.close()
                continue
            for source, sink, keep in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=(source, sink, keep),
                                 daemon=True).start()

    def _pump(self, source, sink, keep):
        try:
            while data := source.recv(65536):
                if keep:
                    self.seen += data
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def keys(self):
        """The scalars that have passed, oldest first."""
        return [match.group(1) for match in SEC1.finditer(bytes(self.seen))]

    def close(self):
        self._listening.close()


@pytest.fixture
def tap(loopback):
    loopback.authority()
    made = Tap(loopback.path("tap.sock"), loopback.path("authority.sock"))
    yield made
    made.close()


def start(lab, **options):
    return lab.run_agent("agent", {
        "identity": {"endpoint": f"unix://{lab.path('tap.sock')}"},
        "log": {"level": "debug"},
        "outbound": {"listen": []},
        "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{free_port('127.0.0.2')}"]},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=lab.host, **options)


def forms(key):
    """How a key could be written in text."""
    der = b"\x02\x01\x01\x04\x20" + key
    encoded = [base64.b64encode(b"\0" * shift + key)[4:-4].decode() for shift in range(3)]
    words = [key.hex(), key[::-1].hex(), key.hex(":"), der.hex(), str(int.from_bytes(key, "big"))]
    return [*words, *(word.upper() for word in words), *encoded]


def restart_authority(lab, status):
    before = status.serial()
    lab.processes[0].terminate()
    lab.path("authority.sock").unlink(missing_ok=True)
    lab.authority()
    wait_until("another certificate is in use", lambda: status.serial() != before)


def test_no_key_in_any_output(loopback, tap):
    agent = start(loopback)
    restart_authority(loopback, agent.status)
    keys = tap.keys()
    assert len(keys) >= 2
    shown = "".join(agent.status.get(path)[1] for path in PAGES)
    for what in ([], ["identity"], ["tunnels"], ["-o", "json"]):
        shown += subprocess.run([loopback.pavise, "status", *what, "--address",
                                 f"127.0.0.1:{agent.status.port}"], check=True, timeout=60,
                                capture_output=True, text=True,
                                env=settings.environment()).stdout
    shown += "".join(text for _, text in loopback.logs())
    assert "spiffe://example.org" in shown and "identity_changed" in shown
    for key in keys:
        assert not [form for form in forms(key) if form in shown]
    assert "PRIVATE KEY" not in shown


def memory_of(pid):
    """All private memory of a process that can be written."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        areas = [line.split()[0] for line in maps if line.split()[1].startswith("rw")]
    data = bytearray()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for area in areas:
            start_at, end = (int(part, 16) for part in area.split("-"))
            mem.seek(start_at)
            try:
                data += mem.read(end - start_at) + b"\0" * 64
            except OSError:
                pass  # guard pages
    return bytes(data)


@pytest.fixture
def can_read_memory():
    if os.geteuid() != 0 or settings.has_sanitizer():
        pytest.skip("needs root to read a process that is not dumpable, and no sanitizer")


def test_a_key_leaves_no_copies(loopback, tap, can_read_memory):
    """In memory a key is the library's number, least significant byte first, and nothing else:
    the buffers that it came in are wiped. A key that is not used any more is gone."""
    agent = start(loopback)
    first = tap.keys()[-1]

    def occurrences(key):
        memory = memory_of(agent.pid)
        return memory.count(key), memory.count(key[::-1])

    wait_until("no copy in the order of the wire", lambda: occurrences(first)[0] == 0)
    assert occurrences(first)[1] >= 1  # the negative control: the search finds what is there
    restart_authority(loopback, agent.status)
    second = tap.keys()[-1]
    assert first != second
    wait_until("the first key is gone", lambda: occurrences(first) == (0, 0))
    wait_until("no copy in the order of the wire", lambda: occurrences(second)[0] == 0)
    assert occurrences(second)[1] >= 1


def test_what_looks_at_the_application_has_no_key(loopback, tmp_path, can_read_memory):
    """drain.withApplication: the second process stays out of the sandbox, and gets no secret."""
    own = {"name": "own", "certFile": str(tmp_path / "own.crt"),
           "keyFile": str(tmp_path / "own.key")}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=own", "-keyout",
                    own["keyFile"], "-out", own["certFile"]], check=True, timeout=60,
                   capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-in", own["keyFile"], "-outform", "DER"], check=True,
                         timeout=60, capture_output=True).stdout
    assert der[2:7] == b"\x02\x01\x01\x04\x20"  # ECPrivateKey, as above
    key = der[7:39][::-1]
    loopback.authority()
    agent = loopback.run_agent("agent", {
        "outbound": {"listen": []},
        "inbound": {"listen": [], "tunnel": [], "ports": [
            {"port": 8443, "listen": f"127.0.0.1:{free_port()}", "deliver": "127.0.0.1:1",
             "tlsMode": "required", "clientAuth": "none", "certificates": [own]}]},
        "drain": {"withApplication": True},
        "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=loopback.host)

    def named(pid):
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            return comm.read().strip()

    with open(f"/proc/{agent.pid}/task/{agent.pid}/children", encoding="ascii") as children:
        watcher, = (pid for pid in children.read().split() if named(pid) == "pavise-watcher")
    assert memory_of(agent.pid).count(key) >= 1  # the search finds what is there
    assert memory_of(watcher).count(key) == 0


def test_there_is_no_core(loopback, tap):
    uid = UIDS["web"] if os.geteuid() == 0 else None
    agent = start(loopback, uid=uid)
    with open(f"/proc/{agent.pid}/limits", encoding="ascii") as limits:
        line = next(x for x in limits if x.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
    if uid is not None:  # the files of a process that may be dumped belong to its user
        assert os.stat(f"/proc/{agent.pid}/mem").st_uid == 0
        other = loopback.start("sleep", [settings.program("sleep"), "60"], uid=uid)
        wait_until("sleep runs", lambda: os.stat(f"/proc/{other.pid}/mem").st_uid == uid)
    agent.expects_death = True
    os.kill(agent.pid, signal.SIGABRT)
    _, status = os.waitpid(agent.pid, 0)
    assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)
