"""How the program starts, and how it says that it cannot: exit codes and sentences."""

import socket
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.network import free_port

DONE, INPUT, USAGE, ENVIRONMENT = 0, 1, 2, 3


@pytest.fixture
def run(loopback):
    """run("agent", ...) gives (exit code, everything it said)."""
    def start(*words, env=None):
        done = subprocess.run([loopback.pavise, *map(str, words)], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=settings.environment(env), check=False)
        return done.returncode, done.stdout

    start.lab = loopback
    return start


def agent_config(lab, text):
    return lab.write("config.yaml", text)


def quiet_config():
    """Listens on a free status port and nowhere else."""
    return ("outbound: {listen: []}\ninbound: {listen: [], tunnel: []}\n"
            f"status: {{listen: '127.0.0.1:{free_port()}'}}\n")


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["agent"], ["agent", "--nonsense"], ["agent", "--config"],
    ["agent", "--config", "/x", "surplus"], ["check"], ["authority"],
    ["authority", "--socket", "/x/y"], ["authority", "--trust-domain", "example.org"],
    ["authority", "--socket", "/x/y", "--trust-domain", "UPPER CASE"],
    ["authority", "--socket", "/x/y", "--trust-domain", "example.org", "--ttl", "1s"],
    ["intercept"], ["intercept", "sideways", "--config", "/x"], ["status", "--nonsense"]])
def test_usage(run, words):
    code, said = run(*words)
    assert code == USAGE and said


@pytest.mark.parametrize("words", [["--help"], ["agent", "--help"], ["authority", "--help"],
                                   ["check", "--help"], ["intercept", "--help"],
                                   ["status", "--help"]])
def test_help(run, words):
    code, said = run(*words)
    assert code == DONE and "usage: pavise" in said


MISTAKES = {
    "outbund: {}\n": (1, 1, "outbund"),
    "outbound:\n  lisen: []\n": (2, 3, "lisen"),
    "outbound:\n  listen: [nonsense]\n": (2, 12, "nonsense"),
    "outbound:\n  mesh:\n    onUnreachable: perhaps\n": (3, 20, "perhaps"),
    "inbound:\n  ports:\n    - {port: 70000}\n": (3, 14, "70000"),
    "inbound:\n  ports:\n    - {port: 80, listen: '0.0.0.0:80'}\n": (3, None, "deliver"),
    "outbound:\n  destinations:\n    - match: {hosts: ['*.internal']}\n": (3, 23, "hosts"),
    "outbound: {\n": (None, None, ""),
    "drain: {deadline: soon}\n": (1, 19, "soon"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_name_file_line_and_column(run, text):
    line, column, word = MISTAKES[text]
    path = agent_config(run.lab, text)
    for command in ("check", "agent"):
        code, said = run(command, "--config", path, env={"SPIFFE_ENDPOINT_SOCKET": "unix:///x/y"})
        assert code == INPUT, said
        first = next(row for row in said.splitlines()
                     if row.startswith(f"{path}:") and " warning: " not in row)
        at_line, at_column, sentence = first[len(f"{path}:"):].split(":", 2)
        assert line is None or int(at_line) == line, first
        assert column is None or int(at_column) == column, first
        assert word in sentence


def test_check_accepts_what_is_right(run):
    code, said = run("check", "--config", agent_config(run.lab, quiet_config()))
    assert code == DONE, said


@pytest.mark.parametrize("example", sorted(
    path.name for path in (settings.REPOSITORY / "deploy/examples").glob("*.yaml")))
def test_check_accepts_the_examples(run, example):
    code, said = run("check", "--config", settings.REPOSITORY / "deploy/examples" / example)
    assert code == DONE, said


def test_no_such_file(run):
    path = run.lab.path("missing.yaml")
    for command in ("check", "agent"):
        code, said = run(command, "--config", path)
        assert code in (INPUT, ENVIRONMENT) and str(path) in said


def test_no_endpoint(run):
    path = agent_config(run.lab, quiet_config())
    code, said = run("agent", "--config", path)
    assert code == INPUT and "SPIFFE_ENDPOINT_SOCKET" in said


TAKEN = {
    "outbound": "outbound: {{listen: ['127.0.0.1:{port}']}}\ninbound: {{listen: [], tunnel: []}}\n",
    "explicit": "outbound: {{listen: [], listeners: [{{listen: '127.0.0.1:{port}', destination: "
                "'127.0.0.2:1'}}]}}\ninbound: {{listen: [], tunnel: []}}\n",
    "tunnel": "outbound: {{listen: []}}\ninbound: {{listen: [], tunnel: ['127.0.0.1:{port}']}}\n",
    "status": "outbound: {{listen: []}}\ninbound: {{listen: [], tunnel: []}}\n"
              "status: {{listen: '127.0.0.1:{port}'}}\n",
}


@pytest.mark.parametrize("listener", TAKEN)
def test_address_in_use(run, listener):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = TAKEN[listener].format(port=port)
        if listener != "status":
            text += f"status: {{listen: '127.0.0.1:{free_port()}'}}\n"
        path = agent_config(run.lab, "identity: {endpoint: 'unix:///x/y.sock'}\n" + text)
        code, said = run("agent", "--config", path)
    assert code == ENVIRONMENT, said
    assert f"127.0.0.1:{port}" in said and "in use" in said.lower()


def test_status_of_an_agent_that_is_not_there(run):
    code, said = run("status", "--address", f"127.0.0.1:{free_port()}")
    assert code == ENVIRONMENT and said


def test_authority_refuses_what_it_cannot_use(run):
    code, said = run("authority", "--socket", run.lab.path("no/such/place.sock"),
                     "--trust-domain", "example.org")
    assert code == ENVIRONMENT, said
    state = run.lab.path("open")
    state.mkdir(mode=0o755)
    code, said = run("authority", "--socket", run.lab.path("a.sock"), "--trust-domain",
                     "example.org", "--state", state)
    assert code == ENVIRONMENT and "0700" in said
    entries = run.lab.write("entries.yaml", "- {uid: one, spiffeId: x}\n")
    code, said = run("authority", "--socket", run.lab.path("a.sock"), "--trust-domain",
                     "example.org", "--entries", entries)
    assert code == INPUT and f"{entries}:1:" in said
