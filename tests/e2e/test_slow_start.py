# SPDX-License-Identifier: MIT
"""Servers that come back begin slowly, and newcomers show first that they are well."""

import collections
import threading

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.load import Load
from weirtest.wait import Stopwatch, wait_for

HEALTH = 'health "http" { path = "/health"  interval = 30ms  fast_interval = 30ms  rise = 1  ' \
    'fall = 1 }  '


class Switched:
    """A server whose probes a test lets fail."""

    def __init__(self, name):
        self.name, self.well = name, True

    def __call__(self, request):
        if request.target == "/health" and not self.well:
            return Reply(status=503)
        return self.name


def shares(load, servers, requests):
    """Each server's share of the next requests."""
    before = {name: server.served for name, server in servers.items()}
    load.wait_requests(requests)
    load.assert_clean()
    gained = {name: server.served - before[name] for name, server in servers.items()}
    total = sum(gained.values())
    return {name: count / total for name, count in gained.items()}


@pytest.mark.parametrize("balance, options", [
    ("round_robin", ""), ("least_conn", ""), ("random", ""),
    ("hash", 'key = "header:X-None"')])  # without the key any server, by weight
def test_share_grows(start_weir, http_server, balance, options):
    """Right behind its return it has a small part, later its whole one, with every balancer."""
    switch = Switched("a")
    servers = {"a": http_server("a", switch, keep=False), "b": http_server("b", keep=False)}
    weir = start_weir(conf.one_pool(servers, HEALTH + "slow_start = 4s", balance=balance,
                                    balance_options=options))
    with Load(weir.client, threads=8) as load:
        # No slow start at the start: everybody is new then.
        assert shares(load, servers, 400)["a"] > 0.3
        mark = len(weir.log())
        switch.well = False
        weir.wait_log(r"web/a is down", mark)
        load.wait_requests(50)
        switch.well = True
        weir.wait_log(r"web/a is up", mark)
        with Stopwatch() as watch:
            first = shares(load, servers, 300)["a"]
            early = watch.running() < 1  # its weight is a third by then: a quarter of the requests
            assert not early or first < 0.4, first
            wait_for(lambda: watch.running() > 4.1, "the slow start to end")
        # Its probes are in the numbers as well; they are few beside these.
        assert 0.35 < shares(load, servers, 800)["a"] < 0.65
    load.assert_clean()


def test_reload_goes_on_with_it(start_weir, http_server):
    switch = Switched("a")
    servers = {"a": http_server("a", switch, keep=False), "b": http_server("b", keep=False)}
    text = conf.one_pool(servers, HEALTH + "slow_start = 60s")
    weir = start_weir(text)
    with Load(weir.client, threads=4) as load:
        mark = len(weir.log())
        switch.well = False
        weir.wait_log(r"web/a is down", mark)
        switch.well = True
        weir.wait_log(r"web/a is up", mark)
        weir.reload(text)
        assert shares(load, servers, 400)["a"] < 0.25
        weir.reload(conf.one_pool(servers, HEALTH))
        assert shares(load, servers, 400)["a"] > 0.3
    load.assert_clean()


def test_newcomer_is_probed_first(start_weir, http_server):
    """A server that is added while the pool runs gets no visitor before its first good probe."""
    holding = Holding(path="/health", body="c")
    order = []

    def newcomer(request):
        order.append(request.target)
        return holding(request)

    old = {name: http_server(name) for name in "ab"}
    new = http_server("c", newcomer)
    weir = start_weir(conf.one_pool(old, HEALTH))
    with Load(weir.client) as load:
        load.wait_requests(50)
        weir.reload(conf.one_pool({**old, "c": new}, HEALTH))
        wait_for(lambda: "/health" in order, "the first probe")
        load.wait_requests(200)
        assert "/" not in order
        holding.release()
        wait_for(lambda: "/" in order, "visitors at the newcomer")
    load.assert_clean()


def test_newcomer_that_is_sick_gets_nothing(start_weir, http_server):
    switch = Switched("c")
    switch.well = False
    old, new = http_server("a"), http_server("c", switch)
    weir = start_weir(conf.one_pool({"a": old}, HEALTH))
    mark = len(weir.log())
    weir.reload(conf.one_pool({"a": old, "c": new}, HEALTH))
    weir.wait_log(r"web/c is down", mark)
    assert {weir.get("/").server for _ in range(10)} == {"a"}
    switch.well = True
    weir.wait_log(r"web/c is up", mark)
    wait_for(lambda: "c" in {weir.get("/").server for _ in range(4)}, "c")


def test_visitors_wait_for_newcomers_alone(start_weir, http_server):
    """All servers are exchanged at once: visitors wait for the first probe rather than fail."""
    holding = Holding(path="/health", body="new")
    old, new = http_server("old"), http_server("new", holding)
    weir = start_weir(conf.one_pool({"a": old}, HEALTH))
    weir.reload(conf.one_pool({"a": new}, HEALTH))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(weir.get("/").server))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: "/health" in new.targets(), "the first probe")
    holding.release()
    for thread in threads:
        thread.join()
    assert collections.Counter(answers) == {"new": 4}


def test_without_probes_newcomers_serve_at_once(start_weir, http_server):
    old, new = http_server("a"), http_server("c")
    weir = start_weir(conf.one_pool({"a": old}))
    weir.reload(conf.one_pool({"a": old, "c": new}))
    assert {weir.get("/").server for _ in range(6)} == {"a", "c"}


@pytest.mark.parametrize("how", ["state", "member"])
def test_reload_begins_it(start_weir, http_server, how):
    """Whom the files say to be ready again, or to be there, begins slowly, from his first request on."""
    servers = {"a": http_server("a", keep=False), "b": http_server("b", keep=False)}
    away = {"a": (servers["a"], "state = maintenance")} if how == "state" else {}
    weir = start_weir(conf.one_pool({**away, "b": servers["b"]}, "slow_start = 60s"))
    with Load(weir.client, threads=4) as load:
        load.wait_requests(20)
        weir.reload(conf.one_pool(servers, "slow_start = 60s"))
        assert shares(load, servers, 400)["a"] < 0.25
    load.assert_clean()
