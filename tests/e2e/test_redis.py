"""redis and its own programs, at their defaults, on two hosts."""

import hashlib
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.lab import spiffe_id

REDIS_PORT = 6379


@pytest.fixture
def redis(lab):
    """redis-server as it comes, on loopback; reached through the tunnel alone."""
    server = settings.program("redis-server")
    lab.pair(server={"inbound": {
        "authorization": [{"action": "allow", "peers": [spiffe_id("web")], "ports": [REDIS_PORT]}],
        "ports": [{"port": REDIS_PORT, "deliver": f"127.0.0.1:{REDIS_PORT}"}]}})
    lab.start("redis", [server, "--save", "", "--dir", lab.directory], host=lab.server)
    lab.wait_port(lab.server, "127.0.0.1", REDIS_PORT)
    return lab


def redis_cli(lab, *words, **options):
    argv = [settings.program("redis-cli"), "-h", lab.server.v4, *words]
    done = lab.web.run(argv, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_value_of_64_mib(redis):
    value = hashlib.shake_256(b"value").digest(1 << 20) * 64
    path = redis.path("value")
    path.write_bytes(value)
    with path.open("rb") as stdin:
        assert redis_cli(redis, "-x", "set", "big", stdin=stdin) == b"OK\n"
    assert redis_cli(redis, "strlen", "big") == f"{len(value)}\n".encode()
    got = redis_cli(redis, "get", "big")
    assert hashlib.sha256(got[:-1]).hexdigest() == hashlib.sha256(value).hexdigest()


@pytest.mark.parametrize("pipeline", [1, 16])
def test_benchmark_loses_no_request(redis, pipeline):
    requests = 20_000 if settings.has_sanitizer() else 100_000
    done = redis.web.run([settings.program("redis-benchmark"), "-h", redis.server.v4, "-t", "incr",
                          "-n", requests, "-c", 50, "-P", pipeline, "--csv"], text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert '"INCR"' in done.stdout
    # redis counted every request itself.
    assert redis_cli(redis, "get", "counter:__rand_int__") == f"{requests}\n".encode()


def test_direct_access_is_not_possible(redis):
    """Without a sidecar of its own a host does not reach redis."""
    done = redis.other.run([settings.program("redis-cli"), "-h", redis.server.v4, "ping"],
                           stderr=subprocess.STDOUT)
    assert b"PONG" not in done.stdout
