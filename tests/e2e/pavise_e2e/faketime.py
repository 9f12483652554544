"""The wall clock of a program, moved while it runs; its monotonic clock goes on, or is moved as
well (libfaketime)."""

import os
import pathlib

import pytest

LIBRARY = "faketime/libfaketimeMT.so.1"


def _library():
    found = sorted(pathlib.Path("/usr/lib").glob(f"*/{LIBRARY}"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return found[0]


class Clock:
    """A wall clock that programs started with `environment` share."""

    def __init__(self, path, *, monotonic=False):
        self._path = path
        self.set_offset(0)
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "0" if monotonic else "1",
            # It comes before the sanitizer's library, which has no objection to this one.
            "ASAN_OPTIONS": "verify_asan_link_order=0",
        }

    def set_offset(self, seconds):
        """From now on it is `seconds` off the machine's clock."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n", encoding="ascii")
        new.chmod(0o644)
        os.replace(new, self._path)
