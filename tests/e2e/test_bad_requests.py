# SPDX-License-Identifier: MIT
"""Malformed and ambiguous requests: refused with the right status, the connection closed, and not a byte
of them at the server. Each row names the section that it is about."""

import pytest

from weirtest import conf
from weirtest.backend import HttpServer
from weirtest.client import Client
from weirtest.weir import Weir

H = "Host: localhost\r\n"
POST = "POST / HTTP/1.1\r\n" + H
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"
BIG = "x" * 20000

# Name with the section (of RFC 9112 where nothing else is said), bytes, status.
REQUESTS = [
    # -- the request line
    ("3-no-version", "GET /\r\n" + H + "\r\n", 400),
    ("3-two-spaces", "GET  / HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3-space-behind", "GET / HTTP/1.1 \r\n" + H + "\r\n", 400),
    ("3-space-in-target", "GET /a b HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3-tab", "GET\t/\tHTTP/1.1\r\n" + H + "\r\n", 400),
    ("3-space-before", " GET / HTTP/1.1\r\n" + H + "\r\n", 400),
    ("2.2-bare-lf", "GET / HTTP/1.1\n" + H + "\r\n", 400),
    ("2.2-bare-cr", "GET / HTTP/1.1\rX: y\r\n" + H + "\r\n", 400),
    ("2.2-many-empty-lines", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.1-bad-method", "G@T / HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.1-empty-method", "/ HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.1-long-method", "G" * 300 + " / HTTP/1.1\r\n" + H + "\r\n", 501),
    ("2.3-lower-case-version", "GET / http/1.1\r\n" + H + "\r\n", 400),
    ("2.3-version-0.9", "GET / HTTP/0.9\r\n" + H + "\r\n", 505),
    ("2.3-version-2.0", "GET / HTTP/2.0\r\n" + H + "\r\n", 505),
    ("2.3-version-three-digits", "GET / HTTP/1.10\r\n" + H + "\r\n", 400),
    ("2.3-version-sign", "GET / HTTP/+1.1\r\n" + H + "\r\n", 400),
    ("2.3-preface-of-http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("tls-on-a-plain-listener", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0" * 40, 400),
    # -- targets
    ("3.2-no-slash", "GET x HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2-fragment", "GET /a#b HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2-nul", "GET /\0 HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2-control", "GET /\x01 HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3986-2.1-percent-nul", "GET /%00 HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3986-2.1-half-percent", "GET /%4 HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3986-2.1-no-hex", "GET /%zz HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2.2-unknown-scheme", "GET ftp://localhost/ HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2.2-no-authority", "GET http:///x HTTP/1.1\r\n" + H + "\r\n", 400),
    ("9110-4.2.4-userinfo", "GET http://me:pw@localhost/ HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2.4-asterisk-without-options", "GET * HTTP/1.1\r\n" + H + "\r\n", 400),
    ("3.2.3-connect", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", 501),
    ("3-too-long-target", f"GET /{BIG} HTTP/1.1\r\n" + H + "\r\n", 414),
    # -- Host
    ("3.2-no-host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("3.2-two-hosts", "GET / HTTP/1.1\r\n" + H + H + "\r\n", 400),
    ("3.2-empty-host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("3.2-host-with-space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("3.2-host-list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("3.2-host-with-path", "GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400),
    ("3.2-host-userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("3.2-host-bad-port", "GET / HTTP/1.1\r\nHost: localhost:99999\r\n\r\n", 400),
    ("3.2-host-bad-ipv6", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("3.2-absolute-without-host", "GET http://localhost/ HTTP/1.1\r\n\r\n", 400),
    # -- fields
    ("5.1-space-before-colon", "GET / HTTP/1.1\r\n" + H + "X-A : b\r\n\r\n", 400),
    ("5.1-no-colon", "GET / HTTP/1.1\r\n" + H + "X-A\r\n\r\n", 400),
    ("5.1-empty-name", "GET / HTTP/1.1\r\n" + H + ": b\r\n\r\n", 400),
    ("5.1-bad-name", "GET / HTTP/1.1\r\n" + H + "X(A): b\r\n\r\n", 400),
    ("5.1-utf8-name", "GET / HTTP/1.1\r\n" + H + "X\xc3\xa4: b\r\n\r\n", 400),
    ("5.2-obs-fold", "GET / HTTP/1.1\r\n" + H + "X-A: b\r\n c\r\n\r\n", 400),
    ("5.2-fold-first", "GET / HTTP/1.1\r\n " + H + "\r\n", 400),
    ("5-nul-in-value", "GET / HTTP/1.1\r\n" + H + "X-A: a\0b\r\n\r\n", 400),
    ("5-control-in-value", "GET / HTTP/1.1\r\n" + H + "X-A: a\x02b\r\n\r\n", 400),
    ("5-bare-cr-in-value", "GET / HTTP/1.1\r\n" + H + "X-A: a\rb\r\n\r\n", 400),
    ("2.2-bare-lf-in-fields", "GET / HTTP/1.1\r\n" + H + "X-A: a\nX-B: b\r\n\r\n", 400),
    ("2.2-bare-lf-at-the-end", "GET / HTTP/1.1\r\n" + H + "\n", 400),
    ("5.4-too-many-fields", "GET / HTTP/1.1\r\n" + H + "X: y\r\n" * 200 + "\r\n", 431),
    ("5.4-too-long-field", "GET / HTTP/1.1\r\n" + H + f"X: {BIG}\r\n\r\n", 431),
    ("9110-10.1.1-expectation", POST + "Content-Length: 1\r\nExpect: more\r\n\r\nx", 417),
    # -- framing
    ("6.2-negative-length", POST + "Content-Length: -1\r\n\r\n", 400),
    ("6.2-plus-length", POST + "Content-Length: +5\r\n\r\nhello", 400),
    ("6.2-hex-length", POST + "Content-Length: 0x5\r\n\r\nhello", 400),
    ("6.2-spaces-in-length", POST + "Content-Length: 5 5\r\n\r\nhello", 400),
    ("6.2-empty-length", POST + "Content-Length:\r\n\r\n", 400),
    ("6.2-empty-list", POST + "Content-Length: ,\r\n\r\n", 400),
    ("6.2-fraction", POST + "Content-Length: 5.0\r\n\r\nhello", 400),
    ("6.2-overflow", POST + "Content-Length: 18446744073709551617\r\n\r\nx", 400),
    ("6.2-above-63-bits", POST + "Content-Length: 9223372036854775808\r\n\r\nx", 400),
    ("6.3-lengths-differ", POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    ("6.3-length-list-differs", POST + "Content-Length: 5, 6\r\n\r\nhello", 400),
    ("6.1-unknown-coding", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("6.1-chunked-not-last", POST + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    ("6.1-chunked-twice", POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("6.1-chunked-in-two-fields", POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n", 400),
    ("6.1-identity", POST + "Transfer-Encoding: identity\r\n\r\n", 400),
    ("6.1-quoted", POST + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("6.1-xchunked", POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("6.1-parameter", POST + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400),
    ("6.1-vertical-tab", POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("6.1-empty-coding", POST + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
]

# The head is fine; what follows is not. The server may have seen the head, and never a whole request.
BODIES = [
    ("7.1-no-hex", "xyz\r\n", 400),
    ("7.1-0x", "0x5\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1-sign", "+5\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1-negative", "-5\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1-space-before", " 5\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1-empty-size", "\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1-overflow", "fffffffffffffffff\r\nx", 400),
    ("7.1-bare-lf-behind-size", "5\nhello\r\n0\r\n\r\n", 400),
    ("7.1-bare-cr-behind-size", "5\rhello\r\n0\r\n\r\n", 400),
    ("7.1-data-too-long", "5\r\nhelloX\r\n0\r\n\r\n", 400),
    ("7.1-bare-lf-behind-data", "5\r\nhello\n0\r\n\r\n", 400),
    ("7.1.1-endless-extension", "5;" + "x" * 40000, 400),
    ("7.1.1-lf-in-extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    ("7.1.2-bad-trailer", "5\r\nhello\r\n0\r\nX Y: z\r\n\r\n", 400),
    ("7.1.2-fold-in-trailer", "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", 400),
    ("7.1.2-endless-trailers", "5\r\nhello\r\n0\r\n" + f"X: {'y' * 2000}\r\n" * 40, 431),
    ("7.1.2-too-many-trailers", "5\r\nhello\r\n0\r\n" + "X: y\r\n" * 300, 431),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One weir for all rows: none of them may harm the next."""
    def handler(request):
        completed.append(request.target if request.body is not None else None)
        return b"ok"

    completed = []
    web = HttpServer("a", handler)
    weir = Weir(tmp_path_factory.mktemp("bad-requests"))
    weir.configure(conf.one_pool({"a": web}))
    weir.start()
    yield weir, web, completed
    web.close()
    weir.stop()


def refuse(stage, data, status):
    """The answer to these bytes; the connection ends after it."""
    weir, _, _ = stage
    with Client(weir.address()) as client:
        try:
            client.send(data)
        except ConnectionError:
            pass  # it is refused before all of it is sent; the answer is there all the same
        response = client.response()
        assert response.status == status, f"{response.status}: {response.body!r}"
        assert response.closes
        client.assert_closed()


@pytest.mark.parametrize("data, status", [row[1:] for row in REQUESTS],
                         ids=[row[0] for row in REQUESTS])
def test_refused(stage, data, status):
    _, web, _ = stage
    served, accepted = len(web.requests), web.accepted
    refuse(stage, data, status)
    assert (len(web.requests), web.accepted) == (served, accepted), "it reached the server"


@pytest.mark.parametrize("data, status", [row[1:] for row in REQUESTS if row[0][0] in "56"],
                         ids=[row[0] for row in REQUESTS if row[0][0] in "56"])
def test_refused_behind_a_good_request(stage, data, status):
    """In a pipeline: the good one is answered first, then the bad one, and nothing behind it."""
    weir, web, _ = stage
    served = len(web.requests)
    good = "GET /good HTTP/1.1\r\n" + H + "\r\n"
    with Client(weir.address()) as client:
        try:
            client.send(good + data + good)
        except ConnectionError:
            pass
        assert client.response().status == 200
        response = client.response()
        assert response.status == status and response.closes
        client.assert_closed()
    assert len(web.requests) == served + 1


@pytest.mark.parametrize("body, status", [row[1:] for row in BODIES],
                         ids=[row[0] for row in BODIES])
def test_refused_in_the_body(stage, body, status):
    _, _, completed = stage
    whole = len(completed)
    refuse(stage, CHUNKED + body, status)
    assert len(completed) == whole, "the server took a broken request for whole"


def test_one_empty_line_before_is_forgiven(stage):
    """RFC 9112 section 2.2."""
    weir, _, _ = stage
    with Client(weir.address()) as client:
        assert client.raw("\r\nGET / HTTP/1.1\r\n" + H + "\r\n").status == 200


def test_equal_lengths_are_one(stage):
    """RFC 9112 section 6.3: folded into one valid value, or refused; passed on once."""
    weir, web, _ = stage
    with Client(weir.address()) as client:
        response = client.raw(POST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
    if response.status == 200:
        assert web.requests[-1].headers.all("Content-Length") == ["5"]
        assert web.requests[-1].body == b"hello"
    else:
        assert response.status == 400


def test_both_lengths_end_the_connection(stage):
    """RFC 9112 section 6.1: the coding counts, the length is not passed on, nothing more is read."""
    weir, web, _ = stage
    with Client(weir.address()) as client:
        client.send(POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + H + "\r\n")
        response = client.response()
        assert response.status in (200, 400) and response.closes
        client.assert_closed()
    if response.status == 200:
        assert web.requests[-1].body == b"hello"
        assert "Content-Length" not in web.requests[-1].headers
    assert "/smuggled" not in web.targets()


def test_coding_of_http_1_0_ends_the_connection(stage):
    weir, web, _ = stage
    with Client(weir.address()) as client:
        client.send("POST / HTTP/1.0\r\n" + H + "Connection: keep-alive\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                    "GET /smuggled HTTP/1.0\r\n" + H + "\r\n")
        response = client.response()
        assert response.status in (200, 400)
        client.assert_closed()
    assert "/smuggled" not in web.targets()


def test_answers_tell_nothing_internal(stage):
    weir, web, _ = stage
    with Client(weir.address()) as client:
        response = client.raw("GET / HTTP/1.1\r\nHost: a b\r\nX-Secret: s3cr3t\r\n\r\n")
    text = str(response.headers) + response.text
    for word in ("s3cr3t", "127.0.0.1", str(web.port), "web", "weir.conf"):
        assert word not in text


def test_log_says_why(stage):
    weir, _, _ = stage
    refuse(stage, "GET /why HTTP/1.1\r\nHost: a b\r\n\r\n", 400)
    entry = weir.access(1, match=lambda entry: entry["target"] == "/why")[0]
    assert entry["status"] == 400 and entry["reason"] == "bad_request"
    assert entry["detail"] == "bad_host"


def test_still_well_afterwards(stage):
    weir, _, _ = stage
    assert weir.get("/").status == 200
