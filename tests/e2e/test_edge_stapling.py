"""OCSP responses that `openssl ocsp` makes, stapled to the certificate of an application's port."""

import pytest

from pavise_e2e.edge import Edge
from pavise_e2e.faketime import Clock
from pavise_e2e.ocsp import HOST, Responses, make_pki, stapled
from pavise_e2e.waiting import wait_until


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("edge-stapling") / "pki")


@pytest.fixture
def responder(pki, tmp_path_factory):
    return Responses(pki, tmp_path_factory.mktemp("edge-responses"))


def keys_for(pki, **stapling):
    return {"clientAuth": "none",
            "certificates": [pki.presented("www", stapling={"enabled": True, **stapling}),
                             pki.presented("other")]}


def test_a_response_from_a_file(loopback, pki, web, responder):
    """To the certificate it is about and no other, in both versions, for who asks; issuer's and
    delegated signatures."""
    responder.answer("www")
    edge = Edge(loopback, pki, web.port, keys_for(pki, file=str(responder.file)))
    assert stapled(edge, "-tls1_3") == "good" and stapled(edge, "-tls1_2") == "good"
    assert stapled(edge, name="other.x") is None
    assert edge.curl("--cert-status", host=HOST)[1] == "200"
    responder.answer("www", signer="responder")
    assert "event=reload_done" in edge.reload(keys_for(pki, file=str(responder.file)))
    assert stapled(edge) == "good"
    assert "event=reload_done" in edge.reload(keys_for(pki, enabled=False))
    assert stapled(edge) is None


def test_what_is_withheld(loopback, pki, web, responder):
    """AP16, RE33: a revoked certificate's response goes out only where `stapleRevoked` says so."""
    keys = keys_for(pki, file=str(responder.file))
    responder.answer("www", status="R")
    edge = Edge(loopback, pki, web.port, keys)
    assert stapled(edge) is None
    assert edge.agent.log().count("that the certificate is revoked; it is not sent") == 1
    edge.reload(keys_for(pki, file=str(responder.file), stapleRevoked=True))
    assert stapled(edge) == "revoked"
    responder.answer("other")
    log = edge.reload(keys)
    assert "event=reload_done" not in log and "about another certificate" in log
    assert stapled(edge) == "revoked"


def test_a_mistake_changes_nothing(loopback, pki, web, responder):
    """A reload with a response that is no good is refused as a whole, with its place."""
    keys = keys_for(pki, file=str(responder.file))
    responder.answer("www")
    edge = Edge(loopback, pki, web.port, keys)
    good = responder.file.read_bytes()
    for bad, why in ((good[:-1], "OCSP response"), (b"", "OCSP response"),
                     (bytes([*good[:120], good[120] ^ 1, *good[121:]]), "OCSP response")):
        responder.file.write_bytes(bad)
        log = edge.reload(keys)
        assert "event=reload_done" not in log and why in log
        assert "certificate www: stapling: file: " in log
        assert stapled(edge) == "good"
    log = edge.reload(keys_for(pki))
    assert "stapling: no_responder_url: " in log
    assert stapled(edge) == "good"


def test_one_that_expires_is_said(loopback, pki, web, responder):
    """Past its nextUpdate it is not sent any more, and the log says so, once."""
    clock = Clock(loopback.path("edge.clock"))
    responder.answer("www", days=7)
    edge = Edge(loopback, pki, web.port, keys_for(pki, file=str(responder.file)),
                env=clock.environment)
    assert stapled(edge) == "good"
    assert edge.agent.status.metric("pavise_ocsp_stapled", status="good") == 1
    clock.set_offset(8 * 86400)
    edge.agent.wait_for_log("event=staple_expired")
    assert stapled(edge) is None
    assert edge.agent.status.metric("pavise_ocsp_stapled", status="good") == 0
    clock.set_offset(9 * 86400)
    wait_until("a day later", lambda: edge.agent.log().count("event=staple_expired") == 1)
