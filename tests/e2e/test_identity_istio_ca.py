"""identity.source: istioCa. The client's agent has its certificate from a CA that signs requests
over TLS, here the authority; the server's has its own from the same CA by the Workload API."""

import json
import signal
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once, exchange, outcome
from pavise_e2e.faketime import Clock
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

CLIENT_ID = f"spiffe://{settings.TRUST_DOMAIN}/ns/default/sa/client"
TOKEN, OTHER_TOKEN = "the-token-of-the-client-1", "the-token-of-the-client-2"
REFUSED = ("refused", "reset", "closed")
HOUR = 3600


class Scene:
    """An authority that signs requests, a server, and a client that is to be started."""

    def __init__(self, lab, *options, env=None):
        self.lab, self.host, self.options, self.env = lab, lab.host, options, env
        self.ca_port, self.tunnel, self.port = free_port(), free_port("127.0.0.2"), free_port()
        self.tokens = self.write_tokens(TOKEN)
        self.start_authority()
        self.roots = lab.path("authority.state") / "ca.crt"
        self.token = lab.write("token", TOKEN + "\n", mode=0o600)
        self.app = lab.application(lab.host, "127.0.0.1", 0, echo)
        self.server = lab.run_agent("agent-server", {
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{self.tunnel}"],
                        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{self.app.port}"}]},
            "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=lab.host, env=env)

    def write_tokens(self, *tokens):
        entries = [{"token": token, "spiffeId": CLIENT_ID} for token in tokens]
        return self.lab.write("tokens.yaml", json.dumps(entries), mode=0o600)

    def start_authority(self):
        more = {"env": self.env} if self.env else {}
        self.authority = self.lab.authority(
            "--listen", f"127.0.0.1:{self.ca_port}", "--tokens", self.tokens, *self.options, **more)

    def start(self, *, identity=None, ready=True, **istio_ca):
        """The client's agent, with changes to `identity` and `identity.istioCa`."""
        source = {"address": f"127.0.0.1:{self.ca_port}", "rootsFile": str(self.roots),
                  "tokenFile": str(self.token)} | istio_ca
        path = self.lab.configuration("agent-client", {
            "identity": {"source": "istioCa", "istioCa": source} | (identity or {}),
            "outbound": {"listen": [],
                         "listeners": [{"listen": f"127.0.0.1:{self.port}",
                                        "destination": "127.0.0.2:11000"}],
                         "mesh": {"networks": ["127.0.0.0/8"], "port": self.tunnel}},
            "inbound": {"listen": [], "tunnel": []},
            "status": {"listen": f"127.0.0.1:{free_port()}"},
            "drain": {"deadline": "5s"}})
        config = json.loads(path.read_text(encoding="utf-8"))
        self.client = self.lab.run_agent("agent-client", config, host=self.host, ready=ready,
                                         env=self.env)
        return self.client

    def echo(self):
        echo_once(self.host, "127.0.0.1", self.port)

    def assert_refused(self):
        accepts = self.app.accepts
        assert outcome(self.host, "127.0.0.1", self.port) in REFUSED
        assert self.app.accepts == accepts

    def source(self):
        return self.client.status.json("/identity")["source"]

    def wait_for_error(self, *parts):
        def is_said():
            try:
                error = self.source()["lastError"]
            except OSError:  # it does not listen yet
                return False
            return all(part in error for part in parts)

        wait_until(f"/identity says {parts}", is_said)

    def wait_for_rotation(self, before):
        wait_until("another certificate", lambda: self.client.status.serial() != before)


@pytest.fixture
def scene(loopback):
    return Scene(loopback)


def test_certificate_is_signed_and_used(scene):
    client = scene.start()
    identity = client.status.json("/identity")
    assert [svid["spiffeId"] for svid in identity["svids"]] == [CLIENT_ID]
    assert identity["source"]["kind"] == "istioCa"
    assert identity["source"]["state"] == "connected" and identity["source"]["lastError"] == ""
    scene.echo()
    rows = scene.server.status.rows("/tunnels")
    assert CLIENT_ID in json.dumps(rows)
    assert "csr_signed" in scene.authority.log() and TOKEN not in scene.authority.log()
    for path in ("/identity", "/config", "/metrics"):
        assert TOKEN not in client.status.get(path)[1]
    assert TOKEN not in client.log()


def test_rotation_is_not_noticed(loopback):
    """Certificates of 4 s: renewed about every 2 s while a stream stays open and others come."""
    scene = Scene(loopback, "--ttl", "4s")
    client = scene.start()
    stream = scene.lab.connect(scene.host, "127.0.0.1", scene.port)
    serials = set()
    for _ in range(3):
        serials.add(client.status.serial())
        scene.wait_for_rotation(client.status.serial())
        assert exchange(stream, b"still open") == b"still open"
        scene.echo()
    assert len(serials) == 3
    assert client.status.json("/identity")["counts"]["refused"] == 0


def planned(source, svid):
    """The part of what was left of its life at which the next certificate is due."""
    due, end = (time.mktime(time.strptime(text.partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S"))
                for text in (source["nextRenewal"], svid["notAfter"]))
    return end - due


def test_rotation_when_the_configuration_says(loopback):
    """Acceptance 38: certificates of 20 s, asked for anew after a tenth of that, under load; and
    other fractions by a reload."""
    scene = Scene(loopback, "--ttl", "20s")
    client = scene.start(identity={"rotateAt": 0.1, "rotateJitter": 0})
    load = scene.lab.load(scene.host, "127.0.0.1", scene.port, threads=2)
    serials = set()
    for _ in range(3):
        serials.add(client.status.serial())
        identity = client.status.json("/identity")
        # 18 s are left then; by the default it were 10 at most.
        assert planned(identity["source"], identity["svids"][0]) > 14
        scene.wait_for_rotation(client.status.serial())
    assert len(serials) == 3
    load.stop()
    assert load.exchanges > 0 and not load.failures
    assert client.status.json("/identity")["counts"]["refused"] == 0

    config = json.loads(client.config_path.read_text(encoding="utf-8"))
    config["identity"] |= {"rotateAt": 0.9, "rotateJitter": 0.05}
    scene.lab.configuration("agent-client", config)
    client.signal(signal.SIGHUP)
    client.wait_for_log("event=reload_done")
    wait_until("the next renewal is planned late", lambda: planned(
        scene.source(), client.status.json("/identity")["svids"][0]) < 6)
    scene.echo()
    before = client.status.serial()
    assert client.status.post("/rotate")[0] == 200  # and at once, whatever was planned
    scene.wait_for_rotation(before)
    config["identity"]["rotateAt"] = 0.96
    scene.lab.configuration("agent-client", config)
    client.signal(signal.SIGHUP)
    client.wait_for_log("event=reload_refused")
    assert 'rotateAt: \\"0.96\\" is not a fraction' in client.log()
    scene.echo()


def test_rotation_on_demand(scene):
    client = scene.start()
    before = client.status.serial()
    assert client.status.post("/rotate")[0] == 200
    scene.wait_for_rotation(before)
    scene.echo()


def test_token_is_read_at_each_use(scene):
    scene.token.write_text("", encoding="ascii")
    client = scene.start(ready=False)
    scene.wait_for_error("is empty")
    scene.token.write_text(OTHER_TOKEN, encoding="ascii")
    scene.wait_for_error("UNAUTHENTICATED")
    assert client.status.get("/readyz")[0] != 200
    scene.assert_refused()
    scene.token.write_text(TOKEN, encoding="ascii")
    client.wait_ready()
    scene.echo()


def test_token_that_is_taken_back(scene):
    """The certificate stays good until its end, and the next token is taken at once."""
    client = scene.start()
    scene.write_tokens(OTHER_TOKEN)
    scene.authority.signal(1)
    scene.authority.wait_for_log("tokens_reloaded")
    assert client.status.post("/rotate")[0] == 200
    scene.wait_for_error("UNAUTHENTICATED")
    scene.echo()
    before = client.status.serial()
    scene.token.write_text(OTHER_TOKEN, encoding="ascii")
    scene.wait_for_rotation(before)
    scene.echo()


def test_wrong_roots(scene):
    other = scene.lab.authority(name="other")
    assert other.is_running()
    client = scene.start(ready=False, rootsFile=str(scene.lab.path("other.state") / "ca.crt"))
    scene.wait_for_error("is not trusted by the roots in")
    assert client.status.get("/readyz")[0] != 200
    scene.assert_refused()


def test_wrong_name_and_right_one(scene):
    scene.start(ready=False, serverName="istiod.istio-system.svc")
    scene.wait_for_error('is not for the name "istiod.istio-system.svc"')
    scene.assert_refused()
    scene.client.terminate()
    scene.start(serverName="localhost")
    scene.echo()


def test_another_identity_is_refused(scene):
    scene.start(ready=False, identity={"spiffeId": CLIENT_ID + "2"})
    scene.wait_for_error(CLIENT_ID)
    scene.assert_refused()


def test_authority_down_and_back(scene):
    client = scene.start()
    before = client.status.serial()
    scene.authority.terminate()
    assert client.status.post("/rotate")[0] == 200
    scene.wait_for_error("cannot connect to 127.0.0.1")
    scene.echo()
    assert client.status.serial() == before
    scene.start_authority()
    scene.wait_for_rotation(before)
    scene.echo()


def test_stranger_that_answers_instead(scene):
    """Something else on the CA's port, with a certificate of the same roots but another name."""
    pair = Ca(scene.lab.path("authority.state"), scene.lab.directory).issue("x", "DNS:x.test")
    scene.authority.terminate()
    scene.lab.start("stranger", [settings.program("openssl"), "s_server", "-quiet", "-accept",
                                 f"127.0.0.1:{scene.ca_port}", "-cert", pair[0], "-key", pair[1],
                                 "-alpn", "h2"])
    scene.start(ready=False)
    scene.wait_for_error('is not for the name "127.0.0.1"')
    scene.assert_refused()


@pytest.mark.parametrize("offset", [15 * HOUR, 25 * HOUR, -HOUR, -25 * HOUR])
def test_clock_jumps(loopback, offset):
    """The machine's clock is set, and set back: what is due by it (a day's certificate at 15 h), or
    not valid by it, is renewed at once."""
    clock = Clock(loopback.path("clock"))
    scene = Scene(loopback, "--ttl", "24h", env=clock.environment)
    client = scene.start()
    for seconds in (offset, 0):
        before = client.status.serial()
        clock.set_offset(seconds)
        if (offset, seconds) != (-HOUR, 0):  # an hour forward: a certificate of a day is not due
            scene.wait_for_rotation(before)
        wait_until("it is valid", lambda: client.status.json("/identity")["state"] == "valid")
        wait_until("traffic goes",
                   lambda: outcome(scene.host, "127.0.0.1", scene.port) == "echoed")
