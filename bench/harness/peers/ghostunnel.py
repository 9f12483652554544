"""ghostunnel on both sides, where it is installed."""

from ..recipe import Command, Recipe, program


class Ghostunnel(Recipe):
    name = "ghostunnel"
    family = "ghostunnel"

    def missing(self):
        return None if program("ghostunnel") else \
            "ghostunnel is not installed; Debian has no package of it, its Go module none of a tag"

    def command(self, own, *words):
        return Command((program("ghostunnel"), *words, "--cert", own.chain, "--key", own.key,
                        "--cacert", own.root, "--quiet=all"), {"GOMAXPROCS": "1"})

    def inside(self, bench, listen, app):
        return self.command(bench.pki.inside, "server", "--listen", listen, "--target", app,
                            "--allow-dns", bench.pki.outside.name)

    def outside(self, bench, listen, peer):
        return self.command(bench.pki.outside, "client", "--listen", listen, "--target", peer,
                            "--override-server-name", bench.pki.inside.name,
                            "--verify-dns", bench.pki.inside.name)
