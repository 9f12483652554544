"""The application's probes in strict mode: asked at the health port, answered by the
application."""

import json
import signal
import ssl

import pytest

from pavise_e2e.applications import outcome
from pavise_e2e.pki import Ca
from pavise_e2e.status import Status
from pavise_e2e.waiting import wait_until

HEALTH = 15021


def http_answer(status, body=b"said by the application"):
    """Answers one request with `status` and notes what was asked."""
    def serve(connection, application):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        application.note(data)
        connection.sendall(b"HTTP/1.1 %d Words\r\nContent-Length: %d\r\n\r\n%b"
                           % (status, len(body), body))

    return serve


def silent(connection, application):
    application.note(connection.recv(65536))
    connection.recv(65536)


def probe(name, port, kind="livez", **more):
    return {"container": name, "probe": kind, "port": port, **more}


def start(lab, *probes, **config):
    lab.authority()
    agent = lab.agent(lab.server, {"inbound": {"mode": "strict"}, **config, "status": {
        "health": f"0.0.0.0:{HEALTH}", "probes": list(probes)}}, intercepted=True)
    return agent, Status(lab.other, HEALTH, lab.server.v4)


def test_http(lab):
    _, health = start(lab, probe("web", 9000, path="/healthz?x=1",
                                 headers=["X-Probe: yes", "host: web.example"]),
                      probe("web", 9001, "readyz"), probe("web", 9002, "startupz"))
    good = lab.application(lab.server, lab.server.v4, 9000, http_answer(200))
    lab.application(lab.server, lab.server.v4, 9001, http_answer(418, b"short and stout"))
    assert outcome(lab.other, lab.server.v4, 9000) in ("refused", "reset")  # as the kubelet would
    assert good.accepts == 0
    assert health.get("/app-health/web/livez") == (200, "said by the application")
    assert bytes(good.received).startswith(b"GET /healthz?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Probe: yes\r\nhost: web.example\r\n" in good.received
    assert good.received.lower().count(b"host:") == 1
    assert good.sources == {lab.server.v4}
    assert health.get("/app-health/web/readyz") == (418, "short and stout")
    code, said = health.get("/app-health/web/startupz")  # nobody listens
    assert code == 503 and "does not accept" in said


def test_tcp_follows_the_application(lab):
    _, health = start(lab, probe("db", 9000, type="tcp"))
    assert health.get("/app-health/db/livez")[0] == 503
    app = lab.application(lab.server, lab.server.v4, 9000, silent)
    assert health.get("/app-health/db/livez")[0] == 200
    app.stop()
    wait_until("the probe fails", lambda: health.get("/app-health/db/livez")[0] == 503)


def test_https_is_not_verified(lab):
    _, health = start(lab, probe("web", 9443, scheme="https"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Ca(lab.path("authority.state"), lab.directory).issue(
        "expired", "DNS:nobody.example", start_h=-3, end_h=-1))

    def serve(connection, application):
        with context.wrap_socket(connection, server_side=True) as tls:
            http_answer(200)(tls, application)

    app = lab.application(lab.server, lab.server.v4, 9443, serve)
    assert health.get("/app-health/web/livez") == (200, "said by the application")
    assert b"GET / HTTP/1.1" in app.received


@pytest.mark.parametrize("serve, sentence", [
    (silent, "in time"), (http_answer(200, b"x" * 20000), "too large"),
    (lambda connection, _: connection.sendall(b"SSH-2.0\r\n"), "not HTTP"),
    (lambda connection, _: None, "without an answer")])
def test_bad_answers(lab, serve, sentence):
    _, health = start(lab, probe("web", 9000, timeout="300ms"))
    lab.application(lab.server, lab.server.v4, 9000, serve)
    code, said = health.get("/app-health/web/livez")
    assert code == 503 and sentence in said


def test_only_what_is_configured(lab):
    agent, health = start(lab, probe("web", 9000), probe("web", 9001, "prestopz"))
    lab.application(lab.server, lab.server.v4, 9000, http_answer(200))
    lab.application(lab.server, lab.server.v4, 9001, http_answer(204, b""))
    assert health.get("/app-lifecycle/web/prestopz")[0] == 204
    for path in ("/app-health/web/readyz", "/app-health/db/livez", "/app-health/web/livez/",
                 "/app-health/web", "/app-lifecycle/web/livez", "/app-health/web/prestopz",
                 "/app-health//livez"):
        assert health.get(path)[0] == 404, path
    assert health.post("/app-health/web/livez")[0] == 405
    assert health.request("HEAD", "/app-health/web/livez") == (200, "")
    assert agent.status.get("/app-health/web/livez")[0] == 404  # the status port has none


def test_callers_that_leave_and_reload(lab):
    """A probe whose caller has gone, or whose configuration has, harms nothing."""
    agent, health = start(lab, probe("web", 9000, timeout="30s"))
    app = lab.application(lab.server, lab.server.v4, 9000, silent)
    gone = [lab.other.connect(lab.server.v4, HEALTH) for _ in range(8)]
    for connection in gone:
        connection.sendall(b"GET /app-health/web/livez HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until("the application is asked", lambda: app.accepts == len(gone))
    for connection in gone:
        connection.close()
    config = json.loads(agent.config_path.read_text(encoding="utf-8"))
    del config["status"]["probes"]
    lab.configuration(agent.name, config)
    agent.signal(signal.SIGHUP)
    wait_until("the probe is gone", lambda: health.get("/app-health/web/livez")[0] == 404)
    app.stop()
    assert health.get("/livez")[0] == 200
