"""What handshakes cost the outside: it calls a TLS server of ours, with every connection that it
is given."""

import functools
import json

from . import load, process
from .cells import Cell, spent
from .pair import NotMeasured, Outside
from .plan import Address
from .recipe import ONE_TUNNEL

KINDS = ("full", "resumed")
GROUP = "TLS handshakes, CPU of the outside"
CELLS = tuple(Cell(GROUP, f"{kind} handshake outside", "us each", False, "nginx", 1e6)
              for kind in KINDS)


class TlsServer(process.Process):
    """Listens for the time of a context; afterwards `share` is that of resumed handshakes."""

    def __init__(self, bench, listen, kind):
        own = bench.pki.inside
        super().__init__("TLS server", [bench.tools.tls_server, listen, kind, own.chain, own.key],
                         bench.directory / f"tls-server-{listen.port}.log", process.cpus()[0])
        self.share = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        lines = self.log_path.read_text(encoding="utf-8").splitlines()
        counts = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        self.share = counts.get("resumed", 0) / max(1, counts.get("handshakes", 0))


def measure(bench, recipe, first_port, plan):
    """{cell: CPU seconds of the outside per connection}; nothing for tunnels."""
    if not recipe.tls or ONE_TUNNEL in recipe.connections:
        return {}
    address = Address("127.0.0.2", first_port + 8)
    values = {}
    for kind in KINDS:
        with TlsServer(bench, address, kind) as server, \
                Outside(bench, recipe, first_port, address) as outside:
            outside.await_echo(outside.entry)
            result, cpu = spent(outside, functools.partial(
                load.run, bench, "churn", outside.entry, seconds=plan.cell_s))
        if result["failures"]:
            raise NotMeasured(f"{result['failures']} connections failed")
        if kind == "full" and server.share > 0:
            raise NotMeasured(f"{server.share:.0%} of its full handshakes were resumed")
        if kind == "full" or server.share > 0.5:  # not everybody resumes
            values[f"{kind} handshake outside"] = cpu["outside"] / result["total_connections"]
    return values
