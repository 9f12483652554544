"""trustStore.certificates[].url: fetched over verified TLS, bounded, the last good one kept."""

import socket
import threading

import pytest

from pavise_e2e.trust import count


@pytest.fixture
def scene(trust):
    """A server whose certificate chains to the configured public roots, with a CA to fetch."""
    trust.public = trust.ca("public")
    trust.corp = trust.ca("corp")
    trust.https = trust.server(trust.public.server_certificate(),
                               {"/corp.pem": trust.corp.certificate.read_bytes()})
    return trust


def configure(trust, url, **change):
    trust.configure(publicRoots=str(trust.public.certificate),
                    certificates=[{"name": "corp", "url": url} | change])


def reason(trust):
    """Why the certificate is not there, in a run that writes a store all the same."""
    done = trust.run("sync")
    assert done.returncode == 0, done.stderr
    assert trust.names() == set()
    return done.stderr


def test_https(scene):
    configure(scene, scene.https.url("/corp.pem"))
    scene.ok("sync")
    assert scene.names() == {"corp"}
    assert scene.json("show", "corp")["source"] == scene.https.url("/corp.pem")
    assert scene.pem("ca-extra.pem") == scene.corp.certificate.read_text()
    assert count(scene.pem()) == 2


def test_file_and_loopback_http(scene):
    configure(scene, f"file://{scene.corp.certificate}")
    scene.ok("sync")
    assert scene.names() == {"corp"}
    plain = scene.server(None, {"/c": scene.corp.certificate.read_bytes()})
    configure(scene, plain.url("/c"))
    scene.ok("sync")
    assert scene.names() == {"corp"}


def test_a_server_that_is_not_verified(scene):
    stranger = scene.server(scene.ca("stranger").server_certificate(),
                            {"/corp.pem": scene.corp.certificate.read_bytes()})
    configure(scene, stranger.url("/corp.pem"))
    assert "is not trusted by the roots in trustStore.publicRoots" in reason(scene)
    assert stranger.requests == []


def test_answers_that_are_no_certificate(scene):
    answers = {"/missing": (404, b"no"), "/moved": (302, b""), "/text": b"hello\n",
               "/empty": b"", "/big": b"x" * (5 << 20)}
    scene.https.content.update(answers)
    for path, sentence in {"/missing": "the server answers 404",
                           "/moved": "redirects are not followed",
                           "/text": "it holds no certificate",
                           "/empty": "it holds no certificate",
                           "/big": "the answer is not HTTP"}.items():
        configure(scene, scene.https.url(path))
        assert sentence in reason(scene), path


def test_what_does_not_speak_http(scene):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-hello\r\n")
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        configure(scene, f"https://localhost:{port}/")
        assert "does not speak TLS" in reason(scene)
        configure(scene, f"http://localhost:{port}/")
        assert "the answer is not HTTP" in reason(scene)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    configure(scene, f"https://localhost:{port}/")
    assert "Connection refused" in reason(scene)


def test_the_last_good_one_is_kept(scene):
    configure(scene, scene.https.url("/corp.pem"))
    scene.ok("sync")
    scene.https.content["/corp.pem"] = b"broken"
    done = scene.run("sync")
    assert done.returncode == 0
    assert "what was fetched before stays" in done.stderr
    assert scene.names() == {"corp"}
    scene.https.close()
    scene.servers.remove(scene.https)
    done = scene.run("sync")
    assert "what was fetched before stays" in done.stderr
    assert scene.pem("ca-extra.pem") == scene.corp.certificate.read_text()
    configure(scene, scene.https.url("/other.pem"))  # another place begins anew
    assert "Connection refused" in reason(scene)
