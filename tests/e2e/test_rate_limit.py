# SPDX-License-Identifier: MIT
"""Module rate_limit: exact counts over two workers, each key, routes, what clients are told, reloads, and
floods of new clients."""

import json
import re
import threading

import pytest

from weirtest import conf
from weirtest.wait import SANITIZED, wait_for

LIMIT = 'module "rate_limit" {}\n'


def limit(options):
    return f'filter "rate_limit" {{ {options} }}\n'


def one_pool(server, options, where="listener", **how):
    return LIMIT + conf.one_pool({"a": server}, **{f"{where}_options": limit(options)}, **how)


def statuses(weir, count, headers=(), target="/"):
    """Of so many requests, each on a connection of its own, so that both workers get some."""
    return [weir.get(target, headers).status for _ in range(count)]


def test_two_workers_count_as_one(start_weir, http_server):
    """400 requests from 8 threads to a bucket of 100 that fills in days: exactly 100 go through."""
    server = http_server(keep=False)
    weir = start_weir(one_pool(server, "rate = 100  per = 1d"), workers=2)
    seen, lock = [], threading.Lock()

    def run():
        for _ in range(25):
            with weir.client() as client:
                got = [client.get("/").status for _ in range(2)]
            with lock:
                seen.extend(got)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 400
    assert (seen.count(200), seen.count(429)) == (100, 300)
    assert server.served == 100


def test_what_a_client_is_told(start_weir, http_server):
    server = http_server()
    weir = start_weir(one_pool(server, "rate = 1  per = 1h  burst = 2  fields = on"))
    first = weir.get("/")
    assert first.headers.get("RateLimit-Policy") == '"default";q=1;w=3600'
    assert re.fullmatch(r'"default";r=1;t=(3600|3599)', first.headers.get("RateLimit"))
    assert weir.get("/").headers.get("RateLimit").startswith('"default";r=0;t=')
    refused = weir.get("/", [("Accept", "text/html")])
    assert refused.status == 429
    assert 3590 <= int(refused.headers.get("Retry-After")) <= 3600
    assert refused.headers.get("Content-Type") == "text/html; charset=utf-8"
    assert refused.headers.get("Cache-Control") == "no-store"
    assert b"429 Too Many Requests" in refused.body
    assert refused.headers.get("RateLimit").startswith('"default";r=0;t=')
    problem = weir.get("/", [("Accept", "application/json")])
    assert problem.headers.get("Content-Type") == "application/problem+json"
    assert json.loads(problem.body)["status"] == 429
    head = weir.get("/", method="HEAD")
    assert (head.status, head.body) == (429, b"")
    entry = weir.access(5, match=lambda entry: True)[2]
    assert entry["status"] == 429 and entry["reason"] == "refused_by_rule"
    assert entry.get("detail", "rate_limit") == "rate_limit"
    assert server.served == 2


def test_the_bucket_fills(start_weir, http_server):
    weir = start_weir(one_pool(http_server(), "rate = 20  per = 1s  burst = 1"))
    assert weir.get("/").status == 200
    wait_for(lambda: weir.get("/").status == 200, "the next token")


def test_a_refused_request_with_a_body_is_answered(start_weir, http_server):
    weir = start_weir(one_pool(http_server(), "rate = 1  per = 1h"))
    assert weir.get("/").status == 200
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
        assert client.response().status == 429


@pytest.mark.parametrize("options,one,other", [
    ('key = header  name = "X-Api-Key"', [("X-Api-Key", "one")], [("X-Api-Key", "two")]),
    ('key = cookie  name = "session"', [("Cookie", "a=b; session=one")],
     [("Cookie", "session=two; a=b")]),
])
def test_keys(start_weir, http_server, options, one, other):
    weir = start_weir(one_pool(http_server(), "rate = 3  per = 1h  " + options))
    assert statuses(weir, 5, one) == [200] * 3 + [429] * 2
    assert statuses(weir, 5, other) == [200] * 3 + [429] * 2
    assert statuses(weir, 5) == [200] * 3 + [429] * 2, "without it, by address"


def test_by_address_of_a_trusted_proxy(start_weir, http_server):
    text = LIMIT + conf.one_pool(
        {"a": http_server()}, "",
        'trusted_proxies = {"127.0.0.0/8"}\n' + limit("rate = 2  per = 1h"))
    weir = start_weir(text)

    def forwarded(address, count=3):
        return statuses(weir, count, [("X-Forwarded-For", address)])

    assert forwarded("192.0.2.1") == [200, 200, 429]
    assert forwarded("192.0.2.2") == [200, 200, 429]
    assert forwarded("2001:db8:1:2::1", 2) == [200, 200]
    assert forwarded("2001:db8:1:2:ffff::9", 1) == [429], "one /64 is one client"
    assert forwarded("2001:db8:1:3::1", 1) == [200]


def test_routes(start_weir, http_server):
    server = http_server()
    text = (LIMIT + conf.listener() + conf.modules() + 'module "route_path" {\n'
            f'  route "/login" {{ pool = "web"  {limit("rate = 2  per = 1h")} }}\n'
            f'  route "/old" {{ redirect = "/new"  {limit("rate = 1  per = 1h")} }}\n'
            '  route "/" { pool = "web" }\n  route "/other" { pool = "web" }\n}\n' +
            conf.pool("web", {"a": server}, limit("rate = 6  per = 1h  per_route = on")))
    weir = start_weir(text)
    assert statuses(weir, 4, target="/login") == [200, 200, 429, 429]
    assert statuses(weir, 2, target="/old") == [302, 429]
    assert statuses(weir, 7, target="/") == [200] * 6 + [429]
    assert statuses(weir, 7, target="/other") == [200] * 6 + [429]


def test_a_reload_forgives_nothing_but_what_changed(start_weir, http_server):
    server = http_server()
    text = one_pool(server, "rate = 3  per = 1h", pool_options=limit("rate = 1000"))
    weir = start_weir(text)
    assert statuses(weir, 4) == [200] * 3 + [429]
    for _ in range(3):
        weir.reload(text)
        assert statuses(weir, 1) == [429]
    weir.reload("# moved by a line\n" + text.replace("rate = 1000", "rate = 2000"))
    assert statuses(weir, 1) == [429]
    weir.reload(text.replace("rate = 3", "rate = 4"))
    assert statuses(weir, 5) == [200] * 4 + [429]
    log = weir.reload(text.replace("rate = 3", "rat = 3"), good=False)
    assert "did you mean `rate`?" in log and "rate is missing" in log
    assert statuses(weir, 1) == [429]


def test_a_flood_of_clients(start_weir, http_server):
    """Thousands of new ones neither grow the memory nor free who is over the limit."""
    text = LIMIT + conf.one_pool(
        {"a": http_server(keep=False)}, "",
        'trusted_proxies = {"127.0.0.0/8"}\n' + limit("rate = 2  per = 1h  entries = 64"))
    weir = start_weir(text)
    with weir.client() as client:

        def ask(address):
            return client.get("/", [("X-Forwarded-For", address)]).status

        assert [ask("192.0.2.1") for _ in range(3)] == [200, 200, 429]
        before = weir.memory_kib()
        for number in range(3000):
            address = f"198.51.{number // 250}.{number % 250}"
            assert ask(address) == 200
            if number % 100 == 0:
                assert ask("192.0.2.1") == 429
        assert ask("192.0.2.1") == 429
        assert weir.memory_kib() - before < (16384 if SANITIZED else 2048)
