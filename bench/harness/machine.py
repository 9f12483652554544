"""Where a run took place."""

import os
import platform
import re


def _cpuinfo():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
        return stream.read()


def flags():
    match = re.search(r"^flags\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return set(match.group(1).split()) if match else set()


def has_vaes():
    return {"vaes", "avx512f"} <= flags()


def describe():
    model = re.search(r"^model name\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return {"cpu": model.group(1) if model else "unknown",
            "cpus": len(os.sched_getaffinity(0)),
            "flags": sorted({"aes", "vaes", "vpclmulqdq", "avx512f"} & flags()),
            "kernel": platform.release()}
