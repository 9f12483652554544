"""One set of certificates for all: P-256, a root, an intermediate, a leaf for either side; and the
same under a foreign root, which everybody must refuse."""

import dataclasses
import pathlib
import subprocess

TRUST_DOMAIN = "bench.test"
_DAYS = "2"


@dataclasses.dataclass(frozen=True)
class Identity:
    """Files of one side."""

    chain: pathlib.Path  # leaf, then intermediate
    key: pathlib.Path
    combined: pathlib.Path  # both in one file, as HAProxy and hitch want it
    root: pathlib.Path
    name: str  # the DNS name in the leaf
    spiffe_id: str


def _request(directory, name, subject, extensions, issuer=None):
    """Writes NAME.crt and NAME.key."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-sha256", "-days", _DAYS, "-subj", f"/CN={subject}",
            "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt"]
    for extension in extensions:
        argv += ["-addext", extension]
    if issuer:
        argv += ["-CA", directory / f"{issuer}.crt", "-CAkey", directory / f"{issuer}.key"]
    run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"openssl could not make {name}: {run.stderr.strip()}")


def _authority(directory):
    ca = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    _request(directory, "root", "root", ca)
    _request(directory, "intermediate", "intermediate", ca, issuer="root")


def _leaf(directory, side):
    name = f"{side}.{TRUST_DOMAIN}"
    spiffe_id = f"spiffe://{TRUST_DOMAIN}/{side}"
    _request(directory, side, name, [
        "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
        f"subjectAltName=URI:{spiffe_id},DNS:{name}"], issuer="intermediate")
    chain = directory / f"{side}.chain.pem"
    chain.write_bytes((directory / f"{side}.crt").read_bytes() +
                      (directory / "intermediate.crt").read_bytes())
    key = directory / f"{side}.key"
    key.chmod(0o644)  # hitch drops its privileges before it reads
    combined = directory / f"{side}.combined.pem"
    combined.write_bytes(chain.read_bytes() + key.read_bytes())
    return Identity(chain, key, combined, directory / "root.crt", name, spiffe_id)


class Pki:
    """`outside` and `inside` know each other; `foreign` has another root and the same names."""

    def __init__(self, directory):
        ours, foreign = directory / "ours", directory / "foreign"
        for folder in (ours, foreign):
            folder.mkdir(parents=True)
            _authority(folder)
        self.outside = _leaf(ours, "outside")
        self.inside = _leaf(ours, "inside")
        self.foreign_outside = _leaf(foreign, "outside")
        self.foreign_inside = _leaf(foreign, "inside")
