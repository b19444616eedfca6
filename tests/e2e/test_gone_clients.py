# SPDX-License-Identifier: MIT
"""Clients that go away while they wait: by a FIN, which may be half a close, or without a word."""

import contextlib
import ctypes
import os
import socket

import pytest

from weirtest import conf
from weirtest.backend import Holding


@pytest.fixture
def held(start_weir, http_server):
    """A server that has one request at a time, and answers when the test lets it."""

    def start(listener_options="", handler=None):
        holding = Holding(b"done")
        web = http_server("a", handler or holding)
        weir = start_weir(conf.one_pool({"a": (web, "max_connections = 1")}, "queue_timeout = 60s",
                                        listener_options), workers=1)
        return weir, web, holding

    return start


def gone(entry):
    return entry["reason"] == "client_gone"


@pytest.mark.parametrize("body", [None, b"hello" * 100], ids=["get", "post"])
def test_a_client_that_ends_its_side_in_the_queue(held, body):
    """abort_on_close: its place in the queue is free, and the server never hears of it."""
    weir, web, holding = held("abort_on_close = on")
    with weir.client() as first, weir.client() as second, weir.client() as third:
        first.request("GET", "/first")
        web.wait_active(1)
        second.request("POST" if body else "GET", "/second", body=body)
        second.half_close()
        assert weir.access(1)[0]["target"] == "/second" and gone(weir.access()[0])
        third.request("GET", "/third")
        holding.release()
        assert first.response().body == b"done"
        assert third.response().body == b"done"
        second.assert_closed()
    assert web.targets() == ["/first", "/third"]


@pytest.mark.parametrize("pause", [False, True])
def test_a_client_that_ends_its_side_at_the_server(held, pause):
    """abort_on_close: the connection to the server is closed, and its place is free for the next one. The end
    may come with the request itself."""
    weir, web, holding = held("abort_on_close = on")
    with weir.client() as first, weir.client() as second:
        first.request("GET", "/poll")
        if pause:
            web.wait_active(1)
        first.half_close()
        assert gone(weir.access(1)[0])
        holding.release()
        assert second.get("/next").body == b"done"
        first.assert_closed()


def test_half_closes_are_legal(held):
    """Off, as by default: who has ended his side gets his answer, from the queue as well."""
    weir, web, holding = held()
    with weir.client() as first, weir.client() as second:
        first.request("GET", "/first")
        first.half_close()
        web.wait_active(1)
        second.request("GET", "/second")
        second.half_close()
        holding.release()
        for client in (first, second):
            assert client.response().body == b"done"
            client.assert_closed()


def test_a_response_that_has_begun_goes_on(held):
    """abort_on_close ends at the response's head."""
    weir, web, holding = held("abort_on_close = on")
    with weir.client() as client:
        client.request()
        web.wait_active(1)
        holding.release()
        response = client.begin()
        client.half_close()
        assert b"".join(client.body(response)) == b"done"


def descriptors_of(weir):
    """Weir's own TCP sockets, as sockets of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(weir.pid)
    try:
        for number in map(int, os.listdir(f"/proc/{weir.pid}/fd")):
            fd = libc.syscall(438, handle, number, 0)  # pidfd_getfd
            if fd == -1:
                if ctypes.get_errno() == 1:
                    pytest.skip("pidfd_getfd is not permitted")
                continue
            try:
                sock = socket.socket(fileno=fd)
            except OSError:
                os.close(fd)
                continue
            with contextlib.closing(sock):
                if sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM:
                    yield sock
    finally:
        os.close(handle)


def watched(sock):
    """What the kernel does about a silent peer: on, seconds of silence, between probes, probes, ms."""
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    return (bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
            *(sock.getsockopt(socket.IPPROTO_TCP, option) for option in options))


def sides(weir, web, client):
    """What watches this client's connection, and the one to the server."""
    found = {}
    for sock in descriptors_of(weir):
        with contextlib.suppress(OSError):
            theirs = sock.getpeername()[1]
            if theirs == client.sock.getsockname()[1]:
                found["down"] = watched(sock)
            if theirs == web.port:
                found["up"] = watched(sock)
    return found


def test_silent_peers_are_asked(start_weir, http_server):
    """The kernel does it; a reload changes it for connections that come from then on."""
    servers = [http_server("a"), http_server("b")]

    def text(web, down="", up=""):
        return conf.one_pool({web.name: web}, up, down)

    weir = start_weir(text(servers[0]), workers=1)
    with weir.client() as client:
        assert client.get("/").status == 200
        default = (True, 60, 10, 3, 0)
        assert sides(weir, servers[0], client) == {"down": default, "up": default}
    weir.reload(text(servers[1], "tcp_keepalive = 5s  tcp_user_timeout = 20s",
                     "tcp_keepalive = 0  tcp_user_timeout = 7s"))
    with weir.client() as client:
        assert client.get("/").status == 200
        seen = sides(weir, servers[1], client)
        assert seen["down"] == (True, 5, 5, 3, 20000)
        assert not seen["up"][0] and seen["up"][4] == 7000
    weir.reload(text(servers[1], "tcp_keepalive = 0"))
    with weir.client() as client:
        assert client.get("/").status == 200
        assert not sides(weir, servers[1], client)["down"][0]
