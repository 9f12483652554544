"""Plain applications reach servers that speak TLS themselves and have nothing to do with SPIFFE:
`tls: simple`, and `tls: mutual` with `serverCerts`."""

import pytest

from pavise_e2e import nginx, settings
from pavise_e2e.edge import Pki

NAME = "mtls.httpbin.org"
ANSWER = "verify=$ssl_client_verify sni=$ssl_server_name $ssl_protocol"
MODERN, OLD, MUTUAL, REDIS = 8443, 8444, 8445, 6390


@pytest.fixture
def servers(lab):
    """nginx with TLS, with TLS 1.2 only, and one that wants the workload's certificate."""
    pki = lab.pki = Pki(lab.path("pki")).usual()
    pki.leaf("byip", "ca", "/CN=byip", f"subjectAltName = IP:{lab.other.v4}",
             "extendedKeyUsage = serverAuth")
    lab.authority()
    workloads = lab.path("authority.state") / "ca.crt"

    def server(port, name, protocols="TLSv1.2 TLSv1.3", extra=""):
        return f"""server {{
            listen {lab.other.v4}:{port} ssl; ssl_protocols {protocols}; {extra}
            ssl_certificate {pki.certificate(name)}; ssl_certificate_key {pki.key(name)};
            location / {{ return 200 "hello {ANSWER}\\n"; }}
          }}"""

    asks = f"ssl_client_certificate {workloads}; ssl_verify_client on;"
    nginx.start(lab, lab.other, f"""
        {server(MODERN, "server")}
        {server(OLD, "server", "TLSv1.2")}
        {server(MUTUAL, "byip", extra=asks)}
    """, MODERN, OLD, MUTUAL)
    return lab


def start_agent(lab, trust=None, **rule):
    rule = {"name": "outside", "match": {"networks": [lab.other.v4]}, "tls": "simple", **rule}
    config = {"outbound": {"destinations": [rule]}}
    if trust is not None:
        output = lab.path("trust")
        output.mkdir()
        output.chmod(0o777)
        config["trustStore"] = {"publicRoots": str(trust), "output": str(output / "store")}
    return lab.agent(lab.web, config)


def change(agent, event="reload_done", **keys):
    agent.rewrite(lambda config: config["outbound"]["destinations"][0].update(keys))
    agent.reload(event)


def curl(lab, port):
    """(exit code, body) of plain http:// to a TLS port."""
    done = lab.web.run([settings.program("curl"), "-sS", "--max-time", "20",
                        f"http://{lab.other.v4}:{port}/"], text=True)
    return done.returncode, done.stdout


def is_answered(lab, port):
    code, body = curl(lab, port)
    assert (code == 0) == body.startswith("hello "), (code, body)
    return code == 0


def test_by_ca_and_name(servers):
    agent = start_agent(servers, serverCerts=servers.pki.listed("ca"), serverName=NAME)
    code, body = curl(servers, MODERN)
    assert code == 0 and body == f"hello verify=NONE sni={NAME} TLSv1.3\n"
    agent.wait_for_log("security=tls")
    assert is_answered(servers, OLD)
    change(agent, minVersion="1.3")
    assert not is_answered(servers, OLD)
    assert is_answered(servers, MODERN)


def test_another_name_or_ca_is_refused(servers):
    agent = start_agent(servers, serverCerts=servers.pki.listed("ca"), serverName="other.example")
    assert not is_answered(servers, MODERN)
    refusal = agent.status.wait_for_refusal("peer_identity")
    assert 'is not for "other.example"' in refusal["detail"] and refusal["rule"] == "outside"
    change(agent, serverName=NAME, serverCerts=servers.pki.listed("ca2"))
    assert not is_answered(servers, MODERN)
    change(agent, serverCerts=servers.pki.listed("ca2", "ca"))
    assert is_answered(servers, MODERN)


def test_without_a_name_the_address_is_verified(servers):
    agent = start_agent(servers, serverCerts=servers.pki.listed("ca"))
    assert not is_answered(servers, MODERN)
    assert servers.other.v4 in agent.status.wait_for_refusal("peer_identity")["detail"]
    change(agent, tls="mutual")
    code, body = curl(servers, MUTUAL)
    assert code == 0 and body == "hello verify=SUCCESS sni= TLSv1.3\n"
    agent.wait_for_log("security=mutual_tls")
    change(agent, tls="simple")  # and no certificate is shown
    assert "No required SSL certificate was sent" in curl(servers, MUTUAL)[1]


def test_lists_name_certificates_of_the_trust_store(servers):
    agent = start_agent(servers, trust=servers.pki.certificate("ca2"), serverName=NAME)
    assert not is_answered(servers, MODERN)
    corp = {"name": "corp", "pem": servers.pki.certificate("ca").read_text()}
    agent.rewrite(lambda config: config["trustStore"].update(certificates=[corp]))
    change(agent, serverCerts=["corp"])
    assert is_answered(servers, MODERN)
    change(agent, "reload_refused", serverCerts=["nobody"])
    assert 'is no name of trustStore.certificates' in agent.log()


def test_pins_overlap_in_a_rotation(servers):
    """An exact certificate needs no name; its CA is not asked."""
    agent = start_agent(servers, serverCerts=servers.pki.listed("byip"))
    assert not is_answered(servers, MODERN)
    change(agent, serverCerts=servers.pki.listed("byip", "server"))
    assert is_answered(servers, MODERN)
    change(agent, serverCerts=servers.pki.listed("server"))
    assert is_answered(servers, MODERN)


def test_public_roots_are_the_default(servers):
    start_agent(servers, trust=servers.pki.certificate("ca"), serverName=NAME)
    assert is_answered(servers, MODERN)


def test_the_systems_roots_do_not_know_a_private_ca(servers):
    agent = start_agent(servers, serverName=NAME)
    assert not is_answered(servers, MODERN)
    assert agent.status.wait_for_refusal("peer_identity")


def test_verify_false_takes_anybody(servers):
    start_agent(servers, verify=False, serverName="whoever.example")
    assert is_answered(servers, MODERN)


def test_a_bad_list_changes_nothing(servers):
    agent = start_agent(servers, serverCerts=servers.pki.listed("ca"), serverName=NAME)
    junk = servers.write("junk.pem", "no certificate\n")
    change(agent, "reload_refused", serverCerts=[{"file": str(junk)}])
    assert "destination outside: serverCerts: invalid_certificate" in agent.log()
    assert is_answered(servers, MODERN)


def test_plain_redis_cli_to_a_server_that_demands_certificates(servers):
    """Acceptance 37."""
    pki, lab = servers.pki, servers
    lab.start("redis", [settings.program("redis-server"), "--port", "0", "--tls-port", str(REDIS),
                        "--bind", lab.other.v4, "--save", "",
                        "--protected-mode", "no", "--tls-auth-clients", "yes",
                        "--tls-cert-file", str(pki.certificate("byip")),
                        "--tls-key-file", str(pki.key("byip")),
                        "--tls-ca-cert-file", str(lab.path("authority.state") / "ca.crt")],
              host=lab.other)
    lab.wait_port(lab.other, lab.other.v4, REDIS)
    agent = start_agent(lab, tls="mutual", serverCerts=lab.pki.listed("ca"))

    def ping():
        return lab.web.run([settings.program("redis-cli"), "-h", lab.other.v4, "-p", str(REDIS),
                            "ping"], text=True)

    def demand(what):
        done = lab.web.run([settings.program("redis-cli"), "-h", lab.other.v4, "-p", str(REDIS),
                            "config", "set", "tls-auth-clients", what], text=True)
        assert done.stdout == "OK\n", done.stderr

    assert ping().stdout == "PONG\n"
    change(agent, tls="simple")  # shows no certificate
    refused = ping()
    assert refused.returncode == 1 and "PONG" not in refused.stdout
    for what in ("optional", "no"):
        change(agent, tls="mutual")
        demand(what)
        change(agent, tls="simple")
        assert ping().stdout == "PONG\n"
