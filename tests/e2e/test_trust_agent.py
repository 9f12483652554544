"""The trust store while the agent runs: kept in step, waited for, shown."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from pavise_e2e import settings
from pavise_e2e.network import free_port
from pavise_e2e.trust import count
from pavise_e2e.waiting import wait_until


class Scene:
    def __init__(self, loopback, trust):
        self.lab, self.trust = loopback, trust
        loopback.authority()
        self.port = free_port()

    def configuration(self, **change):
        sandbox = {"sandbox": change.pop("sandbox")} if "sandbox" in change else {}
        store = {"sources": [str(self.trust.sources)], "output": str(self.trust.output)} | change
        return sandbox | {"trustStore": store, "outbound": {"listen": []},
                "inbound": {"listen": [], "tunnel": []},
                "status": {"listen": f"127.0.0.1:{self.port}"}}

    def start(self, **change):
        ready = change.pop("ready", True)
        config = self.configuration(**change)
        self.agent = self.lab.run_agent("agent", config, host=self.lab.host, ready=ready)
        return self.agent

    def reload(self, **change):
        config = self.configuration(**change)
        config["identity"] = {"endpoint": self.lab.endpoint()}
        self.lab.configuration("agent", config)
        self.agent.signal(signal.SIGHUP)

    def put(self, ca, name):
        """As a careful program does it."""
        shutil.copyfile(ca.certificate, self.trust.sources / ".new")
        (self.trust.sources / ".new").rename(self.trust.sources / name)

    def view(self):
        return self.agent.status.json("/trust")

    def names(self):
        return {row["name"] for row in self.view()["certificates"]}

    def wait_names(self, *names):
        wait_until(f"the store has {names}", lambda: self.names() == set(names))


@pytest.fixture
def scene(loopback, trust):
    return Scene(loopback, trust)


def test_complete_before_ready(scene):
    scene.put(scene.trust.ca(), "private.pem")
    scene.start()
    view = scene.view()
    assert view["state"] == "written"
    assert view["generation"] == 1
    assert scene.names() == {"private"}
    assert view["total"] == 1
    number = count(scene.trust.pem())
    assert number == view["publicRoots"]["certificates"] + 1
    assert len(scene.agent.status.json("/trust?all")["certificates"]) == number
    assert "Load certificate from specific path. alias = private, thumbprint = " in \
        scene.agent.log()


def test_not_ready_without_public_roots(scene):
    roots = scene.trust.ca("roots")
    path = scene.trust.directory / "roots.pem"
    scene.start(ready=False, publicRoots=str(path))
    status = scene.agent.status

    def pending():
        try:
            code, text = status.get("/readyz")
        except OSError:
            return None
        return text if code == 503 and "No such file" in text else None

    text = wait_until("/readyz says what is missing", pending)
    assert "trust: the trust store is not written yet: trustStore.publicRoots" in text
    assert status.metric("pavise_trust_last_sync_successful") == 0
    shutil.copyfile(roots.certificate, path)
    scene.agent.wait_ready()
    assert count(scene.trust.pem()) == 1


def test_adding_changing_and_removing(scene):
    one, two, three = (scene.trust.ca(name) for name in ("one", "two", "three"))
    scene.start()
    scene.put(one, "a.pem")
    scene.wait_names("a")
    scene.put(two, "b.pem")
    scene.wait_names("a", "b")
    scene.put(three, "a.pem")
    wait_until("the file's new content",
               lambda: three.certificate.read_text() in scene.trust.pem("ca-extra.pem"))
    assert one.certificate.read_text() not in scene.trust.pem()
    (scene.trust.sources / "b.pem").unlink()
    scene.wait_names("a")
    assert scene.trust.pem("ca-extra.pem") == three.certificate.read_text()
    with open(scene.trust.sources / "a.pem", "w", encoding="ascii") as file:  # in place
        file.write(one.certificate.read_text())
    wait_until("the file's new content",
               lambda: scene.trust.pem("ca-extra.pem") == one.certificate.read_text())
    (scene.trust.sources / "a.pem").unlink()
    scene.wait_names()
    assert scene.trust.pem("ca-extra.pem") == ""


def test_a_kubernetes_volume(scene):
    source = scene.trust.sources
    for index in range(2):
        (source / f"..{index}").mkdir()
        shutil.copyfile(scene.trust.ca(f"v{index}").certificate, source / f"..{index}/ca.crt")
    (source / "..data").symlink_to("..0")
    (source / "ca.crt").symlink_to("..data/ca.crt")
    scene.start()
    assert scene.names() == {"ca"}
    (source / "..data_tmp").symlink_to("..1")
    (source / "..data_tmp").rename(source / "..data")
    wait_until("the other volume", lambda: scene.view()["certificates"][0]["subjectName"] ==
               "CN=v1 root,O=Pavise tests")


def test_a_file_that_breaks_keeps_what_it_held(scene):
    ca = scene.trust.ca()
    scene.put(ca, "private.pem")
    scene.start()
    (scene.trust.sources / "private.pem").write_text(ca.certificate.read_text()[:-50])
    wait_until("the problem is said", lambda: any(
        "stay until it is mended" in row["reason"] for row in scene.view()["problems"]))
    assert scene.names() == {"private"}
    assert ca.certificate.read_text() in scene.trust.pem()
    assert scene.agent.status.metric("pavise_trust_problems") == 2
    scene.put(ca, "private.pem")
    wait_until("all is well", lambda: not scene.view()["problems"])
    assert scene.view()["generation"] == 1  # nothing an application reads has changed


def test_restart_needed(scene):
    """Who started before the store changed is named; who starts afterwards is not. Inside the
    sandbox the agent sees no other process."""
    scene.put(scene.trust.ca("one"), "one.pem")
    scene.start(sandbox="off")

    def start():
        return subprocess.Popen(["sleep", "300"],
                                env=settings.environment(scene.trust.variables()))

    def flagged():
        return {row["pid"] for row in scene.view()["processes"] if row["restartNeeded"]}

    old = start()
    try:
        wait_until("it is seen", lambda: old.pid in
                   {row["pid"] for row in scene.view()["processes"]})
        assert not scene.view()["restartNeeded"]
        time.sleep(0.05)  # starts are known to the tick
        scene.put(scene.trust.ca("two"), "two.pem")
        scene.wait_names("one", "two")
        wait_until("it is flagged", lambda: flagged() == {old.pid})
        assert scene.agent.status.metric("pavise_trust_restart_needed_processes") == 1
        new = start()
        try:
            wait_until("the new one is seen", lambda: new.pid in
                       {row["pid"] for row in scene.view()["processes"]})
            assert flagged() == {old.pid}
            text = subprocess.run([scene.trust.pavise, "status", "trust", "--address",
                                   f"127.0.0.1:{scene.port}"], capture_output=True, text=True,
                                  check=True).stdout
        finally:
            new.kill()
            new.wait()
    finally:
        old.kill()
        old.wait()
    assert f"restart needed: sleep (pid {old.pid})" in text
    assert "two   CN=two root,O=Pavise tests" in text
    wait_until("it is gone", lambda: not scene.view()["restartNeeded"])


def test_metrics(scene):
    ca = scene.trust.ca()
    scene.put(ca, "private.pem")
    scene.start()
    status = scene.agent.status
    assert status.metric("pavise_trust_generation") == 1
    assert status.metric("pavise_trust_certificates", origin="user") == 1
    series = 'pavise_certificate_not_after_timestamp_seconds{kind="trust",name="private"} '
    line = next(row for row in status.get("/metrics")[1].splitlines() if row.startswith(series))
    assert abs(int(line.split()[-1]) - time.time() - 30 * 86400) < 3600
    rows = {row["kind"]: row for row in status.json("/certs")["certificates"]}
    assert rows["trust"]["name"] == "private"


def test_a_store_that_somebody_removes_is_written_again(scene):
    """The directory itself, too, where the sandbox does not forbid to make it."""
    scene.put(scene.trust.ca(), "private.pem")
    scene.start(sandbox="off")
    shutil.rmtree(scene.trust.output)
    wait_until("it is back", lambda: (scene.trust.output / "ca-bundle.pem").exists())
    assert count(scene.trust.pem("ca-extra.pem")) == 1


def test_reload(scene):
    one, two = scene.trust.ca("one"), scene.trust.ca("two")
    scene.put(one, "one.pem")
    named = [{"name": "named", "file": str(two.certificate)}]
    scene.start(certificates=named)
    scene.wait_names("one", "named")
    scene.reload()
    scene.wait_names("one")
    scene.reload(certificates=named)
    scene.wait_names("one", "named")
    scene.reload(sources=[], certificates=named)
    scene.wait_names("named")
    scene.reload(sources=[], publicRoots="none")
    scene.wait_names()
    assert scene.trust.pem() == ""


def test_named_files_are_followed_only_with_auto_sync(scene):
    first, second = scene.trust.ca("first"), scene.trust.ca("second")
    followed, once = (scene.trust.directory / name for name in ("followed.pem", "once.pem"))
    for path in (followed, once):
        shutil.copyfile(first.certificate, path)
    named = [{"name": "followed", "file": str(followed), "autoSync": True},
             {"name": "once", "file": str(once)}]
    scene.start(certificates=named)
    for path in (once, followed):
        shutil.copyfile(second.certificate, path)

    def own(name):
        return (scene.trust.output / "certs/public" / name).read_text()

    wait_until("the followed one", lambda: own("followed") == second.certificate.read_text())
    assert own("once") == first.certificate.read_text()
    scene.reload(certificates=named)
    wait_until("the reload reads the other one too",
               lambda: first.certificate.read_text() not in scene.trust.pem())


def test_url_that_syncs(scene):
    trust = scene.trust
    public, one, two = trust.ca("public"), trust.ca("one"), trust.ca("two")
    server = trust.server(public.server_certificate(), {"/c": one.certificate.read_bytes()})
    still = trust.server(public.server_certificate("still"), {"/c": one.certificate.read_bytes()})
    scene.start(publicRoots=str(public.certificate), certificates=[
        {"name": "followed", "url": server.url("/c"), "autoSync": True, "syncInterval": "1s"},
        {"name": "once", "url": still.url("/c")}])
    wait_until("it was fetched",
               lambda: one.certificate.read_text() in trust.pem("ca-extra.pem"))
    server.content["/c"] = two.certificate.read_bytes()
    wait_until("the new one",
               lambda: two.certificate.read_text() in trust.pem("ca-extra.pem"))
    assert len(still.requests) == 1
    server.content["/c"] = (500, b"")
    wait_until("the failure is said", lambda: any(
        "the server answers 500; what was fetched before stays" in row["reason"]
        for row in scene.view()["problems"]))
    assert two.certificate.read_text() in trust.pem("ca-extra.pem")
    wait_until("in the log", lambda: "trust_sync msg=\"followed: fetched" in scene.agent.log())


def test_spiffe_bundles(scene):
    scene.start(spiffeBundles=True)
    scene.wait_names(f"spiffe-{settings.TRUST_DOMAIN}")
    assert count(scene.trust.pem("ca-extra.pem")) >= 1
    assert scene.view()["certificates"][0]["origin"] == "spiffe"


def test_an_expiring_certificate_goes_by_itself(scene, pavise):
    """With policy.expired: refuse, at the second at which it expires."""
    ca = scene.trust.ca("short")
    key, certificate = ca.key, scene.trust.sources / "short.pem"
    from pavise_e2e.trust import openssl
    end = time.gmtime(time.time() + 4)
    stamp = time.strftime("%Y%m%d%H%M%SZ", end)
    config = scene.trust.directory / "ca.cnf"
    (scene.trust.directory / "index.txt").write_text("")
    config.write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\n"
                      "rand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\n"
                      "commonName=supplied\n[e]\nbasicConstraints=critical,CA:TRUE\n"
                      % (scene.trust.directory, scene.trust.directory))
    request = scene.trust.directory / "short.csr"
    openssl("req", "-new", "-key", key, "-out", request, "-subj", "/CN=short lived")
    openssl("ca", "-batch", "-config", config, "-selfsign", "-keyfile", key, "-in", request,
            "-out", certificate, "-enddate", stamp, "-notext")
    scene.start(policy={"expired": "refuse"})
    scene.wait_names()
    wait_until("the reason", lambda: any(
        "it has expired" in row["reason"] for row in scene.view()["problems"]))
    assert os.path.exists(certificate)
