# SPDX-License-Identifier: MIT
"""Clocks on both sides: each ends what it has to end, not before its time, and says why."""

import threading

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.wait import DEADLINE, SANITIZED, Stopwatch, pass_time, wait_for
from weirtest.wire import Cut

# Far above what the grain of the clocks explains, far below the defaults.
LATE = 15 if SANITIZED else 6


def test_connect_timeout(start_weir, black_hole):
    hole = black_hole()
    weir = start_weir(conf.one_pool({"a": hole}, "connect_timeout = 300ms"))
    with Stopwatch() as watch:
        assert weir.get("/").status == 504
    assert 0.29 <= watch.seconds < LATE
    assert weir.access(1)[0]["reason"] == "connect_timeout"


def test_connect_timeout_then_another_server(start_weir, black_hole, http_server):
    """Nothing was sent: even a POST goes on to the next server."""
    weir = start_weir(conf.one_pool({"hole": black_hole(), "good": http_server("good")},
                                    "connect_timeout = 200ms"), workers=1)
    for _ in range(2):
        response = weir.get("/", method="POST", body=b"order")
        assert (response.status, response.server) == (200, "good")
    assert sum(entry["retries"] for entry in weir.access(2)) == 1


def test_response_timeout(start_weir, http_server):
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}, "response_timeout = 300ms"))
    with weir.client() as client:
        with Stopwatch() as watch:
            response = client.get("/slow")
        assert response.status == 504
        assert 0.29 <= watch.seconds < LATE
        holding.release()
        assert client.get("/next").status == 200, "the client's connection goes on"
    assert weir.access(2)[0]["reason"] == "response_timeout"
    # The server may still be at it: no second try.
    assert web.targets() == ["/slow", "/next"]


def test_response_timeout_begins_with_the_whole_request(start_weir, http_server):
    """A client that is slow to send its body does not use up the server's time."""
    web = http_server("a", lambda request: request.body)
    weir = start_weir(conf.one_pool({"a": web}, "response_timeout = 300ms"))
    with weir.client() as client, Stopwatch() as watch:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
        for byte in b"slow":
            # Each byte is at the server before the next is sent.
            pass_time(0.15)
            client.send(bytes([byte]))
        assert client.response().body == b"slow"
    assert watch.seconds > 0.5


EXPECTING = "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


def test_server_that_never_says_continue(start_weir, scripted_server):
    """RFC 9110 section 10.1.1: the client waits by right; it is the server that is late."""
    def script(peer):
        peer.request_head()
        peer.at_end()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}, "response_timeout = 300ms",
                                    listener_options="body_timeout = 100ms"))
    with weir.client() as client:
        client.send(EXPECTING)
        response = client.response()
        assert response.status == 504 and response.closes
    entry = weir.access(1)[0]
    assert (entry["reason"], entry["outcome"]) == ("response_timeout", "timeout")


def test_server_that_says_continue_late(start_weir, scripted_server):
    """What the server took of the time is not the client's."""
    def script(peer):
        request = peer.request_head()
        pass_time(0.5)
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.respond(request.body)

    weir = start_weir(conf.one_pool({"a": scripted_server(script)},
                                    listener_options="body_timeout = 300ms"))
    with weir.client() as client:
        client.send(EXPECTING)
        assert client.head().status == 100
        client.send("body")
        assert client.response().body == b"body"


def test_client_that_never_goes_on(start_weir, scripted_server):
    def script(peer):
        peer.request_head()
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.at_end()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)},
                                    listener_options="body_timeout = 300ms"))
    with weir.client() as client:
        client.send(EXPECTING)
        assert client.head().status == 100
        assert client.response().status == 408
    assert weir.access(1)[0]["reason"] == "body_timeout"


def test_header_timeout(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, listener_options="header_timeout = 300ms"))
    with weir.client() as client:
        with Stopwatch() as watch:
            client.send("GET / HTTP/1.1\r\nHost: local")
            response = client.response()
        assert response.status == 408 and response.closes
        assert 0.29 <= watch.seconds < LATE
        client.assert_closed()
    assert weir.access(1)[0]["reason"] == "header_timeout"
    assert web.served == 0


def test_header_timeout_is_for_the_whole_head(start_weir, http_server):
    """A byte now and then does not prolong it."""
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options="header_timeout = 400ms"))
    with weir.client(timeout=0.05) as client, Stopwatch() as watch:
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        answer = b""
        while not answer:
            assert watch.running() < LATE, "the head may take for ever"
            client.send("a")
            try:
                answer = client.some()
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_client_that_says_nothing(start_weir, http_server):
    """Without a byte of a request there is nobody to tell: the connection just ends."""
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options="header_timeout = 300ms"))
    with weir.client() as client:
        client.assert_closed()


def test_idle_timeout_between_requests(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options="idle_timeout = 300ms"))
    with weir.client() as client:
        assert client.get("/").status == 200
        assert client.get("/").status == 200
        with Stopwatch() as watch:
            client.assert_closed()
        assert 0.28 <= watch.seconds < LATE


def test_body_timeout(start_weir, http_server):
    web = http_server("a", lambda request: request.body)
    weir = start_weir(conf.one_pool({"a": web}, listener_options="body_timeout = 300ms"))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        response = client.response()
        assert response.status == 408 and response.closes
        client.assert_closed()
    assert weir.access(1)[0]["reason"] == "body_timeout"
    assert web.served <= 1


def test_body_timeout_is_between_two_reads(start_weir, http_server):
    web = http_server("a", lambda request: request.body)
    weir = start_weir(conf.one_pool({"a": web}, listener_options="body_timeout = 600ms"))
    with weir.client() as client, Stopwatch() as watch:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n")
        for byte in b"dribbled":
            pass_time(0.15)
            client.send(bytes([byte]))
        assert client.response().body == b"dribbled"
    assert watch.seconds > 0.7


def test_server_that_stops_in_a_body(start_weir, http_server):
    """The pool's idle_timeout breaks a response that does not move; the client sees that it is cut."""
    stuck = threading.Event()

    def handler(request):
        def pieces():
            yield b"begun"
            stuck.wait(DEADLINE)
            yield b"never"
        return Reply(pieces(), framing="chunked")

    weir = start_weir(conf.one_pool({"a": http_server("a", handler)}, "idle_timeout = 300ms"))
    with weir.client() as client:
        client.request()
        response = client.begin()
        assert response.status == 200
        with pytest.raises((ConnectionError, Cut)):
            for _ in client.body(response):
                pass
    stuck.set()
    assert weir.access(1)[0]["reason"] == "idle_timeout"


@pytest.mark.parametrize("request_of_it", ["first", "with_a_body"])
def test_client_that_does_not_read(start_weir, http_server, request_of_it):
    """It does not hold its stream for ever: after idle_timeout without a byte taken it is cut off, whatever
    clock ran before its response began."""
    block = bytes(65536)

    def handler(request):
        return Reply((block for _ in range(1024)), length=1024 * len(block))

    web = http_server("a", handler)
    weir = start_weir(conf.one_pool({"a": web}, listener_options="idle_timeout = 500ms  "
                                    "header_timeout = 60s  body_timeout = 60s"))
    with weir.client(receive_buffer=4096) as client, Stopwatch() as watch:
        if request_of_it == "first":
            client.request()
        else:
            client.request("POST", body=b"hello")
        entry = weir.access(1)[0]
        assert 0.48 <= watch.running() < LATE
        assert entry["bytes"] < 1024 * len(block)
        assert entry["reason"] != ""
        with pytest.raises((ConnectionError, Cut)):
            for _ in client.body(client.begin()):
                pass


def test_tls_handshake_that_never_comes(start_weir, http_server, certs):
    tls = f"tls {{ {certs.block('localhost')}  handshake_timeout = 300ms }}"
    weir = start_weir(conf.one_pool({"a": http_server("a")}, listener_options=tls))
    with weir.client() as client:
        client.assert_closed()
    with weir.client() as client:
        client.send(b"\x16\x03\x01\x02\x00")
        client.assert_closed()


# ---- Weir's own standing still is nobody's fault ----

# A time limit that no test reaches before it lets Weir stand still, on any machine.
LIMIT = 5.0 if SANITIZED else 1.5


def test_an_answer_that_came_while_weir_stood_still(start_weir, http_server):
    """In time for all that the server can know."""
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool(
        {"a": web}, f'retries = 0  response_timeout = {LIMIT * 1000:.0f}ms  '
        'health "passive" { failures = 1  share = 0% }'), workers=1)
    with weir.client() as client:
        client.request("GET", "/")
        web.wait_active(1)
        with weir.standing_still():
            holding.release()
            wait_for(lambda: web.served == 1 and web.active == 0, "the answer to be out")
            pass_time(LIMIT + 0.2)
        assert client.response().status == 200
    assert "ejected" not in weir.log()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_head_that_came_while_weir_stood_still(start_weir, http_server, certs, tls):
    limit = f"{LIMIT * 1000:.0f}ms"
    options = f"header_timeout = {limit}  idle_timeout = {limit}  " + \
        (f"tls {{ {certs.block('localhost')} }}" if tls else "")
    weir = start_weir(conf.one_pool({"a": http_server("a")}, listener_options=options), workers=1)
    context = certs.client() if tls else None
    clients = [weir.client(tls=context) for _ in range(6)]
    for client in clients[3:]:
        client.send(b"GET / HTTP/1.1\r\nHo")
    for client in clients[:3]:
        assert client.get("/").status == 200
    with weir.standing_still():
        for client in clients[:3]:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for client in clients[3:]:
            client.send(b"st: localhost\r\n\r\n")
        pass_time(LIMIT + 0.2)
    for client in clients:
        assert client.response().status == 200
        client.close()
