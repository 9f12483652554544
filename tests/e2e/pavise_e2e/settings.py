"""What the whole run shares: the binary under test and how long the long tests are."""

import functools
import os
import pathlib
import shutil

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
TRUST_DOMAIN = "example.org"

# How long something that must happen may take before the test gives up. Never a measure of speed.
PATIENCE_S = 30

# They would replace the certificates that a test names.
UNWANTED_ENVIRONMENT = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "JAVA_TOOL_OPTIONS",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "SPIFFE_ENDPOINT_SOCKET",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
)


def binary():
    """The program under test: $PAVISE, else what ./dev build leaves."""
    given = os.environ.get("PAVISE")
    path = pathlib.Path(given) if given else REPOSITORY / "bazel-bin/agent/pavise"
    return path.resolve()


def has_sanitizer():
    return b"__asan_init" in binary().read_bytes() or has_thread_sanitizer()


@functools.lru_cache
def has_thread_sanitizer():
    return b"__tsan_init" in binary().read_bytes()


def is_quick():
    return os.environ.get("PAVISE_E2E_QUICK", "") not in ("", "0") or has_sanitizer()


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if k not in UNWANTED_ENVIRONMENT}
    env.update(extra or {})
    return env


def program(name):
    """The path of a program from Debian; a skip that names it when it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"the program {name} is not installed")
    return path
