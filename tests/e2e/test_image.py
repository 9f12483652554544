"""The container images of deploy/image: reproducible, small, and run by crun as they are."""

import json
import os
import pathlib
import stat
import subprocess

import pytest

from pavise_e2e import image, settings
from pavise_e2e.image import Container, Image
from pavise_e2e.lab import UIDS
from pavise_e2e.status import Status
from pavise_e2e.waiting import wait_until

AGENT_UID, NOBODY = 1337, 65534
# The sanitizers need libraries that an image does not carry, and are not what is shipped.
pytestmark = pytest.mark.skipif(settings.has_sanitizer(), reason="images hold the shipped program")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    image.build(folder / "agent")
    image.build(folder / "intercept", "--intercept")
    return folder


@pytest.fixture(scope="module")
def images(layouts):
    return Image(layouts / "agent"), Image(layouts / "intercept")


@pytest.mark.parametrize("options", [[], ["--intercept"]])
def test_two_builds_are_one_image(tmp_path, options):
    assert image.build(tmp_path / "a", *options) == image.build(tmp_path / "b", *options)
    assert sorted(path.name for path in (tmp_path / "a/blobs/sha256").iterdir()) == \
        sorted(path.name for path in (tmp_path / "b/blobs/sha256").iterdir())


def test_what_is_in_it(images, tmp_path):
    agent, intercept = images
    root = agent.unpack(tmp_path / "agent")
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {"usr/bin/pavise", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"} <= files
    libraries = {path.rpartition("/")[2] for path in files if ".so" in path}
    assert libraries == {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    assert not any(path.rpartition("/")[2] in ("sh", "dash", "bash", "busybox") for path in files)
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
    assert agent.config["config"]["User"] == f"{AGENT_UID}:{AGENT_UID}"
    assert agent.config["config"]["Healthcheck"]["Test"][1:] == \
        ["/usr/bin/pavise", "status", "--ready"]
    assert intercept.config["config"]["User"] == f"{NOBODY}:{NOBODY}"


def buildah(lab, *words):
    return subprocess.run([
        settings.program("buildah"), "--root", lab.path("storage"), "--runroot", lab.path("run"),
        "--storage-driver", "vfs", *map(str, words)], text=True, capture_output=True, timeout=120,
        check=False, env=settings.environment(), cwd=lab.directory)


@pytest.mark.parametrize("kind", ["agent", "intercept"])
def test_other_tools_take_it(loopback, layouts, kind):
    """Debian's buildah, which is podman's builder: the image as it is, and its program runs."""
    # buildah makes a name of the path: a temporary directory's is none now and then.
    loopback.path("layout").symlink_to(layouts / kind)
    made = buildah(loopback, "from", "--name", kind, "oci:layout:latest")
    assert made.returncode == 0, made.stderr
    docker = json.loads(buildah(loopback, "inspect", kind).stdout)["Docker"]["config"]
    assert docker["Entrypoint"] == ["/usr/bin/pavise"]
    if kind == "agent":
        assert docker["Healthcheck"]["Test"] == ["CMD", "/usr/bin/pavise", "status", "--ready"]
        check = buildah(loopback, "run", "--isolation", "chroot", kind, "--",
                        *docker["Healthcheck"]["Test"][1:])
        assert check.returncode == 3 and "no agent answers" in check.stderr
    else:
        root = pathlib.Path(buildah(loopback, "mount", kind).stdout.strip())
        assert os.getxattr(root / "usr/bin/pavise", "security.capability")[:1] == b"\x01"


def test_the_agent_runs(lab, images):
    """As uid 1337, read-only root, no capability, no_new_privs; the health check of the image."""
    lab.authority(entries=[{"uid": AGENT_UID, "spiffeId": "spiffe://example.org/web"}])
    config = lab.write("agent.yaml", json.dumps({
        "identity": {"endpoint": "unix:///run/spiffe/authority.sock"},
        "status": {"health": "0.0.0.0:15021"}}))
    container = Container(lab, "agent", images[0], host=lab.server, mounts=[
        (config, "/etc/pavise/agent.yaml", "ro"), (lab.directory, "/run/spiffe", "ro")])
    agent = lab.start("agent", container.argv())
    health = Status(lab.other, 15021, lab.server.v4)
    wait_until("the agent is ready", health.is_ready)
    check = Container(lab, "check", images[0], args=["status", "--ready"], host=lab.server)
    assert check.run().returncode == 0
    assert agent.terminate() == 0
    assert check.run().returncode != 0


def intercept(lab, images, args, name="intercept", capabilities=("CAP_NET_ADMIN",)):
    config = lab.write("agent.yaml", json.dumps({
        "intercept": {"uid": UIDS["server"]}, "status": {"health": "0.0.0.0:15021"}}))
    return Container(lab, name, images[1], args=args, host=lab.server, capabilities=capabilities,
                     mounts=[(config, "/etc/pavise/agent.yaml", "ro")]).run()


def rules(lab):
    return lab.server.run([settings.program("nft"), "list", "ruleset"]).stdout.decode()


def test_interception_without_root(lab, images):
    """uid 65534 and no_new_privs: the file capability, and what the pod adds, suffice."""
    done = intercept(lab, images, None)
    assert done.returncode == 0, done.stderr
    assert "interception is up" in done.stdout
    assert "redirect to :15001" in rules(lab) and "15021" in rules(lab)
    done = intercept(lab, images, ["intercept", "down"], name="down")
    assert done.returncode == 0, done.stderr
    assert "redirect" not in rules(lab)


def test_interception_without_net_admin_says_so(lab, images):
    """The control: the file capability alone is nothing."""
    done = intercept(lab, images, None, capabilities=())
    assert done.returncode != 0
    assert "redirect" not in rules(lab)
