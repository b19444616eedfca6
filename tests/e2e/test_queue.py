# SPDX-License-Identifier: MIT
"""Limits of servers and the queue before them: who waits, for how long, and in which order."""

import pytest

from weirtest import conf
from weirtest.backend import Holding
from weirtest.load import Load
from weirtest.wait import Stopwatch, wait_for


@pytest.fixture
def limited(start_weir, http_server):
    """A weir before one server that holds its requests and takes `limit` of them at once."""

    def start(limit=1, options="", workers=2, **how):
        holding = Holding(**how)
        web = http_server("a", holding)
        weir = start_weir(conf.one_pool({"a": (web, f"max_connections = {limit}")}, options),
                          workers=workers)
        return weir, web, holding

    return start


def begin(weir, target):
    """A request that is not answered yet."""
    client = weir.client()
    client.request("GET", target)
    return client


def test_limit_is_kept_over_both_workers(limited):
    weir, web, holding = limited(limit=3)
    clients = [begin(weir, f"/{i}") for i in range(12)]
    web.wait_active(3)
    # The other nine are waiting: whoever is released makes room for one.
    assert len(web.requests) == 3
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert len(web.requests) == 12
    entries = weir.access(12)
    assert sum(1 for entry in entries if entry["queue_ms"] > 0) == 9
    assert all(entry["reason"] == "" for entry in entries)


def test_never_above_the_limit_under_load(start_weir, http_server):
    seen = []
    web = None

    def handler(request):
        seen.append(web.active)
        return b"ok"

    web = http_server("a", handler)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 2")}), workers=2)
    with Load(weir.client, threads=8) as load:
        load.wait_requests(600)
    load.assert_clean()
    assert max(seen) <= 2


def test_first_come_first_served(limited):
    """On one worker, in order of arrival."""
    weir, web, holding = limited(workers=1, path="/held")
    with begin(weir, "/held") as first:
        web.wait_active(1)
        waiting = []
        for i in range(5):
            waiting.append(begin(weir, f"/{i}"))
            # Its neighbour on the same worker is answered after it was read: it is in the queue.
            assert weir.get("/none", host="").status == 400
        holding.release()
        assert first.response().status == 200
        for client in waiting:
            assert client.response().status == 200
            client.close()
    assert web.targets() == ["/held", "/0", "/1", "/2", "/3", "/4"]


def test_queue_timeout(limited):
    weir, web, holding = limited(options="queue_timeout = 300ms")
    with begin(weir, "/first") as first:
        web.wait_active(1)
        with Stopwatch() as watch:
            response = weir.get("/second")
        assert response.status == 503
        assert response.headers.get("Retry-After", "").isdigit()
        assert watch.seconds >= 0.29
        holding.release()
        assert first.response().status == 200
    entry = next(entry for entry in weir.access(2) if entry["target"] == "/second")
    assert entry["reason"] == "queue_timeout" and entry["queue_ms"] >= 290
    assert web.targets() == ["/first"]


def test_queue_limit(limited):
    weir, web, holding = limited(options="queue_limit = 2", workers=1)
    clients = [begin(weir, "/0")]
    web.wait_active(1)
    for i in (1, 2):
        clients.append(begin(weir, f"/{i}"))
        assert weir.get("/none", host="").status == 400  # the one before has been read by now
    response = weir.get("/3")
    assert response.status == 503
    assert response.headers.get("Retry-After", "").isdigit()
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert [e["reason"] for e in weir.access(6) if e["target"] == "/3"] == ["queue_full"]
    assert weir.get("/4").status == 200


def test_no_queue(limited):
    weir, web, holding = limited(options="queue_limit = 0")
    with begin(weir, "/0") as first:
        web.wait_active(1)
        assert weir.get("/1").status == 503
        holding.release()
        assert first.response().status == 200


def test_client_that_goes_away_leaves_the_queue(limited):
    weir, web, holding = limited(workers=1)
    first = begin(weir, "/0")
    web.wait_active(1)
    gone = begin(weir, "/gone")
    assert weir.get("/none", host="").status == 400
    gone.reset()
    last = begin(weir, "/last")
    wait_for(lambda: any(entry["reason"] == "client_gone" for entry in weir.access()),
             "the client's end in the log")
    holding.release()
    assert first.response().status == 200 and last.response().status == 200
    assert web.targets() == ["/0", "/last"]
    first.close()
    last.close()


def test_other_servers_take_what_one_cannot(start_weir, http_server):
    holding = Holding(path="/held")
    small, big = http_server("small", holding), http_server("big", holding)
    weir = start_weir(conf.one_pool({"s": (small, "max_connections = 1"), "b": big}), workers=1)
    clients = [begin(weir, "/held") for _ in range(5)]
    wait_for(lambda: small.active + big.active == 5, "all requests to arrive")
    assert (small.active, big.active) == (1, 4)
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
