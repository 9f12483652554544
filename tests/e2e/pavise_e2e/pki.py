"""Certificates of every kind, right and wrong, made with openssl."""

import datetime
import ssl
import subprocess

from . import settings

_CONFIG = """
[ca]
default_ca = main
[main]
database = {dir}/index.txt
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = optional
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
{names}
"""


def _openssl(*argv):
    subprocess.run([settings.program("openssl"), *map(str, argv)], check=True, capture_output=True)


class Ca:
    """Signs with the key of `state`: a directory of `pavise authority --state`."""

    def __init__(self, state, work):
        self.certificate = state / "ca.crt"
        self._key = state / "ca.key"
        self._dir = work / f"{state.name}.pki"
        self._dir.mkdir()
        self._dir.chmod(0o755)
        (self._dir / "index.txt").touch()

    def issue(self, name, *names, start_h=-1, end_h=24):
        """(certificate, key) for `names` like "URI:spiffe://..." or "DNS:...", valid from
        `start_h` to `end_h` hours from now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = ((now + datetime.timedelta(hours=h)).strftime("%Y%m%d%H%M%SZ")
                      for h in (start_h, end_h))
        config, key = self._dir / f"{name}.cnf", self._dir / f"{name}.key"
        request, certificate = self._dir / f"{name}.csr", self._dir / f"{name}.crt"
        alternative = f"subjectAltName = {', '.join(names)}" if names else ""
        config.write_text(_CONFIG.format(dir=self._dir, names=alternative), encoding="ascii")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("ca", "-batch", "-notext", "-config", config, "-extensions", "leaf",
                 "-cert", self.certificate, "-keyfile", self._key, "-startdate", start,
                 "-enddate", end, "-in", request, "-out", certificate)
        return certificate, key


def client_context(pair=None, authority=None, alpn=("h2",)):
    """A TLS client with the certificate of `pair`, or none; it verifies the server's chain against
    `authority`, or nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    if pair is not None:
        context.load_cert_chain(*pair)
    context.set_alpn_protocols(list(alpn))
    return context
