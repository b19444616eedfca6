# SPDX-License-Identifier: MIT
"""Connections: keep-alive, pipelining, HTTP/1.0, ends of either side, surplus bytes."""

import threading
import time

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.wait import DEADLINE, wait_for
from weirtest.wire import Cut

GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"


def echo(request):
    """Says what was asked for."""
    return f"{request.method} {request.target} {len(request.body)}"


def test_keep_alive_on_both_sides(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        for _ in range(50):
            response = client.get("/")
            assert response.status == 200 and not response.closes
    assert web.accepted == 1


def test_connections_to_servers_are_shared_by_clients(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    for _ in range(20):
        weir.get("/")
    assert web.accepted == 1


def test_idle_connections_to_servers_are_bounded(start_weir, http_server):
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}, "keepalive = 2"), workers=1)
    clients = [weir.client() for _ in range(6)]
    for client in clients:
        client.request("GET", "/")
    web.wait_active(6)
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    wait_for(lambda: web.open_connections == 2, "all but two connections to end")


def test_connections_that_were_in_use_at_once_are_kept(start_weir, http_server):
    """More than 64, since the same may be wanted again: none of them is made anew."""
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    clients = [weir.client() for _ in range(90)]
    for _ in range(3):
        holding.hold()
        for client in clients:
            client.request("GET", "/")
        web.wait_active(90)
        holding.release()
        for client in clients:
            assert client.response().status == 200
    assert web.accepted == web.open_connections == 90
    for client in clients:
        client.close()


def test_old_connections_to_servers_are_replaced(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, "connection_age = 300ms"), workers=1)
    with weir.client() as client:
        for _ in range(2):
            assert client.get("/").status == 200
        assert web.accepted == 1
        time.sleep(0.35)
        assert client.get("/").status == 200
    assert web.accepted == 2


def test_idle_connections_to_servers_end(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, "keepalive_timeout = 200ms"))
    weir.get("/")
    wait_for(lambda: web.open_connections == 0, "the idle connection to end")
    assert weir.get("/").status == 200


def test_client_asks_for_close(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")}))
    with weir.client() as client:
        response = client.get("/", [("Connection", "close")])
        assert response.status == 200 and response.closes
        client.assert_closed()


def test_server_asks_for_close(start_weir, http_server):
    """That is between it and Weir; the client's connection goes on."""
    web = http_server("a", lambda request: Reply(b"x", close=True))
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        for _ in range(3):
            response = client.get("/")
            assert response.status == 200 and not response.closes
    assert web.accepted == 3


def test_pipelining_keeps_order(start_weir, http_server):
    """Answers come in the order of the requests, even when the first one takes longest."""
    holding = Holding(path="/0")
    slow, fast = http_server("slow", holding), http_server("fast", echo)
    text = (conf.listener() + conf.modules() + conf.routes(slow='"/0"', fast='"/"') +
            conf.pool("slow", {"s": slow}) + conf.pool("fast", {"f": fast}))
    weir = start_weir(text)
    with weir.client() as client:
        client.send("".join(GET.format(f"/{i}") for i in range(6)))
        slow.wait_active(1)
        assert fast.served == 0, "one exchange at a time"
        holding.release()
        bodies = [client.response().text for _ in range(6)]
    assert bodies == ["/0"] + [f"GET /{i} 0" for i in range(1, 6)]


def test_pipelining_with_bodies(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a", echo)}))
    post = "POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    chunked = "PUT /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" \
        "3\r\nabc\r\n0\r\n\r\n"
    with weir.client() as client:
        client.send((post + GET.format("/g") + chunked + "\r\n" + post) * 5)
        for _ in range(5):
            assert client.response().text == "POST /p 5"
            assert client.response().text == "GET /g 0"
            assert client.response().text == "PUT /c 3"
            assert client.response().text == "POST /p 5"


def test_pipeline_in_single_bytes(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a", echo)}))
    post = "POST /p HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" \
        "3;ext=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    with weir.client() as client:
        for byte in (post + GET.format("/g")).encode():
            client.send(bytes([byte]))
        assert client.response().text == "POST /p 3"
        assert client.response().text == "GET /g 0"


def test_long_pipeline_is_bounded_and_answered(start_weir, http_server):
    """More requests than fit into any buffer: all are answered, in order."""
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: request.target)}))
    count, client = 3000, weir.client()
    padding = "x" * 200
    sender = threading.Thread(target=lambda: client.send("".join(
        f"GET /{i} HTTP/1.1\r\nHost: localhost\r\nX-Padding: {padding}\r\n\r\n"
        for i in range(count))))
    sender.start()
    for i in range(count):
        assert client.response().text == f"/{i}"
    sender.join()
    client.close()


def test_half_closed_client_gets_its_answer(start_weir, http_server):
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.request()
        client.half_close()
        web.wait_active(1)
        holding.release()
        assert client.response().body == b"late"
        client.assert_closed()
    assert weir.access(1)[0]["reason"] == ""


def test_half_closed_client_with_pipelined_requests(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a", echo)}))
    with weir.client() as client:
        client.send("".join(GET.format(f"/{i}") for i in range(4)))
        client.half_close()
        for i in range(4):
            assert client.response().text == f"GET /{i} 0"
        client.assert_closed()


def test_client_reset_reaches_the_server(start_weir, scripted_server):
    """Nobody waits for the answer any more: the server is let go."""
    arrived = threading.Event()
    ended = threading.Event()

    def script(peer):
        peer.request()
        arrived.set()
        assert peer.at_end()
        ended.set()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    client = weir.client()
    client.request()
    assert arrived.wait(DEADLINE)
    client.reset()
    assert ended.wait(DEADLINE)
    entry = weir.access(1)[0]
    assert (entry["reason"], entry["outcome"]) == ("client_gone", "canceled")


def test_http_1_0_client(start_weir, http_server):
    """Closed after the answer, unless it asks for keep-alive; no chunks, no 1xx."""
    pieces = Reply([b"ab", b"cd"], framing="chunked",
                   interim=(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",))
    web = http_server("a", lambda request: pieces if request.target == "/chunked" else b"plain")
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.request(version="1.0", host=None)
        response = client.response()
        assert response.body == b"plain" and response.version == "1.1"
        client.assert_closed()
    # Some servers refuse an empty Host: who names none gets the server's own.
    assert web.requests[-1].headers.get("Host") == f"127.0.0.1:{web.port}"
    with weir.client() as client:
        for _ in range(3):
            client.request(version="1.0", headers=[("Connection", "keep-alive")])
            response = client.response()
            assert response.body == b"plain"
            assert response.headers.get("Connection").lower() == "keep-alive"
    with weir.client() as client:
        client.request("GET", "/chunked", [("Connection", "keep-alive")], version="1.0")
        response = client.begin()
        assert response.interim == []
        assert "Transfer-Encoding" not in response.headers
        assert "Content-Length" not in response.headers
        assert client.rest() == b"abcd"
    # To the server Weir speaks its own version.
    assert all(request.minor == 1 for request in web.requests)


def test_http_1_0_server(start_weir, scripted_server):
    def script(peer):
        request = peer.request()
        if request.target == "/keep":
            peer.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nkept")
            peer.request()
        peer.send("HTTP/1.0 200 OK\r\n\r\nuntil the end")

    web = scripted_server(script)
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        response = client.get("/")
        assert response.body == b"until the end" and response.version == "1.1"
        assert response.headers.get("Transfer-Encoding") == "chunked"
        assert client.get("/keep").body == b"kept"
        assert client.get("/on").body == b"until the end"
    assert web.accepted == 2


def test_close_delimited_response(start_weir, http_server):
    """For HTTP/1.1 clients it becomes chunked, and their connection goes on; for HTTP/1.0 it ends."""
    body = b"x" * 100000
    web = http_server("a", lambda request: Reply(body, framing="close"))
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        for _ in range(3):
            response = client.get("/")
            assert response.body == body and not response.closes
    with weir.client() as client:
        client.request(version="1.0")
        assert client.response().body == body


def test_surplus_bytes_reach_nobody(start_weir, scripted_server):
    """Bytes behind a response belong to no request; that connection is not used again."""
    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert peer.at_end()

    web = scripted_server(script)
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        for _ in range(5):
            assert client.get("/").body == b"ok"
    assert web.accepted == 5


def test_bytes_on_an_idle_connection_reach_nobody(start_weir, scripted_server):
    sent = threading.Event()

    def script(peer):
        peer.request()
        peer.respond(b"ok")
        if peer.number == 1:
            assert go.wait(DEADLINE)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            sent.set()
            assert peer.at_end()

    go = threading.Event()
    web = scripted_server(script)
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        assert client.get("/").body == b"ok"
        go.set()
        assert sent.wait(DEADLINE)
        wait_for(lambda: web.open_connections == 0, "the connection to be given up")
        assert client.get("/").body == b"ok"
    assert web.accepted == 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("way", ["fin", "reset"])
def test_cut_body_is_seen(start_weir, scripted_server, framing, way):
    """What the server did not finish never passes for whole."""
    def script(peer):
        peer.request()
        if framing == "length":
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + "x" * 500)
        else:
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + "x" * 100 +
                      "\r\n")
        if way == "reset":
            # Only when the client has the first part: a reset throws away what is under way.
            assert seen.wait(DEADLINE)
            peer.reset()

    seen = threading.Event()
    weir = start_weir(conf.one_pool({"a": scripted_server(script)}, "retries = 0"))
    with weir.client() as client:
        client.request()
        response = client.begin()
        got = 0
        with pytest.raises((ConnectionError, Cut)):
            for piece in client.body(response):
                got += len(piece)
                if got == (500 if framing == "length" else 100):
                    seen.set()
    assert weir.access(1)[0]["reason"] == "upstream_truncated"


def test_cut_close_delimited_body_is_seen(start_weir, scripted_server):
    """RST in a body that lasts until the end: not an end."""
    seen = threading.Event()

    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 200 OK\r\n\r\n" + "x" * 500)
        assert seen.wait(DEADLINE)
        peer.reset()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}, "retries = 0"))
    with weir.client() as client:
        client.request()
        response = client.begin()
        got = 0
        with pytest.raises((ConnectionError, Cut)):
            for piece in client.body(response):
                got += len(piece)
                if got == 500:
                    seen.set()


@pytest.mark.parametrize("chunked", [False, True])
def test_cut_request_body_is_seen_by_the_server(start_weir, scripted_server, chunked):
    """A request whose client goes away in the body never looks whole to the server."""
    begun, result = threading.Event(), []

    def script(peer):
        request = peer.request_head()
        begun.set()
        try:
            for _ in request.pieces:
                pass
            result.append("whole")
        except (Cut, ConnectionError):
            result.append("cut")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    client = weir.client()
    if chunked:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n")
    else:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello")
    assert begun.wait(DEADLINE)
    client.close()
    wait_for(lambda: result, "the server to see the end")
    assert result == ["cut"]
