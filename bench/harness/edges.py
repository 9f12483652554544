"""TLS per connection at the edges: ended in front of a plain application ("terminate"), and made
for a plain client of a TLS server ("originate"). Each connection is new: a full handshake in which
only the server has a certificate, and a byte there and back. One client asks, one connection after
the other; a contender is one sidecar by itself."""

import functools

from . import load
from .cells import Cell, Load, spent
from .dialling import TlsServer
from .pair import NotMeasured, Pair
from .plan import APP, APP_PORT, Address

GROUP = "TLS per connection"
SERVER = Address("127.0.0.2", APP_PORT)


def cells_of(name):
    return (Cell(GROUP, name, "1/s", True, "nginx"),
            Cell(GROUP, f"cpu {name}", "us each", False, "nginx", 1e6))


def terminate(bench, pair, plan):
    result, cpu = spent(pair, functools.partial(
        load.tls_client, bench, pair.tls_entry, "-", "full", plan.cell_s))
    if result["resumed"]:
        raise NotMeasured(f"{result['resumed']} of its full handshakes were resumed")
    return {"terminate": result["handshakes"] / result["ns"] * 1e9,
            "cpu terminate": cpu["inside"] / result["handshakes"]}


def originate(bench, pair, plan):
    result, cpu = spent(pair, functools.partial(
        load.run, bench, "churn", pair.entry, seconds=plan.cell_s))
    if result["failures"]:
        raise NotMeasured(f"{result['failures']} connections failed")
    return {"originate": result["connections"] / result["ns"] * 1e9,
            "cpu originate": cpu["outside"] / result["total_connections"]}


def server(bench):
    """Gives no tickets."""
    return TlsServer(bench, SERVER, "simple")


LOADS = (Load("terminate", cells_of("terminate"), terminate, application=load.echo),
         Load("originate", cells_of("originate"), originate, application=server))


class Side(Pair):
    """One sidecar of a recipe by itself, for one of the loads."""

    def start_for(self, name):
        """False where this is not what the recipe is for."""
        if name == "terminate":
            command = self.recipe.terminate(self.bench, self.tls_entry, APP)
        else:
            command = self.recipe.originate(self.bench, self.entry, SERVER)
        if command is None:
            return False
        self.start_side("inside" if name == "terminate" else "outside", command)
        if name == "terminate":
            self.await_listening(self.tls_entry)
        else:
            self.await_echo(self.entry)
        return True
