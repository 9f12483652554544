"""Bounded waits: every one ends, and says what it waited for."""

import threading
import time

from . import settings


def wait_until(what, condition, seconds=settings.PATIENCE_S, every=0.02):
    """Calls `condition` until its result is true and returns it; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(every)


class Background:
    """A function in a thread of its own; `result()` returns its value or raises its exception."""

    def __init__(self, function, *arguments):
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self._thread.start()

    def _run(self, function, arguments):
        try:
            self._value = function(*arguments)
        except BaseException as error:  # handed to the thread that asks for the result
            self._error = error

    def is_over(self):
        return not self._thread.is_alive()

    def result(self, seconds=settings.PATIENCE_S):
        self._thread.join(seconds)
        assert self.is_over(), f"a thread is still busy after {seconds} s"
        if self._error is not None:
            raise self._error
        return self._value


def in_threads(function, arguments, seconds=settings.PATIENCE_S):
    """`function(argument)` for every argument at the same time; the results in order."""
    threads = [Background(function, argument) for argument in arguments]
    return [thread.result(seconds) for thread in threads]
