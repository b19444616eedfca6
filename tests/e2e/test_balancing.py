# SPDX-License-Identifier: MIT
"""How requests are spread: weights of round_robin, in-flight counts of least_conn over all workers, draws of
random, the order of first."""

import collections
import threading

from weirtest import conf
from weirtest.backend import Holding
from weirtest.client import Client
from weirtest.wait import wait_for


def spread(weir, count, connections=1):
    """Which servers answer `count` requests on each of some connections."""
    answers = collections.Counter()
    clients = [weir.client() for _ in range(connections)]
    for _ in range(count):
        for client in clients:
            answers[client.get("/").server] += 1
    for client in clients:
        client.close()
    return answers


def test_round_robin_by_weight(start_weir, http_server):
    servers = {"a": (http_server("a"), "weight = 5"), "b": (http_server("b"), "weight = 1"),
               "c": (http_server("c"), "weight = 1")}
    weir = start_weir(conf.one_pool(servers), workers=1)
    order = []
    with weir.client() as client:
        for _ in range(70):
            order.append(client.get("/").server)
    assert collections.Counter(order) == {"a": 50, "b": 10, "c": 10}
    # Smooth: each window of the sum of weights has each server's share, and no burst of b or c.
    for start in range(0, 70, 7):
        assert collections.Counter(order[start:start + 7]) == {"a": 5, "b": 1, "c": 1}
    assert "bb" not in "".join(order) and "cc" not in "".join(order)


def test_round_robin_over_two_workers(start_weir, http_server):
    servers = {name: http_server(name) for name in "abc"}
    weir = start_weir(conf.one_pool(servers), workers=2)
    answers = spread(weir, 30, connections=10)
    assert sum(answers.values()) == 300
    # Each worker goes round by itself: at most one apart on each.
    assert max(answers.values()) - min(answers.values()) <= 2, answers


def test_weight_zero_gets_nothing(start_weir, http_server):
    servers = {"a": http_server("a"), "b": (http_server("b"), "weight = 0")}
    weir = start_weir(conf.one_pool(servers))
    assert spread(weir, 20) == {"a": 20}


def hold_requests(weir, count):
    """Starts requests that stay at their servers."""
    clients = [weir.client() for _ in range(count)]
    for client in clients:
        client.request("GET", "/held")
    return clients


def test_least_conn_counts_over_all_workers(start_weir, http_server):
    """Requests that are held on connections of both workers are seen by both."""
    holding = Holding(path="/held")
    servers = {name: http_server(name, holding) for name in "abcd"}
    weir = start_weir(conf.one_pool(servers, balance="least_conn"), workers=2)
    clients = []
    for count in range(1, 6):
        clients += hold_requests(weir, 4)
        for name, server in servers.items():
            wait_for(lambda server=server: server.active == count,
                     f"{count} requests at {name}: "
                     f"{ {key: value.active for key, value in servers.items()} }")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_least_conn_avoids_slow_servers(start_weir, http_server):
    """All connections end up at the fast server while the slow ones hold theirs."""
    holding = Holding()
    slow = [http_server(f"slow{i}", holding) for i in range(2)]
    fast = http_server("fast")
    servers = {"s0": slow[0], "s1": slow[1], "f": fast}
    weir = start_weir(conf.one_pool(servers, balance="least_conn"), workers=2)
    held = []
    # Until each slow server has one: a request that the fast one gets is answered at once.
    while sum(server.active for server in slow) < 2:
        client = Client(weir.address())
        client.request("GET", "/")
        held.append(client)
        wait_for(lambda: fast.served + sum(server.active for server in slow) >= len(held),
                 "the request to arrive")
    assert len(held) <= 6
    before = fast.served
    answers = spread(weir, 20, connections=6)
    assert answers == {"fast": 120}
    assert fast.served == before + 120
    holding.release()
    for client in held:
        assert client.response().status == 200
        client.close()


def test_least_conn_by_weight(start_weir, http_server):
    holding = Holding(path="/held")
    heavy, light = http_server("heavy", holding), http_server("light", holding)
    weir = start_weir(conf.one_pool({"h": (heavy, "weight = 3"), "l": light},
                                    balance="least_conn"))
    clients = []
    for _ in range(16):
        clients += hold_requests(weir, 1)
        wait_for(lambda: heavy.active + light.active == len(clients), "the request to arrive")
    assert (heavy.active, light.active) == (12, 4)
    holding.release()
    for client in clients:
        client.response()
        client.close()


def test_least_conn_spreads_ties(start_weir, http_server):
    """With nothing in flight the first server does not get everything."""
    servers = {name: http_server(name) for name in "abcd"}
    weir = start_weir(conf.one_pool(servers, balance="least_conn"), workers=2)
    answers = spread(weir, 50, connections=4)
    assert set(answers) == set("abcd")
    assert min(answers.values()) >= 20, answers


def test_parallel_requests_all_answered(start_weir, http_server):
    """Many connections at once on two workers: everything is answered, and by everybody."""
    servers = {name: http_server(name) for name in "abc"}
    weir = start_weir(conf.one_pool(servers, balance="least_conn"), workers=2)
    results = collections.Counter()
    lock = threading.Lock()

    def visit():
        with weir.client() as client:
            for _ in range(25):
                response = client.get("/")
                with lock:
                    results[response.server] += 1

    threads = [threading.Thread(target=visit) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results.values()) == 400 and set(results) == set("abc")


def test_random_by_weight(start_weir, http_server):
    """One of two that are drawn: with nothing else in flight by weight, and weight 0 never."""
    servers = {"a": (http_server("a"), "weight = 3"), "b": http_server("b"),
               "c": (http_server("c"), "weight = 0")}
    weir = start_weir(conf.one_pool(servers, balance="random"), workers=2)
    answers = spread(weir, 100, connections=4)
    assert set(answers) == {"a", "b"}
    assert 40 < answers["b"] < 160, answers  # 100, sd 9


def test_random_avoids_slow_servers(start_weir, http_server):
    """The one of two that has more to do is never taken: two draws, two servers."""
    holding = Holding(path="/held")
    servers = {name: http_server(name, holding) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, balance="random", balance_options="choices = 16"),
                      workers=2)
    clients = []
    for count in range(1, 6):
        for name, server in list(servers.items()):
            clients += hold_requests(weir, 1)
            wait_for(lambda: sum(one.active for one in servers.values()) == len(clients),
                     "the request to arrive")
        # 16 draws miss one of two servers once in 65,536.
        assert [server.active for server in servers.values()] == [count, count]
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_first_fills_one_after_the_other(start_weir, http_server):
    holding = Holding(path="/held")
    servers = {name: (http_server(name, holding), "max_requests = 2") for name in "zma"}
    weir = start_weir(conf.one_pool(servers, balance="first"), workers=2)
    clients = []
    for expected in ((1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 2, 0), (2, 2, 1), (2, 2, 2)):
        clients += hold_requests(weir, 1)
        wait_for(lambda: tuple(one[0].active for one in servers.values()) == expected,
                 f"{expected} requests")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert spread(weir, 20, connections=3) == {"z": 60}


def test_first_fills_by_weight_and_goes_on_to_the_next(start_weir, http_server):
    """Without limits as `fill` says; a dead server's requests go to the next one."""
    holding = Holding(path="/held")
    servers = {"a": (http_server("a", holding), "weight = 2"), "b": http_server("b", holding),
               "c": http_server("c", holding)}
    weir = start_weir(conf.one_pool(servers, "retry_budget = 100%", balance="first",
                                    balance_options="fill = 2"))
    clients = []
    for expected in ((1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2)):
        clients += hold_requests(weir, 1)
        wait_for(lambda: (servers["a"][0].active, servers["b"].active) == expected,
                 f"{expected} requests")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    servers["a"][0].stop()
    assert spread(weir, 20) == {"b": 20}
