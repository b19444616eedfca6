# SPDX-License-Identifier: MIT
"""Limits on what clients can take: connections, and each of a client's own."""

import pytest

from weirtest import conf, proxy_header
from weirtest.backend import Holding
from weirtest.wait import wait_for
from weirtest.wire import Cut


@pytest.fixture
def server(http_server):
    return http_server("a")


def start(start_weir, server, options, **how):
    return start_weir(conf.one_pool({"a": server}, listener_options=options), **how)


# ---- connections of a listener ----

def unanswered(client):
    """Nothing comes, while others are being served."""
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.some()
    client.sock.settimeout(20)


@pytest.mark.parametrize("workers", [1, 2])
def test_connection_limit(start_weir, server, workers):
    """What is above it waits, and gets its turn when others go."""
    weir = start(start_weir, server, "connection_limit = 8", workers=workers)
    clients = [weir.client() for _ in range(8)]
    for client in clients:
        assert client.get("/").status == 200
    waiting = [weir.client() for _ in range(4)]
    for client in waiting:
        client.request()
    unanswered(waiting[0])
    weir.wait_log(r"connection_limit \(8\) is reached")
    for client in clients:
        assert client.get("/").status == 200, "those that are in are served on"
    for client in clients[:4]:
        client.close()
    for client in waiting:
        assert client.response().status == 200
    wait_for(lambda: server.served == 8 + 8 + 4, "all answers")
    for client in clients + waiting:
        client.close()


def test_connection_limit_idles(start_weir, server):
    """At the limit nothing spins."""
    weir = start(start_weir, server, "connection_limit = 2")
    clients = [weir.client() for _ in range(2)]
    assert [client.get("/").status for client in clients] == [200, 200]
    waiting = weir.client()
    waiting.request()
    weir.wait_log("connection_limit")
    before = weir.cpu_seconds()
    unanswered(waiting)
    unanswered(waiting)
    unanswered(waiting)
    assert weir.cpu_seconds() - before < 0.15
    clients[0].close()
    assert waiting.response().status == 200


def test_connection_limit_counts_those_that_reset(start_weir, server):
    weir = start(start_weir, server, "connection_limit = 4")
    for _ in range(5):
        clients = [weir.client() for _ in range(4)]
        for client in clients:
            client.request()
            client.reset()
    with weir.client() as client:
        assert client.get("/").status == 200


def test_connection_limit_is_reloaded(start_weir, server):
    text = conf.one_pool({"a": server}, listener_options="connection_limit = 2")
    weir = start_weir(text)
    clients = [weir.client() for _ in range(2)]
    assert [client.get("/").status for client in clients] == [200, 200]
    waiting = weir.client()
    waiting.request()
    weir.wait_log("connection_limit")
    weir.reload(text.replace("= 2", "= 3"))
    assert waiting.response().status == 200


def test_descriptors_are_shared_with_servers(start_weir, http_server):
    """By default clients can have half of the descriptors, so that each of them finds a server."""
    holding = Holding(b"done")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}), files=128)
    clients = [weir.client() for _ in range(100)]
    for client in clients:
        client.request()
    weir.wait_log(r"connection_limit \(36\) is reached")
    wait_for(lambda: web.active >= 36, "requests to reach the server")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert "no file descriptor" not in weir.log()


# ---- connections of an address ----

def try_get(weir, source="127.0.0.1", **how):
    """A client whose request was answered; None: its connection was closed."""
    client = weir.client(source=(source, 0), **how)
    try:
        client.request()
        if client.response().status == 200:
            return client
    except (ConnectionError, Cut):
        pass
    client.close()
    return None


@pytest.mark.parametrize("workers", [1, 2])
def test_connections_per_address(start_weir, server, workers):
    weir = start(start_weir, server, "connections_per_address = 5", workers=workers)
    clients = [try_get(weir) for _ in range(5)]
    assert all(clients)
    assert [try_get(weir) for _ in range(3)] == [None, None, None]
    others = [try_get(weir, "127.0.0.2") for _ in range(5)]
    assert all(others), "another address has its own"
    assert try_get(weir, "127.0.0.2") is None
    weir.wait_log(r"127\.0\.0\.1 has 5 connections already")
    clients.pop().close()
    again = wait_for(lambda: try_get(weir), "a place after one has gone")
    assert try_get(weir) is None
    for client in clients + others + [again]:
        assert client.get("/").status == 200
        client.close()


def test_trusted_proxies_are_not_counted_but_their_clients_are(start_weir, server):
    weir = start(start_weir, server, 'connections_per_address = 2  proxy_protocol = accept  '
                 'trusted_proxies = {"127.0.0.1"}')
    clients = [try_get(weir) for _ in range(6)]
    assert all(clients)
    header = proxy_header.v1("192.0.2.9")
    clients += [try_get(weir, preface=header) for _ in range(2)]
    assert all(clients)
    assert try_get(weir, preface=header) is None
    other = try_get(weir, preface=proxy_header.v1("192.0.2.10"))
    assert other
    for client in clients + [other]:
        client.close()
