"""The three examples of docs/edge-tls.md, as they stand but for where the certificates are."""

import re

import pytest
import yaml

from pavise_e2e import settings
from pavise_e2e.edge import CLIENT, Pki, WebApplication, server_context
from pavise_e2e.http_application import HttpApplication

PAGE = (settings.REPOSITORY / "docs/edge-tls.md").read_text(encoding="utf-8")
EXAMPLES = {re.match(r"# (\w+)\n", text).group(1): text
            for text in re.findall(r"```yaml\n(# \w+\n.*?)```", PAGE, re.DOTALL)}
HOST = "mtls.httpbin.org"


class Site:
    """An agent with an example's configuration on `server`, where the application is, too."""

    def __init__(self, lab):
        self.lab = lab
        self.pki = Pki(lab.path("pki")).usual()
        self.pki.leaf("other", "ca", "/CN=svc-b", CLIENT)
        self.pki.key("server").chmod(0o644)  # the agent runs under a uid of its own
        self.port = None
        self._applications = []
        lab.authority()

    def start(self, name):
        where = str(self.pki.certificate("ca").parent)
        config = yaml.safe_load(EXAMPLES[name].replace("/etc/pavise", where))
        self.port = config["inbound"]["ports"][0]["port"]
        self.lab.agent(self.lab.server, config)

    def serve(self, kind, **options):
        with self.lab.server.entered():
            application = kind(**options)
        self._applications.append(application)
        return application

    def close(self):
        for application in self._applications:
            application.stop()

    def shown(self, client):
        """The options of curl, and of redis-cli."""
        return () if client is None else ("--cert", str(self.pki.certificate(client)), "--key",
                                          str(self.pki.key(client)))

    def curl(self, path, *options, client=None, scheme="https"):
        """(HTTP status, or "" for none, headers and body)"""
        done = self.lab.web.run([
            settings.program("curl"), "-sS", "-i", "--max-time", "20", "--cacert",
            self.pki.certificate("ca"), "--resolve", f"{HOST}:{self.port}:{self.lab.server.v4}",
            *self.shown(client), *options, f"{scheme}://{HOST}:{self.port}{path}"], text=True)
        lines = re.findall(r"^HTTP/\S+ (\d+)", done.stdout)
        return lines[-1] if lines else "", done.stdout

    def pongs(self, *words):
        done = self.lab.web.run([settings.program("timeout"), "5", settings.program("redis-cli"),
                                 "-h", self.lab.server.v4, *words, "ping"], text=True)
        return done.returncode == 0 and done.stdout == "PONG\n"


@pytest.fixture
def site(lab):
    made = Site(lab)
    yield made
    made.close()


def test_every_system_is_there():
    assert sorted(EXAMPLES) == ["apisix", "azure", "redis"]


def test_azure(site):
    application = site.serve(WebApplication, tls=server_context(site.pki, "server"), port=8443)
    site.start("azure")
    for client in ("client", "client2"):
        assert site.curl("/a", client=client)[0] == "200"
    assert site.curl("/a")[0] == "400"
    assert site.curl("/healthz")[0] == "200"
    status, answer = site.curl("/a?b", scheme="http")
    assert status == "301" and f"Location: https://{HOST}" in answer
    assert [path for path, _ in application.seen] == ["/a", "/a", "/healthz"]


def test_apisix(site):
    application = site.serve(HttpApplication, port=8080)
    site.start("apisix")
    assert site.curl("/v1/json")[0] == "400" and application.seen == []
    assert site.curl("/v1/json", client="client")[0] == "200"
    method, path, headers, _ = application.seen[-1]
    assert (method, path) == ("GET", "/json")
    told = {name.lower(): value for name, value in headers}
    assert "OU=sre,OU=eng,O=Acme" in told["x-ssl-client-s-dn"]
    for options, path in ((("-X", "POST"), "/v1/json"), ((), "/v1/json/x"), ((), "/json"),
                          (("-H", "Host: other.org"), "/v1/json")):
        assert site.curl(path, *options, client="client")[0] == "404"
    assert len(application.seen) == 1


def test_redis(site):
    lab = site.lab
    lab.start("redis", [settings.program("redis-server"), "--save", "", "--dir", lab.directory],
              host=lab.server)
    lab.wait_port(lab.server, "127.0.0.1", 6379)
    site.start("redis")
    tls = ("--tls", "--cacert", str(site.pki.certificate("ca")))
    assert site.pongs(*tls, *site.shown("client"))
    for words in ((), tls, (*tls, *site.shown("client2")),
                  (*tls, *site.shown("other"))):
        assert not site.pongs(*words)
