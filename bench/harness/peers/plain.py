"""No proxy at all, and two that only carry bytes: the limit."""

from ..recipe import Command, Recipe


class Direct(Recipe):
    name = "direct"
    family = "direct"
    tls = False
    is_peer = False


class Plain(Recipe):
    tls = False
    is_peer = False
    family = "plain"

    def __init__(self, name="plain"):
        self.name = name

    def inside(self, bench, listen, app):
        return Command((bench.tools.relay, listen, app))

    def outside(self, bench, listen, peer):
        return Command((bench.tools.relay, listen, peer))
