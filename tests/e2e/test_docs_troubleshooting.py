"""docs/troubleshooting.md: what it says of a start that fails, each sentence provoked, and of
trying a connection by hand."""

import re
import socket
import subprocess

import pytest

from pavise_e2e import settings
from pavise_e2e.lab import UIDS

PAGE = (settings.REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## It does not start")[2]
ROWS = dict(re.findall(r"^\| (.+?) \| ([123]) \|", SECTION, re.MULTILINE))
QUIET = """identity: {endpoint: "unix:///nowhere/at/all"}
outbound: {listen: []}
inbound: {listen: [], tunnel: []}
"""


class Start:
    """A start that is to fail; `text` is the configuration, `words` come before and after."""

    def __init__(self, folder, text=QUIET, *, before=(), after=(), config=True):
        path = folder / "agent.yaml"
        path.write_text(text, encoding="utf-8")
        words = ["--config", str(path)] if config else []
        env = {key: value for key, value in settings.environment().items()
               if key != "SPIFFE_ENDPOINT_SOCKET"}
        done = subprocess.run([*before, settings.binary(), "agent", *words, *after], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=60, env=env)
        self.code, self.said = done.returncode, done.stdout


def address_in_use(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return Start(folder, QUIET + f"status: {{listen: '127.0.0.1:{taken.getsockname()[1]}'}}\n")


def low_port(folder):
    """In a network of its own: elsewhere low ports may be everybody's."""
    may_not = "ip link set lo up && exec setpriv --bounding-set=-net_bind_service \"$@\""
    for name in ("ip", "setpriv"):
        settings.program(name)
    return Start(folder, QUIET + "status: {listen: '127.0.0.1:90'}\n", before=[
        settings.program("unshare"), "--user", "--map-root-user", "--net", "sh", "-c", may_not,
        "sh"])


def open_state(folder):
    state = folder / "state"
    state.mkdir()
    state.chmod(0o777)
    return Start(folder, QUIET.replace("all\"}", f"all\", stateDirectory: {state}}}"))


def first_process(folder):
    return Start(folder, QUIET + "drain: {withApplication: true}\n", before=[
        settings.program("unshare"), "--user", "--map-root-user", "--pid", "--fork"])


def bad_certificate(folder):
    (folder / "empty.pem").write_text("", encoding="utf-8")
    pair = f"name: a, certFile: {folder}/empty.pem, keyFile: {folder}/empty.pem"
    return Start(folder, QUIET.replace("tunnel: []", "tunnel: [], ports: [{port: 9443, "
                 f"tlsMode: required, clientAuth: none, certificates: [{{{pair}}}]}}]"))


HOW = {
    "the configuration FILE has mistakes; nothing was started":
        lambda folder: Start(folder, "identiti: {}\n"),
    "the configuration names certificates that cannot be used; nothing was started":
        bad_certificate,
    "no identity source: set identity.endpoint or $SPIFFE_ENDPOINT_SOCKET":
        lambda folder: Start(folder, QUIET.partition("\n")[2]),
    "usage: pavise agent --config FILE": lambda folder: Start(folder, config=False),
    "cannot listen on ADDRESS: Address already in use": address_in_use,
    "cannot listen on ADDRESS: Permission denied": low_port,
    "identity.stateDirectory: PATH can be written by others": open_state,
    "drain.withApplication: no process namespace is shared with the application": first_process,
    "there is no running agent to take over from":
        lambda folder: Start(folder, QUIET + "status: {listen: '127.0.0.1:9'}\n",
                             after=["--take-over"]),
}


def test_every_row_is_provoked():
    assert ROWS.keys() == HOW.keys()


@pytest.mark.parametrize("sentence", HOW)
def test_it_does_not_start(tmp_path, sentence):
    done = HOW[sentence](tmp_path)
    wanted = re.escape(sentence)
    for word in ("FILE", "ADDRESS", "PATH"):
        wanted = wanted.replace(word, r"\S+")
    assert re.search(wanted, done.said), done.said
    assert str(done.code) == ROWS[sentence], done.said


DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 15008), 20).close()
    print("taken")
except ConnectionResetError:  # right after it was taken
    print("taken")
except ConnectionRefusedError:
    print("refused")
"""


def test_to_try_a_connection_by_hand(lab):
    """As the page says, nobody is there; as anybody else, the sidecar always is."""
    lab.authority()
    lab.agent(lab.web)
    as_agent = re.search(r"^(setpriv --reuid=)1337( --clear-groups) nc .* PEER 15008", PAGE,
                         re.MULTILINE)
    python = ["/usr/bin/python3", "-c", DIAL, lab.server.v4]
    user = f"{as_agent.group(1)}{UIDS['web']}{as_agent.group(2)}".split()
    done = lab.web.run([*user, *python])
    assert done.stdout.strip() == b"refused", done.stderr
    assert lab.web.run(python).stdout.strip() == b"taken"
