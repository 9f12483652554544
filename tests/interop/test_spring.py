"""The scenario of Azure Spring Cloud, with Spring's own programs: an application speaks plain HTTP
to its Config Server and its registry, and all of it is mutual TLS."""

import pytest

from pavise_e2e import settings
from pavise_e2e.lab import spiffe_id
from pavise_e2e.network import Wire
from pavise_e2e.pki import Ca
from pavise_e2e.waiting import wait_until
from spring import CONFIG_PORT, REGISTRY_PORT, Spring

CONFIG_ID = f"spiffe://{settings.TRUST_DOMAIN}/ns/runtime/sa/config"
REGISTRY_ID = f"spiffe://{settings.TRUST_DOMAIN}/ns/runtime/sa/registry"
FIRST, SECOND, THIRD = "told in confidence", "refreshed in confidence", "told after the return"


@pytest.fixture
def spring(lab, peer):
    programs = Spring(lab, peer("spring"))
    programs.write(FIRST)
    yield programs
    programs.close()


def services(lab):
    return ((lab.server, CONFIG_PORT, "/client/default"),
            (lab.other, REGISTRY_PORT, "/eureka/apps"))


def curl(host, url, *options):
    """(exit code, HTTP status, body)"""
    done = host.run([settings.program("curl"), "-sS", "--max-time", "20", "-w", "\n%{http_code}",
                     *options, url], text=True)
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, status, body


def assert_all_works(lab, spring):
    """Fetch at the start, registration, refresh; nobody on the cable can read it."""
    with Wire(lab.network, lab.web) as wire:
        spring.start_client()
        assert spring.greeting() == FIRST
        spring.wait_registered()
        spring.write(SECOND)
        assert spring.refresh() == (200, '["greeting"]')
        assert spring.greeting() == SECOND
    assert wire.opened(lab.server.v4, CONFIG_PORT) + wire.opened(lab.server.v4, 15008) > 0
    assert wire.bytes_seen() > 1000
    for marker in (FIRST, SECOND, "HTTP/1.1", "CLIENT"):
        assert not wire.has(marker.encode()), marker


def assert_nothing_without_the_sidecar(lab, spring, agent):
    """The client has lost its sidecar: no refresh, and with the sidecar again it goes on."""
    lab.release(lab.web, agent)
    spring.write(THIRD)
    status, _ = spring.refresh()
    assert status == 500 and spring.greeting() == SECOND
    lab.intercept(lab.web, agent)
    assert spring.refresh() == (200, '["greeting"]') and spring.greeting() == THIRD


def test_a_sidecar_in_front_of_each_server(lab, spring):
    lab.authority()
    servers = [lab.agent(host, {"inbound": {"authorization": [
        {"action": "allow", "peers": [spiffe_id("web")], "ports": [port]}]}})
        for host, port, _ in services(lab)]
    web = lab.agent(lab.web)
    spring.start_servers()
    assert_all_works(lab, spring)
    for agent in servers:
        wait_until("it knows who asks", lambda: spiffe_id("web") in (
            agent.log() + agent.status.get("/connections")[1]))
    assert_nothing_without_the_sidecar(lab, spring, web)
    for host, port, path in services(lab):
        assert curl(lab.web, f"http://{host.v4}:{port}{path}")[:2] == (0, "200")
    lab.release(lab.web, web)
    for host, port, path in services(lab):
        code, _, body = curl(lab.web, f"http://{host.v4}:{port}{path}")
        assert code in (7, 52, 56) and body == ""  # 7: the reset came before curl had looked


def test_servers_that_demand_certificates(lab, spring):
    """They have no sidecar: server.ssl.client-auth=need, and that of the client originates TLS."""
    lab.authority()
    ca = Ca(lab.path("authority.state"), lab.directory)

    def demanding(name, spiffe):
        certificate, key = ca.issue(name, f"URI:{spiffe}")
        return {"server.ssl.enabled": "true", "server.ssl.client-auth": "need",
                "server.ssl.certificate": f"file:{certificate}",
                "server.ssl.certificate-private-key": f"file:{key}",
                "server.ssl.trust-certificate": f"file:{ca.certificate}"}

    web = lab.agent(lab.web, {"outbound": {"destinations": [
        {"name": "config", "match": {"networks": [lab.server.v4], "ports": [CONFIG_PORT]},
         "tls": "mutual", "peers": [CONFIG_ID]},
        {"name": "registry", "match": {"networks": [lab.other.v4], "ports": [REGISTRY_PORT]},
         "tls": "mutual", "peers": [REGISTRY_ID]}]}})
    spring.start_servers({"config": demanding("config", CONFIG_ID),
                          "registry": demanding("registry", REGISTRY_ID)})
    assert_all_works(lab, spring)
    web.wait_for_log("security=mutual_tls")
    assert_nothing_without_the_sidecar(lab, spring, web)
    lab.release(lab.web, web)
    certificate, key = ca.issue("by-hand", f"URI:{spiffe_id('web')}")
    for host, port, path in services(lab):
        url = f"https://{host.v4}:{port}{path}"
        assert curl(lab.web, url, "-k")[0] == 56
        assert curl(lab.web, url, "-k", "--cert", certificate, "--key", key)[:2] == (0, "200")
        assert curl(lab.web, f"http://{host.v4}:{port}{path}")[1] == "400"
