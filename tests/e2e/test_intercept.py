"""pavise intercept up|down|show against the kernel: what is captured, and what is not.

Two network namespaces joined by two veth pairs. In "host" a small program stands for the agent
(listeners on 15001 and 15006 that answer with the original destination) and for applications; in
"peer" the same program answers as the servers elsewhere. Needs root.
"""
import os
import re
import shutil
import subprocess
import sys

import pytest

AGENT_UID = 1337
APP_UID = 1001
OTHER_UID = 1002
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
APP_PORTS = (8080, 8081, 9000)
HOST4, PEER4 = "10.77.1.1", "10.77.1.2"
HOST6, PEER6 = "fd77:1::1", "fd77:1::2"
SIDE_HOST4, SIDE_PEER4 = "10.77.2.1", "10.77.2.2"

# Listens on ADDRESS,PORT pairs; every connection gets one line, then its own bytes back. As
# "caught" the line names where the connection was going before the redirect.
SERVER = r"""
import socket, struct, sys, threading
what = sys.argv[1]
def original(conn, peer):
    v4 = "." in peer
    level, size = (socket.SOL_IP, 16) if v4 else (41, 28)
    try:
        raw = conn.getsockopt(level, 80, size)
    except OSError as e:
        return "none"
    port = struct.unpack("!H", raw[2:4])[0]
    ip = socket.inet_ntop(socket.AF_INET, raw[4:8]) if v4 else \
        socket.inet_ntop(socket.AF_INET6, raw[8:24])
    return "%s %d" % (ip, port)
def serve(conn, peer, port):
    with conn:
        try:
            said = original(conn, peer[0]) if what == "caught" else str(port)
            conn.sendall(("%s %d %s\n" % (what, port, said)).encode())
            while True:
                data = conn.recv(4096)
                if not data:
                    return
                conn.sendall(data)
        except OSError:
            pass
def accept(sock, port):
    while True:
        conn, peer = sock.accept()
        threading.Thread(target=serve, args=(conn, peer, port), daemon=True).start()
for pair in sys.argv[2:]:
    addr, port = pair.split(",")
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(41, socket.IPV6_V6ONLY, 1)
    sock.bind((addr, int(port)))
    sock.listen(256)
    threading.Thread(target=accept, args=(sock, int(port)), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""

# Prints one line per ADDRESS,PORT pair: what the server said, or the name of the error.
CLIENT = r"""
import errno, socket, sys
for pair in sys.argv[1:]:
    addr, port = pair.split(",")
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(5)
        try:
            sock.connect((addr, int(port)))
            print(sock.makefile().readline().strip() or "closed", flush=True)
        except OSError as e:
            print(errno.errorcode.get(e.errno, "timeout"), flush=True)
"""

# One connection that is kept: says each line of standard input and prints what comes back.
HELD_CLIENT = r"""
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
lines = sock.makefile()
print(lines.readline().strip(), flush=True)
for line in sys.stdin:
    sock.sendall(line.encode())
    print(lines.readline().strip(), flush=True)
"""


def run(*command, check=True, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          **kwargs)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command[:8])}: exit {done.returncode}\n{done.stderr}")
    return done


def as_uid(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


class Namespace:
    """A network namespace, and the processes that were started in it."""

    def __init__(self, name):
        self.name = name
        self.processes = []
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command, uid=None):
        prefix = ["ip", "netns", "exec", self.name]
        return prefix + (as_uid(uid) if uid is not None else []) + list(command)

    def run(self, *command, uid=None, **kwargs):
        return run(*self.command(*command, uid=uid), **kwargs)

    def start(self, source, *arguments, uid=None):
        process = subprocess.Popen(
            self.command(PYTHON, "-c", source, *arguments, uid=uid),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def serve(self, what, *pairs, uid):
        process = self.start(SERVER, what, *pairs, uid=uid)
        assert process.stdout.readline() == "ready\n"
        return process

    def dial(self, addr, port, uid=APP_UID):
        return self.dial_all([(addr, port)], uid)[0]

    def dial_all(self, targets, uid=APP_UID):
        pairs = [f"{addr},{port}" for addr, port in targets]
        return self.run(PYTHON, "-c", CLIENT, *pairs, uid=uid).stdout.splitlines()

    def remove(self):
        for process in self.processes:
            stop(process)
        run("ip", "netns", "del", self.name, check=False)


def stop(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def join(left, left_device, right, right_device, prefix4, prefix6):
    run("ip", "link", "add", left_device, "netns", left.name, "type", "veth",
        "peer", "name", right_device, "netns", right.name)
    for space, device, host in ((left, left_device, 1), (right, right_device, 2)):
        space.run("ip", "addr", "add", f"{prefix4}.{host}/24", "dev", device)
        space.run("ip", "-6", "addr", "add", f"{prefix6}::{host}/64", "dev", device, "nodad")
        space.run("ip", "link", "set", device, "up")


def open_to_all(directory):
    """pytest's temporary directories are the user's own."""
    for place in (directory, directory.parent, directory.parent.parent):
        place.chmod(0o755)


@pytest.fixture(scope="module")
def binary(pavise):
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: interception tests need root (network namespaces and nft)")
    return str(pavise)


@pytest.fixture(scope="module")
def hosts(binary):
    made = []
    try:
        for role in ("host", "peer"):
            made.append(Namespace(f"pv-int-{os.getpid()}-{role}"))
        host, peer = made
        join(host, "main0", peer, "main1", "10.77.1", "fd77:1")
        join(host, "side0", peer, "side1", "10.77.2", "fd77:2")
        host.serve("caught", "127.0.0.1,15001", "::1,15001", "0.0.0.0,15006", "::,15006",
                   uid=AGENT_UID)
        apps = [f"{addr},{port}" for port in APP_PORTS for addr in ("0.0.0.0", "::")]
        own = [f"{addr},{port}" for port in (15008, 15021) for addr in ("0.0.0.0", "::")]
        host.serve("direct", *apps, *own, "127.0.0.1,15020", uid=OTHER_UID)
        peer.serve("direct", *apps, *own, uid=OTHER_UID)
        yield host, peer
    finally:
        for space in made:
            space.remove()


@pytest.fixture
def intercept(binary, hosts, tmp_path):
    """A function that puts in the rules of a configuration; they are gone after the test."""
    host, _ = hosts

    def up(config="{}"):
        file = tmp_path / "pavise.yaml"
        file.write_text(config)
        return host.run(binary, "intercept", "up", "--config", str(file))

    yield up
    host.run(binary, "intercept", "down")


def caught_out(addr, port):
    return f"caught 15001 {addr} {port}"


def caught_in(addr, port):
    return f"caught 15006 {addr} {port}"


def direct(port):
    return f"direct {port} {port}"


def test_outbound_is_captured_for_both_families(hosts, intercept):
    host, _ = hosts
    intercept()
    targets = [(PEER4, 8080), (PEER6, 8080), (f"::ffff:{PEER4}", 8081), (PEER4, 15008)]
    assert host.dial_all(targets) == [
        caught_out(PEER4, 8080), caught_out(PEER6, 8080), caught_out(PEER4, 8081),
        caught_out(PEER4, 15008)]
    assert host.dial(PEER4, 8080, uid=0) == caught_out(PEER4, 8080)


def test_inbound_is_captured_for_both_families(hosts, intercept):
    _, peer = hosts
    intercept()
    targets = [(HOST4, 8080), (HOST6, 8080), (SIDE_HOST4, 9000), (HOST4, 22)]
    assert peer.dial_all(targets) == [
        caught_in(HOST4, 8080), caught_in(HOST6, 8080), caught_in(SIDE_HOST4, 9000),
        caught_in(HOST4, 22)]


def test_the_agent_itself_is_not_captured(hosts, intercept):
    host, _ = hosts
    intercept()
    targets = [(PEER4, 8080), (PEER6, 8080)]
    assert host.dial_all(targets, uid=AGENT_UID) == [direct(8080), direct(8080)]
    intercept(f"intercept: {{uid: {OTHER_UID}}}")
    assert host.dial(PEER4, 8080, uid=OTHER_UID) == direct(8080)
    assert host.dial(PEER4, 8080, uid=AGENT_UID) == caught_out(PEER4, 8080)


def test_connections_to_the_host_itself_are_not_captured(hosts, intercept):
    host, _ = hosts
    intercept()
    targets = [("127.0.0.1", 8080), ("127.0.0.6", 8080), ("::1", 8080), (HOST4, 8080),
               (HOST6, 8080), ("127.0.0.1", 15020)]
    assert host.dial_all(targets) == [direct(port) for _, port in targets]


def test_own_ports_are_not_captured_from_outside(hosts, intercept):
    _, peer = hosts
    intercept('status: {health: "0.0.0.0:15021"}')
    targets = [(HOST4, 15008), (HOST6, 15008), (HOST4, 15021)]
    assert peer.dial_all(targets) == [direct(15008), direct(15008), direct(15021)]
    # The status port and the outbound listener are on loopback: from outside nobody is there.
    assert peer.dial_all([(HOST4, 15020), (HOST4, 15001)]) == ["ECONNREFUSED", "ECONNREFUSED"]


def test_excluded_ports(hosts, intercept):
    host, peer = hosts
    intercept("intercept: {inbound: {excludePorts: [8080]}, outbound: {excludePorts: [8081-9000]}}")
    assert host.dial_all([(PEER4, 8080), (PEER4, 8081), (PEER6, 9000), (PEER6, 9001)]) == [
        caught_out(PEER4, 8080), direct(8081), direct(9000), caught_out(PEER6, 9001)]
    assert peer.dial_all([(HOST4, 8080), (HOST6, 8080), (HOST4, 8081)]) == [
        direct(8080), direct(8080), caught_in(HOST4, 8081)]


def test_included_ports(hosts, intercept):
    host, peer = hosts
    intercept("intercept: {inbound: {includePorts: [8080-8081], excludePorts: [8081]}, "
              "outbound: {includePorts: [9000]}}")
    assert host.dial_all([(PEER4, 8080), (PEER4, 9000), (PEER6, 9000)]) == [
        direct(8080), caught_out(PEER4, 9000), caught_out(PEER6, 9000)]
    assert peer.dial_all([(HOST4, 8080), (HOST6, 8081), (HOST4, 9000)]) == [
        caught_in(HOST4, 8080), direct(8081), direct(9000)]


def test_excluded_networks(hosts, intercept):
    host, _ = hosts
    intercept('intercept: {outbound: {excludeNetworks: [10.77.1.0/24, "fd77:1::/64"]}}')
    assert host.dial_all([(PEER4, 8080), (PEER6, 8080), (SIDE_PEER4, 8080)]) == [
        direct(8080), direct(8080), caught_out(SIDE_PEER4, 8080)]


def test_included_networks(hosts, intercept):
    host, _ = hosts
    intercept("intercept: {outbound: {includeNetworks: [10.77.0.0/16], "
              "excludeNetworks: [10.77.2.0/24]}}")
    assert host.dial_all([(PEER4, 8080), (PEER6, 8080), (SIDE_PEER4, 8080)]) == [
        caught_out(PEER4, 8080), direct(8080), direct(8080)]
    intercept('intercept: {outbound: {includeNetworks: ["fd77:1::2"]}}')
    assert host.dial_all([(PEER4, 8080), (PEER6, 8080)]) == [direct(8080), caught_out(PEER6, 8080)]


def test_excluded_interfaces(hosts, intercept):
    host, peer = hosts
    intercept("intercept: {excludeInterfaces: [side0]}")
    assert host.dial_all([(PEER4, 8080), (SIDE_PEER4, 8080)]) == [
        caught_out(PEER4, 8080), direct(8080)]
    assert peer.dial_all([(HOST4, 8080), (SIDE_HOST4, 8080)]) == [
        caught_in(HOST4, 8080), direct(8080)]


def test_only_the_named_users_are_captured(hosts, intercept):
    host, peer = hosts
    intercept(f"intercept: {{appUids: [{APP_UID}]}}")
    assert host.dial(PEER4, 8080, uid=APP_UID) == caught_out(PEER4, 8080)
    assert host.dial(PEER6, 8080, uid=APP_UID) == caught_out(PEER6, 8080)
    assert host.dial(PEER4, 8080, uid=OTHER_UID) == direct(8080)
    assert host.dial(PEER4, 8080, uid=0) == direct(8080)
    assert peer.dial(HOST4, 8080) == caught_in(HOST4, 8080)


def test_a_direction_without_listeners_is_not_redirected(hosts, intercept):
    host, peer = hosts
    intercept("outbound: {listen: []}")
    assert (host.dial(PEER4, 8080), peer.dial(HOST4, 8080)) == (
        direct(8080), caught_in(HOST4, 8080))
    intercept("inbound: {listen: []}")
    assert (host.dial(PEER4, 8080), peer.dial(HOST4, 8080)) == (
        caught_out(PEER4, 8080), direct(8080))


def test_explicit_listeners_of_the_agent_are_not_captured(hosts, intercept):
    _, peer = hosts
    intercept(f'outbound: {{listeners: [{{listen: "{HOST4}:9000", destination: "{PEER4}:1"}}]}}')
    assert peer.dial_all([(HOST4, 9000), (SIDE_HOST4, 9000)]) == [
        direct(9000), caught_in(SIDE_HOST4, 9000)]


def test_what_no_listener_takes_is_refused_not_leaked(hosts, intercept):
    host, _ = hosts
    done = intercept('outbound: {listen: ["127.0.0.1:15777"]}')
    assert "no listener on [::1]" in done.stderr
    assert host.dial_all([(PEER4, 8080), (PEER6, 8080)]) == ["ECONNREFUSED", "ECONNREFUSED"]


def test_routed_traffic_is_not_captured(hosts, intercept):
    """A host that routes for guests: the agent would refuse what is not addressed to the host."""
    host, peer = hosts
    intercept()
    host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    host.run("ip", "route", "add", "unreachable", "10.99.0.1/32")
    peer.run("ip", "route", "add", "10.99.0.1/32", "via", HOST4)
    try:
        assert peer.dial("10.99.0.1", 8080) == "EHOSTUNREACH"  # said by the host's routing
    finally:
        peer.run("ip", "route", "del", "10.99.0.1/32")
        host.run("ip", "route", "del", "unreachable", "10.99.0.1/32")
        host.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")


def test_up_is_idempotent_and_replaces(hosts, intercept):
    host, _ = hosts
    for _ in range(3):
        assert intercept().stdout.startswith("interception is up: outbound to port 15001")
    assert host.run("nft", "list", "tables").stdout == "table inet pavise\n"
    intercept("intercept: {outbound: {excludePorts: [8080]}}")
    assert host.dial_all([(PEER4, 8080), (PEER4, 8081)]) == [direct(8080), caught_out(PEER4, 8081)]


def test_down_leaves_nothing_and_is_idempotent(hosts, binary, intercept):
    host, _ = hosts
    host.run("nft", "add", "table", "inet", "of_somebody_else")
    try:
        intercept()
        for _ in range(2):
            assert host.run(binary, "intercept", "down").stdout == "interception is down\n"
        assert host.run("nft", "list", "tables").stdout == "table inet of_somebody_else\n"
        assert host.dial(PEER4, 8080) == direct(8080)
    finally:
        host.run("nft", "delete", "table", "inet", "of_somebody_else")


def test_down_does_not_need_a_good_configuration(hosts, binary, intercept, tmp_path):
    host, _ = hosts
    intercept()
    (tmp_path / "bad.yaml").write_text("no: such: yaml")
    host.run(binary, "intercept", "down", "--config", str(tmp_path / "bad.yaml"))
    assert host.run("nft", "list", "tables").stdout == ""


def test_show_prints_the_rules_in_force_with_counters(hosts, binary, intercept):
    host, _ = hosts
    nothing = host.run(binary, "intercept", "show", check=False)
    assert nothing.returncode == 1
    assert "no rules are in force" in nothing.stderr
    intercept()
    host.dial(PEER4, 8080)
    shown = host.run(binary, "intercept", "show").stdout
    assert shown.startswith("table inet pavise {")
    assert re.search(r"counter packets 1 bytes \d+ redirect to :15001", shown)


def test_dry_run_needs_no_privilege_and_changes_nothing(hosts, binary, tmp_path):
    host, _ = hosts
    file = tmp_path / "pavise.yaml"
    file.write_text("intercept: {uid: 4242}")
    open_to_all(tmp_path)
    text = host.run(binary, "intercept", "up", "--dry-run", "--config", str(file), uid=OTHER_UID)
    assert text.stdout.startswith("add table inet pavise\ndelete table inet pavise\n")
    assert "meta skuid 4242" in text.stdout
    assert host.run("nft", "list", "tables").stdout == ""
    # What it prints is what nft takes, in one transaction.
    host.run("nft", "-f", "-", input=text.stdout)
    host.run("nft", "-f", "-",
             input=host.run(binary, "intercept", "down", "--dry-run", uid=OTHER_UID).stdout)
    assert host.run("nft", "list", "tables").stdout == ""


def test_mistakes_have_their_exit_codes(hosts, binary, tmp_path):
    host, _ = hosts
    bad = tmp_path / "bad.yaml"
    bad.write_text('intercept: {excludeInterfaces: ["a; flush ruleset"]}\n')
    wrong = host.run(binary, "intercept", "up", "--config", str(bad), check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith(f"{bad}:1:")
    for words in ([], ["sideways"], ["up"], ["up", "down", "--config", "x"], ["down", "--bad"],
                  ["show", "--dry-run"]):
        usage = host.run(binary, "intercept", *words, check=False)
        assert usage.returncode == 2, words
        assert "usage: pavise intercept" in usage.stderr
    for word in ("down", "show"):
        refused = host.run(binary, "intercept", word, uid=OTHER_UID, check=False)
        assert refused.returncode == 3
        assert "NET_ADMIN" in refused.stderr


def test_net_admin_alone_is_enough(hosts, binary, intercept):
    host, _ = hosts
    intercept()
    caps = ["--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin"]
    host.run("setpriv", *caps, binary, "intercept", "show")
    host.run("setpriv", *caps, binary, "intercept", "down")
    assert host.run("nft", "list", "tables").stdout == ""


def test_missing_nft_is_said(hosts, binary):
    host, _ = hosts
    hide = ("for d in /usr/sbin /sbin /usr/bin /bin /usr/local/sbin /usr/local/bin; do "
            "[ -x $d/nft ] && mount --bind /dev/null $d/nft; done; exec \"$@\"")
    missing = host.run("unshare", "-m", "sh", "-c", hide, "sh", binary, "intercept", "down",
                       check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert missing.returncode == 3
    assert "nftables" in missing.stderr


def test_live_connections_survive_replacement(hosts, intercept):
    host, _ = hosts
    intercept()
    held = host.start(HELD_CLIENT, PEER4, "8080", uid=APP_UID)
    assert held.stdout.readline().strip() == caught_out(PEER4, 8080)
    for number in range(20):
        intercept("{}" if number % 2 else "intercept: {outbound: {excludePorts: [53]}}")
        held.stdin.write(f"line {number}\n")
        held.stdin.flush()
        assert held.stdout.readline().strip() == f"line {number}"


def test_nothing_slips_past_while_rules_are_replaced(hosts, intercept):
    host, _ = hosts
    intercept()
    pairs = [f"{addr},8080" for addr in (PEER4, PEER6)] * 400
    client = host.start(CLIENT, *pairs, uid=APP_UID)
    replaced = 0
    while client.poll() is None:
        intercept()
        replaced += 1
    lines = client.stdout.read().splitlines()
    assert replaced > 1
    assert set(lines) == {caught_out(PEER4, 8080), caught_out(PEER6, 8080)}
    assert len(lines) == len(pairs)
