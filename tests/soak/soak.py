#!/usr/bin/env python3
"""The rotation storm, long: a new certificate every second for ten minutes, 200 long streams, 50
new connections a second. Needs root (network namespaces).

  soak.py [SECONDS [STREAMS [RATE]]]

Prints where it is every half minute and a summary at the end; exit 1 when a byte was lost, a
connection failed, or descriptors or memory grew.
"""

import os
import pathlib
import resource
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from pavise_e2e import network, settings  # noqa: E402
from pavise_e2e.lab import NetworkLab  # noqa: E402
from pavise_e2e.storm import Storm, Usage  # noqa: E402

REPORT_EVERY_S = 30
SHOWN_FAILURES = 20


def watch(storm, usages, seconds):
    """Samples once a second and says every half minute where we are."""
    start = time.monotonic()
    reported = start
    while (now := time.monotonic()) < start + seconds:
        time.sleep(1)
        for usage in usages:
            usage.sample()
        if now - reported >= REPORT_EVERY_S:
            reported = now
            rows = " ".join(f"{usage.name}: {usage.descriptors[-1]} descriptors, "
                            f"{usage.memory[-1] >> 10} KiB;" for usage in usages)
            print(f"{now - start:.0f} s: {storm.open} long streams, {storm.bytes()} bytes, "
                  f"{storm.short} new connections, {len(storm.failures)} failures; {rows}",
                  flush=True)


def summary(storm, agents, usages, seconds, at_the_end):
    """Prints it; the list of what is wrong."""
    wrong = list(storm.failures)
    wrong += [f"long stream {number} lost bytes" for number in storm.lost()]
    wrong += [usage.complaint() for usage in usages if usage.complaint()]
    if at_the_end != len(storm.streams):
        wrong.append(f"{at_the_end} of {len(storm.streams)} long streams reached the end")
    print(f"storm of {seconds:.0f} s: {len(storm.streams)} long streams carried {storm.bytes()} "
          f"bytes each way, {storm.short} new connections")
    for agent, usage in zip(agents, usages):
        identity = agent.status.json("/identity")
        if identity["rotations"] < seconds / 2:
            wrong.append(f"{agent.name} had {identity['rotations']} rotations only")
        if identity["counts"]["refused"]:
            wrong.append(f"{agent.name} refused {identity['counts']['refused']} updates")
        descriptors, memory = usage.growth()
        print(f"{agent.name}: {identity['rotations']} rotations, {agent.cpu_seconds():.0f} s of "
              f"CPU, descriptors {usage.descriptors[0]} -> {usage.descriptors[-1]} "
              f"({descriptors:+.0f}), memory {usage.memory[0] >> 10} -> {usage.memory[-1] >> 10} "
              f"KiB ({memory / 1024:+.0f})")
    return wrong


def run(seconds, streams, rate):
    lab = NetworkLab(settings.binary())
    try:
        # Where the uids of the agents can execute it.
        lab.pavise = shutil.copy(settings.binary(), lab.path("pavise"))
        lab.pavise.chmod(0o755)
        agents = lab.pair(authority=["--ttl", "3s", "--rotate-every", "1s"])
        usages = [Usage(agent) for agent in agents]
        storm = Storm(lab.web, lab.server, lab.server.v4, 9000, streams=streams, rate=rate)
        watch(storm, usages, seconds)
        at_the_end = storm.open
        storm.stop()
        return summary(storm, agents, usages, seconds, at_the_end)
    finally:
        lab.close()


def main(words):
    if os.geteuid() != 0:
        print("soak.py: needs root", file=sys.stderr)
        return 2
    seconds, streams, rate = [int(word) for word in words] + [600, 200, 50][len(words):]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    network.remove_leftovers()
    wrong = run(seconds, streams, rate)
    for sentence in wrong[:SHOWN_FAILURES]:
        print(f"wrong: {sentence}")
    print(f"{'FAILED' if wrong else 'passed'}: {len(wrong)} things are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
