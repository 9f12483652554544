"""The rotation storm, short: a new certificate every second under load. `./dev soak` is the long
form of it."""

import time

from pavise_e2e import settings
from pavise_e2e.storm import Storm, Usage

LENGTH_S, STREAMS, RATE = (10, 20, 10) if settings.is_quick() else (20, 50, 25)


def test_rotation_every_second(lab):
    """No byte is lost, no connection fails; descriptors and memory stay what they were."""
    web, server = lab.pair(authority=["--ttl", "3s", "--rotate-every", "1s"])
    usages = [Usage(web), Usage(server)]
    storm = Storm(lab.web, lab.server, lab.server.v4, 9000, streams=STREAMS, rate=RATE)
    end = time.monotonic() + LENGTH_S
    while time.monotonic() < end:
        time.sleep(0.5)
        for usage in usages:
            usage.sample()
    open_at_the_end = storm.open
    storm.stop()
    assert not storm.failures
    assert storm.lost() == [] and open_at_the_end == STREAMS
    assert storm.short > LENGTH_S
    for agent in (web, server):
        identity = agent.status.json("/identity")
        assert identity["rotations"] >= LENGTH_S / 2, identity
        assert identity["counts"]["refused"] == 0
    assert [usage.complaint() for usage in usages] == [None, None]
