# SPDX-License-Identifier: MIT
"""Bodies and responses without them: framing both ways, trailers, 100-continue, 1xx, HEAD, 204, 304."""

import hashlib
import threading

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.wait import DEADLINE, wait_for
from weirtest.wire import encode_chunk


@pytest.fixture
def echo(start_weir, http_server):
    """A weir before a server that sends each body back, in the framing that X-Framing asks for."""
    def handler(request):
        framing = request.headers.get("X-Framing", "length")
        return Reply(request.body, framing=framing)

    web = http_server("echo", handler)
    return start_weir(conf.one_pool({"a": web})), web


SIZES = (0, 1, 2, 100, 4095, 4096, 16383, 16384, 16385, 65536, 131071, 131072, 131073, 300000)


def pattern(size):
    """Bytes in which a displaced block is seen."""
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(size // 32 + 1))[:size]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("sent", ["length", "chunked", "one", "small"])
def test_bodies_of_all_sizes(echo, sent, framing):
    weir, web = echo
    with weir.client() as client:
        for size in SIZES:
            if sent == "small" and size > 5000:
                break
            body = pattern(size)
            if sent == "length":
                how = body
            else:
                step = {"chunked": 1000, "one": max(size, 1), "small": 7}[sent]
                how = [body[i:i + step] for i in range(0, size, step)]
            response = client.get("/", [("X-Framing", framing)], method="POST", body=how)
            assert response.status == 200
            assert response.body == body, size
            assert web.requests[-1].headers.get("Transfer-Encoding") == \
                (None if sent == "length" else "chunked")


def test_chunk_extensions_and_odd_sizes(echo):
    """Sizes with leading zeros and in both cases, extensions: read, and not passed on."""
    weir, web = echo
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n"
                    "00000A;name=value;q=\"a;b\"\r\n0123456789\r\n"
                    "0b\r\n0123456789a\r\n000;last\r\n\r\n")
        assert client.response().body == b"01234567890123456789a"
    assert web.requests[0].headers.get("Transfer-Encoding") == "chunked"


def test_trailers_to_the_server(echo):
    weir, web = echo
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                    "Trailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n")
        assert client.response().body == b"abc"
    assert web.requests[0].trailers == [("X-Sum", "42")]
    assert web.requests[0].headers.get("Trailer") == "X-Sum"


def test_trailers_that_may_not_be_trailers_are_dropped(echo):
    """RFC 9110 section 6.5.1: framing, routing and the like have no place there."""
    weir, web = echo
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\nContent-Length: 7\r\nHost: evil.example\r\n"
                    "Transfer-Encoding: chunked\r\nX-Good: 1\r\n\r\n")
        assert client.response().body == b"abc"
        client.assert_open()
    assert web.requests[0].trailers == [("X-Good", "1")]


def test_trailers_to_the_client(start_weir, http_server):
    reply = Reply([b"abc"], framing="chunked", trailers=(("X-Sum", "42"), ("X-More", "yes")),
                  headers=(("Trailer", "X-Sum"),))
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: reply)}))
    with weir.client() as client:
        response = client.get("/", [("TE", "trailers"), ("Connection", "TE")])
        assert response.body == b"abc"
        assert response.trailers == [("X-Sum", "42"), ("X-More", "yes")]


def test_expect_continue(start_weir, scripted_server):
    """The server's 100 comes through before a byte of the body is sent."""
    def script(peer):
        request = peer.request_head()
        assert request.headers.get("Expect").lower() == "100-continue"
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.respond(request.body)

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                    "Expect: 100-continue\r\n\r\n")
        assert client.head().status == 100
        client.send("hello")
        assert client.response().body == b"hello"


def test_expect_continue_refused_by_the_server(start_weir, scripted_server):
    """A final answer instead of 100: at once, and the body is never sent."""
    def script(peer):
        peer.request_head()
        peer.respond(b"too big", status=413, reason="Content Too Large",
                     headers=[("Connection", "close")])

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n"
                    "Expect: 100-continue\r\n\r\n")
        response = client.response()
        assert (response.status, response.body) == (413, b"too big")
        # What would come next could be the body as well as a request.
        assert response.closes
        client.assert_closed()


def test_expect_continue_of_a_client_that_does_not_wait(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: request.body)}))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                    "Expect: 100-continue\r\n\r\nhello")
        assert client.response().body == b"hello"


def test_unknown_expectation(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    assert weir.get("/", [("Expect", "miracles")]).status == 417
    assert web.served == 0


def test_interim_responses_pass(start_weir, http_server):
    reply = Reply(b"done", interim=(b"HTTP/1.1 102 Processing\r\n\r\n",
                                    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n"
                                    b"\r\n"))
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: reply)}))
    with weir.client() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.body == b"done"
            assert [interim.status for interim in response.interim] == [102, 103]
            assert response.interim[1].headers.get("Link") == "</a.css>; rel=preload"


def test_interim_response_passes_at_once(start_weir, scripted_server):
    seen = threading.Event()

    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert seen.wait(DEADLINE)
        peer.respond(b"done")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.request()
        assert client.head().status == 103
        seen.set()
        assert client.response().body == b"done"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_head(start_weir, http_server, framing):
    """The fields of GET, no body, and the connection goes on."""
    web = http_server("a", lambda request: Reply(b"x" * 1234, framing=framing))
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        for _ in range(2):
            response = client.get("/", method="HEAD")
            assert response.status == 200
            assert response.headers.get("Content-Length") == \
                ("1234" if framing == "length" else None)
        assert client.get("/").body == b"x" * 1234
        assert client.get("/nowhere", host="").status == 400


def test_head_of_weirs_own_answers(start_weir):
    text = conf.listener() + conf.modules() + conf.pool("p", {"a": "http://127.0.0.1:1"}) + \
        'module "route_path" { route "/p" { pool = "p" } }\n'
    weir = start_weir(text)
    with weir.client() as client:
        length = client.get("/nowhere").headers.get("Content-Length")
        response = client.get("/nowhere", method="HEAD")
        assert response.status == 404 and response.headers.get("Content-Length") == length
        assert client.get("/nowhere").status == 404


def test_no_content_and_not_modified(start_weir, http_server):
    def handler(request):
        if request.target == "/304":
            return Reply(b"x" * 99, status=304, reason="Not Modified", headers=(("ETag", '"1"'),))
        return Reply(status=204, reason="No Content")

    weir = start_weir(conf.one_pool({"a": http_server("a", handler)}))
    with weir.client() as client:
        for _ in range(2):
            response = client.get("/204")
            assert response.status == 204 and not response.closes
            assert "Content-Length" not in response.headers
            assert "Transfer-Encoding" not in response.headers
            response = client.get("/304")
            assert (response.status, response.headers.get("ETag")) == (304, '"1"')
            assert "Transfer-Encoding" not in response.headers


def test_reset_content(start_weir, scripted_server):
    def script(peer):
        while True:
            peer.request()
            peer.send("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        for _ in range(2):
            assert client.get("/", method="POST", body=b"x").status == 205


@pytest.mark.parametrize("sent", ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                                  "\r\n", "\r\nabc"], ids=["chunked", "bare", "until the end"])
def test_reset_content_ends_with_its_head(start_weir, scripted_server, sent):
    """RFC 9110 section 15.3.6: there is no content, whatever the server sends; nobody waits for it."""
    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 205 Reset Content\r\n" + sent)
        peer.at_end()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        for _ in range(2):
            response = client.get("/")
            assert (response.status, response.body) == (205, b"")
            assert response.headers.get("Content-Length") == "0"


def test_early_answer_before_the_body(start_weir, scripted_server):
    """A final answer is passed on although the body is still being sent, then the connection ends."""
    got_head = threading.Event()

    def script(peer):
        peer.request_head()
        got_head.set()
        peer.respond(b"no", status=403, reason="Forbidden", headers=[("Connection", "close")])
        peer.sock.shutdown(1)
        while peer.some():
            pass

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        client.send(b"x" * 1000)
        assert got_head.wait(DEADLINE)
        response = client.response()
        assert (response.status, response.body, response.closes) == (403, b"no", True)


def test_early_answer_while_the_client_sends_on(start_weir, scripted_server):
    """A client that only reads once it has sent everything gets the answer too, not a reset."""
    def script(peer):
        peer.request_head()
        peer.respond(b"no", status=403, reason="Forbidden", headers=[("Connection", "close")])
        peer.sock.shutdown(1)
        while peer.some():
            pass

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n" +
                    b"x" * 700000)
        assert client.response().status == 403


def test_body_limit(start_weir, http_server):
    web = http_server("a", lambda request: request.body)
    weir = start_weir(conf.one_pool({"a": web}, listener_options="body_limit = 1000"))
    with weir.client() as client:
        assert client.get("/", method="POST", body=b"x" * 1000).status == 200
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n")
        response = client.response()
        assert response.status == 413 and response.closes
    web.wait_active(0)
    served = web.served
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(encode_chunk(b"x" * 600))
        client.send(encode_chunk(b"x" * 600))
        response = client.response()
        assert response.status == 413 and response.closes
    wait_for(lambda: web.active == 0, "the cut request to end at the server")
    assert web.served <= served + 1
    reasons = sorted(entry["reason"] for entry in weir.access(3))
    assert reasons == ["", "too_large", "too_large"]


def test_first_byte_passes_while_the_rest_dribbles(start_weir, http_server):
    """Nothing is held back until more comes, in either direction."""
    steps = {framing: [threading.Event() for _ in range(5)]
             for framing in ("length", "chunked", "close")}

    def handler(request):
        framing = request.headers.get("X-Framing")

        def pieces():
            for i, step in enumerate(steps[framing]):
                yield b"%d" % i
                assert step.wait(DEADLINE)
        return Reply(pieces(), framing=framing, length=5)

    weir = start_weir(conf.one_pool({"a": http_server("a", handler)}))
    for framing in steps:
        with weir.client() as client:
            client.request("GET", "/", [("X-Framing", framing)])
            response = client.begin()
            got = b""
            for piece in client.body(response):
                # Each piece is asked for only after the one before has arrived.
                got += piece
                steps[framing][len(got) - 1].set()
            assert got == b"01234"


def test_request_body_dribbles_through(start_weir, scripted_server):
    """The server has each byte before the next is sent; the head goes ahead of the body."""
    at_server = [threading.Event() for _ in range(5)]

    def script(peer):
        request = peer.request_head()
        at_server[0].set()
        for i, piece in enumerate(request.pieces):
            assert len(piece) == 1
            at_server[i + 1].set()
        peer.respond(b"thanks")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
        for i in range(4):
            assert at_server[i].wait(DEADLINE)
            client.send("x")
        assert client.response().body == b"thanks"
