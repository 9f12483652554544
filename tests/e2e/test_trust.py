"""`pavise trust`: what goes in, what comes out, what is said, and the exit codes."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.trust import count, openssl


def put(trust, ca, name="private.pem"):
    shutil.copyfile(ca.certificate, trust.sources / name)


def fingerprint(path, digest="sha256"):
    text = openssl("x509", "-in", path, "-noout", "-fingerprint", f"-{digest}").stdout.decode()
    return text.strip().partition("=")[2].replace(":", "").lower()


# --- sync

def test_the_outputs(trust):
    ca = trust.ca()
    put(trust, ca)
    said = trust.ok("sync")
    assert (f"Load certificate from specific path. alias = private, "
            f"thumbprint = {fingerprint(ca.certificate, 'sha1')}, file = private.pem\n") in said
    public = count(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text())
    assert count(trust.pem()) == public + 1
    assert trust.pem("ca-extra.pem") == ca.certificate.read_text()
    assert (trust.output / "certs/public/private").read_text() == ca.certificate.read_text()
    hashed = [p for p in (trust.output / "certs").iterdir() if p.name != "public"]
    assert len(hashed) == public + 1
    name_hash = openssl("x509", "-in", ca.certificate, "-noout", "-hash").stdout.decode().strip()
    assert (trust.output / "certs" / f"{name_hash}.0").read_text() == ca.certificate.read_text()
    for path in [trust.output, *trust.output.resolve().rglob("*")]:
        if path.name == "..lock":
            continue
        wanted = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & 0o777 == wanted, path


def test_a_second_sync_changes_nothing(trust):
    put(trust, trust.ca())
    trust.ok("sync")
    before = os.readlink(trust.output / "..data")
    assert "unchanged: generation 1" in trust.ok("sync")
    assert os.readlink(trust.output / "..data") == before


def test_what_cannot_be_read_is_named(trust):
    """One bad file never sinks the rest; nothing hangs on a FIFO or a device."""
    put(trust, trust.ca(), "good one.pem")
    source = trust.sources
    (source / "junk\nwith a line.pem").write_text("hello")
    with open(source / "big.pem", "wb") as big:
        for _ in range(100):
            big.write(os.urandom(1 << 20))
    os.mkfifo(source / "fifo")
    (source / "zero").symlink_to("/dev/zero")
    (source / "loop").symlink_to("loop")
    (source / "dangling").symlink_to("nowhere")
    (source / "directory").mkdir()
    (source / "half.pem").write_text(trust.ca("half").certificate.read_text()[:-40])
    (source / "key.pem").write_text(trust.ca("key").key.read_text())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "sock"))
        done = trust.run("sync")
    assert done.returncode == 0
    for name, reason in {
            "junk�with a line.pem": "it holds no certificate, PEM or DER",
            "big.pem": "it is larger than 67108864 bytes",
            "fifo": "it is a FIFO, not a file",
            "zero": "it is a device, not a file",
            "loop": "Too many levels of symbolic links",
            "dangling": "No such file or directory",
            "directory": "it is a sub-directory",
            "half.pem": "not complete (half-written?)",
            "key.pem": "a PRIVATE KEY: it was not copied",
            "sock": "it is a socket, not a file"}.items():
        wanted = f"Unable to load certificate from: {source}/{name}: "
        lines = [line for line in done.stderr.splitlines() if wanted in line]
        assert lines and reason in lines[0], f"{name} in\n{done.stderr}"
    assert trust.names() == {"good one"}
    assert "PRIVATE KEY" not in "".join(
        p.read_text(errors="replace") for p in trust.output.resolve().rglob("*") if p.is_file())


def test_an_unreadable_file(trust):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody who cannot read it")
    put(trust, trust.ca())
    put(trust, trust.ca("secret"), "secret.pem")
    (trust.sources / "secret.pem").chmod(0)
    shutil.chown(trust.directory, 65534)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", trust.pavise, "trust", "sync", "--config",
         trust.config_path], capture_output=True, text=True, env=settings.environment(),
        check=False)
    assert done.returncode == 0, done.stderr
    assert f"Unable to load certificate from: {trust.sources}/secret.pem: Permission denied" in \
        done.stderr
    assert trust.names() == {"private", "secret"}  # as root


def test_exit_codes(trust):
    assert trust.run("nonsense").returncode == 2
    assert trust.run("sync", "operand").returncode == 2
    assert trust.run("show").returncode == 2
    trust.configure(publicRoots="/nonexistent")
    done = trust.run("sync")
    assert done.returncode == 1
    assert "trustStore.publicRoots: cannot read /nonexistent" in done.stderr
    assert not trust.output.exists()
    trust.configure(output="/proc/pavise")
    assert trust.run("sync").returncode == 3
    trust.config_path.write_text("trustStore: {wrong: 1}")
    done = trust.run("sync")
    assert done.returncode == 1
    assert 'pavise.yaml:1:14: unknown key "wrong"' in done.stderr
    trust.config_path.write_text("log: {level: info}")
    done = trust.run("sync")
    assert done.returncode == 1
    assert "has no trustStore section" in done.stderr


def test_the_last_store_stays_when_the_roots_are_gone(trust):
    roots = trust.ca("roots")
    trust.configure(publicRoots=str(roots.certificate))
    put(trust, trust.ca())
    trust.ok("sync")
    before = trust.pem()
    roots.certificate.write_text("junk")
    done = trust.run("sync")
    assert done.returncode == 1
    assert "holds no certificate" in done.stderr
    assert trust.pem() == before
    assert count(before) == 2


def test_every_form_of_a_certificate(trust):
    """TRUSTED, DER, CRLF, several in a file, duplicates; each is written plain."""
    one, two, three = trust.ca("one"), trust.ca("two"), trust.ca("three")
    openssl("x509", "-in", one.certificate, "-addtrust", "serverAuth", "-trustout", "-out",
            trust.sources / "trusted.pem")
    openssl("x509", "-in", two.certificate, "-outform", "DER", "-out", trust.sources / "two.cer")
    text = three.certificate.read_text() + "# and again\n" + two.certificate.read_text()
    (trust.sources / "zz several.pem").write_text(text.replace("\n", "\r\n"))
    trust.ok("sync")
    extra = trust.pem("ca-extra.pem")
    assert count(extra) == 3
    assert "TRUSTED" not in extra and "\r" not in extra
    assert trust.names() == {"trusted", "two", "zz several"}


def test_the_policy(trust):
    old = trust.ca("old", days=1)
    put(trust, old, "old.pem")
    put(trust, trust.ca())
    leaf, _ = trust.ca("leaf").server_certificate()
    shutil.copyfile(leaf, trust.sources / "leaf.pem")
    done = trust.run("sync")
    assert done.returncode == 0
    assert "leaf: it is not a CA's" in done.stderr
    assert trust.names() == {"old", "private", "leaf"}
    rows = {row["name"]: row for row in trust.json("list")["certificates"]}
    assert rows["leaf"]["warnings"] == ["notCa"]
    trust.configure(policy={"notCa": "refuse"})
    done = trust.run("sync")
    assert done.returncode == 0
    assert "refused by trustStore.policy.notCa" in done.stderr
    assert trust.names() == {"old", "private"}


def test_servicebinding_and_kubernetes_volumes(trust):
    binding = trust.sources / "corporate"
    binding.mkdir()
    (binding / "type").write_text("ca-certificates")
    versions = [trust.sources / "corporate" / f"..{i}" for i in range(2)]
    for index, version in enumerate(versions):
        version.mkdir()
        shutil.copyfile(trust.ca(f"v{index}").certificate, version / "ca.crt")
    (binding / "..data").symlink_to("..0")
    (binding / "ca.crt").symlink_to("..data/ca.crt")
    trust.ok("sync")
    assert "v0 root" in json.dumps(trust.json("show", "ca"))
    (binding / "..data_tmp").symlink_to("..1")
    (binding / "..data_tmp").rename(binding / "..data")
    trust.ok("sync")
    assert "v1 root" in json.dumps(trust.json("show", "ca"))
    assert count(trust.pem("ca-extra.pem")) == 1


def test_ten_thousand_certificates(trust):
    """With equal names as well: aliases stay unique, hash links without a gap."""
    number = 1000 if settings.is_quick() else 10_000
    ca = trust.ca()
    der = openssl("x509", "-in", ca.certificate, "-outform", "DER").stdout
    serial = der.index(b"\x02\x14") + 2  # 20 bytes of it
    source = random.Random(7)
    for i in range(number):
        # Another serial number: the signature does not fit any more, which is nobody's business
        # where anchors are kept.
        mutant = der[:serial + 1] + source.randbytes(19) + der[serial + 20:]
        (trust.sources / f"c{i:05}.der").write_bytes(mutant)
    trust.ok("sync")
    assert count(trust.pem("ca-extra.pem")) == number
    name_hash = openssl("x509", "-in", ca.certificate, "-noout", "-hash").stdout.decode().strip()
    hashed = {path.name for path in (trust.output / "certs").glob(f"{name_hash}.*")}
    assert hashed == {f"{name_hash}.{i}" for i in range(number)}
    assert len(list((trust.output / "certs/public").iterdir())) == number
    assert "unchanged" in trust.ok("sync")


def test_killed_at_any_moment(trust):
    """kill -9 of the shipped program while it replaces one store by another: whoever reads sees a
    whole one. (Every single step is in tests/trust/trust_store_kill_test.c.)"""
    one, two = trust.ca("one"), trust.ca("two")
    put(trust, one)
    trust.ok("sync")
    stores = {trust.pem("ca-extra.pem")}
    put(trust, two)
    stores.add(two.certificate.read_text())
    source = random.Random(11)
    for round_number in range(20 if settings.is_quick() else 80):
        put(trust, two if round_number % 2 else one)
        process = subprocess.Popen([trust.pavise, "trust", "sync", "--config", trust.config_path],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=settings.environment())
        time.sleep(source.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        extra = trust.pem("ca-extra.pem")
        assert extra in stores
        assert extra in trust.pem()
        openssl("storeutl", "-certs", "-noout", trust.output / "ca-bundle.pem")
        openssl("pkcs12", "-in", trust.output / "truststore.p12", "-passin", "pass:", "-nokeys")
    trust.ok("sync")
    generations = [p for p in trust.output.iterdir() if p.name.startswith("..2")]
    assert len(generations) <= 2


# --- list, show, add, remove, refs

def test_list_and_show(trust):
    ca = trust.ca()
    put(trust, ca)
    leaf, _ = ca.server_certificate()
    shutil.copyfile(leaf, trust.sources / "leaf.pem")
    trust.ok("sync")
    shown = trust.json("show", "private")
    assert shown["thumbprint"] == fingerprint(ca.certificate, "sha1")
    assert shown["sha256"] == fingerprint(ca.certificate)
    assert shown["subjectName"] == "CN=private root,O=Pavise tests"
    assert shown["issuer"] == shown["subjectName"]
    assert shown["source"] == f"{trust.sources}/private.pem"
    assert "truststore.jks" in shown["outputs"]
    assert trust.json("show", shown["sha256"][:10]) == shown
    assert trust.json("show", "leaf")["dnsNames"] == ["localhost"]
    text = trust.ok("list")
    assert "NAME" in text and "private" in text and "public: " not in text
    assert "public: " in trust.ok("list", "--all")
    text = trust.ok("list", "--long")
    assert f"sha256       {shown['sha256']}" in text
    assert "issuer       CN=private root,O=Pavise tests" in text
    listed = trust.json("list", "--all")
    assert listed["total"] == len(listed["certificates"]) == count(trust.pem())
    assert listed["generation"] == 1
    assert "subject      CN=private root,O=Pavise tests" in trust.ok("show", "private")
    assert trust.run("show", "nobody").returncode == 1


def test_add_and_remove(trust):
    ca = trust.ca()
    der = trust.directory / "corp.der"
    openssl("x509", "-in", ca.certificate, "-outform", "DER", "-out", der)
    assert trust.ok("add", der) == f"added {trust.sources}/corp.pem: 1 certificate\n"
    assert (trust.sources / "corp.pem").read_text() == ca.certificate.read_text()
    done = trust.run("add", der)
    assert done.returncode == 1 and "there is" in done.stderr
    trust.ok("add", der, "--name", "again")
    assert trust.names() == {"again"}  # the same certificate, once
    assert trust.run("add", ca.key).returncode == 1
    assert trust.run("add", trust.directory / "nothing").returncode == 1
    assert trust.run("add", der, "--name", "../x").returncode == 1
    trust.ok("remove", "again")
    trust.ok("remove", "corp")
    assert trust.run("remove", "corp").returncode == 1
    assert not list(trust.sources.iterdir())


def test_refs(trust):
    ca = trust.ca()
    trust.configure(certificates=[{"name": "corp", "file": str(ca.certificate)}])
    trust.ok("sync")
    sleeper = subprocess.Popen(["sleep", "60"], env=settings.environment(trust.variables()))
    try:
        refs = trust.json("refs", "corp")
        text = trust.ok("refs", "corp")
    finally:
        sleeper.kill()
        sleeper.wait()
    assert refs["configuration"] == ["trustStore.certificates[0].name"]
    assert f"{trust.output}/ca-bundle.pem" in refs["outputs"]
    assert f"{sleeper.pid} sleep" in refs["processes"]
    assert "configuration  trustStore.certificates[0].name" in text
    assert trust.run("remove", "corp").returncode == 1


def test_certificates_by_name(trust):
    one, two, three = trust.ca("one"), trust.ca("two"), trust.ca("three")
    trust.configure(certificates=[
        {"name": "inline", "pem": one.certificate.read_text()},
        {"name": "file.one", "file": str(two.certificate)},
        {"name": "shown", "file": str(three.certificate), "loadTrustStore": False}])
    trust.ok("sync")
    assert trust.names() == {"inline", "file.one", "shown"}
    assert count(trust.pem("ca-extra.pem")) == 2
    assert three.certificate.read_text() not in trust.pem()
    assert (trust.output / "certs/public/shown").read_text() == three.certificate.read_text()
    assert (trust.output / "certs/public/file.one").read_text() == two.certificate.read_text()


# --- run

def test_run_sets_the_environment(trust):
    put(trust, trust.ca())
    env = {"SSL_CERT_FILE": "/mine", "JAVA_TOOL_OPTIONS": "-Xmx64m"}
    done = trust.run("run", "--", "env", env=env)
    assert done.returncode == 0 and "SSL_CERT_FILE is set already and stays" in done.stderr
    assert "JAVA_TOOL_OPTIONS is" not in done.stderr and "SSL_CERT_DIR is" not in done.stderr
    printed = done.stdout
    variables = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    assert variables["SSL_CERT_FILE"] == "/mine"
    assert variables["SSL_CERT_DIR"] == f"{trust.output}/certs"
    assert variables["NODE_EXTRA_CA_CERTS"] == f"{trust.output}/ca-extra.pem"
    assert variables["JAVA_TOOL_OPTIONS"] == \
        f"-Xmx64m -Djavax.net.ssl.trustStore={trust.output}/truststore.p12"
    assert trust.run("run", "--", "sh", "-c", "exit 7").returncode == 7
    assert trust.run("run", "--", "/nonexistent").returncode == 127
    assert trust.run("run", "--", str(trust.config_path)).returncode == 126
    assert trust.run("run").returncode == 2


def test_run_without_the_right_to_write(trust):
    """The store that somebody else keeps is good enough; without one there is an error."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody who cannot write")
    put(trust, trust.ca())
    argv = ["setpriv", "--reuid=65534", "--clear-groups", trust.pavise, "trust", "run", "--config",
            trust.config_path, "--", "sh", "-c", "echo $SSL_CERT_FILE"]

    def run():
        return subprocess.run(argv, capture_output=True, text=True, check=False,
                              env=settings.environment())

    done = run()
    assert done.returncode == 3
    assert "cannot make the directory" in done.stderr
    trust.ok("sync")
    done = run()
    assert done.returncode == 0
    assert done.stdout == f"{trust.output}/ca-bundle.pem\n"
    assert "the store that is there is used as it is" in done.stderr


def test_env_file_is_docker_s_form(trust):
    trust.ok("sync", env={"SSL_CERT_FILE": "/mine", "JAVA_TOOL_OPTIONS": "-Xmx1m"})
    variables = trust.variables()
    assert variables["SSL_CERT_FILE"] == f"{trust.output}/ca-bundle.pem"
    assert variables["JAVA_TOOL_OPTIONS"] == \
        f"-Djavax.net.ssl.trustStore={trust.output}/truststore.p12"
    for value in variables.values():
        assert not set(value) & set("\"'$ ")
