"""Runs our load generator, and redis-benchmark, beside the application."""

import csv
import io
import json
import subprocess
import time

from . import process
from .pair import NotMeasured, is_listening
from .plan import APP
from .recipe import program

GRACE_S = 30


def run(bench, kind, to, **options):
    """One load against `to`; its result."""
    argv = [bench.tools.load, kind, "--app", APP, "--to", to]
    for name, value in options.items():
        argv += [f"--{name}", value]
    output = _output(argv, float(options.get("seconds", 0)) + GRACE_S)
    return json.loads(output)


def handshakes(bench, pair, kind, seconds):
    """TLS handshakes with the inside of `pair`, one after the other; "full" or "resumed"."""
    return tls_client(bench, pair.tls_entry, pair.recipe.alpn or "-", kind, seconds)


def tls_client(bench, to, alpn, kind, seconds):
    """The same with `to`; "-" for `alpn` where an echo answers."""
    own = bench.pki.outside
    argv = [bench.tools.handshake, to, alpn, kind, seconds, own.chain, own.key]
    return json.loads(_output(argv, seconds + GRACE_S))


def _output(argv, timeout):
    try:
        run_ = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, check=False,
                              env=process.environment(),
                              preexec_fn=process.pinned(process.cpus()[0]))
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{argv[1]} did not end within {timeout:.0f} s") from None
    if run_.returncode != 0:
        raise NotMeasured(run_.stderr.strip() or f"{argv[0]} ended with {run_.returncode}")
    return run_.stdout


class Application(process.Process):
    """Something that listens where the application is; a context."""

    def __init__(self, bench, argv, app=APP):
        super().__init__("application", argv, bench.directory / "application.log",
                         process.cpus()[0])
        end = time.monotonic() + GRACE_S
        while not is_listening(app):
            if not self.is_running() or time.monotonic() > end:
                raise RuntimeError(f"the application did not start: {self.log_tail()}")
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def echo(bench, app=APP):
    return Application(bench, [bench.tools.load, "echo", "--app", app], app)


def redis_server(bench):
    return Application(bench, [
        program("redis-server"), "--bind", APP.ip, "--port", APP.port, "--protected-mode", "no",
        "--save", "", "--appendonly", "no", "--dir", bench.directory])


def redis_benchmark(to, requests, pipeline):
    """{"rps", "p50_ms"} of GET, 50 connections."""
    argv = [program("redis-benchmark"), "-h", to.ip, "-p", to.port, "-c", 50, "-P", pipeline,
            "-n", requests, "-t", "get", "-d", 64, "--csv"]
    rows = list(csv.DictReader(io.StringIO(_output(argv, GRACE_S))))
    if len(rows) != 1:
        raise NotMeasured("redis-benchmark printed no result")
    return {"rps": float(rows[0]["rps"]), "p50_ms": float(rows[0]["p50_latency_ms"])}


class Idle:
    """The load that holds connections; a context."""

    def __init__(self, bench, to, most, app=APP):
        argv = [bench.tools.load, "idle", "--app", app, "--to", to, "--streams", most]
        self._popen = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=process.environment(),
            preexec_fn=process.pinned(process.cpus()[0]))

    def grow(self, count):
        try:
            self._popen.stdin.write(f"{count}\n")
            self._popen.stdin.flush()
            answer = self._popen.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise NotMeasured(self._popen.stderr.read().strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.kill()
        self._popen.communicate()
