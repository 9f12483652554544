"""Spring's own programs: a Config Server, a Eureka server, and a client of both that speaks plain
HTTP and knows of no certificate."""

import json

from pavise_e2e import settings
from pavise_e2e.waiting import wait_until

START_S = 180  # Java on a busy machine
CONFIG_PORT, REGISTRY_PORT, CLIENT_PORT = 8888, 8761, 8080
JAVA = ("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class Spring:
    """The programs of one test, in the hosts of its lab: the Config Server on `server`, Eureka on
    `other`, the client on `web`."""

    def __init__(self, lab, folder):
        self._lab, self._folder = lab, folder
        self._java = settings.program("java")
        self._processes = []
        self._properties = lab.path("properties")
        self._properties.mkdir()

    def close(self):
        """Java says 143 after SIGTERM, which a lab would take for a failure."""
        for process in reversed(self._processes):
            process.terminate()

    def _start(self, name, main, host, options):
        module = self._folder / name / "target"
        argv = [self._java, *JAVA, "-cp", f"{module}/application.jar:{module}/lib/*", main,
                *(f"--{key}={value}" for key, value in options.items())]
        self._processes.append(self._lab.start(name, argv, host=host))

    def write(self, greeting):
        """What the Config Server has to tell the client."""
        path = self._properties / "client.yml"
        path.write_text(json.dumps({"greeting": greeting}), encoding="utf-8")

    def start_servers(self, tls=None):
        """`tls`: the options of Spring that make a server demand client certificates."""
        tls = tls or {}
        usual = {"spring.main.banner-mode": "off", "server.tomcat.keep-alive-timeout": "2s"}
        self._start("config", "config.ConfigServer", self._lab.server, {
            **usual, "server.port": CONFIG_PORT, "spring.profiles.active": "native",
            "spring.cloud.config.server.native.search-locations": f"file:{self._properties}/",
            **tls.get("config", {})})
        self._start("registry", "registry.Registry", self._lab.other, {
            **usual, "server.port": REGISTRY_PORT,
            "eureka.client.register-with-eureka": "false",
            "eureka.client.fetch-registry": "false",
            "eureka.server.use-read-only-response-cache": "false",
            "eureka.server.wait-time-in-ms-when-sync-empty": "0", **tls.get("registry", {})})
        self._wait_for_log("config", "Started ConfigServer")
        self._wait_for_log("registry", "Started Registry")

    def _wait_for_log(self, name, text):
        process = next(p for p in self._processes if p.name == name)

        def is_said():
            assert process.is_running(), f"{name} ended"
            return text in process.log()

        wait_until(f"{name} says {text!r}", is_said, START_S, every=0.3)

    def start_client(self):
        config = f"http://{self._lab.server.v4}:{CONFIG_PORT}"
        registry = f"http://{self._lab.other.v4}:{REGISTRY_PORT}/eureka/"
        self._start("client", "client.Client", self._lab.web, {
            "spring.main.banner-mode": "off", "server.port": CLIENT_PORT,
            "spring.application.name": "client", "spring.config.import": f"configserver:{config}",
            "management.endpoints.web.exposure.include": "refresh",
            "eureka.client.service-url.defaultZone": registry,
            "eureka.client.registry-fetch-interval-seconds": "1",
            "eureka.client.initial-instance-info-replication-interval-seconds": "0",
            "eureka.instance.lease-renewal-interval-in-seconds": "1",
            "eureka.instance.prefer-ip-address": "true",
            "eureka.instance.hostname": self._lab.web.v4,
            "eureka.instance.ip-address": self._lab.web.v4})
        self._wait_for_log("client", "Started Client")

    def ask_client(self, path, *options):
        """(HTTP status, body)"""
        done = self._lab.web.run([settings.program("curl"), "-sS", "--max-time", "60", "-w",
                                  "\n%{http_code}", *options,
                                  f"http://127.0.0.1:{CLIENT_PORT}{path}"], text=True)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def greeting(self):
        return self.ask_client("/greeting")[1]

    def refresh(self):
        """(HTTP status, the names of what has changed)"""
        return self.ask_client("/actuator/refresh", "-X", "POST")

    def wait_registered(self):
        """The client finds itself where it has registered."""
        wait_until("the client is in the registry",
                   lambda: self.ask_client("/services") == (200, '["client"]'), START_S, every=0.5)
