"""`tls: mutual`: plain applications reach a server that speaks TLS itself and demands client
certificates."""

import pytest

from pavise_e2e import nginx, settings
from pavise_e2e.pki import Ca

SERVER_ID = "spiffe://example.org/ns/runtime/sa/config"
SERVER_NAME = "config.internal"
NGINX_PORT, OPENSSL_PORT, OLD_PORT = 8443, 8444, 8445


@pytest.fixture
def services(lab):
    """nginx with `ssl_verify_client on` and `openssl s_server -Verify` on `other`."""
    openssl = settings.program("openssl")
    settings.program("curl")
    lab.authority()
    ca = Ca(lab.path("authority.state"), lab.directory)
    certificate, key = ca.issue("config", f"URI:{SERVER_ID}", f"DNS:{SERVER_NAME}")

    def server(port, protocols, answer):
        return f"""server {{
            listen {lab.other.v4}:{port} ssl; ssl_protocols {protocols};
            ssl_certificate {certificate}; ssl_certificate_key {key};
            ssl_client_certificate {ca.certificate}; ssl_verify_client on;
            location / {{ return 200 "verify=$ssl_client_verify {answer}\\n"; }}
          }}"""

    nginx.start(lab, lab.other, f"""
        {server(NGINX_PORT, "TLSv1.2 TLSv1.3", "sni=$ssl_server_name")}
        {server(OLD_PORT, "TLSv1.2", "protocol=$ssl_protocol")}
    """, NGINX_PORT, OLD_PORT)
    lab.start("s_server", [openssl, "s_server", "-accept", f"{lab.other.v4}:{OPENSSL_PORT}",
                           "-cert", certificate, "-key", key, "-CAfile", ca.certificate,
                           "-Verify", "2", "-verify_return_error", "-www"], host=lab.other)
    lab.wait_port(lab.other, lab.other.v4, OPENSSL_PORT)
    return lab


def start_agent(lab, **rule):
    rule = {"name": "config", "match": {"networks": [lab.other.v4]}, "tls": "mutual", **rule}
    return lab.agent(lab.web, {"outbound": {"destinations": [rule]}})


def curl(lab, port):
    """(exit code, body) of plain http:// to a TLS port."""
    done = lab.web.run([settings.program("curl"), "-sS", "--max-time", "20",
                        f"http://{lab.other.v4}:{port}/"], text=True)
    return done.returncode, done.stdout


ACCEPTED = {
    "by SPIFFE ID": {"peers": [SERVER_ID]},
    "by SPIFFE pattern": {"peers": ["spiffe://example.org/ns/runtime/sa/*"]},
    "by the own trust domain": {},
    "by name": {"serverName": SERVER_NAME},
    "by name and SPIFFE ID": {"serverName": SERVER_NAME, "peers": [SERVER_ID]},
}


@pytest.mark.parametrize("how", ACCEPTED)
def test_server_is_accepted(services, how):
    agent = start_agent(services, **ACCEPTED[how])
    code, body = curl(services, NGINX_PORT)
    assert code == 0 and "verify=SUCCESS" in body
    name = ACCEPTED[how].get("serverName", "")
    assert f"sni={name}\n" in body
    code, body = curl(services, OPENSSL_PORT)
    assert code == 0 and "Client certificate" in body
    agent.wait_for_log("security=mutual_tls")


REFUSED = {
    "another SPIFFE ID": {"peers": ["spiffe://example.org/ns/runtime/sa/registry"]},
    "another name": {"serverName": "registry.internal"},
    "right name, wrong SPIFFE ID": {"serverName": SERVER_NAME,
                                    "peers": ["spiffe://example.org/ns/default/sa/*"]},
    "right SPIFFE ID, wrong name": {"serverName": "internal", "peers": [SERVER_ID]},
}


@pytest.mark.parametrize("how", REFUSED)
def test_server_is_refused(services, how):
    agent = start_agent(services, **REFUSED[how])
    for port in (NGINX_PORT, OPENSSL_PORT):
        code, body = curl(services, port)
        assert code != 0 and "verify=" not in body and "Client certificate" not in body
    refusal = agent.status.wait_for_refusal("peer_not_accepted", "peer_identity", "tls_failed")
    assert refusal["detail"]


def test_oldest_version(services):
    """A server that has TLS 1.2 only: taken by default, refused where the rule wants 1.3; a reload
    decides for new connections."""
    agent = start_agent(services)
    code, body = curl(services, OLD_PORT)
    assert code == 0 and body == "verify=SUCCESS protocol=TLSv1.2\n"
    agent.rewrite(lambda config: config["outbound"]["destinations"][0].update(minVersion="1.3"))
    agent.reload()
    code, body = curl(services, OLD_PORT)
    assert code != 0 and "verify=" not in body
    assert agent.status.wait_for_refusal("tls_failed")["detail"]
    code, body = curl(services, NGINX_PORT)
    assert code == 0 and "verify=SUCCESS" in body


def test_without_the_agent_there_is_no_way_in(services):
    for port in (NGINX_PORT, OPENSSL_PORT):
        assert "verify=SUCCESS" not in curl(services, port)[1]
    done = services.web.run([settings.program("curl"), "-sSk", "--max-time", "20",
                             f"https://{services.other.v4}:{NGINX_PORT}/"], text=True)
    assert "No required SSL certificate was sent" in done.stdout


def test_large_answer_and_end(services):
    """Several records each way, then an orderly end: nothing is cut."""
    start_agent(services, peers=[SERVER_ID])
    blob = services.path("blob")
    blob.write_bytes(bytes(range(256)) * 40_000)
    blob.chmod(0o644)
    with services.web.connect(services.other.v4, OPENSSL_PORT) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nX-Filler: " + b"f" * 4000 + b"\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.0 200") and answer.rstrip().endswith(b"</pre></BODY></HTML>")
