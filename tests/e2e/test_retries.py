# SPDX-License-Identifier: MIT
"""Retries: on another server, only where it is safe, and within the budget."""

import contextlib
import threading

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, wait_for
from weirtest.wire import Cut


def refused_url():
    """Nobody listens there."""
    return f"http://127.0.0.1:{free_port()}"


def read_and_close(peer):
    """Takes a request, then closes without a word."""
    peer.request()


def read_and_reset(peer):
    peer.request()
    peer.reset()


def close_at_once(peer):
    """Accepts and closes."""


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_goes_to_another(start_weir, http_server, method):
    """Nothing was sent: any method is safe."""
    web = http_server("good", lambda request: request.body)
    weir = start_weir(conf.one_pool({"bad": refused_url(), "good": web}, "retry_budget = 100%"),
                      workers=1)
    with weir.client() as client:
        for i in range(4):
            body = b"x" * 100 if method == "POST" else None
            response = client.get(f"/{i}", method=method, body=body)
            assert (response.status, response.server) == (200, "good")
    if method == "POST":
        assert all(request.body == b"x" * 100 for request in web.requests)
    entries = weir.access(4)
    # A turn of the bad server is followed by a retry, which is a turn of the good one.
    assert 2 <= sum(entry["retries"] for entry in entries) <= 4
    assert {(entry["reason"], entry["server"]) for entry in entries} == {("", "good")}


def test_all_refused_is_502(start_weir):
    weir = start_weir(conf.one_pool({"a": refused_url(), "b": refused_url()}))
    assert weir.get("/").status == 502
    entry = weir.access(1)[0]
    assert (entry["status"], entry["reason"], entry["retries"]) == (502, "connect_refused", 1)


@pytest.mark.parametrize("script", [read_and_close, read_and_reset, close_at_once])
def test_lost_answer_of_get_is_tried_elsewhere(start_weir, scripted_server, http_server, script):
    bad, good = scripted_server(script), http_server("good")
    weir = start_weir(conf.one_pool({"bad": bad, "good": good}, "retry_budget = 100%"), workers=1)
    for _ in range(4):
        response = weir.get("/")
        assert (response.status, response.server) == (200, "good")
    assert bad.accepted == sum(entry["retries"] for entry in weir.access(4)) >= 2


NONSENSE = [b"\x00\x16SSH-2.0 what?\r\n\r\n", b"HTTP/1.1 20\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nwrong",
            b"HTTP/1.1 200 OK\r\n" + b"X-Wrong: more of this\r\n" * 20000]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("data", NONSENSE, ids=["garbage", "status", "lengths", "endless"])
def test_nonsense_instead_of_a_head(start_weir, scripted_server, http_server, data, method):
    """It is no response: GET goes to another server, POST may have been acted on."""
    def lie(peer):
        peer.request()
        with contextlib.suppress(OSError):
            peer.send(data)
            peer.some()

    good = http_server("good")
    weir = start_weir(conf.one_pool({"bad": scripted_server(lie), "good": (good, "backup = on")},
                                    "retry_budget = 100%"), workers=1)
    body = b"" if method == "POST" else None
    for _ in range(3):
        response = weir.get("/", method=method, body=body)
        if method == "POST":
            assert response.status == 502
        else:
            assert (response.status, response.server) == (200, "good")
    seen = {(entry["reason"], entry["server"], entry["retries"]) for entry in weir.access(3)}
    assert seen == {("upstream_malformed", "bad", 0) if method == "POST" else ("", "good", 1)}


@pytest.mark.parametrize("script", [read_and_close, read_and_reset])
def test_post_is_not_repeated(start_weir, scripted_server, http_server, script):
    """A server may have acted on what it got."""
    bad, good = scripted_server(script), http_server("good")
    weir = start_weir(conf.one_pool({"bad": bad, "good": good}, "retry_budget = 100%"), workers=1)
    statuses = [weir.get("/", method="POST", body=b"order=1").status for _ in range(4)]
    assert sorted(statuses) == [200, 200, 502, 502]
    assert good.served == 2 and bad.accepted == 2
    reasons = [entry["reason"] for entry in weir.access(4)]
    assert sorted(reasons) == ["", "", "upstream_reset", "upstream_reset"]


def test_put_with_small_body_is_repeated_whole(start_weir, scripted_server, http_server):
    body = bytes(range(256)) * 20
    bad, good = scripted_server(read_and_close), http_server("good", lambda r: r.body)
    weir = start_weir(conf.one_pool({"bad": bad, "good": good}, "retry_budget = 100%"), workers=1)
    for how in (body, [body[:1000], body[1000:]]):
        for _ in range(2):
            response = weir.get("/", method="PUT", body=how)
            assert (response.status, response.body) == (200, body)


def test_retries_off(start_weir, http_server):
    weir = start_weir(conf.one_pool({"bad": refused_url(), "good": http_server("good")},
                                    "retries = 0"), workers=1)
    statuses = [weir.get("/").status for _ in range(4)]
    assert sorted(statuses) == [200, 200, 502, 502]


def test_number_of_retries(start_weir):
    servers = {f"s{i}": refused_url() for i in range(6)}
    weir = start_weir(conf.one_pool(servers, "retries = 3  retry_budget = 100%"))
    assert weir.get("/").status == 502
    assert weir.access(1)[0]["retries"] == 3


def test_budget_bounds_retries(start_weir, http_server):
    """With half of the servers refusing, retries stay near a share of the requests."""
    servers = {"bad": refused_url(), "good": http_server("good", keep=False)}
    weir = start_weir(conf.one_pool(servers, "retry_budget = 10%"), workers=1)
    failed = 0
    with weir.client() as client:
        for _ in range(600):
            failed += client.get("/").status == 502
    entries = weir.access(600)
    retries = sum(entry["retries"] for entry in entries)
    assert all(entry["status"] in (200, 502) for entry in entries)
    # 60 by the share, what is there at the start, and one a second.
    assert 60 <= retries <= 60 + 40, retries
    # Each request that met the bad server was retried or failed; round robin goes on after a retry.
    assert failed > 100


def test_stale_idle_connection_costs_nothing(start_weir, scripted_server):
    """The server has closed an idle connection just when it is used: unseen by the client."""
    served = []

    def one_request(peer):
        """Answers, keeps the connection open, and drops it when the next request arrives."""
        request = peer.request()
        served.append(request.target)
        peer.respond(b"first")
        peer.some()

    def steady(peer):
        request = peer.request()
        served.append(request.target)
        peer.respond(b"second")

    web = scripted_server(one_request, steady)
    weir = start_weir(conf.one_pool({"a": web}, "retries = 0"), workers=1)
    with weir.client() as client:
        assert client.get("/1").body == b"first"
        assert client.get("/2").body == b"second"
    assert served == ["/1", "/2"]
    assert weir.access(2)[1]["retries"] == 0


def test_connection_closed_while_idle_is_not_used(start_weir, scripted_server):
    """A POST too gets through when the server closed its idle connection before."""
    closed = threading.Event()

    def one_request(peer):
        peer.request()
        peer.respond(b"first")
        peer.sock.shutdown(2)
        closed.set()

    def steady(peer):
        request = peer.request()
        assert request.body == b"order"
        peer.respond(b"second")

    web = scripted_server(one_request, steady)
    weir = start_weir(conf.one_pool({"a": web}, "retries = 0"), workers=1)
    with weir.client() as client:
        assert client.get("/1").body == b"first"
        assert closed.wait(DEADLINE)
        response = client.get("/2", method="POST", body=b"order")
        assert (response.status, response.body) == (200, b"second")


def test_error_answers_are_not_retried(start_weir, http_server):
    """A response is a response, whatever its status."""
    bad = http_server("bad", lambda request: Reply(b"no", status=503, reason="Busy"))
    good = http_server("good")
    weir = start_weir(conf.one_pool({"bad": bad, "good": good}), workers=1)
    statuses = sorted(weir.get("/").status for _ in range(4))
    assert statuses == [200, 200, 503, 503]


def test_begun_response_is_not_retried(start_weir, scripted_server, http_server):
    """What the client has seen of a response stands; its break is visible."""
    def half(peer):
        peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    bad, good = scripted_server(half), http_server("good")
    weir = start_weir(conf.one_pool({"bad": bad}, "retry_budget = 100%"))
    with weir.client() as client:
        client.request()
        response = client.begin()
        assert response.status == 200
        pieces = []
        with pytest.raises((ConnectionError, Cut)):
            for piece in client.body(response):
                pieces.append(piece)
        assert b"half".startswith(b"".join(pieces))
    entry = weir.access(1)[0]
    assert entry["reason"] == "upstream_truncated"
    assert good.served == 0
    wait_for(lambda: bad.open_connections == 0, "the server's connection to end")
