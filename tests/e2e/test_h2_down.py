# SPDX-License-Identifier: MIT
"""HTTP/2 towards clients: names, rules of RFC 9113, limits, ends, WebSockets."""

import contextlib
import signal
import socket
import subprocess
import threading

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.h2peer import Codes, H2Client, RawClient, frame
from weirtest.wait import DEADLINE, wait_for

from test_upgrade import WebSocketServer


@pytest.fixture
def echo():
    server = WebSocketServer()
    yield server
    server.close()


def plain(start_weir, servers, listener="", pool="", **how):
    return start_weir(conf.one_pool(servers, pool, f"h2c = on\n{listener}"), **how)


def names(request):
    """What the server saw."""
    return Reply(repr([(name.lower(), value) for name, value in request.headers]).encode())


GOOD = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]


# ---- names ----

def test_alpn_offers_it(start_weir, certs, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))
    with H2Client(weir.address(), tls=certs.client()) as client:
        assert client.get("/").text == "a"
    with weir.client(tls=certs.client(alpn=["http/1.1"])) as client:
        assert client.get("/").text == "a"


def test_prior_knowledge_is_an_option(start_weir, http_server):
    """Beside HTTP/1, whose first bytes may look alike; without the option it is a bad request."""
    text = conf.one_pool({"a": http_server("a")}, listener_options="h2c = on")
    weir = start_weir(text)
    with H2Client(weir.address()) as client:
        assert client.get("/").text == "a"
    assert weir.get("/").text == "a"
    assert weir.get("/", method="PRIx").status == 200
    with weir.client() as client:
        client.send("P")
        client.send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert client.response().status == 200
    with weir.client() as client:
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n")
        client.half_close()
        client.rest()
    weir.reload(text.replace("h2c = on", ""))
    with weir.client() as client:
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.response().status in (400, 505)


def test_real_clients(start_weir, certs, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: b"x" * 100000)},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))
    url = f"https://localhost:{weir.port()}/"
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", str(certs.ca), "-w",
                           "%{http_version} %{http_code} %{size_download}", "-o", "/dev/null", url],
                          capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout == "2 200 100000"
    done = subprocess.run(["h2load", "-n", "400", "-c", "4", "-m", "20", url],
                          capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert "400 succeeded" in done.stdout and "400 2xx" in done.stdout


# ---- heads ----

def test_host_and_authority(start_weir, http_server):
    server = http_server("a", names)
    weir = plain(start_weir, {"a": server})
    with H2Client(weir.address()) as client:
        assert "('host', 'one.example:81')" in client.get("/", authority="one.example:81").text
        assert "('host', 'two')" in client.get("/", [("host", "two")], authority=None).text
        assert "('host', 'Same')" in client.get("/", [("host", "same")], authority="Same").text
        assert client.get("/", [("host", "other")], authority="localhost").status == 400
        assert client.finish(client.ask(authority=None)).reset == Codes.PROTOCOL_ERROR
        assert client.get("/", authority="a:b").status == 400
        assert client.get("/").status == 200


def test_routers_and_filters_see_a_host(start_weir, http_server):
    """As in HTTP/1."""
    weir = plain(start_weir, {"a": http_server("a", names)})
    with H2Client(weir.address()) as client:
        text = client.get("/", authority="shop.example").text
    assert text.count("shop.example") == 2  # Host, X-Forwarded-Host


def test_cookie_crumbs_are_joined(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a", names)})
    with H2Client(weir.address()) as client:
        text = client.get("/", [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"),
                                ("cookie", "c=3")]).text
        assert text.count("'cookie'") == 1 and "('cookie', 'a=1; b=2; c=3')" in text
        text = client.get("/", [("cookie", ""), ("cookie", "a=1"), ("cookie", "")]).text
    assert "('cookie', 'a=1')" in text


REFUSED = {
    "connection": GOOD + [("connection", "close")],
    "te": GOOD + [("te", "gzip")],
    "upgrade": GOOD + [("upgrade", "h2c")],
    "coding": GOOD + [("transfer-encoding", "chunked")],
    "upper": GOOD + [("X-Upper", "a")],
    "no_path": [pair for pair in GOOD if pair[0] != ":path"],
    "no_method": GOOD[1:],
    "two_paths": GOOD + [(":path", "/b")],
    "late_pseudo": [GOOD[0], GOOD[1], ("x", "y"), GOOD[2], GOOD[3]],
    "unknown_pseudo": GOOD[:3] + [(":what", "x")] + GOOD[3:],
    "status": [(":status", "200")] + GOOD,
    "control": GOOD + [("x", "a\nb")],
    "length": GOOD + [("content-length", "5")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_heads(start_weir, http_server, name):
    """A reset of the stream; others go on."""
    server = http_server("a")
    weir = plain(start_weir, {"a": server})
    with RawClient(weir.address()) as client:
        client.head(1, REFUSED[name], 1)
        flow = client.finish(1)
        assert flow.reset == Codes.PROTOCOL_ERROR or flow.value(":status") == "400"
        client.head(3, GOOD)
        client.until(lambda: client.flows[3].ended)
        assert client.flows[3].value(":status") == "200"
    assert len(server.requests) == 1


def test_targets(start_weir, http_server):
    server = http_server("a", lambda request: request.target)
    weir = plain(start_weir, {"a": server})
    with H2Client(weir.address()) as client:
        assert client.get("/a/./b?x=/../").text == "/a/b?x=/../"
        for bad in ("*", "http://localhost/", "x"):
            assert client.finish(client.ask(target=bad)).reset == Codes.PROTOCOL_ERROR
        assert client.get("*", method="OPTIONS").status in (200, 404)


def test_connect_is_refused(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a")})
    with RawClient(weir.address()) as client:
        client.head(1, [(":method", "CONNECT"), (":authority", "a:80")], end=False)
        client.until(lambda: client.flows[1].head is not None)
        assert client.flows[1].value(":status") == "501"
        client.head(3, [(":method", "CONNECT"), (":protocol", "what")] + GOOD[1:], end=False)
        client.until(lambda: client.flows[3].head is not None)
        assert client.flows[3].value(":status") == "501"


def test_limits_of_heads(start_weir, http_server):
    """431 for the stream, and HPACK stays in step for the next."""
    weir = plain(start_weir, {"a": http_server("a")},
                 "header_limit = 4k\nheader_count_limit = 20\ntarget_limit = 1k")
    with H2Client(weir.address()) as client:
        assert client.get("/", [("x", "v" * 5000)]).status == 431
        assert client.get("/", [("x", "y")] * 21).status == 431
        assert client.get("/", [("cookie", f"a={i}") for i in range(21)]).status == 431
        assert client.get("/" + "x" * 1100).status == 414
        assert client.get("/", [("x", "v" * 3000)] + [("y", "z")] * 10).status == 200


def test_trailers_that_frame_are_dropped(start_weir, http_server):
    server = http_server("a", lambda request: repr(list(request.trailers)) if request.body else "")
    weir = plain(start_weir, {"a": server})
    with H2Client(weir.address()) as client:
        response = client.get("/", method="POST", body=[b"x"],
                              trailers=[("x-a", "1"), ("host", "evil"), ("x-b", "2")])
    assert "evil" not in response.text and "x-b" in response.text


# ---- bodies ----

def test_length_against_data(start_weir, http_server):
    server = http_server("a", lambda request: request.body)
    weir = plain(start_weir, {"a": server})
    with RawClient(weir.address()) as client:
        for stream, data in ((1, b"ab"), (3, b"abcd")):
            client.head(stream, [(":method", "POST")] + GOOD[1:] + [("content-length", "3")], end=False)
            client.send(frame(0, 1, stream, data))
            client.until(lambda: client.flows[stream].reset is not None)
            assert client.flows[stream].reset == Codes.PROTOCOL_ERROR


def test_a_body_in_crumbs(start_weir, http_server):
    """Thousands of frames in one write: more than are read in a turn. All come, in their order."""
    weir = plain(start_weir, {"a": http_server("a", lambda request: request.body)})
    body = bytes(at % 251 for at in range(20_000))
    with RawClient(weir.address()) as client:
        client.head(1, [(":method", "POST")] + GOOD[1:], end=False)
        client.send(b"".join(frame(0, 0, 1, body[at:at + 1]) for at in range(len(body))) + frame(0, 1, 1))
        client.until(lambda: client.flows[1].ended)
        assert bytes(client.flows[1].body) == body


def test_body_limit(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a", lambda request: request.body)},
                 "body_limit = 10k")
    with H2Client(weir.address()) as client:
        assert client.get("/", method="POST", body=b"x" * 10241).status == 413
        assert client.get("/", method="POST", body=[b"x" * 6000] * 4).status == 413
        assert client.get("/", method="POST", body=b"x" * 10240).status == 200
    assert {entry["reason"] for entry in weir.access(3)} == {"too_large", ""}


def test_a_body_that_does_not_come(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a", lambda request: request.body)},
                 "body_timeout = 200ms")
    with H2Client(weir.address()) as client:
        stream = client.ask("POST", end=False)
        client.write(stream, b"abc")
        assert client.response(stream).status == 408
        assert client.get("/", method="POST", body=b"x").status == 200


def test_a_block_that_does_not_end(start_weir, http_server):
    """HEADERS without its CONTINUATION: the connection is under header_timeout."""
    weir = plain(start_weir, {"a": http_server("a")}, "header_timeout = 300ms")
    with RawClient(weir.address()) as client:
        client.head(1, GOOD)
        client.finish(1)
        client.send(frame(1, 1, 3, client.encoder.encode(GOOD)))
        client.until_over()
        assert client.goaways == [Codes.ENHANCE_YOUR_CALM]


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_who_says_nothing_goes(start_weir, http_server, sent):
    weir = plain(start_weir, {"a": http_server("a")}, "header_timeout = 200ms")
    with weir.client() as client:
        client.send(sent)
        client.rest()


def test_idle_connections_go(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a")}, "idle_timeout = 200ms")
    with H2Client(weir.address()) as client:
        assert client.get("/").status == 200
        client.until_over()
        assert client.goaway.error_code == 0


# ---- flow control ----

def test_a_client_that_takes_nothing_is_given_up(start_weir, http_server):
    """A window of a byte now and then is no progress."""
    weir = plain(start_weir, {"a": http_server("a", lambda request: b"x" * 300000)},
                 "idle_timeout = 500ms")
    with RawClient(weir.address(), settings={4: 0}) as client:
        client.head(1, GOOD)
        stop = threading.Event()

        def drip():
            while not stop.wait(0.05):
                try:
                    client.update(1, 1)
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        flow = client.finish(1)
        stop.set()
        thread.join()
        assert flow.reset == Codes.CANCEL


def test_streams_at_once(start_weir, http_server):
    """More than h2_streams are refused, and those that run are answered."""
    release = threading.Event()

    def handler(request):
        assert release.wait(DEADLINE)
        return b"ok"

    weir = plain(start_weir, {"a": http_server("a", handler)}, "h2_streams = 5")
    with RawClient(weir.address()) as client:
        for stream in range(1, 15, 2):
            client.head(stream, GOOD)
        client.finish(13)
        assert client.flows[11].reset == client.flows[13].reset == Codes.REFUSED_STREAM
        assert client.settings[3] == 5
        release.set()
        for stream in range(1, 11, 2):
            assert client.finish(stream).ended


# ---- ends ----

def test_drain_lets_running_requests_end(start_weir, http_server):
    release = threading.Event()

    def handler(request):
        if request.target == "/held":
            assert release.wait(DEADLINE)
        return b"ok"

    weir = plain(start_weir, {"a": http_server("a", handler)}, "lame_duck = 200ms")
    with RawClient(weir.address()) as client, RawClient(weir.address()) as idle:
        idle.head(1, GOOD)
        assert idle.finish(1).ended
        client.head(1, [(name, "/held" if name == ":path" else value) for name, value in GOOD])
        client.head(3, GOOD)
        assert client.finish(3).ended
        weir.signal(signal.SIGTERM)
        client.until(lambda: client.goaways)
        client.head(5, GOOD)  # was on its way
        assert client.finish(5).ended
        idle.until_over()
        assert set(idle.goaways) == {0}
        release.set()
        assert client.finish(1).body == b"ok"
        client.until_over()
        assert set(client.goaways) == {0}
    assert weir.wait_exit() == 0


def test_a_listener_that_goes(start_weir, http_server):
    text = conf.one_pool({"a": http_server("a")}, listener_options="h2c = on\nlame_duck = 100ms")
    other = conf.listener("h2c = on", name="other")
    weir = start_weir(text + other)
    with H2Client(weir.address("other")) as client:
        assert client.get("/").status == 200
        weir.reload(text)
        client.until_over()
        assert client.goaway is not None


def test_garbage_ends_the_connection(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a")})
    for bad in (frame(0, 0, 0, b"x"), frame(1, 4, 2, b"\x88"), frame(9, 4, 1, b""),
                frame(4, 0, 0, b"x"), frame(6, 0, 0, b"x"), frame(8, 0, 0, bytes(4)),
                frame(5, 4, 1, b"\0\0\0\2\x82"), b"\xff" * 100):
        with RawClient(weir.address()) as client:
            client.head(1, GOOD)
            assert client.finish(1).ended
            client.send(bad)
            client.until_over()
            assert client.goaways and client.goaways[-1] != 0, bad


def test_a_flood_is_calmed(start_weir, http_server):
    """PING after PING: a graceful end is announced first, then comes the abrupt one."""
    weir = plain(start_weir, {"a": http_server("a")}, "abuse_limit = 200")
    with RawClient(weir.address()) as client:
        client.head(1, GOOD)
        assert client.finish(1).ended
        with contextlib.suppress(OSError):
            for _ in range(100):
                client.send(frame(6, 0, 0, b"abcdefgh") * 10)
        client.until_over()
        assert set(client.goaways) <= {0, Codes.ENHANCE_YOUR_CALM}


def test_a_fin_is_the_end(start_weir, h2_server):
    """Who has ended its side of TCP can open no windows: what runs is given up."""
    server = h2_server("a", lambda request: None)
    weir = plain(start_weir, {"a": server}, pool='protocol = "h2"')
    with RawClient(weir.address()) as client:
        client.head(1, GOOD)
        wait_for(lambda: server.requests, "the request")
        client.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: server.resets == [Codes.CANCEL], "its end at the server")


def test_rapid_resets_are_calmed(start_weir, http_server):
    """A reset before the answer counts; the servers see each request end."""
    server = http_server("a", lambda request: b"x" * 1000)
    weir = plain(start_weir, {"a": server}, "abuse_limit = 100")
    with RawClient(weir.address()) as client:
        client.head(1, GOOD)
        assert client.finish(1).ended
        with contextlib.suppress(OSError):
            for stream in range(3, 2003, 2):
                client.head(stream, GOOD)
                client.rst(stream)
        client.until_over()
        assert set(client.goaways) <= {0, Codes.ENHANCE_YOUR_CALM}
    wait_for(lambda: server.active == 0, "the server's requests to end")
    assert len(server.requests) < 500
    assert weir.get("/").status == 200


# ---- WebSocket (RFC 8441) ----

def test_websocket(start_weir, echo):
    weir = plain(start_weir, {"a": echo})
    with RawClient(weir.address()) as client:
        client.until(lambda: client.settings)
        assert client.settings[8] == 1
        client.head(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                     (":path", "/chat"), (":authority", "localhost"),
                     ("sec-websocket-version", "13")], end=False)
        client.until(lambda: client.flows[1].head is not None)
        flow = client.flows[1]
        assert flow.value(":status") == "200" and "sec-websocket-accept" not in flow.head
        client.until(lambda: bytes(flow.body) == b"\x81\x07welcome")
        client.send(frame(0, 0, 1, b"\x81\x85" + bytes(4) + b"hello"))  # masked by zeros
        client.until(lambda: bytes(flow.body).endswith(b"\x81\x05hello"))
        client.send(frame(0, 0, 1, b"\x88\x82" + bytes(4) + b"\x03\xe8"))
        client.until(lambda: flow.ended)
        client.send(frame(0, 1, 1))
    entry = weir.access(1)[0]
    assert entry["status"] == 101 and entry["reason"] == ""


def test_websocket_through_a_reload(start_weir, echo):
    text = conf.one_pool({"a": echo}, listener_options="h2c = on")
    weir = start_weir(text)
    with RawClient(weir.address()) as client:
        client.head(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                     (":path", "/chat"), (":authority", "localhost"),
                     ("sec-websocket-version", "13")], end=False)
        client.until(lambda: client.flows[1].body.endswith(b"welcome"))
        weir.reload(text + "# again\n")
        client.send(frame(0, 0, 1, b"\x81\x85" + bytes(4) + b"hello"))
        client.until(lambda: client.flows[1].body.endswith(b"\x05hello"))


def test_websocket_that_is_refused(start_weir, http_server):
    weir = plain(start_weir, {"a": http_server("a", lambda request: Reply(b"no", status=403))})
    with RawClient(weir.address()) as client:
        client.head(1, [(":method", "CONNECT"), (":protocol", "websocket")] + GOOD[1:], end=False)
        client.until(lambda: client.flows[1].ended)
        assert client.flows[1].value(":status") == "403" and client.flows[1].body == b"no"


def test_nothing_goes_before_the_switch(start_weir, scripted_server):
    """To a server that does not switch, it would be a request."""
    seen = []

    def script(peer):
        request = peer.request_head()
        seen.append(request.target)
        try:
            seen.append(peer.sock.recv(1000))
        except ConnectionError:
            seen.append(b"")

    weir = plain(start_weir, {"a": scripted_server(script)})
    with RawClient(weir.address()) as client:
        client.head(1, [(":method", "CONNECT"), (":protocol", "websocket")] + GOOD[1:], end=False)
        wait_for(lambda: seen, "the request")
        client.send(frame(0, 0, 1, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
        client.until(lambda: client.flows[1].ended or client.flows[1].reset is not None)
        assert client.flows[1].value(":status") == "400"
    wait_for(lambda: len(seen) == 2, "the end")
    assert seen[1] == b""
