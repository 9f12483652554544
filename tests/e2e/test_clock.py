"""Wall clocks that jump: expiry is honoured, everything recovers, nothing is restarted."""

import contextlib

import pytest

from pavise_e2e.applications import echo, exchange, outcome
from pavise_e2e.faketime import Clock
from pavise_e2e.waiting import wait_until

HOUR, DAY = 3600, 86400
REFUSED = ("refused", "reset", "closed")
TTL = ["--ttl", "24h"]
# One worker: all connections share one tunnel. The fall-back must never happen.
WEB = {"workers": 1, "outbound": {"mesh": {"onUnreachable": "plaintext"}}}


class Scene:
    """An authority and two agents, each with its clock, and an echo server."""

    def __init__(self, lab, *, shared):
        self.lab = lab
        self.web_clock = Clock(lab.path("web.clock"))
        self.other_clock = self.web_clock if shared else Clock(lab.path("other.clock"))
        self.authority = self.start_authority()
        self.server = lab.agent(lab.server, env=self.other_clock.environment)
        self.web = lab.agent(lab.web, WEB, env=self.web_clock.environment)
        self.app = lab.application(lab.server, lab.server.v4, 9000, echo)
        self.held = lab.connect(lab.web, lab.server.v4, 9000)
        self.exchange_on_held()

    def start_authority(self):
        return self.lab.authority(*TTL, env=self.other_clock.environment)

    def exchange_on_held(self):
        assert exchange(self.held, b"still open") == b"still open"

    def outcome(self):
        return outcome(self.lab.web, self.lab.server.v4, 9000)

    def wait_for_traffic(self):
        wait_until("traffic goes", lambda: self.outcome() == "echoed")

    def assert_refused(self):
        wait_until("nothing goes any more", lambda: self.outcome() in REFUSED)
        accepts = self.app.accepts
        for _ in range(3):
            assert self.outcome() in REFUSED
        assert self.app.accepts == accepts

    def serial(self):
        """Of the certificate of web, None while there is none."""
        svids = self.web.status.json("/identity")["svids"]
        return svids[0]["serial"] if svids else None

    def state(self):
        return self.web.status.json("/identity")["state"]


@pytest.mark.parametrize("offset", [HOUR, 25 * HOUR, -HOUR, DAY, -DAY, -25 * HOUR])
def test_all_clocks_jump(lab, offset):
    """A machine whose clock is set, or that was suspended: certificates that are not valid at the
    new time are replaced, and so again when the clock is set back. An open stream goes on."""
    scene = Scene(lab, shared=True)
    for seconds, jump in ((offset, offset), (0, -offset)):
        serial = scene.serial()
        scene.web_clock.set_offset(seconds)
        if HOUR not in (offset, jump):  # otherwise it is still valid
            wait_until("it has been replaced", lambda: scene.serial() not in (serial, None))
        scene.wait_for_traffic()
        wait_until("the certificate is valid", lambda: scene.state() == "valid")
        scene.exchange_on_held()


@pytest.mark.parametrize("offset", [25 * HOUR, 2 * DAY])
def test_agent_ahead_of_its_certificate(lab, offset):
    """By the clock of one agent everything has expired: it refuses, until its clock is right."""
    scene = Scene(lab, shared=False)
    scene.web_clock.set_offset(offset)
    scene.assert_refused()
    wait_until("expired", lambda: scene.state() == "expired")
    assert scene.web.status.get("/readyz")[0] == 503
    scene.exchange_on_held()
    scene.web_clock.set_offset(0)
    scene.wait_for_traffic()
    wait_until("ready", scene.web.status.is_ready)
    scene.exchange_on_held()


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
def test_one_agent_an_hour_off(lab, offset):
    """Long certificates and a tunnel that exists: an hour is no reason to end anything. (An hour
    behind, a new tunnel would be refused: the peer's certificate is not valid yet.)"""
    scene = Scene(lab, shared=False)
    for seconds in (offset, 0):
        scene.web_clock.set_offset(seconds)
        assert scene.outcome() == "echoed"
        scene.exchange_on_held()
        assert scene.state() == "valid"


@pytest.mark.parametrize("offset", [-HOUR, 25 * HOUR])
def test_agent_started_with_a_wrong_clock(lab, offset):
    """It has no identity that is valid at its time, says why, and is ready soon after its clock has
    been set: the source has no reason to send anything again."""
    clock = Clock(lab.path("web.clock"))
    clock.set_offset(offset)
    lab.authority(*TTL)
    lab.agent(lab.server)
    web = lab.agent(lab.web, WEB, env=clock.environment, ready=False)
    app = lab.application(lab.server, lab.server.v4, 9000, echo)
    web.wait_for_log("identity_refused")
    assert outcome(lab.web, lab.server.v4, 9000) in REFUSED and app.accepts == 0
    assert web.status.get("/readyz")[0] == 503
    clock.set_offset(0)
    web.wait_ready()
    wait_until("traffic goes", lambda: outcome(lab.web, lab.server.v4, 9000) == "echoed")


def test_source_down_for_eight_hours(lab):
    """With certificates of a day nobody notices, hour after hour; after a day nothing goes, and
    with the authority back everything."""
    scene = Scene(lab, shared=True)
    assert scene.authority.terminate() == 0
    for hour in range(1, 9):
        scene.web_clock.set_offset(hour * HOUR)
        assert scene.outcome() == "echoed", f"after {hour} hours"
        assert scene.state() == "valid"
        assert scene.web.status.is_ready()
    scene.web_clock.set_offset(25 * HOUR)
    scene.assert_refused()
    scene.start_authority()
    scene.wait_for_traffic()
    scene.exchange_on_held()
    with contextlib.suppress(OSError):
        scene.held.close()
