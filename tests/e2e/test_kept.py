# SPDX-License-Identifier: MIT
"""Connections to servers that are kept between requests: when they end, what lies in them, and whose fault it
is that one was of no use."""

import contextlib
import threading

import pytest

from weirtest import conf
from weirtest.wait import DEADLINE, Stopwatch, pass_time, wait_for

EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
CROSSED = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
ORDER = {"method": "POST", "body": b"order"}
PASSIVE = 'health "passive" { failures = 2  share = 0%  max_ejected = 100% }'


# ---- their time ----

def test_idle_connections_end_in_time(start_weir, http_server):
    """Not at the next look of a clock that comes every five seconds."""
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, "keepalive_timeout = 200ms"))
    with weir.client() as client:
        for _ in range(3):
            with Stopwatch() as watch:
                assert client.get("/").status == 200
                wait_for(lambda: web.open_connections == 0, "the connection to be closed")
            assert 0.15 < watch.seconds < 3


def test_a_connection_in_use_stays(start_weir, http_server):
    """Its time begins anew with each request; the clock is its own pool's, and a reload's."""
    web, other = http_server("a"), http_server("b")
    text = (conf.listener() + conf.modules() + conf.routes(web='"/"', other='"/other"') +
            conf.pool("web", {"a": web}, "keepalive_timeout = 60s") +
            conf.pool("other", {"b": other}, "keepalive_timeout = @age@ms"))
    weir = start_weir(text.replace("@age@", "500"), workers=1)
    with weir.client() as client:
        assert client.get("/").status == client.get("/other").status == 200
        wait_for(lambda: other.open_connections == 0, "the one to be closed")
        assert web.open_connections == 1
        assert client.get("/").status == 200 and web.accepted == 1
        weir.reload(text.replace("@age@", "60000"))
        assert client.get("/other").status == 200
        weir.reload(text.replace("@age@", "100"))
        wait_for(lambda: other.open_connections == 0, "the new time to hold")
        assert web.open_connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_whose_time_is_over_is_not_used(start_weir, http_server, method):
    """Also where the request comes before the clock has been looked at."""
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, "keepalive_timeout = 300ms"), workers=1)
    with weir.client() as client:
        assert client.get("/").status == 200
        with weir.standing_still():
            pass_time(0.5)
            client.request(method, "/", body=b"order" if method == "POST" else None)
        assert client.response().status == 200
    assert web.accepted == 2


def test_kept_for_no_time_at_all(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, "keepalive_timeout = 0"), workers=1)
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").status == 200
    assert web.accepted == 3


# ---- what lies in them ----

@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("stray", [EVIL, "0\r\n\r\n", CROSSED], ids=["answer", "nonsense", "408"])
def test_bytes_that_came_before_the_request(start_weir, scripted_server, certs, stray, method, tls):
    """The loop finds request and stray bytes in one turn, the request first."""
    def script(peer):
        peer.request()
        peer.respond(b"ok")
        if peer.number == 1:
            assert go.wait(DEADLINE)
            peer.send(stray)
            sent.set()
            peer.at_end()

    go, sent = threading.Event(), threading.Event()
    web = scripted_server(script, tls=certs.server() if tls else None)
    weir = start_weir(conf.one_pool({"a": web}, "retries = 0  " +
                                    (f'tls {{ ca = "{certs.ca}" }}' if tls else "")), workers=1)
    with weir.client() as client:
        assert client.get("/").body == b"ok"
        with weir.standing_still():
            client.request(method, "/", body=b"order" if method == "POST" else None)
            go.set()
            assert sent.wait(DEADLINE)
        response = client.response()
        assert (response.status, response.body) == (200, b"ok")
    assert web.accepted == 2
    assert [entry["retries"] for entry in weir.access(2)] == [0, 0]


@pytest.mark.parametrize("stray", ["0\r\n\r\n", "SSH-2.0-what\r\n", CROSSED, EVIL[:3] + "\r\n\r\n"],
                         ids=["chunk", "ssh", "408", "status"])
def test_nonsense_on_a_kept_connection_is_no_response(start_weir, scripted_server, stray):
    """It came together with the request, and is about something else: another connection tells."""
    def script(peer):
        peer.request()
        peer.respond(b"ok")
        if peer.number == 1:
            peer.some()
            peer.send(stray)
            peer.at_end()

    web = scripted_server(script)
    weir = start_weir(conf.one_pool({"a": web}, "retries = 0 " + PASSIVE), workers=1)
    with weir.client() as client:
        assert client.get("/").body == b"ok"
        response = client.get("/")
        assert (response.status, response.body) == (200, b"ok")
    assert web.accepted == 2
    assert [(entry["reason"], entry["retries"]) for entry in weir.access(2)] == [("", 0)] * 2


# ---- whose fault it is ----

def closes_when_used(how, times):
    """Answers a connection's first request, and closes in the middle of the second, `times` times."""
    def script(peer):
        peer.request()
        peer.respond(b"ok")
        if peer.number > 2 * times:
            while True:
                peer.request()
                peer.respond(b"ok")
        with contextlib.suppress(ConnectionError):
            peer.request_head()
            if how == "reset":
                peer.reset()
            elif how == "nonsense":
                peer.send("0\r\n\r\n")
    return script


@pytest.mark.parametrize("how", ["close", "reset", "nonsense"])
def test_posts_that_race_with_the_close_accuse_nobody(start_weir, scripted_server, how):
    """The server has ended a connection that was idle: a POST is not saved by that, and the server is none
    the worse."""
    web = scripted_server(closes_when_used(how, 6))
    weir = start_weir(conf.one_pool({"a": web}, 'health "passive" { failures = 1  share = 20%  '
                                    'volume = 2  max_ejected = 100% }'), workers=1)
    with weir.client() as client:
        for _ in range(6):
            assert client.get("/").status == 200
            assert client.get("/", **ORDER).status == 502
        assert client.get("/").status == 200
    assert "ejected" not in weir.log()
    reasons = {entry["reason"] for entry in weir.access(13) if entry["status"] == 502}
    assert reasons == {"upstream_malformed" if how == "nonsense" else "upstream_reset"}


def test_a_server_that_closes_on_a_long_head_is_not_to_blame(start_weir, scripted_server):
    """Whoever sends such heads would take out one server after the other."""
    def script(peer):
        while True:
            request = peer.request_head()
            if len(request.headers.get("X-Long") or "") > 4096:
                return
            peer.respond(b"ok")

    servers = {name: scripted_server(script) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, "retry_budget = 100%  " + PASSIVE), workers=1)
    for _ in range(8):
        assert weir.get("/", [("X-Long", "x" * 8000)]).status == 502
        assert weir.get("/").status == 200
    assert "ejected" not in weir.log()


def test_a_server_that_closes_on_new_connections_is_to_blame(start_weir, scripted_server):
    """As before: that it says nothing to the first request is its own doing."""
    weir = start_weir(conf.one_pool({"a": scripted_server(lambda peer: peer.request())},
                                    PASSIVE), workers=1)
    for _ in range(3):
        assert weir.get("/", **ORDER).status in (502, 503)
    weir.wait_log(r"web/a is ejected")


def test_stale_connections_are_no_errors_of_the_server(start_weir, scripted_server):
    """Nor are they requests that it had."""
    web = scripted_server(closes_when_used("close", 3))
    weir = start_weir(conf.one_pool({"a": web}, extra='module "metrics_prometheus" {}\n' +
                                    conf.listener('handler "metrics_prometheus" {}', "metrics")), workers=1)
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").status == 200
            assert client.get("/").status == 200
    with weir.client("metrics") as client:
        text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("weir_server_")]
    assert any(line.startswith("weir_server_requests_total{") and line.endswith(" 6")
               for line in lines), text
    assert not [line for line in lines if "errors" in line], lines
