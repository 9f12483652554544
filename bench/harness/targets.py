"""The targets of the project, and how each is read from the results."""

import dataclasses

from . import statistics

ANY_PEER = "a peer"
BULK_1 = ("bulk 1 up", "bulk 1 down")
BULK_8 = ("bulk 8 up", "bulk 8 down")


@dataclasses.dataclass(frozen=True)
class Target:
    """`value(view)` is the number, None when it could not be measured; met when it is `at_least` or
    `at_most` the limit. `cells` are those that it needs."""

    name: str
    limit: float
    at_least: bool
    cells: tuple
    value: object
    needs: str = ""  # ANY_PEER, or the name of one
    needs_vaes: bool = False

    @property
    def text(self):
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"

    def is_met(self, value):
        return value >= self.limit if self.at_least else value <= self.limit


class View:
    """The results, as targets ask for them."""

    def __init__(self, results, peers):
        self.results = results
        self.peers = peers  # names of the TLS peers that were measured

    def ratio(self, cell, contender, reference="plain"):
        """The median of one cell's ratios, or None."""
        ratios = statistics.ratios(self.results.of(cell, contender),
                                   self.results.of(cell, reference))
        return statistics.median(ratios) if ratios else None

    def median(self, cell, contender):
        values = self.results.of(cell, contender)
        return statistics.median(values.values()) if values else None

    def to_peers(self, cell, contender="pavise"):
        """The ratios to every peer that has the cell."""
        ratios = [self.ratio(cell, contender, peer) for peer in self.peers]
        return [ratio for ratio in ratios if ratio is not None]


def _worst(values, pick):
    values = list(values)
    return None if not values or None in values else pick(values)


def _over_plain(contender, cells):
    return lambda view: _worst((view.ratio(cell, contender) for cell in cells), min)


def _over_best_peer(cells):
    """The least advantage over the best peer of each cell; higher is better there."""
    return lambda view: _worst(
        (_worst(view.to_peers(cell), min) for cell in cells), min)


def _under_plain(*cells):
    return lambda view: _worst((view.ratio(cell, "pavise") for cell in cells), max)


def _under_every_peer(*cells):
    """The worst ratio to any peer; lower is better there, and 1 is equal."""
    return lambda view: _worst((_worst(view.to_peers(cell), max) for cell in cells), max)


def _absolute(cell, scale):
    def value(view):
        median = view.median(cell, "pavise")
        return None if median is None else median * scale
    return value


def _handshakes(view):
    """CPU that nginx takes for one, in times of what Pavise takes, on the side where it is less."""
    ratios = (view.ratio("full handshake inside", "pavise", "nginx"),
              view.ratio("full handshake outside", "pavise mutual", "nginx"))
    return _worst((ratio and 1 / ratio for ratio in ratios), min)


PINGS = ("ping {}", "open loop {}")
P50 = tuple(name.format("p50") for name in PINGS)
P99 = tuple(name.format("p99") for name in PINGS)

ALL = (
    Target("bulk, 1 stream, BoringSSL's AEAD / plain", 0.58, True, BULK_1,
           _over_plain("pavise boringssl", BULK_1)),
    Target("bulk, 8 streams, BoringSSL's AEAD / plain", 0.58, True, BULK_8,
           _over_plain("pavise boringssl", BULK_8)),
    Target("bulk, 1 stream, VAES / plain", 0.85, True, BULK_1,
           _over_plain("pavise", BULK_1), needs_vaes=True),
    Target("bulk, 8 streams, VAES / plain", 0.85, True, BULK_8,
           _over_plain("pavise", BULK_8), needs_vaes=True),
    Target("bulk, VAES / best peer", 1.4, True, BULK_1 + BULK_8,
           _over_best_peer(BULK_1 + BULK_8), needs=ANY_PEER, needs_vaes=True),
    Target("new connections, warm tunnel / plain", 1.2, True, ("connections 1", "connections 32"),
           _over_plain("pavise", ("connections 1", "connections 32"))),
    Target("new connections, warm tunnel / best peer", 4, True,
           ("connections 1", "connections 32"),
           _over_best_peer(("connections 1", "connections 32")), needs=ANY_PEER),
    Target("full handshakes / nginx", 3.5, True,
           ("full handshake inside", "full handshake outside"), _handshakes, needs="nginx"),
    Target("1 KiB round trip p50 / plain", 1.1, False, P50, _under_plain(*P50)),
    Target("1 KiB round trip p99 / plain", 1.1, False, P99, _under_plain(*P99)),
    Target("1 KiB round trip p50 / every peer", 1.0, False, P50, _under_every_peer(*P50),
           needs=ANY_PEER),
    Target("1 KiB round trip p99 / every peer", 1.0, False, P99, _under_every_peer(*P99),
           needs=ANY_PEER),
    Target("idle RSS, MB", 8, False, ("idle rss",), _absolute("idle rss", 1e-6)),
    Target("memory per idle connection, KB", 4, False, ("memory per idle connection",),
           _absolute("memory per idle connection", 1e-3)),
    Target("start to first byte, ms", 50, False, ("start",), _absolute("start", 1e3)),
)
