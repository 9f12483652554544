"""How a contender is configured and started; one subclass per contender under `peers`."""

import dataclasses
import pathlib
import shutil

from . import pki, plan


ONE_TUNNEL = "one tunnel"


@dataclasses.dataclass(frozen=True)
class Tools:
    """The programs of this project."""

    pavise: pathlib.Path
    load: pathlib.Path
    relay: pathlib.Path
    handshake: pathlib.Path
    tls_server: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Command:
    argv: tuple
    env: dict = None


class Bench:
    """What recipes build with: a directory, certificates, programs."""

    def __init__(self, directory, tools):
        self.directory = directory
        self.tools = tools
        self.pki = pki.Pki(directory / "pki")

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path


class Recipe:
    """Two sidecars: `outside` beside the client, `inside` beside the application. Both get where
    they listen; files are written under names of their own."""

    name = ""       # of the row
    family = ""     # what --peers selects by
    tls = True      # to be proven
    alpn = None     # what a TLS client has to offer
    connections = ("resumed",)  # what new ones may be: "resumed", "full", ONE_TUNNEL
    is_peer = True  # somebody else's TLS proxy: one of those that Pavise is measured against

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def missing_inside(self, bench):
        """Why only its outside can run, or None."""
        return None

    def inside(self, bench, listen, app):
        """The Command of the side that the application is behind."""
        raise NotImplementedError

    def outside(self, bench, listen, peer):
        """The Command of the side that the client connects to."""
        raise NotImplementedError

    def terminate(self, bench, listen, app):
        """The Command of a side that ends TLS of clients without certificates; None: not measured
        of it."""
        return None

    def originate(self, bench, listen, peer):
        """The Command of a side that makes TLS of plaintext, without a certificate of its own, and
        verifies `peer` by CA and name; None likewise."""
        return None

    def file_name(self, side, listen, suffix):
        stem = self.name.replace(" ", "-").replace(",", "")
        return f"{stem}-{side}-{listen.port}.{suffix}"


def program(name):
    """The path of an installed program; some live where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")


def not_installed(name, package):
    return None if program(name) else f"{name} is not installed (apt-get install {package})"


def app_behind(inside_ip):
    """The application's address as a client behind a tunnel names it."""
    return plan.Address(inside_ip, plan.APP_PORT)
