# SPDX-License-Identifier: MIT
"""balance_hash: a key's requests go to one server, over workers, restarts and reloads; only the keys move
that must; nobody has much more than its share in flight."""

import collections
import math

import pytest

from weirtest import admin, conf
from weirtest.backend import Holding
from weirtest.wait import wait_for

NAMES = "abcde"
USERS = [f"user-{number}" for number in range(60)]


def config(servers, options='key = "header:X-User"', pool_options=""):
    return conf.one_pool(servers, pool_options, balance="hash", balance_options=options)


def owners(weir, connections=4):
    """Whose each user is, asked for over several connections, and so over all workers."""
    found = {}
    for _ in range(connections):
        with weir.client() as client:
            for user in USERS:
                server = client.get("/", headers=[("X-User", user)]).server
                assert found.setdefault(user, server) == server, user
    return found


def moved(before, after):
    return {user for user in USERS if before[user] != after[user]}


def test_a_key_stays_over_workers_restarts_and_reloads(start_weir, http_server):
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers), workers=2)
    before = owners(weir)
    assert set(before.values()) == set(NAMES)
    weir.reload(config(servers, pool_options="retries = 1"))
    assert owners(weir) == before
    weir.reload(config(servers, 'key = "header:X-User"  balance_factor = 3'))  # a new instance
    assert owners(weir) == before
    weir.stop()
    weir.start()
    assert owners(weir) == before


def test_only_the_keys_of_one_that_goes_move(start_weir, http_server):
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers))
    before = owners(weir)
    weir.reload(config({name: servers[name] for name in NAMES if name != "c"}))
    assert moved(before, owners(weir)) == {user for user in USERS if before[user] == "c"}
    weir.reload(config(servers))
    assert owners(weir) == before
    weir.reload(config({**servers, "d": (servers["d"], "weight = 3")}))
    after = owners(weir)
    gained = moved(before, after)
    assert gained and all(after[user] == "d" for user in gained)


def test_a_dead_server_moves_only_its_keys(start_weir, http_server):
    """Retries go on to the key's next server, which is whose the key is while that one is out."""
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers, pool_options="retry_budget = 100%"))
    before = owners(weir)
    servers["b"].stop()
    after = owners(weir)  # every request is answered, and always by the same
    assert moved(before, after) == {user for user in USERS if before[user] == "b"}
    weir.reload(config({name: servers[name] for name in NAMES if name != "b"}))
    assert owners(weir) == after


@pytest.mark.parametrize("key, target, headers", [
    ("path", "/at/{}?x=1", []),
    ("query:id", "/?a=1&id={}", []),
    ("cookie:id", "/", [("Cookie", "a=1; id={}")]),
    ("header:Host", "/", [])])
def test_kinds_of_keys(start_weir, http_server, key, target, headers):
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers, f'key = "{key}"'), workers=2)
    found = {}
    for _ in range(3):
        with weir.client() as client:
            for number in range(40):
                server = client.get(target.format(number), host=f"h{number}.example", headers=[
                    (name, value.format(number)) for name, value in headers]).server
                assert found.setdefault(number, server) == server
    assert set(found.values()) == set(NAMES)


def test_addresses_by_default(start_weir, http_server):
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers, ""), workers=2)
    found = collections.defaultdict(set)
    for _ in range(2):
        for number in range(1, 41):
            with weir.client(source=(f"127.0.0.{number}", 0)) as client:
                found[number].add(client.get(f"/{number}").server)
    assert all(len(one) == 1 for one in found.values()), found
    assert set.union(*found.values()) == set(NAMES)


def test_without_the_key_any_server(start_weir, http_server):
    servers = {name: http_server(name) for name in "abcd"}
    weir = start_weir(config(servers), workers=2)
    answers = collections.Counter()
    for _ in range(4):
        with weir.client() as client:
            for _ in range(100):
                answers[client.get("/").server] += 1
    assert len(answers) == 4 and min(answers.values()) > 40, answers  # 100 each, sd 9


@pytest.mark.parametrize("factor", [1.25, 0])
def test_a_hot_key_is_bounded(start_weir, http_server, factor):
    """Requests of one key that all stay: nobody has more than the factor times its share, rounded up."""
    holding = Holding(path="/held")
    servers = {name: http_server(name, holding) for name in NAMES}
    weir = start_weir(config(servers, f'key = path  balance_factor = {factor}'), workers=2)
    clients = []
    for count in range(1, 21):
        client = weir.client()
        client.request("GET", "/held")
        clients.append(client)
        wait_for(lambda: sum(one.active for one in servers.values()) == count, "it to arrive")
        most = max(one.active for one in servers.values())
        assert most == count if factor == 0 else most <= math.ceil(factor * count / len(NAMES))
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_limits(start_weir, http_server):
    holding = Holding(path="/held")
    servers = {name: (http_server(name, holding), "max_requests = 2") for name in "abc"}
    weir = start_weir(config(servers, "key = path  balance_factor = 0"), workers=2)
    clients = [weir.client() for _ in range(6)]
    for client in clients:
        client.request("GET", "/held")
    for name in "abc":
        servers[name][0].wait_active(2)
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_explain_tells_who_gets_it(start_weir, http_server):
    servers = {name: http_server(name) for name in NAMES}
    weir = start_weir(config(servers) + admin.listener())
    root = admin.browser(weir)
    before = owners(weir, 1)
    for user in USERS[:10]:
        told = root.post("/api/v1/explain", {"url": "http://any.example/",
                                             "headers": {"X-User": user}}).json
        scores = {one["id"]: one["score"] for one in told["candidates"]}
        assert told["pick"] == before[user] == min(scores, key=scores.get)
        assert all(0 < score < 1 for score in scores.values())


def test_a_wrong_key_is_told(start_weir, http_server):
    servers = {"a": http_server("a")}
    weir = start_weir(config(servers))
    mark = len(weir.log())
    weir.reload(config(servers, "key = header"), good=False)
    weir.wait_log("key: \"header\" is none of address, path, header:NAME, cookie:NAME and query:NAME", mark)
    assert weir.get("/").server == "a"
