"""A pod on one machine, run as the manifest says that `pavise inject` prints: start in order,
probes under strict mode, the end of the application and of the agent."""

import shutil
import time
from concurrent import futures

import grpc
import pytest
import yaml

from pavise_e2e import image, settings
from pavise_e2e.applications import echo, outcome
from pavise_e2e.image import Image
from pavise_e2e.lab import spiffe_id
from pavise_e2e.pki import Ca
from pavise_e2e.pod import Pod, injected
from pavise_e2e.waiting import wait_until

AGENT_UID = 1337
PYTHON = "/usr/bin/python3"
PEER_PORT = 7000
# The sanitizers need libraries that an image does not carry, and are not what is shipped.
pytestmark = pytest.mark.skipif(settings.has_sanitizer(), reason="images hold the shipped program")

# An application that calls its peer when it starts and when it is told to end, and serves.
APPLICATION = """
import os, signal, socket, sys, threading
def call(word):
    with socket.create_connection(("10.77.0.1", 7000), 10) as peer:
        peer.sendall(word)
        print("the peer says", peer.recv(100).decode(), flush=True)
def end(*_):
    call(b"goodbye")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("store", os.path.exists(os.environ.get("SSL_CERT_FILE", "")), flush=True)
call(b"hello")
if sys.argv[1:] == ["once"]:
    sys.exit(0)
for port in 9000, 9001:
    listening = socket.create_server(("", port))
    def serve(listening=listening):
        while True:
            connection, _ = listening.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nup")
            connection.close()
    threading.Thread(target=serve, daemon=True).start()
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    image.build(folder / "agent")
    image.build(folder / "intercept", "--intercept")
    return {"pavise:1": Image(folder / "agent"), "intercept:1": Image(folder / "intercept")}


def manifest(*words, annotations=None, spec=None, **more):
    container = {"name": "app", "image": "app:1", "command": [PYTHON, "-c", APPLICATION, *words],
                 **more}
    own = {"pavise/identity-socket": "authority.sock", **(annotations or {})}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod",
                           "metadata": {"name": "shop", "annotations": own},
                           "spec": {"terminationGracePeriodSeconds": 20, **(spec or {}),
                                    "containers": [container]}})


def peer(lab):
    """Another host of the mesh, that only the pod may call."""
    app = lab.application(lab.web, lab.web.v4, PEER_PORT, echo)
    lab.agent(lab.web, {"inbound": {"authorization": [
        {"action": "allow", "peers": [spiffe_id("shop")]}]}})
    return app


@pytest.fixture
def start(lab, images):
    def run(text, *, sources=None, **options):
        made = Pod(lab, injected(text, image="pavise:1", intercept_image="intercept:1"), images,
                   lab.server, lab.other,
                   sources={"csi.spiffe.io": lab.directory, **(sources or {})})
        made.begin(**options)
        return made

    return run


def authority(lab):
    lab.authority(entries=[{"uid": AGENT_UID, "spiffeId": spiffe_id("shop")},
                           {"uid": 1301, "spiffeId": spiffe_id("web")},
                           {"uid": 1303, "spiffeId": spiffe_id("other")}])


def test_from_start_to_end(lab, start):
    """Rules, agent, application, each when the one before it has done its part; at the end the
    application can still call others, and the agent leaves after it."""
    out = lab.application(lab.web, lab.web.v4, 7001, echo)
    into = lab.application(lab.server, lab.server.v4, 9002, echo)
    ways = [(lab.server, lab.web.v4, 7001), (lab.other, lab.server.v4, 9002)]
    assert [outcome(*way) for way in ways] == ["echoed", "echoed"]  # the control: no rules yet
    asked = []

    def while_it_waits():
        """The agent has no identity yet, and nobody gets out or in past it."""
        asked.extend(outcome(*way) for way in ways)
        authority(lab)
        asked.append(peer(lab))

    pod = start(manifest(), before_the_wait=while_it_waits)
    assert set(asked[:2]) <= {"refused", "reset"}
    assert (out.accepts, into.accepts) == (1, 1)
    assert pod.started == ["pavise-intercept", "pavise", "app"]
    app = pod.process("app")
    app.wait_for_log("the peer says hello")
    wait_until("it serves", lambda: _serves(lab, 9000))
    facts = pod.facts("pavise")
    assert facts["Uid"] == [str(AGENT_UID)] * 4 and facts["NoNewPrivs"] == ["1"]
    assert int(facts["CapBnd"][0], 16) == 0 and facts["Seccomp"] == ["2"]
    assert pod.end() == {"app": 0, "pavise": 0}
    assert "the peer says goodbye" in app.log()
    assert asked[2].accepts == 2


def _serves(lab, port):
    try:
        lab.server.connect("127.0.0.1", port).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_job_ends(lab, start, family):
    """The application has done its work: the kubelet tells the sidecar, which is done, too."""
    authority(lab)
    peer(lab)
    pod = start(manifest("once", annotations={"pavise/ip-family": family}))
    assert pod.process("app").wait() == 0
    assert pod.end_of_job() == {"pavise": 0}


ORDINARY = {"pavise/sidecar": "container"}


def test_a_job_ends_without_native_sidecars(lab, start):
    """The agent sees in the shared process namespace that the application has ended, and not before
    it has begun: it is a container like any other, and nobody tells it."""
    authority(lab)
    peer(lab)
    pod = start(manifest("once", annotations=ORDINARY, spec={"restartPolicy": "Never"}))
    assert pod.started == ["pavise-intercept", "pavise", "app"]
    assert pod.process("app").wait() == 0
    assert "the peer says hello" in pod.process("app").log()
    assert pod.process("pavise").wait() == 0
    said = pod.process("pavise").log()
    assert said.index("event=application_ended") < said.index("event=draining")
    assert "event=drained" in said


def test_an_application_that_runs_on(lab, start):
    """The control: while any of its processes is there, so is the agent; also one that was left
    behind by the first."""
    authority(lab)
    peer(lab)
    done = lab.path("done")
    stay = ["/bin/sh", "-c", f"while [ ! -e {done} ]; do sleep 0.1; done & echo left"]
    pod = start(manifest(annotations=ORDINARY, spec={"restartPolicy": "Never"}, command=stay))
    agent = pod.process("pavise")
    assert pod.process("app").wait() == 0
    time.sleep(4)  # twice as long as it takes to see an end
    assert agent.is_running() and "event=application_ended" not in agent.log()
    done.touch()
    assert agent.wait() == 0
    assert "event=application_ended" in agent.log()


def test_an_application_that_is_not_there_yet(lab, start):
    """Its image may take its time: what somebody executes in the agent's container meanwhile is not
    the application, although it is root's, and is not missed when it has ended."""
    def look_around(pod):
        done = pod.execute("pavise", ["/usr/bin/pavise", "status", "--ready", "--wait", "1s",
                                      "--address", "127.0.0.1:1"], uid=0)
        assert "no agent answers" in done.stderr
        time.sleep(3)  # longer than it takes to see an end

    authority(lab)
    peer(lab)
    pod = start(manifest("once", annotations=ORDINARY, spec={"restartPolicy": "Never"}),
                before_the_application=look_around)
    assert pod.process("app").wait() == 0
    assert "the peer says hello" in pod.process("app").log()
    assert pod.process("pavise").wait() == 0


def test_a_job_ends_the_agent_itself(lab, start):
    """Where nobody tells the sidecar: the application's last command does."""
    authority(lab)
    peer(lab)
    quit_itself = "status: {health: \"0.0.0.0:15021\", quit: true}\n"
    pod = start(manifest("once", annotations={"pavise/config": quit_itself}))
    assert pod.process("app").wait() == 0
    asked = lab.server.run([settings.program("curl"), "-sS", "-X", "POST",
                            "http://127.0.0.1:15020/quitquitquit"])
    assert asked.returncode == 0, asked.stderr
    assert pod.process("pavise").wait() == 0


class Health:
    """grpc.health.v1 of one service, by hand."""

    SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"

    def __init__(self, host, port):
        self.answer = self.NOT_SERVING
        self.asked = []
        check = grpc.unary_unary_rpc_method_handler(self._check)
        with host.entered():
            self._server = grpc.server(futures.ThreadPoolExecutor(2))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
                "grpc.health.v1.Health", {"Check": check}),))
            self._server.add_insecure_port(f"{host.v4}:{port}")
            self._server.start()

    def _check(self, request, _):
        self.asked.append(request)
        return self.answer

    def stop(self):
        self._server.stop(0).wait()


def test_probes_of_each_kind_in_strict_mode(lab, start):
    """What the kubelet asks is what the application says, while its ports are closed to others."""
    authority(lab)
    peer(lab)
    done = lab.path("done")
    pod = start(manifest(
        ports=[{"name": "http", "containerPort": 9000}],
        startupProbe={"exec": {"command": ["test", "-e", str(done)]}},
        livenessProbe={"httpGet": {"port": "http", "path": "/healthz"}},
        readinessProbe={"grpc": {"port": 9100, "service": "shop"}},
        lifecycle={"preStop": {"httpGet": {"port": 9002, "path": "/"}},
                   "postStart": {"tcpSocket": {"port": 9001}}}))
    app = pod.container("app")
    wait_until("it serves", lambda: _serves(lab, 9001))
    assert pod.probe("app", "livenessProbe")
    assert pod.handle(app["lifecycle"]["postStart"])
    assert not pod.handle(app["lifecycle"]["preStop"])  # nobody listens at 9002
    assert not pod.probe("app", "startupProbe")
    done.touch()
    assert pod.probe("app", "startupProbe")
    assert not pod.probe("app", "readinessProbe")
    health = Health(lab.server, 9100)
    try:
        assert not pod.probe("app", "readinessProbe")
        health.answer = Health.SERVING
        wait_until("it is ready", lambda: pod.probe("app", "readinessProbe"))
        assert health.asked[-1] == b"\x0a\x04shop"
    finally:
        health.stop()
    for port in (9000, 9001, 9100):  # as it was asked before the injection
        assert outcome(lab.other, lab.server.v4, port) in ("refused", "reset")
    assert pod.end() == {"app": 0, "pavise": 0}


def test_the_trust_store_is_there_first(lab, start):
    """The application's first look finds the store, with the ConfigMap's certificate in it."""
    authority(lab)
    peer(lab)
    certs = lab.path("company-roots")
    certs.mkdir()
    ca = Ca(lab.path("authority.state"), lab.directory)
    shutil.copyfile(ca.certificate, certs / "ca.pem")
    pod = start(manifest(annotations={"pavise/trust": "company-roots"}),
                sources={"company-roots": certs})
    pod.process("app").wait_for_log("the peer says")
    assert "store True" in pod.process("app").log()
    own = [line for line in certs.joinpath("ca.pem").read_text().splitlines() if line][1]
    bundle = lab.path("volumes") / "pavise-trust/ca-extra.pem"
    assert own in bundle.read_text()
    assert pod.end() == {"app": 0, "pavise": 0}
