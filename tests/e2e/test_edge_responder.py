"""OCSP responses that the agent asks a responder for: `openssl ocsp -port`, and one that lies."""

import pytest

from pavise_e2e.edge import Edge, run
from pavise_e2e.faketime import Clock
from pavise_e2e.network import free_port
from pavise_e2e.ocsp import HOST, OpensslResponder, RawResponder, Responses, make_pki, stapled
from pavise_e2e.waiting import wait_until

HOUR, DAY = 3600, 86400


@pytest.fixture(scope="module", name="port")
def _port():
    return free_port()


@pytest.fixture(scope="module", name="pki")
def _pki(port, tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("edge-responder") / "pki",
                    f"http://127.0.0.1:{port}/ocsp")


@pytest.fixture
def raw():
    responder = RawResponder()
    yield responder
    responder.stop()


@pytest.fixture
def responses(pki, tmp_path):
    return Responses(pki, tmp_path)


@pytest.fixture
def openssl(pki, port, tmp_path):
    """Starts the responder that the certificate names; one at a time."""
    running = []

    def start(**options):
        stop()
        running.append(OpensslResponder(pki, tmp_path, port, **options))

    def stop():
        while running:
            running.pop().stop()

    start.stop = stop
    yield start
    stop()


def keys_for(pki, **stapling):
    return {"clientAuth": "none", "sandbox": "required",
            "certificates": [pki.presented("www", stapling={"enabled": True, **stapling})]}


class Scene(Edge):
    """An agent in its sandbox, with a clock of its own."""

    def __init__(self, lab, pki, web, **stapling):
        self.clock = Clock(lab.path("edge.clock"))
        super().__init__(lab, pki, web.port, keys_for(pki, **stapling), env=self.clock.environment)

    def logged(self, event):
        return self.agent.log().count(f"event={event} ")

    def wait(self, event, times=1):
        try:
            wait_until(f"{event} is logged", lambda: self.logged(event) == times)
        except AssertionError as late:
            raise AssertionError(f"{late}; {self.staple()}") from late

    def staple(self):
        rows = [row for row in self.agent.status.json("/certs")["certificates"]
                if row["name"] == "inbound/8443/www"]
        assert len(rows) == 1
        return rows[0]["staple"]

    def asked(self, result):
        return self.agent.status.metric("pavise_ocsp_queries_total", result=result)

    def wait_failures(self, num):
        wait_until(f"{num} questions have failed", lambda: self.asked("failed") == num)

    def serves(self):
        return self.curl(host=HOST)[1] == "200"


def test_down_at_the_start(loopback, pki, web, openssl):
    """The responder of the certificate (AIA) is not there yet: handshakes go on without a staple;
    once it is there it is asked again by itself, and its answer goes to both versions."""
    edge = Scene(loopback, pki, web)
    edge.wait("staple_query_failed")
    assert stapled(edge) is None and edge.serves()
    before = edge.staple()
    assert before["status"] == "pending" and not before["stapled"]
    assert "cannot connect" in before["lastError"] and before["askedNext"] is not None
    edge.clock.set_offset(61)
    edge.wait_failures(2)
    openssl()
    edge.clock.set_offset(61 + 121)
    edge.wait("staple_received")
    assert edge.logged("staple_query_failed") == 1
    assert stapled(edge, "-tls1_3") == "good" and stapled(edge, "-tls1_2") == "good"
    assert edge.curl("--cert-status", host=HOST)[1] == "200"
    after = edge.staple()
    assert after["status"] == "good" and after["stapled"] and after["lastError"] == ""
    assert edge.agent.status.metric("pavise_ocsp_stapled", logical_name="inbound/8443/www",
                                    status="good") == 1
    assert edge.asked("good") == 1


def test_a_delegated_responder(loopback, pki, web, openssl):
    openssl(signer="responder")
    edge = Scene(loopback, pki, web)
    edge.wait("staple_received")
    assert stapled(edge) == "good"


@pytest.mark.parametrize("status, said", [("R", "revoked"), (None, "unknown")])
def test_revoked_and_unknown(loopback, pki, web, openssl, status, said):
    """AP16, RE33: withheld unless `stapleRevoked`, also where good was stapled before; a reload
    that says so sends what is known, without asking again."""
    openssl()
    edge = Scene(loopback, pki, web)
    edge.wait("staple_received")
    assert stapled(edge) == "good"
    openssl(**({"about": "other"} if status is None else {"status": status}))
    edge.clock.set_offset(HOUR)
    edge.wait("staple_revoked")
    assert stapled(edge) is None and edge.serves()
    assert edge.staple()["status"] == said and not edge.staple()["stapled"]
    openssl.stop()
    assert "event=reload_done" in edge.reload(keys_for(pki, stapleRevoked=True))
    assert stapled(edge) == said
    assert edge.asked(said) == 1 and edge.asked("failed") == 0


def test_the_last_good_one_lasts(loopback, pki, web, openssl):
    """While the responder is away what it said stays, until its nextUpdate."""
    openssl(days=1)
    edge = Scene(loopback, pki, web, responder="http://localhost:" + str(free_port()))
    edge.wait("staple_query_failed")
    assert "event=reload_done" in edge.reload(keys_for(pki))
    edge.wait("staple_received")
    openssl.stop()
    edge.clock.set_offset(2 * HOUR)
    edge.wait("staple_query_failed", 2)
    assert stapled(edge) == "good"
    edge.clock.set_offset(DAY - HOUR)
    edge.wait_failures(3)
    assert stapled(edge) == "good" and edge.logged("staple_expired") == 0
    edge.clock.set_offset(DAY + 5)
    edge.wait("staple_expired")
    assert stapled(edge) is None and edge.serves()
    assert not edge.staple()["stapled"]
    openssl()
    assert "event=reload_done" in edge.reload(keys_for(pki))
    edge.wait("staple_received", 2)
    assert stapled(edge) == "good"


def test_without_next_update(loopback, pki, web, openssl):
    """A response that says no end lasts for two `queryInterval`, and is asked for in each."""
    openssl(days=None)
    edge = Scene(loopback, pki, web)
    edge.wait("staple_received")
    assert stapled(edge) == "good"
    edge.clock.set_offset(HOUR)
    wait_until("it is asked again", lambda: edge.asked("good") == 2)
    openssl.stop()
    edge.clock.set_offset(2 * HOUR + 60)
    edge.wait("staple_query_failed")
    assert stapled(edge) == "good"
    edge.clock.set_offset(3 * HOUR + 60)
    edge.wait("staple_expired")
    assert stapled(edge) is None and edge.serves()


def test_the_request(loopback, pki, web, responses, raw, tmp_path):
    """POST with openssl's own bytes, to the configured URL."""
    responses.answer("www")
    raw.respond(responses.file.read_bytes())
    edge = Scene(loopback, pki, web, responder=raw.url.replace("127.0.0.1", "localhost"))
    edge.wait("staple_received")
    head, body = raw.requests[0]
    lines = head.split("\r\n")
    assert lines[0] == "POST /ocsp HTTP/1.1" and f"Host: localhost:{raw.port}" in lines
    assert "Content-Type: application/ocsp-request" in lines
    request = tmp_path / "wanted.der"
    done = run("openssl", "ocsp", "-issuer", pki.certificate("ca"), "-cert",
               pki.certificate("www"), "-no_nonce", "-reqout", request)
    assert done.returncode == 0 and body == request.read_bytes()


HOSTILE = {
    "garbage": "it is no OCSP response in DER",
    "wrong_signer": "not signed by the certificate's issuer",
    "another_certificate": "about another certificate",
    "cut": "HTTP",
    "not_found": "the server answers 404",
    "redirect": "redirects are not followed",
    "too_long": "too large",
    "too_long_unsaid": "too large",
    "slow": "no complete answer in time",
    "endless": "no complete answer in time",
    "no_http": "HTTP",
    "try_later": "the responder has refused to answer (status 3)",
}


def prepare(raw, responses, kind):
    """Makes the responder lie; it goes on with the truth by `tell`."""
    responses.answer("other" if kind == "another_certificate" else "www",
                     signer="stranger" if kind == "wrong_signer" else "ca")
    body = responses.file.read_bytes()
    raw.respond(body)
    if kind == "garbage":
        raw.respond(b"garbage" * 100)
    elif kind == "cut":
        raw.answer = raw.answer[:-10]
    elif kind == "not_found":
        raw.respond(body, status="404 Not Found")
    elif kind == "redirect":
        raw.respond(body, status="302 Found", head=f"Location: {raw.url}\r\n")
    elif kind == "too_long":
        raw.respond(body + bytes(70000))
    elif kind == "too_long_unsaid":
        raw.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body + bytes(70000)
    elif kind == "no_http":
        raw.answer = b"SSH-2.0-x\r\n"
    elif kind == "try_later":
        raw.respond(bytes.fromhex("30030a0103"))
    elif kind == "endless":  # little content in much of what is not
        raw.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw.again = (b"1;" + b"x" * 60000 + b"\r\n0\r\n") * 200 if kind == "endless" else b""
    raw.trickles = kind == "slow"


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_taken(loopback, pki, web, responses, raw, kind):
    """What is no good response changes nothing: nothing is stapled where nothing was, the last good
    one stays where there was one, and handshakes go on meanwhile."""
    prepare(raw, responses, kind)
    edge = Scene(loopback, pki, web, responder=raw.url)
    edge.wait("staple_query_failed")
    assert stapled(edge) is None and edge.serves()
    staple = edge.staple()
    assert HOSTILE[kind] in staple["lastError"] and staple["status"] == "pending"
    responses.answer("www")
    raw.trickles, raw.again = False, b""
    raw.respond(responses.file.read_bytes())
    edge.clock.set_offset(61)
    edge.wait("staple_received")
    assert stapled(edge) == "good"
    prepare(raw, responses, kind)
    edge.clock.set_offset(61 + HOUR)
    edge.wait("staple_query_failed", 2)
    assert stapled(edge) == "good" and edge.serves()
    assert HOSTILE[kind] in edge.staple()["lastError"]


def test_an_older_answer_is_not_taken(loopback, pki, web, responses, raw):
    """Somebody on the way who kept an old response cannot take back that it is revoked."""
    responses.answer("www")
    old = responses.file.read_bytes()
    wait_until("a second later", lambda: _is_later(responses, old))
    raw.respond(responses.file.read_bytes())
    edge = Scene(loopback, pki, web, responder=raw.url)
    edge.wait("staple_revoked")
    raw.respond(old)
    edge.clock.set_offset(HOUR)
    edge.wait("staple_query_failed")
    assert "older than the one before" in edge.staple()["lastError"]
    assert stapled(edge) is None and edge.staple()["status"] == "revoked"


def _is_later(responses, old):
    """The response is a revoked one that was made in a later second."""
    responses.answer("www", status="R")
    stamps = []
    for der in (old, responses.file.read_bytes()):
        at = der.index(b"\x18\x0f20")
        stamps.append(der[at + 2:at + 17])
    return stamps[0] < stamps[1]


def test_mistakes(loopback, pki, web, openssl):
    """Nobody to ask is a mistake with its place, and a reload with one changes nothing."""
    openssl()
    edge = Scene(loopback, pki, web)
    edge.wait("staple_received")
    other = {**keys_for(pki), "certificates": [pki.presented("other", stapling={"enabled": True})]}
    for keys, why in (
            (other, "certificate other: stapling: no_responder_url: "),
            (keys_for(pki, responder="https://ocsp.x/"), "by http:// only"),
            (keys_for(pki, responder="http://ocsp.x/", file="/x"), "comes from file; remove"),
            (keys_for(pki, file="/x", queryInterval="5m"), "comes from file; remove"),
            (keys_for(pki, queryInterval="59s"), "queryInterval"),
            (keys_for(pki, responseTimeout="61s"), "responseTimeout"),
            (keys_for(pki, recoveryMaxTries=101), "recoveryMaxTries")):
        log = edge.reload(keys)
        assert "event=reload_done" not in log and why in log, log
        assert stapled(edge) == "good"
