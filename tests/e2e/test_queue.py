# SPDX-License-Identifier: MIT
"""Limits of servers and the queue before them: who waits, for how long, and in which order."""

import signal
import threading

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
    waits(weir, 9)
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
    changed = threading.Condition()
    seen, active = [], 0

    def handler(request):
        # Counted until the answer is made: the place is free as soon as it is read.
        nonlocal active
        with changed:
            active += 1
            seen.append(active)
            changed.notify_all()
            changed.wait_for(lambda: active > 2, 0.001)  # time for one too many to come
            active -= 1
        return b"ok"

    web = http_server("a", handler)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 2")}), workers=2)
    with Load(weir.client, threads=8) as load:
        load.wait_requests(600)
    load.assert_clean()
    assert max(seen) == 2


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


def test_first_come_first_served_over_workers(limited):
    """Whoever frees a place gives it to the one that has waited longest, on whatever worker that is."""
    weir, web, holding = limited(workers=4, path="/held", options="queue_timeout = 60s")
    with begin(weir, "/held") as first:
        web.wait_active(1)
        waiting = []
        for i in range(24):
            waiting.append(begin(weir, f"/{i}"))
            # SIGUSR2 tells how many wait: the next one comes when this one does.
            waits(weir, i + 1)
        holding.release()
        assert first.response().status == 200
        for client in waiting:
            assert client.response().status == 200
            client.close()
    assert web.targets() == ["/held"] + [f"/{i}" for i in range(24)]


def waits(weir, count):
    """Until so many requests are in the queue."""

    def asked():
        mark = len(weir.log())
        weir.signal(signal.SIGUSR2)
        found = weir.wait_log(r'pool "web": [^\n]* waiting=(\d+)', mark)
        return int(found.group(1)) == count

    wait_for(asked, f"{count} requests in the queue")


def test_no_wake_up_is_lost(start_weir, http_server):
    """Many clients on all workers for few places: nobody waits for long while there is work done."""
    servers = {name: (http_server(name, keep=False), "max_connections = 1") for name in "ab"}
    weir = start_weir(conf.one_pool(servers, "queue_timeout = 3s", balance="least_conn"), workers=4)
    with Load(weir.client, threads=16) as load:
        load.wait_requests(6000)
    load.assert_clean()
    entries = weir.access(6000)
    assert any(entry["queue_ms"] > 0 for entry in entries)
    assert max(entry["queue_ms"] for entry in entries) < 2500


def test_place_of_a_client_that_left_goes_on(limited):
    """Clients that go away while they wait, or just when their turn comes, take no place with them."""
    weir, web, holding = limited(limit=2, workers=2, path="/held")
    holding.release()
    stop = threading.Event()

    def impatient():
        while not stop.is_set():
            client = begin(weir, "/gone")
            client.reset()
            weir.get("/stays")  # behind it in the queue

    threads = [threading.Thread(target=impatient, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    with Load(weir.client, threads=6) as load:
        load.wait_requests(1500)
        stop.set()
    for thread in threads:
        thread.join()
    load.assert_clean()
    waits(weir, 0)
    holding.hold()
    held = [begin(weir, "/held") for _ in range(2)]
    # Both places are there, so none was lost (nor given twice, or the third would not wait).
    wait_for(lambda: sum(t == "/held" for t in web.targets()) == 2, "both places to be taken")
    with begin(weir, "/third") as third:
        waits(weir, 1)
        holding.release()
        assert third.response().status == 200
    for client in held:
        assert client.response().status == 200
        client.close()


def test_raised_limit_lets_waiters_go(start_weir, http_server):
    """A reload that makes room serves those that wait, on all workers."""
    holding = Holding(path="/held")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 1")}, "queue_timeout = 60s"),
                      workers=2)
    first = begin(weir, "/held")
    web.wait_active(1)
    clients = [begin(weir, "/held") for _ in range(6)]
    waits(weir, 6)
    weir.reload(conf.one_pool({"a": (web, "max_connections = 4")}, "queue_timeout = 60s"))
    web.wait_active(4)
    weir.reload(conf.one_pool({"a": web}, "queue_timeout = 60s"))
    web.wait_active(7)
    holding.release()
    for client in [first, *clients]:
        assert client.response().status == 200
        client.close()


def test_waiters_of_a_server_that_goes_get_another(start_weir, http_server):
    """A reload takes the busy server away, and brings another one."""
    holding = Holding(path="/held")
    a, b = http_server("a", holding), http_server("b")
    weir = start_weir(conf.one_pool({"a": (a, "max_connections = 1")}, "queue_timeout = 60s"))
    first = begin(weir, "/held")
    a.wait_active(1)
    clients = [begin(weir, f"/{i}") for i in range(6)]
    waits(weir, 6)
    weir.reload(conf.one_pool({"b": b}))
    for client in clients:
        response = client.response()
        assert (response.status, response.server) == (200, "b")
        client.close()
    holding.release()
    assert first.response().server == "a"
    first.close()
