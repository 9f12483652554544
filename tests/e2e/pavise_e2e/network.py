"""Hosts: network namespaces joined by a bridge in a namespace of its own, IPv4 and IPv6."""

import contextlib
import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading

from . import settings
from .process import wrap

NAMESPACES = pathlib.Path("/run/netns")
CLONE_NEWNET = 0x40000000
PREFIX = "pavise-e2e"

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip_batch(lines):
    subprocess.run([settings.program("ip"), "-batch", "-"], input="\n".join(lines), text=True,
                   check=True, capture_output=True)


class Host:
    """A network namespace with eth0 (addresses `v4`, `v6`) and lo. A socket belongs to the host
    in which it was made, so small clients and servers live in the test's own process."""

    def __init__(self, name, number):
        self.name = name
        self.full_name = f"{PREFIX}-{os.getpid()}-{name}"
        self.namespace = NAMESPACES / self.full_name
        self.v4 = f"10.77.0.{number}"
        self.v6 = f"fd77::{number}"
        self.port_name = f"port{number}"  # the bridge's end of its cable

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the host."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(self.namespace, "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def connect(self, address, port, timeout=settings.PATIENCE_S):
        with self.entered():
            return socket.create_connection((address, port), timeout)

    def listen(self, address, port, backlog=1024):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(backlog)
        return listening

    def run(self, argv, seconds=120, **options):
        """A program to its end, as subprocess.run does it."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.run(wrap(argv, host=self), env=settings.environment(), timeout=seconds,
                              check=False, **options)

    def popen(self, argv, **options):
        return subprocess.Popen(wrap(argv, host=self), env=settings.environment(), **options)


class LocalHost:
    """This machine itself, for the tests that need no privilege."""

    namespace = None

    def connect(self, address, port, timeout=settings.PATIENCE_S):
        return socket.create_connection((address, port), timeout)

    def listen(self, address, port, backlog=1024):
        listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(backlog)
        return listening


def free_port(address="127.0.0.1"):
    """A port of this machine that nobody listens on at the moment."""
    with socket.create_server((address, 0)) as free:
        return free.getsockname()[1]


class Network:
    """The hosts `web`, `server` and `other` on one bridge."""

    HOSTS = ("web", "server", "other")

    def __init__(self):
        self.switch = f"{PREFIX}-{os.getpid()}-switch"
        self.hosts = [Host(name, i + 1) for i, name in enumerate(self.HOSTS)]
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.remove()
            raise AssertionError(f"cannot make the network: {error.stderr}") from error

    def _make(self):
        lines = [f"netns add {self.switch}",
                 f"link add br0 netns {self.switch} type bridge"]
        for host in self.hosts:
            lines += [f"netns add {host.full_name}",
                      f"link add {host.port_name} netns {self.switch} type veth "
                      f"peer name eth0 netns {host.full_name}"]
        ip_batch(lines)
        for host in self.hosts:
            subprocess.run([settings.program("ip"), "-n", self.switch, "-batch", "-"],
                           input=f"link set {host.port_name} master br0 up", text=True,
                           check=True, capture_output=True)
            self._configure(host)
        subprocess.run([settings.program("ip"), "-n", self.switch, "link", "set", "br0", "up"],
                       check=True, capture_output=True)

    @staticmethod
    def _configure(host):
        lines = ["link set lo up", "link set eth0 up", f"addr add {host.v4}/24 dev eth0",
                 f"addr add {host.v6}/64 dev eth0 nodad"]
        subprocess.run([settings.program("ip"), "-n", host.full_name, "-batch", "-"],
                       input="\n".join(lines), text=True, check=True, capture_output=True)

    def remove(self):
        for name in [host.full_name for host in self.hosts] + [self.switch]:
            if (NAMESPACES / name).exists():
                subprocess.run([settings.program("ip"), "netns", "del", name], check=False)


def remove_leftovers():
    """Namespaces of an earlier run that was killed before it could tidy up."""
    for path in NAMESPACES.glob(f"{PREFIX}-*") if NAMESPACES.exists() else ():
        owner = re.match(rf"{PREFIX}-(\d+)-", path.name)
        if owner and not os.path.exists(f"/proc/{owner.group(1)}"):
            subprocess.run([settings.program("ip"), "netns", "del", path.name], check=False)


class Wire:
    """Every frame that crosses the cable of a host, both ways, for as long as the block lasts."""

    ETH_P_ALL = 3

    def __init__(self, network, host):
        self._there = NAMESPACES / network.switch
        self._port_name = host.port_name
        self._packets = []
        self._over = False
        self._socket = None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        with open("/proc/thread-self/ns/net", "rb") as home, open(self._there, "rb") as there:
            _setns(there.fileno())
            try:
                self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                             socket.htons(self.ETH_P_ALL))
                self._socket.bind((self._port_name, 0))
            finally:
                _setns(home.fileno())
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over = True
        self._thread.join()
        self._socket.close()

    def _read(self):
        while True:
            try:
                self._packets.append(self._socket.recv(1 << 17))
            except socket.timeout:
                if self._over:
                    return

    def bytes_seen(self):
        return sum(len(packet) for packet in self._packets)

    def has(self, marker):
        return any(marker in packet for packet in self._packets)

    def opened(self, address, port):
        """How many TCP connections were tried over the cable to an IPv4 address and port."""
        wanted = socket.inet_aton(address)
        return sum(_is_syn_to(packet, wanted, port) for packet in self._packets)


def _is_syn_to(packet, address, port):
    if len(packet) < 54 or packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_TCP:
        return False
    tcp = 14 + (packet[14] & 15) * 4
    to_port = struct.unpack_from("!H", packet, tcp + 2)[0]
    is_syn = packet[tcp + 13] & 0x12 == 0x02  # SYN without ACK
    return packet[30:34] == address and to_port == port and is_syn
