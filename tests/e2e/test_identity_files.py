"""identity.source: files. The client's agent has its certificate from files and the server's from
the authority, whose CA signs both."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.applications import echo, echo_once, exchange, outcome
from pavise_e2e.network import free_port
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until

CLIENT_ID = f"spiffe://{settings.TRUST_DOMAIN}/ns/default/sa/files"


def replace(path, content):
    """As a careful program does it: written beside, then renamed."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.rename(path)


class Scene:
    """A server that is always right, and files for a client that may not be."""

    def __init__(self, lab):
        self.lab, self.host = lab, lab.host
        self.authority = lab.authority()
        self.ca = Ca(lab.path("authority.state"), lab.directory)
        self.app = lab.application(lab.host, "127.0.0.1", 0, echo)
        self.tunnel, self.port, self.number = free_port("127.0.0.2"), free_port(), 0
        self.server = lab.run_agent("agent-server", {
            "outbound": {"listen": []},
            "inbound": {"listen": [], "tunnel": [f"127.0.0.2:{self.tunnel}"],
                        "ports": [{"port": 11000, "deliver": f"127.0.0.1:{self.app.port}"}]},
            "status": {"listen": f"127.0.0.1:{free_port()}"}}, host=lab.host)
        self.directory = lab.path("identity")
        self.directory.mkdir()
        self.status_port = free_port()

    def issue(self):
        """(certificate, key), as bytes."""
        self.number += 1
        pair = self.ca.issue(f"client{self.number}", f"URI:{CLIENT_ID}")
        return tuple(pathlib.Path(path).read_bytes() for path in pair)

    def bundle(self):
        return self.ca.certificate.read_bytes()

    def put(self, pair, directory=None):
        directory = directory or self.directory
        for name, content in zip(("tls.key", "tls.crt", "ca.crt"), (*pair[::-1], self.bundle())):
            (directory / name).write_bytes(content)

    def files(self, **change):
        paths = {"certificate": "tls.crt", "key": "tls.key", "bundle": "ca.crt"}
        return {"source": "files",
                "files": {key: str(self.directory / name) for key, name in paths.items()}} | change

    def configuration(self, identity):
        return {
            "identity": identity,
            "outbound": {"listen": [],
                         "listeners": [{"listen": f"127.0.0.1:{self.port}",
                                        "destination": "127.0.0.2:11000"}],
                         "mesh": {"networks": ["127.0.0.0/8"], "port": self.tunnel}},
            "inbound": {"listen": [], "tunnel": []},
            "status": {"listen": f"127.0.0.1:{self.status_port}"}}

    def start(self, identity=None, **options):
        self.client = self.lab.run_agent("agent-client",
                                         self.configuration(identity or self.files()),
                                         host=self.host, **options)
        return self.client

    def echo(self):
        echo_once(self.host, "127.0.0.1", self.port)

    def outcome(self):
        return outcome(self.host, "127.0.0.1", self.port)

    def stream(self):
        return self.lab.connect(self.host, "127.0.0.1", self.port)

    def source(self):
        return self.client.status.json("/identity")["source"]

    def wait_for_error(self, *parts):
        def is_said():
            error = self.source()["lastError"]
            return error if all(part in error for part in parts) else None

        return wait_until(f"/identity says {parts}", is_said)

    def wait_for_rotation(self, before):
        wait_until("another certificate", lambda: self.client.status.serial() != before)

    def tunnel_serials(self):
        return {row["ownSerial"] for row in self.client.status.rows("/tunnels")}


@pytest.fixture
def scene(loopback):
    return Scene(loopback)


def assert_rotates(scene, replace_files):
    """`replace_files` gives the client another certificate: open streams go on, new ones use it."""
    before = scene.client.status.serial()
    stream = scene.stream()
    assert exchange(stream, b"before") == b"before"
    replace_files()
    scene.wait_for_rotation(before)
    assert exchange(stream, b"after") == b"after"
    scene.echo()
    assert scene.client.status.serial() in scene.tunnel_serials()
    assert exchange(stream, b"at last") == b"at last"
    assert scene.source()["lastError"] == ""


def test_files_that_are_there(scene):
    scene.put(scene.issue())
    client = scene.start()
    scene.echo()
    identity = client.status.json("/identity")
    assert identity["source"]["kind"] == "files"
    assert identity["source"]["state"] == "connected"
    assert identity["svids"][0]["spiffeId"] == CLIENT_ID
    assert scene.server.status.rows("/tunnels")[0]["peerId"] == CLIENT_ID


def test_rewritten_in_place(scene):
    scene.put(scene.issue())
    scene.start()
    assert_rotates(scene, lambda: scene.put(scene.issue()))


def test_swapped_by_a_link(scene):
    """As Kubernetes updates a mounted secret."""
    releases = [scene.directory / f"..{i}" for i in range(3)]
    for release in releases:
        release.mkdir()
        scene.put(scene.issue(), release)
    (scene.directory / "..data").symlink_to("..0")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (scene.directory / name).symlink_to(f"..data/{name}")
    scene.start()
    for release in releases[1:]:
        def swap(target=release.name):
            (scene.directory / "..data_tmp").symlink_to(target)
            (scene.directory / "..data_tmp").rename(scene.directory / "..data")

        assert_rotates(scene, swap)


def test_key_first_then_certificate(scene):
    scene.put(scene.issue())
    client = scene.start()

    def one_after_the_other():
        before = client.status.serial()
        certificate, key = scene.issue()
        replace(scene.directory / "tls.key", key)
        scene.wait_for_error("the private key does not belong to the leaf certificate", "tls.key")
        assert client.status.serial() == before
        scene.echo()
        replace(scene.directory / "tls.crt", certificate)

    assert_rotates(scene, one_after_the_other)


def test_garbage_and_removal_change_nothing(scene):
    scene.put(scene.issue())
    client = scene.start()
    before = client.status.serial()
    stream = scene.stream()
    certificate = (scene.directory / "tls.crt").read_bytes()
    (scene.directory / "tls.crt").write_bytes(certificate[: len(certificate) // 2])
    scene.wait_for_error("tls.crt: has a PEM block that is not complete")
    (scene.directory / "tls.crt").write_bytes(b"\0" * 100_000)
    scene.wait_for_error("tls.crt: holds no certificate")
    shutil.rmtree(scene.directory)
    scene.wait_for_error("tls.crt: No such file or directory", "mend the files")
    assert client.status.serial() == before
    assert client.status.is_ready()
    scene.echo()
    assert exchange(stream, b"still here") == b"still here"
    status = subprocess.run([scene.lab.pavise, "status", "identity", "--address",
                             f"127.0.0.1:{scene.status_port}"],
                            capture_output=True, text=True, check=True)
    assert "mend the files" in status.stdout
    assert before in status.stdout
    assert settings.TRUST_DOMAIN in status.stdout
    scene.directory.mkdir()
    assert_rotates(scene, lambda: scene.put(scene.issue()))


def test_a_certificate_of_another_ca_is_refused(scene):
    scene.put(scene.issue())
    client = scene.start()
    before = client.status.serial()
    scene.lab.authority(name="stranger")
    stranger = Ca(scene.lab.path("stranger.state"), scene.lab.directory)
    certificate, key = stranger.issue("stranger", f"URI:{CLIENT_ID}")
    (scene.directory / "tls.key").write_bytes(pathlib.Path(key).read_bytes())
    (scene.directory / "tls.crt").write_bytes(pathlib.Path(certificate).read_bytes())
    wait_until("refused", lambda: client.status.metric("pavise_identity_refused_total",
                                                       reason="untrusted") > 0)
    assert client.status.serial() == before
    assert "our own SVID would be refused" in client.status.json("/identity")["lastRefusal"]
    scene.echo()


def test_missing_at_start(scene):
    client = scene.start(ready=False)
    code, text = wait_until("the status port answers", lambda: _readyz(client))
    assert code == 503
    scene.wait_for_error("put the files in place", "tls.crt: No such file or directory")
    assert scene.outcome() in ("reset", "closed")
    pair = scene.issue()
    (scene.directory / "tls.crt").write_bytes(pair[0])
    scene.wait_for_error("tls.key: No such file or directory")
    scene.put(pair)
    client.wait_ready()
    scene.echo()
    assert text.startswith("identity: identity is pending")


def _readyz(client):
    try:
        return client.status.get("/readyz")
    except OSError:
        return None


def test_another_source_by_reload(scene):
    """From files to the authority and back; open streams go on."""
    scene.put(scene.issue())
    client = scene.start()
    stream = scene.stream()
    assert exchange(stream, b"one") == b"one"

    def reload(identity, kind):
        scene.lab.configuration("agent-client", scene.configuration(identity))
        client.signal(signal.SIGHUP)
        wait_until(f"the source is {kind}", lambda: scene.source()["kind"] == kind)

    before = client.status.serial()
    reload({"endpoint": scene.lab.endpoint()}, "workloadApi")
    scene.wait_for_rotation(before)
    assert exchange(stream, b"two") == b"two"
    scene.echo()
    before = client.status.serial()
    reload(scene.files(), "files")
    scene.wait_for_rotation(before)
    assert exchange(stream, b"three") == b"three"
    scene.echo()
    # What cannot be started changes nothing.
    before = client.status.serial()
    scene.lab.configuration("agent-client", scene.configuration({"source": "files"}))
    client.signal(signal.SIGHUP)
    client.wait_for_log("reload_refused")
    assert client.status.serial() == before
    scene.echo()


# --- identity.stateDirectory --------------------------------------------------------------------


def test_a_restart_with_the_source_down(scene):
    """What the authority said yesterday verifies peers of a certificate from files today."""
    state = scene.lab.path("client.state")
    client = scene.start({"endpoint": scene.lab.endpoint(), "stateDirectory": str(state)})
    scene.echo()
    assert client.terminate() == 0
    scene.put(scene.issue())
    assert sorted(os.listdir(state)) == ["bundles", "pins"]
    for path in state.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"PRIVATE" not in path.read_bytes()
    scene.authority.terminate()
    identity = scene.files(stateDirectory=str(state))
    del identity["files"]["bundle"]
    client = scene.start(identity)
    scene.echo()
    assert client.status.json("/identity")["keptUntil"] is not None
    rows = client.status.rows("/destinations")
    assert [(row["address"], row["state"]) for row in rows] == [("127.0.0.2", "pinned")]


def test_pins_outlive_the_agent(scene):
    """A member of the mesh that is down is not taken for a stranger after a restart."""
    state = scene.lab.path("client.state")
    identity = {"endpoint": scene.lab.endpoint(), "stateDirectory": str(state)}
    client = scene.start(identity)
    scene.echo()
    wait_until("the pin is saved", lambda: b"127.0.0.2" in (state / "pins").read_bytes()
               if (state / "pins").exists() else False)
    client.kill()
    scene.server.terminate()
    plain = scene.lab.application(scene.host, "127.0.0.2", 11000, echo)
    config = scene.configuration(identity)
    config["outbound"]["mesh"]["onUnreachable"] = "plaintext"
    again = scene.lab.run_agent("agent-client", config, host=scene.host)
    assert scene.outcome() in ("reset", "closed")
    assert plain.accepts == 0
    again.terminate()
    (state / "pins").unlink()
    scene.lab.run_agent("agent-client", config, host=scene.host)
    scene.echo()  # the negative control: without the pin it passes in plain text
    assert plain.accepts == 1


def test_damaged_state_is_said_and_left(scene):
    state = scene.lab.path("client.state")
    state.mkdir(mode=0o700)
    (state / "bundles").write_text("pavise bundles 1\nnonsense\n", encoding="ascii")
    (state / "pins").write_text("pavise pins 1\nnonsense\n", encoding="ascii")
    client = scene.start({"endpoint": scene.lab.endpoint(), "stateDirectory": str(state)})
    assert "event=state " in client.log()
    scene.echo()
    assert client.terminate() == 0
    assert "nonsense" not in (state / "bundles").read_text(encoding="ascii")


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_a_state_directory_that_others_can_write_to(scene, mode):
    state = scene.lab.path("client.state")
    state.mkdir()
    state.chmod(mode)
    client = scene.start({"endpoint": scene.lab.endpoint(), "stateDirectory": str(state)},
                         ready=False)
    assert client.wait() == 3
    assert "can be written by others" in client.log()
