"""redis at the edge: a client that stays connected while everything changes, and two servers that
replicate through their sidecars, as between databases of Redis Enterprise."""

import json
import signal
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.edge import Edge, Pki
from pavise_e2e.network import Wire, free_port
from pavise_e2e.process import wrap
from pavise_e2e.waiting import wait_until

PORT = 6379


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("edge-redis") / "pki").usual()
    made.leaf("next", "ca", "/CN=next", "subjectAltName = DNS:localhost")
    return made


def start_redis(lab, host, name, port, *options):
    directory = lab.path(name)
    directory.mkdir()
    lab.start(name, [settings.program("redis-server"), "--port", port, "--bind", "127.0.0.1",
                     "--save", "", "--dir", directory, "--repl-diskless-sync-delay", "0",
                     *options], host=host)
    lab.wait_port(host, "127.0.0.1", port)


class OpenClient:
    """redis-cli that goes on with one connection."""

    def __init__(self, edge, client):
        self._process = subprocess.Popen(
            wrap([settings.program("redis-cli"), "-p", edge.port, "--tls", "--cacert",
                  edge.pki.certificate("ca"), "--cert", edge.pki.certificate(client), "--key",
                  edge.pki.key(client)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env=settings.environment())

    def answers(self):
        """By the number of its connection, so that one made anew would show."""
        self._process.stdin.write("client id\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self):
        self._process.stdin.close()
        self._process.wait(settings.PATIENCE_S)
        self._process.stdout.close()


def test_an_open_client_outlives_every_change(loopback, pki):
    """Acceptance 35."""
    port = free_port()
    start_redis(loopback, loopback.host, "redis", port)
    keys = {"certificates": [pki.presented("server")], "clientCerts": pki.listed("ca")}
    edge = Edge(loopback, pki, port, keys)
    client = OpenClient(edge, "client")
    try:
        number = client.answers()
        assert number.isdigit()
        edge.reload({**keys, "certificates": [pki.presented("next")]})
        assert edge.pongs(client="client") and edge.presented() == "CN=next"
        edge.reload({**keys, "clientCerts": pki.listed("ca2")})
        assert edge.pongs(client="client2") and not edge.pongs(client="client")
        assert client.answers() == number
        edge.reload({"tlsMode": "disabled"})
        assert edge.pongs(tls=False)
        bad = {**keys, "certificates": [pki.presented("next"),
                                        {**pki.presented("server"), "certFile": str(port)}]}
        assert "event=reload_refused" in edge.reload(bad)
        assert edge.pongs(tls=False) and client.answers() == number
        edge.reload(keys)
        assert edge.pongs(client="client") and not edge.pongs(tls=False)
        assert client.answers() == number
    finally:
        client.close()


# --- replication ----------------------------------------------------------------------------------


class Replication:
    """A primary on `server`, its replica on `other`, both without TLS, and a sidecar for each."""

    def __init__(self, lab):
        self._lab = lab
        pki = self._pki = Pki(lab.path("pki")).usual()
        pki.leaf("next", "ca", "/CN=next", "extendedKeyUsage = serverAuth")
        for name in ("server", "next"):
            pki.key(name).chmod(0o644)  # the agents run under uids of their own
        lab.authority()
        lab.write("workloads.crt", (lab.path("authority.state") / "ca.crt").read_text())
        start_redis(lab, lab.server, "primary", PORT)
        start_redis(lab, lab.other, "replica", PORT)
        self.primary_agent = lab.agent(lab.server, {"inbound": {"ports": [self._port("server")]}})
        self.replica_agent = lab.agent(lab.other, {"outbound": {"destinations": [
            {"name": "primary", "match": {"networks": [lab.server.v4], "ports": [PORT]},
             "tls": "mutual", "serverCerts": pki.listed("server")}]}})

    def _port(self, certificate):
        return {"port": PORT, "deliver": f"127.0.0.1:{PORT}", "tlsMode": "peersOnly",
                "certificates": [self._pki.presented(certificate)],
                "peerCerts": [{"file": str(self._lab.path("workloads.crt"))}]}

    def _change(self, agent, section, key, value):
        config = json.loads(agent.config_path.read_text())
        config[section][key] = value(config[section][key])
        agent.config_path.write_text(json.dumps(config))
        before = agent.log().count("event=reload_done")
        agent.signal(signal.SIGHUP)
        wait_until("reload", lambda: agent.log().count("event=reload_done") > before)

    def present(self, certificate):
        self._change(self.primary_agent, "inbound", "ports", lambda _: [self._port(certificate)])

    def pin(self, *names):
        pins = self._pki.listed(*names)
        self._change(self.replica_agent, "outbound", "destinations",
                     lambda rules: [{**rules[0], "serverCerts": pins}])

    def on_primary(self, *words):
        return self._cli(self._lab.server, words)

    def on_replica(self, *words):
        return self._cli(self._lab.other, words)

    @staticmethod
    def _cli(host, words):
        done = host.run([settings.program("redis-cli"), *words], text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def info(self):
        lines = self.on_replica("info", "replication").splitlines()
        return dict(line.strip().split(":", 1) for line in lines if ":" in line)

    def wait_link(self, state):
        wait_until(f"the link is {state}",
                   lambda: self.info()["master_link_status"] == state, every=0.1)

    def wait_value(self, value):
        """Written at the primary, it arrives; the offset has grown by it."""
        before = int(self.info()["slave_repl_offset"])
        self.on_primary("set", "key", value)
        wait_until("the value arrives", lambda: self.on_replica("get", "key") == value)
        assert int(self.info()["slave_repl_offset"]) > before

    def cut(self):
        """The primary ends the link; what follows is a new connection."""
        assert self.on_primary("client", "kill", "type", "replica") == "1"


def test_replication_with_pins_that_rotate(lab):
    """Acceptance 36: old and new pinned, the certificate changed, the old one dropped."""
    pair = Replication(lab)
    secret = "replicated in secret"
    with Wire(lab.network, lab.server) as wire:
        pair.on_replica("replicaof", lab.server.v4, str(PORT))
        pair.wait_link("up")
        pair.wait_value(secret)
        assert wire.opened(lab.server.v4, PORT) >= 1
    assert wire.bytes_seen() > 1000 and not wire.has(secret.encode())
    assert not wire.has(b"replconf") and not wire.has(b"REPLCONF")

    pair.pin("server", "next")
    pair.present("next")
    pair.wait_value("over the link that was open")
    pair.cut()
    pair.wait_link("up")
    pair.pin("next")
    pair.wait_value("the old one dropped")
    pair.cut()
    pair.wait_link("up")
    pair.wait_value("by the new one alone")

    pair.pin("server")  # it is no longer shown
    pair.cut()
    assert pair.replica_agent.status.wait_for_refusal("peer_identity")["rule"] == "primary"
    pair.wait_link("down")
    pair.pin("server", "next")
    pair.wait_link("up")
    pair.wait_value("and back")


def test_only_peers_replicate(lab):
    """Without a certificate a replica gets no answer; plaintext is for clients."""
    pair = Replication(lab)
    lab.release(lab.other, pair.replica_agent)
    done = lab.other.run([settings.program("openssl"), "s_client", "-connect",
                          f"{lab.server.v4}:{PORT}", "-quiet", "-no_ign_eof"],
                         input=b"PING\r\n", seconds=20)
    assert b"PONG" not in done.stdout
    assert pair.primary_agent.status.wait_for_refusal("peer_identity")["rule"] == "clientAuth"
    done = lab.other.run([settings.program("redis-cli"), "-h", lab.server.v4, "ping"], text=True)
    assert done.stdout == "PONG\n"
