"""Rules and listeners by host name: a DNS server of the test's own says where the names lead."""

import threading

import pytest

from pavise_e2e import nginx, settings
from pavise_e2e.dns import Dns
from pavise_e2e.edge import Pki
from pavise_e2e.waiting import wait_until

NAME = "mtls.httpbin.org"
PORT, LISTENER = 8443, 7001


@pytest.fixture
def site(lab):
    """nginx with the certificate of NAME on two hosts, and a DNS server on `web`, not started."""
    lab.pki = Pki(lab.path("pki")).usual()
    lab.authority()
    for host in (lab.server, lab.other):
        listens = " ".join(f"listen {address}:{PORT} ssl;" for address in (host.v4, f"[{host.v6}]"))
        nginx.start(lab, host, f"""
            server {{
              {listens}
              ssl_certificate {lab.pki.certificate("server")};
              ssl_certificate_key {lab.pki.key("server")};
              location / {{ return 200 "{host.name} sni=$ssl_server_name\\n"; }}
            }}
        """, PORT, name=f"nginx-{host.name}")
    lab.dns = Dns(lab.web, **{NAME: [lab.other.v4]})
    yield lab
    lab.dns.stop()


def start_agent(lab, *rules, hosts_file="", **outbound):
    """Everything that no rule is for is denied."""
    files = {"/etc/resolv.conf": lab.write("resolv.conf", "nameserver 127.0.0.1\n"),
             "/etc/hosts": lab.write("hosts", hosts_file)}
    rest = {"name": "rest", "tls": "deny", "match": {"ports": [PORT]}}
    return lab.agent(lab.web, {"outbound": {"destinations": [*rules, rest], **outbound}},
                     files=files)


def by_name(lab, *hosts):
    return {"name": "outside", "match": {"hosts": list(hosts), "ports": [PORT]}, "tls": "simple",
            "serverCerts": lab.pki.listed("ca")}


def curl(lab, address, port=PORT):
    place = f"[{address}]" if ":" in address else address
    done = lab.web.run([settings.program("curl"), "-sS", "--max-time", "20",
                        f"http://{place}:{port}/"], text=True)
    return done.stdout.strip()


def host_of(agent, name=NAME):
    return next(row for row in agent.status.json("/destinations")["hosts"]
                if row["host"] == name)


def printed(lab, what):
    return lab.web.run([lab.pavise, "status", what], text=True).stdout


def test_addresses_of_a_host_follow_dns(site):
    """The name is sent and verified; another address is seen when the TTL is over."""
    site.dns.start()
    agent = start_agent(site, by_name(site, NAME))
    assert curl(site, site.other.v4) == f"other sni={NAME}"
    assert curl(site, site.server.v4) == ""
    assert agent.status.wait_for_refusal("denied_by_rule")["rule"] == "rest"
    assert host_of(agent)["addresses"] == [site.other.v4]
    site.dns.names[NAME] = [site.server.v4, site.server.v6]
    wait_until("the new addresses are seen", lambda: len(host_of(agent)["addresses"]) == 2)
    assert curl(site, site.server.v4) == f"server sni={NAME}"
    assert curl(site, site.server.v6) == f"server sni={NAME}"
    assert curl(site, site.other.v4) == f"other sni={NAME}"  # for a minute: applications cache
    assert NAME in printed(site, "destinations") and site.server.v6 in printed(site, "destinations")
    assert "event=host_resolved" in agent.log()


def test_the_last_good_addresses_stay(site):
    site.dns.start()
    agent = start_agent(site, by_name(site, NAME))
    assert curl(site, site.other.v4) == f"other sni={NAME}"
    site.dns.stop()
    agent.wait_for_log("event=host_lookup_failed")
    wait_until("two failures are counted", lambda: agent.status.metric(
        "pavise_host_lookups_total", result="failed") >= 2)
    assert agent.log().count("event=host_lookup_failed") == 1
    row = host_of(agent)
    assert row["state"] == "stale" and row["addresses"] == [site.other.v4] and row["lastError"]
    assert curl(site, site.other.v4) == f"other sni={NAME}"
    site.dns.start()
    wait_until("DNS is back", lambda: host_of(agent)["state"] == "resolved")
    assert agent.log().count("event=host_resolved") == 2


def test_without_an_answer_nothing_passes(site):
    """Nobody knows whose address it is: connections wait, then are refused; other ports pass."""
    agent = start_agent(site, by_name(site, NAME, "absent.example"))
    assert host_of(agent)["state"] == "pending"
    assert curl(site, site.server.v4) == ""
    refusal = agent.status.wait_for_refusal("host_unresolved")
    assert refusal["rule"] == "outside" and "DNS has not answered" in refusal["detail"]
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(curl(site, site.other.v4)))
    waiting.start()
    wait_until("a connection waits", lambda: any(
        row["state"] == "waiting for DNS"
        for row in agent.status.json("/connections")["connections"]))
    site.dns.start()
    waiting.join()
    assert answers == [f"other sni={NAME}"]
    # A name that does not exist is an answer: no address is its.
    wait_until("absent", lambda: host_of(agent, "absent.example")["state"] == "absent")
    assert curl(site, site.server.v4) == ""
    assert agent.status.wait_for_refusal("denied_by_rule")["rule"] == "rest"


def test_a_listener_tries_the_addresses_in_turn(site):
    """Nobody listens on the first hosts: `web` itself and an address of `server`."""
    site.dns.start()
    site.dns.names[NAME] = [site.web.v4, site.web.v6, site.other.v4]
    agent = start_agent(site, by_name(site, NAME), listeners=[
        {"listen": f"127.0.0.1:{LISTENER}", "destination": f"{NAME}:{PORT}"},
        {"listen": f"127.0.0.1:{LISTENER + 1}", "destination": f"absent.example:{PORT}"}])
    for _ in range(3):
        assert curl(site, "127.0.0.1", LISTENER) == f"other sni={NAME}"
    assert curl(site, "127.0.0.1", LISTENER + 1) == ""
    refusal = agent.status.wait_for_refusal("host_unresolved")
    assert "absent.example" in refusal["detail"]
    assert f"{NAME}:{PORT}" in printed(site, "listeners")


def test_the_hosts_file_counts(site):
    start_agent(site, by_name(site, "local.name"), hosts_file=f"{site.other.v4} local.name\n",
                listeners=[{"listen": f"127.0.0.1:{LISTENER}",
                            "destination": f"local.name:{PORT}"}])
    assert curl(site, "127.0.0.1", LISTENER) == ""  # the certificate is for another name
    assert site.dns.num_queries == 0
