"""What servers outside are shown, offered and asked: client certificates of one's own, ALPN, the
server's whole subject; and what ends open connections."""

import time

import pytest

from pavise_e2e import nginx, settings
from pavise_e2e.applications import assert_cut
from pavise_e2e.edge import CLIENT, Pki
from pavise_e2e.lab import ENTRIES
from pavise_e2e.waiting import wait_until

NAME = "mtls.httpbin.org"
OWN, WORKLOAD = 8443, 8444
ANSWER = "$ssl_client_s_dn $ssl_client_serial alpn=$ssl_alpn_protocol"
SUBJECT = {"CN": NAME, "O": "Test"}  # of the server


@pytest.fixture
def servers(lab):
    """nginx that wants certificates of `ca`, and one that wants the workload's."""
    pki = lab.pki = Pki(lab.path("pki")).usual()
    pki.leaf("again", "ca", "/CN=svc-again", CLIENT)
    for name in ("client", "client2", "again"):
        pki.key(name).chmod(0o644)  # the agent runs under a uid of its own
    lab.authority("--ttl", "8s", "--rotate-every", "2s")

    def server(port, clients):
        return f"""server {{
            listen {lab.other.v4}:{port} ssl http2;
            ssl_certificate {pki.certificate("server")}; ssl_certificate_key {pki.key("server")};
            ssl_client_certificate {clients}; ssl_verify_client on;
            location / {{ return 200 "{ANSWER}\\n"; }}
          }}"""

    nginx.start(lab, lab.other, f"""
        keepalive_timeout 60s;
        {server(OWN, pki.certificate("ca"))}
        {server(WORKLOAD, lab.path("authority.state") / "ca.crt")}
    """, OWN, WORKLOAD)
    return lab


def start_agent(lab, shown=("client",), **rule):
    rule = {"name": "outside", "match": {"networks": [lab.other.v4]}, "tls": "mutual",
            "serverName": NAME, "serverCerts": lab.pki.listed("ca"), **rule}
    return lab.agent(lab.web, {"outbound": {
        "destinations": [rule], "certificates": [lab.pki.presented(name) for name in shown]}})


def change(agent, event="reload_done", certificates=None, drop=(), **keys):
    def edit(config):
        rule = config["outbound"]["destinations"][0]
        rule.update(keys)
        for key in drop:
            del rule[key]
        if certificates is not None:
            config["outbound"]["certificates"] = certificates

    agent.rewrite(edit)
    agent.reload(event)


def curl(lab, port=OWN, *options):
    return lab.web.run([settings.program("curl"), "-sS", "--max-time", "20", *options,
                        f"http://{lab.other.v4}:{port}/"], text=True).stdout


def test_a_certificate_by_name_and_its_rotation(servers):
    agent = start_agent(servers, clientCert="client")
    assert "CN=svc-a " in curl(servers)
    assert "No required SSL certificate" not in curl(servers)
    assert "400" in curl(servers, WORKLOAD)  # the workload's is not shown
    open_one = servers.connect(servers.web, servers.other.v4, OWN)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    open_one.sendall(request)
    assert b"CN=svc-a " in open_one.recv(4096)
    pki = servers.pki
    renamed = [pki.presented("again", name="client")]
    change(agent, certificates=renamed)
    assert curl(servers).startswith("CN=svc-again ")
    open_one.sendall(request)
    assert b"CN=svc-a " in open_one.recv(4096)  # as it was opened
    change(agent, "reload_refused",
           certificates=[{**renamed[0], "keyFile": str(pki.key("client2"))}])
    assert "certificate client: keyFile: the key is not that of the certificate" in agent.log()
    assert curl(servers).startswith("CN=svc-again ")
    change(agent, certificates=renamed, clientCert="workload")
    assert "400" in curl(servers)


def test_a_certificate_of_ones_own_needs_no_identity(servers):
    servers.rewrite_entries([])
    rule = {"name": "outside", "match": {"networks": [servers.other.v4]}, "tls": "mutual",
            "serverName": NAME, "clientCert": "client",
            "serverCerts": servers.pki.listed("ca")}
    agent = servers.agent(servers.web, {"outbound": {
        "destinations": [rule], "certificates": [servers.pki.presented("client")]}}, ready=False)
    agent.wait_for_log("event=started")
    assert "CN=svc-a " in curl(servers)


def test_expiry_of_what_is_shown(servers):
    """A certificate that servers outside are shown: its row, its metric, one warning before its
    end."""
    pki = servers.pki
    pki.leaf("soon", "ca", "/CN=svc-soon", CLIENT,
             dates=("20200101000000Z", time.strftime("%Y%m%d%H%M%SZ",
                                                     time.gmtime(time.time() + 10 * 86400))))
    pki.key("soon").chmod(0o644)
    agent = start_agent(servers, ("client", "soon"), clientCert="soon")
    assert "CN=svc-soon " in curl(servers)
    left = agent.status.metric("pavise_cert_expires_in_seconds",
                               logical_name="outbound/certificates/soon",
                               path=str(pki.certificate("soon")))
    assert 9 * 86400 < left <= 10 * 86400
    rows = agent.status.json("/certs")["certificates"]
    assert [row["name"] for row in rows if row["kind"] == "configured"] == [
        "outbound/outside/serverCerts", "outbound/certificates/client",
        "outbound/certificates/soon"]
    agent.wait_for_log("event=certificate_expires")
    change(agent, alpn=["http/1.1"])
    warnings = [line for line in agent.log().splitlines() if "event=certificate_expires" in line]
    assert len(warnings) == 1 and "name=outbound/certificates/soon" in warnings[0]


def test_alpn_is_offered(servers):
    agent = start_agent(servers, clientCert="client")
    assert curl(servers).rstrip().endswith("alpn=")
    change(agent, alpn=["http/1.1"])
    assert curl(servers).rstrip().endswith("alpn=http/1.1")
    change(agent, alpn=["h2", "http/1.1"])
    assert curl(servers, OWN, "--http2-prior-knowledge").rstrip().endswith("alpn=h2")


def test_the_whole_subject(servers):
    agent = start_agent(servers, clientCert="client", authorizedSubjects=[SUBJECT])
    assert "CN=svc-a " in curl(servers)
    change(agent, drop=["serverName"])  # the address is in no certificate: the subject is enough
    assert "CN=svc-a " in curl(servers)
    change(agent, authorizedSubjects=[{"CN": NAME}, {"CN": NAME, "O": "Tests"}])
    assert curl(servers) == ""
    refusal = agent.status.wait_for_refusal("peer_identity")
    assert "is none of authorizedSubjects" in refusal["detail"] and refusal["rule"] == "outside"
    assert agent.status.metric("pavise_peers_refused_total", direction="outbound",
                               reason="subject") == 1
    change(agent, authorizedSubjects=[SUBJECT], serverName="other.example")  # both have to hold
    assert curl(servers) == ""


def test_a_withdrawn_identity_ends_connections_that_showed_it(servers):
    agent = start_agent(servers)
    own = servers.connect(servers.web, servers.other.v4, WORKLOAD)
    own.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"200 OK" in own.recv(4096)
    servers.rewrite_entries([entry for entry in ENTRIES if "/web" not in entry["spiffeId"]])
    agent.wait_for_log("identity_withdrawn")
    wait_until("nothing is left open",
               lambda: agent.status.metric("pavise_open_connections") == 0)
    assert_cut(own)
