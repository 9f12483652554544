"""Whether anybody else used the CPUs while something was measured."""

import os
import resource
import time

TICKS = os.sysconf("SC_CLK_TCK")
# /proc/stat's first line. Interrupts are not in it: they are billed to whoever runs.
USER, NICE, SYSTEM, STEAL = 1, 2, 3, 8


def _system_s():
    """(CPU seconds of all processes, seconds stolen by the host) since boot."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(word) for word in stat.readline().split()[1:]]
    busy = sum(fields[index - 1] for index in (USER, NICE, SYSTEM))
    return busy / TICKS, fields[STEAL - 1] / TICKS


def _own_s():
    """This process and the children that it has waited for: the loads."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


class Meter:
    """From its making to `disturbance`. `processes` are ours and still run."""

    def __init__(self, processes):
        self._processes = processes
        self._begun = time.monotonic()
        self._before = self._read()

    def _read(self):
        busy, stolen = _system_s()
        ours = _own_s() + sum(process.cpu_ns() for process in self._processes) / 1e9
        return busy - ours, stolen

    def elapsed_s(self):
        return time.monotonic() - self._begun

    def disturbance(self):
        """The share of one CPU that others took, and the host."""
        foreign, stolen = (after - before for after, before in zip(self._read(), self._before))
        return max(0.0, foreign + stolen) / self.elapsed_s()
