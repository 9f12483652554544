"""The sandbox from inside: what the serving process may not do any more, each with a control that
shows that it can without; and from outside, what a reload may not ask for."""

import ctypes
import errno
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

from pavise_e2e import settings
from pavise_e2e.network import free_port
from pavise_e2e.waiting import wait_until

# The rows of TRIALS in tests/sandbox/trials.c, in their order, and what each is answered inside.
TRIALS = {
    "read_file": errno.EACCES,
    "write_file": errno.EACCES,
    "list_directory": errno.EACCES,
    "fork": errno.EPERM,
    "execute_memory": errno.EPERM,
    "trace_process": errno.EPERM,
    "read_process": errno.EACCES,
    "signal_process": errno.EPERM,
    "packet_socket": errno.EPERM,
    "raw_socket": errno.EPERM,
    "firewall_socket": errno.EPERM,
    "mount": errno.EPERM,
    "leave_namespace": errno.EPERM,
    "load_bpf": errno.EPERM,
    "change_uid": errno.EPERM,
    "gain_capability": errno.EPERM,
    "keyring": errno.EPERM,
    "io_uring": errno.EPERM,
    "become_dumpable": errno.EPERM,
    "change_root": errno.EPERM,
    "execute": errno.EPERM,  # the last: where it works, the agent is gone
}
NAMES = list(TRIALS)
LAYERS = {"noNewPrivs", "landlock", "capabilities", "seccomp"}
# What a machine may lack altogether, and then has nothing to forbid.
MAY_LACK = {"load_bpf", "keyring", "io_uring"}
LACKING = {errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP}


def trials_program():
    given = os.environ.get("PAVISE_TRIALS")
    path = pathlib.Path(given) if given else \
        settings.REPOSITORY / "bazel-bin/tests/sandbox/pavise_trials"
    assert path.is_file(), f"{path} is missing: bazel build //tests/sandbox:pavise_trials"
    return path


class Sandboxed:
    """An agent that serves, and a directory that it has no business in."""

    def __init__(self, lab, outside, victim):
        self.lab = lab
        self.outside = outside
        self.victim = victim
        self.port = free_port()
        self.listen = free_port()
        (outside / "secret").write_text("nobody's business")
        (outside / "mount").mkdir()

    def configuration(self, sandbox, **change):
        return {"sandbox": sandbox, "status": {"listen": f"127.0.0.1:{self.port}"},
                "outbound": {"listen": [], "listeners": [
                    {"listen": f"127.0.0.1:{self.listen}", "destination": "127.0.0.1:9"}]},
                "inbound": {"listen": [], "tunnel": []}} | change

    def start(self, sandbox, program=None, **change):
        env = {"TRIAL_DIRECTORY": str(self.outside), "TRIAL_VICTIM": str(self.victim)}
        shipped, self.lab.pavise = self.lab.pavise, program or self.lab.pavise
        try:
            self.agent = self.lab.run_agent("agent", self.configuration(sandbox, **change),
                                            host=self.lab.host, env=env)
        finally:
            self.lab.pavise = shipped
        return self.agent

    def trial(self, name):
        """What the serving process is answered; 0: it was done. None: it is another program."""
        libc = ctypes.CDLL(None, use_errno=True)
        value = ctypes.c_void_p(NAMES.index(name))
        assert libc.sigqueue(self.agent.pid, signal.SIGRTMIN, value) == 0
        lead = f"trial {name} "

        def answer():
            if os.readlink(f"/proc/{self.agent.pid}/exe").endswith("/sleep"):
                return "gone"
            said = [line for line in self.agent.log().splitlines() if line.startswith(lead)]
            return said[-1].removeprefix(lead) if said else None

        said = wait_until(f"{name} was tried", answer)
        return None if said == "gone" else int(said)

    def threads(self):
        for status in pathlib.Path(f"/proc/{self.agent.pid}/task").glob("*/status"):
            yield dict(line.split(":\t", 1) for line in status.read_text().splitlines()
                       if ":\t" in line)


@pytest.fixture
def sandboxed(loopback):
    with tempfile.TemporaryDirectory(prefix="pavise-outside-") as outside, \
            subprocess.Popen(["sleep", "300"]) as victim:
        loopback.authority()
        yield Sandboxed(loopback, pathlib.Path(outside), victim.pid)
        victim.kill()


def test_forbidden_operations(sandboxed):
    sandboxed.start("required", trials_program())
    answers = {name: sandboxed.trial(name) for name in NAMES}
    assert answers == TRIALS
    assert not (sandboxed.outside / "written").exists()
    sandboxed.agent.wait_ready()  # and goes on serving


def test_they_are_possible_without(sandboxed):
    """The control: the same operations, the same process, no sandbox."""
    sandboxed.start("off", trials_program())
    answers = {name: sandboxed.trial(name) for name in NAMES}
    sandboxed.agent.expects_death = True  # it is /bin/sleep by now
    lacking = {name for name, answer in answers.items() if answer}
    assert lacking <= MAY_LACK, answers
    assert {answers[name] for name in lacking} <= LACKING
    assert len(answers) - len(lacking) >= 10
    assert answers["execute"] is None
    assert (sandboxed.outside / "written").exists()


def test_every_thread_is_inside(sandboxed):
    agent = sandboxed.start("required")
    threads = list(sandboxed.threads())
    assert len(threads) > 3  # the control loop, a worker, the identity source and gRPC's
    for thread in threads:
        assert thread["NoNewPrivs"] == "1"
        assert thread["Seccomp"] == "2"
        for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(thread[which], 16) == 0
    config = agent.status.json("/config")
    assert config["sandbox"] == "required"
    assert config["sandboxLayers"] == {layer: True for layer in LAYERS}
    for layer in LAYERS:
        assert agent.status.metric("pavise_sandbox_layer", layer=layer) == 1


def test_off_says_so(sandboxed):
    agent = sandboxed.start("off")
    assert all(thread["Seccomp"] == "0" for thread in sandboxed.threads())
    assert agent.status.json("/config")["sandboxLayers"] == {layer: False for layer in LAYERS}


def test_a_reload_that_needs_more(sandboxed):
    agent = sandboxed.start("required")

    def reload(sandbox="required", **change):
        config = sandboxed.configuration(sandbox, **change)
        config["identity"] = {"endpoint": sandboxed.lab.endpoint()}
        sandboxed.lab.configuration("agent", config)
        agent.signal(signal.SIGHUP)

    reload(trustStore={"sources": [str(sandboxed.outside)]})
    wait_until("it is refused", lambda: "event=reload_refused" in agent.log())
    assert f"trustStore.sources[0]: {sandboxed.outside} is not among the directories that the " \
        "sandbox left open" in agent.log()
    assert "trustStore" not in agent.status.json("/config")
    output = agent.config_path.parent / "out"  # readable, like the configuration beside it
    reload(trustStore={"output": str(output)})
    wait_until("it is refused", lambda: f"trustStore.output: {output} is not among the "
               "directories that the sandbox left open for writing at the start" in agent.log())
    reload(sandbox="off")
    wait_until("it is refused", lambda: "sandbox: it cannot change while" in agent.log())
    reload(drain={"deadline": "7s"})
    wait_until("a fitting one is taken", lambda: "event=reload_done" in agent.log())
    assert agent.status.json("/config")["drain"]["deadline"] == "7s"


def test_without_a_layer(sandboxed):
    """A container whose own filter hides Landlock."""
    hide = "\n".join([
        "import ctypes, os, struct, sys",
        "def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)",
        "code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 444) + op(0x06, 0, 0, 0x50026) + "
        "op(0x06, 0, 0, 0x7fff0000)",
        "class Program(ctypes.Structure):",
        "    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_char_p)]",
        "libc = ctypes.CDLL(None)",
        "assert libc.prctl(38, 1, 0, 0, 0) == 0",
        "assert libc.prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) == 0",
        "os.execv(sys.argv[1], sys.argv[1:])",
    ])
    wrap = ["/usr/bin/python3", "-c", hide]
    lab = sandboxed.lab
    agent = lab.run_agent("agent", sandboxed.configuration("best-effort"), host=lab.host, wrap=wrap)
    assert "without these layers, which cannot be had here: landlock (ENOSYS)" in agent.log()
    assert agent.status.json("/config")["sandboxLayers"] == \
        {layer: layer != "landlock" for layer in LAYERS}
    assert agent.terminate() == 0
    agent = lab.run_agent("strict", sandboxed.configuration("required"), host=lab.host, wrap=wrap,
                          ready=False)
    assert agent.wait() == 3
    assert agent.log().strip() == ("pavise agent: sandbox: required, but the layer landlock cannot "
                                   "be had here (ENOSYS): Function not implemented")
