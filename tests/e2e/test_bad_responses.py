# SPDX-License-Identifier: MIT
"""Servers that speak nonsense: 502 before a byte has gone out, a visible break afterwards, and nothing of
it reaches the next request."""

import pytest

from weirtest import conf
from weirtest.backend import ScriptedServer
from weirtest.client import Client
from weirtest.wait import wait_for
from weirtest.weir import Weir
from weirtest.wire import Cut

OK = "HTTP/1.1 200 OK\r\n"

# Before the head is whole: 502.
HEADS = [
    ("nothing", ""),
    ("garbage", "hello, is it me you are looking for?\r\n\r\n"),
    ("binary", "\x00\x01\x02\x03\x04\x05\x06\x07"),
    ("smtp", "220 mail.example ESMTP\r\n"),
    ("http-0.9", "<html>hello</html>"),
    ("version-2", "HTTP/2.0 200 OK\r\n\r\n"),
    ("version-lower", "http/1.1 200 OK\r\n\r\n"),
    ("status-two-digits", "HTTP/1.1 20 OK\r\n\r\n"),
    ("status-four-digits", "HTTP/1.1 2000 OK\r\n\r\n"),
    ("status-999", "HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"),
    ("status-000", "HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n"),
    ("status-word", "HTTP/1.1 abc OK\r\n\r\n"),
    ("bare-lf", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("nul-in-reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
    ("bare-cr-in-value", OK + "X: a\rb\r\nContent-Length: 0\r\n\r\n"),
    ("space-before-colon", OK + "Content-Length : 0\r\n\r\n"),
    ("no-colon", OK + "nonsense\r\n\r\n"),
    ("obs-fold", OK + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("nul-in-value", OK + "X: a\0b\r\nContent-Length: 0\r\n\r\n"),
    ("two-lengths", OK + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ("length-list", OK + "Content-Length: 1, 2\r\n\r\nab"),
    ("negative-length", OK + "Content-Length: -1\r\n\r\n"),
    ("length-overflow", OK + "Content-Length: 99999999999999999999\r\n\r\n"),
    ("length-and-coding", OK + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("unknown-coding", OK + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked-not-last", OK + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("coding-in-1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("cut-in-status-line", "HTTP/1.1 200"),
    ("cut-in-fields", OK + "Content-Le"),
    ("endless-field", OK + "X: " + "a" * 200000),
    ("endless-fields", OK + "X: y\r\n" * 30000),
    ("endless-interim", "HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    ("205-with-content", "HTTP/1.1 205 Reset Content\r\nContent-Length: 3\r\n\r\nabc"),
]

# The head has gone out: what follows breaks it.
BODIES = [
    ("chunk-no-hex", "xyz\r\nabc\r\n0\r\n\r\n"),
    ("chunk-sign", "+3\r\nabc\r\n0\r\n\r\n"),
    ("chunk-overflow", "fffffffffffffffff\r\nabc"),
    ("chunk-too-long", "3\r\nabcd\r\n0\r\n\r\n"),
    ("chunk-bare-lf", "3\nabc\n0\n\n"),
    ("no-last-chunk", "3\r\nabc\r\n"),
    ("cut-in-last-chunk", "3\r\nabc\r\n0\r\n"),
    ("cut-in-trailer", "3\r\nabc\r\n0\r\nX-T: 1"),
    ("bad-trailer", "3\r\nabc\r\n0\r\nX T: 1\r\n\r\n"),
]


class Stage:
    """One weir, and one server that plays what the row says."""

    def __init__(self, folder):
        self.data = b""
        self.server = ScriptedServer(self.play)
        self.weir = Weir(folder)
        self.weir.configure(conf.one_pool({"a": self.server}, "retries = 0"))
        self.weir.start()

    def play(self, peer):
        """A good answer for /good, else the row's bytes and the end."""
        while True:
            request = peer.request()
            if request.target == "/good":
                peer.respond(b"good")
                continue
            try:
                peer.send(self.data)
                peer.half_close()
                peer.some()
            except OSError:
                pass
            return


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    made = Stage(tmp_path_factory.mktemp("bad-responses"))
    yield made
    made.server.close()
    made.weir.stop()


def bad_entries(stage):
    """The access log's entries of requests that got a bad response."""
    return [entry for entry in stage.weir.access() if entry["target"] == "/bad"]


def next_bad_entry(stage, count):
    return wait_for(lambda: bad_entries(stage)[count:], "the entry of a bad response")[0]


def check_good(client):
    assert client.get("/good").body == b"good"


@pytest.mark.parametrize("data", [row[1] for row in HEADS], ids=[row[0] for row in HEADS])
def test_answered_by_502(stage, data):
    stage.data = data.encode("latin-1")
    entries = len(bad_entries(stage))
    with Client(stage.weir.address()) as client:
        check_good(client)
        response = client.get("/bad")
        assert response.status == 502
        assert response.server is None
        # The client has done nothing wrong: its connection goes on.
        check_good(client)
    entry = next_bad_entry(stage, entries)
    assert entry["reason"] in ("upstream_malformed", "upstream_reset"), entry["reason"]
    assert entry["outcome"] == "failed"


@pytest.mark.parametrize("data", [row[1] for row in BODIES], ids=[row[0] for row in BODIES])
def test_breaks_visibly(stage, data):
    stage.data = (OK + "Transfer-Encoding: chunked\r\n\r\n" + data).encode("latin-1")
    entries = len(bad_entries(stage))
    with Client(stage.weir.address()) as client:
        client.request("GET", "/bad")
        try:
            response = client.begin()
        except (ConnectionError, Cut):
            response = None
        if response is not None and response.status != 502:
            with pytest.raises((ConnectionError, Cut)):
                for _ in client.body(response):
                    pass
    assert next_bad_entry(stage, entries)["reason"].startswith("upstream_")
    with Client(stage.weir.address()) as client:
        check_good(client)


def test_short_body_of_known_length(stage):
    stage.data = (OK + "Content-Length: 10\r\n\r\nshort").encode()
    with Client(stage.weir.address()) as client:
        client.request("GET", "/bad")
        with pytest.raises((ConnectionError, Cut)):
            b"".join(client.body(client.begin()))


def test_forgiven(stage):
    """What is odd, and still means one thing only."""
    for data, body in ((OK + "Content-Length: 3, 3\r\n\r\nabc", b"abc"),
                       ("HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc", b"abc"),
                       ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcSURPLUS", b"abc")):
        stage.data = data.encode()
        with Client(stage.weir.address()) as client:
            response = client.get("/bad")
            assert (response.status, response.body) == (200, body)
            assert len(response.headers.all("Content-Length")) == 1
            check_good(client)


def test_502_tells_nothing(stage):
    stage.data = b"s3cr3t nonsense\r\n\r\n"
    with Client(stage.weir.address()) as client:
        response = client.get("/bad", [("Accept", "application/json")])
    text = str(response.headers) + response.text
    for word in ("s3cr3t", "127.0.0.1", str(stage.server.port)):
        assert word not in text
