"""Addresses of Kubernetes Services: one address leads to many pods, and for the application's port
only. What kube-proxy does on a node is done here by rules of the host that calls, behind the
agent's own."""

import socket

import pytest

from pavise_e2e.applications import GREETING, echo, echo_once, outcome, speak_first
from pavise_e2e.lab import UIDS, spiffe_id

SERVICES = {"kubernetes": {"services": True}}
REFUSED = ("refused", "reset", "closed")
QUESTION = b"\0PAVISE: where?\n"
PORT, TARGET = 80, 9000
ADDRESS = {"v4": "10.77.0.200", "v6": "fd77::200"}
RULES = """
table {table} service {{
    chain output {{
        type nat hook output priority 10;
        {ip} daddr {address} tcp dport {port} dnat to numgen inc mod {num} map {{ {pods} }} : {to}
    }}
    chain others {{
        type filter hook output priority 20;
        {ip} daddr {address} meta l4proto tcp reject with tcp reset
    }}
}}
"""


def service(lab, *pods, family="v4", port=PORT):
    """The Service's address on `web`; what has no endpoint is rejected, as by kube-proxy."""
    table = ip = "ip" if family == "v4" else "ip6"
    rows = ", ".join(f"{i} : {getattr(pod, family)}" for i, pod in enumerate(pods))
    text = RULES.format(table=table, ip=ip, to=TARGET, address=ADDRESS[family], port=port,
                        num=max(len(pods), 1), pods=rows or "0 : ::")
    if not pods:
        text = "\n".join(line for line in text.splitlines() if "dnat" not in line)
    done = lab.web.run(["nft", "-f", "-"], input=text.encode())
    assert done.returncode == 0, done.stderr.decode()
    return ADDRESS[family]


def change_pods(lab, *pods):
    assert lab.web.run(["nft", "delete", "table", "ip", "service"]).returncode == 0
    return service(lab, *pods)


def state(agent, address):
    rows = {row["address"]: row["state"] for row in agent.status.rows("/destinations")}
    return rows.get(address)


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_service_of_two_pods(lab, family):
    """Each connection reaches the pod that the node chose for it, through a tunnel to that pod."""
    lab.authority()
    web = lab.agent(lab.web, SERVICES)
    apps = []
    for pod in lab.server, lab.other:
        lab.agent(pod, SERVICES)
        apps.append(lab.application(pod, getattr(pod, family), TARGET, echo))
    address = service(lab, lab.server, lab.other, family=family)
    for _ in range(8):
        echo_once(lab.web, address, PORT)
    assert min(app.accepts for app in apps) >= 2 and sum(app.accepts for app in apps) == 8
    assert web.status.metric("pavise_plaintext_connections_total", direction="outbound") == 0
    assert state(web, address) == "service"
    assert {state(web, getattr(pod, family)) for pod in (lab.server, lab.other)} == {"pinned"}
    text = f"service={address}:{PORT}" if family == "v4" else f"service=[{address}]:{PORT}"
    web.wait_for_log(text)


def answer_http(connection, application):
    application.note(connection.recv(4096))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n")


def test_a_port_with_http_rules(lab):
    """It can be asked as well, and its rules hold for what comes through the tunnel."""
    rule = {"methods": ["GET"], "pathPrefix": "/open"}
    lab.pair(SERVICES, {**SERVICES, "inbound": {"ports": [
        {"port": TARGET, "protocol": "http", "httpRules": [rule]}]}})
    app = lab.application(lab.server, lab.server.v4, TARGET, answer_http)
    address = service(lab, lab.server)
    asked = [lab.web.run(["curl", "-sS", "-m", "20", "-w", "%{http_code}", "--noproxy", "*",
                          f"http://{address}:{PORT}{path}"]).stdout.decode()
             for path in ("/open/1", "/other")]
    assert asked[0] == "hi\n200" and asked[1].endswith("404")
    assert app.accepts == 1


def test_a_server_that_speaks_first(lab):
    lab.pair(SERVICES, SERVICES)
    lab.application(lab.server, lab.server.v4, TARGET, speak_first)
    address = service(lab, lab.server)
    connection = lab.connect(lab.web, address, PORT)
    assert connection.recv(100) == GREETING


def test_without_the_key_nobody_asks_or_answers(lab):
    web, server = lab.pair()
    app = lab.application(lab.server, lab.server.v4, TARGET, echo)
    address = service(lab, lab.server)
    assert outcome(lab.web, address, PORT) in REFUSED
    assert web.status.wait_for_refusal("tunnel_unreachable")
    web.rewrite(lambda config: config.update(SERVICES))
    web.reload()
    web.status.post(f"/destinations/forget?address={address}")
    assert outcome(lab.web, address, PORT) in REFUSED
    server.status.wait_for_refusal("direct_refused")
    assert app.accepts == 0


def test_authorization_holds(lab):
    """The pod judges by who calls and by its own port, not by the Service's."""
    allow = {"action": "allow", "peers": [spiffe_id("web")], "ports": [TARGET]}
    web, server = lab.pair(SERVICES, {**SERVICES, "inbound": {"authorization": [allow]}})
    app = lab.application(lab.server, lab.server.v4, TARGET, echo)
    address = service(lab, lab.server)
    echo_once(lab.web, address, PORT)
    server.rewrite(lambda config: config["inbound"].update(
        authorization=[{**allow, "peers": [spiffe_id("other")]}]))
    server.reload()
    assert outcome(lab.web, address, PORT) in REFUSED
    assert web.status.wait_for_refusal("refused_by_peer")
    assert app.accepts == 1


def test_strict_refuses_everything_else(lab):
    """A question and its answer are all that passes a strict port in the clear."""
    lab.authority()
    server = lab.agent(lab.server, SERVICES)
    app = lab.application(lab.server, lab.server.v4, TARGET, echo)
    answer = f"{lab.server.v4}:{TARGET}\n".encode()
    with lab.other.connect(lab.server.v4, TARGET) as connection:
        connection.sendall(QUESTION)
        assert connection.recv(100) == answer and connection.recv(1) == b""
    for data in b"hello", QUESTION[:-1], QUESTION[:1], b"\x16\x03\x01", b"":
        with lab.other.connect(lab.server.v4, TARGET) as connection:
            connection.sendall(data)
            assert ended(connection), data
    # What comes after the question reaches nobody.
    with lab.other.connect(lab.server.v4, TARGET) as connection:
        connection.sendall(QUESTION + b"hello")
        assert received(connection) in (b"", answer)
    assert app.accepts == 0
    assert server.status.wait_for_refusal("direct_refused")


def received(connection):
    got = b""
    try:
        while more := connection.recv(100):
            got += more
    except ConnectionResetError:
        pass
    return got


def ended(connection):
    return received(connection) == b""


def test_permissive_passes_what_is_no_question(lab):
    lab.authority()
    lab.agent(lab.server, {**SERVICES, "inbound": {"mode": "permissive"}})
    lab.application(lab.server, lab.server.v4, TARGET, echo)
    lab.application(lab.server, lab.server.v4, TARGET + 1, speak_first)
    echo_once(lab.other, lab.server.v4, TARGET)
    echo_once(lab.other, lab.server.v4, TARGET, b"\0PAVISE: what?\n?")
    with lab.other.connect(lab.server.v4, TARGET + 1) as connection:
        assert connection.recv(100) == GREETING
    with lab.other.connect(lab.server.v4, TARGET) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    # And a sidecar that dials the Service of a permissive pod still gets a tunnel.
    web = lab.agent(lab.web, SERVICES)
    echo_once(lab.web, service(lab, lab.server), PORT)
    assert web.status.metric("pavise_plaintext_connections_total", direction="outbound") == 0


def test_a_service_without_sidecars(lab):
    """Refused under deny; passed under plaintext, where it never had a sidecar."""
    lab.authority()
    web = lab.agent(lab.web, SERVICES)
    app = lab.application(lab.server, lab.server.v4, TARGET, echo)
    address = service(lab, lab.server)
    assert outcome(lab.web, address, PORT) in REFUSED
    assert web.status.wait_for_refusal("tunnel_unreachable")
    assert app.accepts <= 1 and state(web, address) == "unreachable"
    web.rewrite(lambda config: config["outbound"]["mesh"].update(onUnreachable="plaintext"))
    web.reload()
    web.status.post(f"/destinations/forget?address={address}")
    echo_once(lab.web, address, PORT)
    assert state(web, address) == "plaintext"


def test_never_plaintext_again(lab):
    """A Service that had sidecars is not passed in the clear when its pods lose them, also by the
    next process."""
    lab.authority()
    web = lab.agent(lab.web, {**SERVICES, "outbound": {"mesh": {"onUnreachable": "plaintext"}}})
    server = lab.agent(lab.server, SERVICES)
    lab.application(lab.server, lab.server.v4, TARGET, echo)
    bare = lab.application(lab.other, lab.other.v4, TARGET, echo)
    address = service(lab, lab.server)
    echo_once(lab.web, address, PORT)
    old, web = web, lab.successor(web, "successor", host=lab.web, uid=UIDS["web"])
    assert old.wait() == 0
    assert state(web, address) == "service"
    change_pods(lab, lab.other)
    assert outcome(lab.web, address, PORT) in REFUSED
    refusal = web.status.wait_for_refusal("tunnel_unreachable")
    assert "sidecars are behind" in refusal["detail"]
    assert b"hello" not in bytes(bare.received)
    change_pods(lab)
    assert outcome(lab.web, address, PORT) in REFUSED
    change_pods(lab, lab.server)
    echo_once(lab.web, address, PORT)
    assert server.is_running()


@pytest.mark.parametrize("answer", [b"", b"10.77.0.2\n", b"192.0.2.1:9000\n", b"127.0.0.1:9000\n",
                                    b"[fd77::2]:9000\n", b"10.77.0.2:9000\nmore", b"1" * 100,
                                    b"220 hello\r\n"])
def test_answers_that_are_not_taken(lab, answer):
    """Whoever answers leads nowhere but to a place where peers may be, and there to a tunnel."""
    def lie(connection, application):
        application.note(connection.recv(100))
        connection.sendall(answer)

    lab.authority()
    web = lab.agent(lab.web, SERVICES)
    liar = lab.application(lab.other, lab.other.v4, TARGET, lie)
    assert outcome(lab.web, service(lab, lab.other), PORT) in REFUSED
    assert web.status.wait_for_refusal("tunnel_unreachable")
    assert bytes(liar.received) in (QUESTION, b"")


def test_rules_hold_for_the_pod(lab):
    rules = [{"name": "clear", "match": {"networks": ["10.77.0.2/32"]}, "tls": "passthrough"}]
    web, _ = lab.pair({**SERVICES, "outbound": {"destinations": rules}}, SERVICES)
    app = lab.application(lab.server, lab.server.v4, TARGET, echo)
    assert outcome(lab.web, service(lab, lab.server), PORT) in REFUSED
    refusal = web.status.wait_for_refusal("denied_by_rule")
    assert "rule clear" in refusal["detail"]
    assert app.accepts == 0
