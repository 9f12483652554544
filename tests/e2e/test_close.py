"""How connections end: half-close and reset survive the tunnel in both directions."""

import hashlib
import socket

import pytest

from pavise_e2e import applications
from pavise_e2e.applications import echo, exchange, receive_all, reset
from pavise_e2e.waiting import wait_until


@pytest.fixture(params=["v4", "v6"])
def serve(request, lab):
    """serve(application) starts it behind a pair of agents; the result connects to it."""
    web, server = lab.pair()
    address = getattr(lab.server, request.param)

    def start(application):
        app = lab.application(lab.server, address, 9000, application)
        return app, lambda: lab.connect(lab.web, address, 9000)

    start.agents = web, server
    return start


def assert_nothing_is_left(agents):
    for agent, direction in zip(agents, ("outbound", "inbound")):
        wait_until(f"{agent.name} has no connection left", lambda a=agent, d=direction:
                   a.status.metric("pavise_open_connections", direction=d) == 0)


def test_client_ends_writing_and_is_answered_later(serve):
    app, connect = serve(applications.answer_after_the_end)
    data = hashlib.shake_256(b"request").digest(300_000)
    connection = connect()
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    assert receive_all(connection).decode() == hashlib.sha256(data).hexdigest()
    app.wait_for_end()
    assert app.ends == ["done"] and bytes(app.received) == data
    assert_nothing_is_left(serve.agents)


def test_server_ends_writing_and_is_written_to_later(serve):
    app, connect = serve(applications.end_first)
    connection = connect()
    assert receive_all(connection) == applications.GREETING
    data = hashlib.shake_256(b"late").digest(300_000)
    # The client goes on for a while after the server's end has reached it.
    done = applications.writing_slowly(connection, data, pieces=4, pause_s=0.5)
    done.result()
    connection.shutdown(socket.SHUT_WR)
    app.wait_for_end()
    assert app.ends == ["done"] and bytes(app.received) == data
    connection.close()
    assert_nothing_is_left(serve.agents)


def test_client_ends_without_a_byte(serve):
    app, connect = serve(applications.read_to_the_end)
    connection = connect()
    connection.shutdown(socket.SHUT_WR)
    assert receive_all(connection) == b""
    app.wait_for_end()
    assert app.ends == ["done"] and not app.received


def test_reset_by_the_client_is_a_reset_at_the_server(serve):
    app, connect = serve(echo)
    connection = connect()
    assert exchange(connection, b"hello") == b"hello"
    reset(connection)
    app.wait_for_end()
    assert app.ends == ["reset"]
    assert_nothing_is_left(serve.agents)
    serve.agents[0].wait_for_log("reason=app_reset")
    serve.agents[1].wait_for_log("reason=peer_reset")


def test_reset_by_the_server_is_a_reset_at_the_client(serve):
    _, connect = serve(applications.reset_after_a_byte)
    connection = connect()
    connection.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert_nothing_is_left(serve.agents)
    serve.agents[1].wait_for_log("reason=app_reset")
    serve.agents[0].wait_for_log("reason=peer_reset")


def test_reset_after_the_other_side_has_ended(serve):
    """Half-closed, then reset: what was sent before the end has arrived."""
    app, connect = serve(applications.end_first)
    connection = connect()
    assert receive_all(connection) == applications.GREETING
    reset(connection)
    app.wait_for_end()
    assert app.ends == ["reset"]
    assert_nothing_is_left(serve.agents)


def test_orderly_end_is_not_a_reset(serve):
    """The control of the tests above."""
    app, connect = serve(echo)
    connection = connect()
    assert exchange(connection, b"hello") == b"hello"
    connection.shutdown(socket.SHUT_WR)
    assert receive_all(connection) == b""
    app.wait_for_end()
    assert app.ends == ["done"]
    assert_nothing_is_left(serve.agents)


def test_application_that_is_not_there(serve):
    """The server's host answers, its application does not: nothing is accepted on its behalf."""
    app, connect = serve(echo)
    app.stop()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        connection = connect()
        connection.sendall(b"hello")
        assert connection.recv(1)
    assert serve.agents[0].status.wait_for_refusal("app_unreachable")["detail"]
