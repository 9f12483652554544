"""A contender counts only after this: its two sides speak mutual TLS 1.3 with the stated cipher,
refuse whom they must, and carry bytes unchanged."""

import os
import socket
import ssl
import time

from . import load
from .pair import NotMeasured, Outside, Pair, echoes
from .plan import Address
from .recipe import ONE_TUNNEL
from .tap import Rogue, Tap

TLS_1_3 = 0x0304
AES_128_GCM_SHA256 = 0x1301
PAYLOAD = 1 << 20
NUM_CONNECTIONS = 3
# The first bytes of HTTP/2, and an empty SETTINGS frame: a tunnel answers with its own SETTINGS.
H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
TIMEOUT_S = 3


def require(condition, sentence):
    if not condition:
        raise NotMeasured(sentence)


def call_inside(pair, identity):
    """The TLS version when the inside answers a client with `identity`, or none; None when it
    refuses. (The cipher depends on what a client offers: the wire between the sides shows it.)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity:
        context.load_cert_chain(identity.chain, identity.key)
    if pair.recipe.alpn:
        context.set_alpn_protocols([pair.recipe.alpn])
    try:
        with socket.create_connection(pair.tls_entry.pair, TIMEOUT_S) as conn, \
                context.wrap_socket(conn) as tls:
            tls.sendall(H2_PREFACE if pair.recipe.alpn == "h2" else b"?")
            return tls.version() if tls.recv(1) else None
    except OSError:  # an alert, a reset, silence
        return None


def prove_inside(pair):
    bench = pair.bench
    version = call_inside(pair, bench.pki.outside)
    require(version is not None, "the inside does not answer a client with a good certificate")
    require(version == "TLSv1.3", f"the inside speaks {version}")
    require(call_inside(pair, None) is None, "the inside answers a client without a certificate")
    require(call_inside(pair, bench.pki.foreign_outside) is None,
            "the inside answers a client of a foreign CA")


def prove_wire(pair, first_port):
    """What crosses between the sides, one connection after the other."""
    payload = os.urandom(4096)
    address = Address("127.0.0.2", first_port + 6)
    with Tap(address, pair.tls_entry) as tap, \
            Outside(pair.bench, pair.recipe, first_port, address) as outside:
        outside.await_echo(outside.entry)
        for _ in range(NUM_CONNECTIONS):
            require(echoes(outside.entry, payload), "a connection through the tap failed")
            time.sleep(0.02)  # a ticket may come after the answer
        hellos = [hello for hello in tap.hellos() if hello is not None]
        sent = [bytes(data) for data in tap.sent + tap.answered]
    require(hellos, "no ServerHello was seen on the wire")
    for hello in hellos:
        require(hello.version == TLS_1_3, f"the wire carries version {hello.version:#06x}")
        require(hello.cipher == AES_128_GCM_SHA256, f"the wire carries cipher {hello.cipher:#06x}")
    require(not any(payload[:32] in data for data in sent), "the payload is readable on the wire")
    seen = how_connected(hellos)
    require(seen in pair.recipe.connections,
            f"connections are \"{seen}\", not \"{pair.recipe.connections[0]}\"")


def how_connected(hellos):
    if len(hellos) == 1:
        return ONE_TUNNEL
    return "resumed" if hellos[-1].is_resumed else "full"


def prove_outside(pair, first_port):
    address = Address("127.0.0.2", first_port + 7)
    with Rogue(address, pair.bench.pki.foreign_inside, pair.recipe.alpn) as rogue, \
            Outside(pair.bench, pair.recipe, first_port, address) as outside:
        outside.await_listening(outside.entry)
        end = time.monotonic() + TIMEOUT_S
        while rogue.num_calls == 0 and time.monotonic() < end:
            echoes(outside.entry, b"?", timeout=1)
        require(rogue.num_calls > 0, "the outside never called the server of a foreign CA")
        require(not echoes(outside.entry, b"?", timeout=1) and rogue.num_trusted == 0,
                "the outside trusts a server of a foreign CA")


def prove(bench, recipe, first_port):
    """Raises NotMeasured with the reason when something is not as claimed."""
    pair = Pair(bench, recipe, first_port)
    try:
        with load.echo(bench):
            pair.start()
            require(echoes(pair.entry, os.urandom(PAYLOAD), timeout=10),
                    "1 MB of random bytes did not come back unchanged")
            prove_inside(pair)
            prove_wire(pair, first_port)
            prove_outside(pair, first_port)
    finally:
        pair.stop()
