"""`pavise check` on certificates that work, and that clients will not like (docs/edge-tls.md,
RE26)."""

import json

import pytest

from pavise_e2e import settings
from pavise_e2e.edge import CLIENT, Pki, run

NAMES = "subjectAltName = DNS:localhost"
SERVER = "extendedKeyUsage = serverAuth"
NO_NAMES = "certFile: it has no subjectAltName"
NOT_A_SERVER = "certFile: its extended key usage lacks serverAuth"
NO_SIGNATURE = "certFile: its key usage lacks digitalSignature"
SHORT = "certFile: its RSA key has less than 2048 bits"
NO_ORDER = "certFile: the file is not in order"
OPEN = "keyFile: everybody on this host can read it"
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    made = Pki(tmp_path_factory.mktemp("check") / "pki")
    made.ca("ca", "/CN=Root One")
    made.leaf("int", "ca", "/CN=Int", "basicConstraints = critical,CA:TRUE",
              "keyUsage = critical,keyCertSign")
    return made


def warnings(pki, tmp_path, name):
    """What check says of a port that presents it; it is taken in any case."""
    config = {"inbound": {"ports": [{"port": 8443, "tlsMode": "required", "clientAuth": "none",
                                     "certificates": [pki.presented(name)]}]}}
    path = tmp_path / "pavise.yaml"
    path.write_text(json.dumps(config), encoding="ascii")
    done = run(settings.binary(), "check", "--config", path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert all(f"port 8443, certificate {name}: " in line for line in lines)
    return [line.partition(f"certificate {name}: ")[2] for line in lines]


@pytest.mark.parametrize("name, key, extensions, said", [
    ("good", P256, (NAMES, SERVER, "keyUsage = digitalSignature"), ()),
    ("good-rsa", ("rsa:2048",), (NAMES, SERVER), ()),
    ("no-usage", P256, (NAMES,), ()),
    ("nameless", P256, (SERVER,), (NO_NAMES,)),
    ("client", P256, (NAMES, CLIENT), (NOT_A_SERVER,)),
    ("both", P256, (NAMES, "extendedKeyUsage = clientAuth,serverAuth"), ()),
    ("encipher", ("rsa:2048",), (NAMES, "keyUsage = keyEncipherment"), (NO_SIGNATURE,)),
    ("short", ("rsa:1024",), (NAMES,), (SHORT,)),
    ("all-of-it", ("rsa:1024",), (CLIENT, "keyUsage = keyEncipherment"),
     (NO_NAMES, NOT_A_SERVER, NO_SIGNATURE, SHORT))])
def test_what_clients_refuse_is_said(pki, tmp_path, name, key, extensions, said):
    if name in ("nameless", "all-of-it"):
        pki.leaf(name, "ca", f"/CN={name}", *extensions, key=key)
    else:
        pki.leaf(name, "ca", "/O=Test", *extensions, key=key)
    heard = warnings(pki, tmp_path, name)
    assert len(heard) == len(said), heard
    for line, begin in zip(heard, said):
        assert line.startswith(begin)


def test_sha1(pki, tmp_path):
    run("openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-sha1", "-keyout",
        pki.key("sha1"), "-out", pki.certificate("sha1"), "-days", "10", "-subj", "/CN=sha1",
        "-addext", "subjectAltName=DNS:localhost")
    assert warnings(pki, tmp_path, "sha1") == ["certFile: it is signed with SHA-1 or MD5"]


@pytest.mark.parametrize("order, said", [
    (("leaf", "int"), False), (("leaf", "int", "ca"), False), (("leaf", "ca"), True),
    (("leaf", "ca", "int"), True), (("leaf", "leaf"), True)])
def test_order_of_the_chain(pki, tmp_path, order, said):
    pki.leaf("leaf", "int", "/O=Test", NAMES, SERVER)
    name = "-".join(order)
    pki.certificate(name).write_text("".join(pki.certificate(part).read_text() for part in order))
    pki.key(name).write_bytes(pki.key("leaf").read_bytes())
    pki.key(name).chmod(0o600)
    heard = warnings(pki, tmp_path, name)
    assert [line.startswith(NO_ORDER) for line in heard] == ([True] if said else [])


def test_a_key_for_everybody(pki, tmp_path):
    pki.leaf("open", "ca", "/O=Test", NAMES, SERVER)
    pki.key("open").chmod(0o640)
    assert not warnings(pki, tmp_path, "open")
    pki.key("open").chmod(0o644)
    assert warnings(pki, tmp_path, "open") == [OPEN]
