# SPDX-License-Identifier: MIT
"""Stickiness: the cookie and its attributes, servers that go away, values that Weir did not make."""

import re

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.client import Client
from weirtest.wait import wait_for

STICKY = 'sticky "cookie" { name = "weir_session"  ttl = 1h }'


def cookie_of(response, name="weir_session"):
    """The value that a response sets, None where it sets none; with its attributes."""
    for value in response.headers.all("Set-Cookie"):
        pair, _, attributes = value.partition(";")
        key, _, text = pair.partition("=")
        if key == name:
            return text, [part.strip() for part in attributes.split(";")]
    return None, []


def visit(weir, value=None, name="weir_session", target="/"):
    """One request with that cookie, on a connection of its own."""
    headers = [("Cookie", f"{name}={value}")] if value else []
    return weir.get(target, headers)


def test_stays_on_its_server(start_weir, http_server):
    servers = {name: http_server(name) for name in "abc"}
    weir = start_weir(conf.one_pool(servers, STICKY), workers=2)
    seen = set()
    for _ in range(9):
        first = visit(weir)
        value, _ = cookie_of(first)
        assert value and re.fullmatch(r"[A-Za-z0-9_-]{16,}", value), value
        seen.add(first.server)
        for _ in range(6):
            again = visit(weir, value)
            assert again.server == first.server
            assert cookie_of(again)[0] is None, "a cookie that is good is not set again"
    assert seen == set("abc"), "new visitors are spread"


def test_value_tells_nothing(start_weir, http_server):
    servers = {"backend-alpha": http_server("a"), "backend-beta": http_server("b")}
    weir = start_weir(conf.one_pool(servers, STICKY))
    values = [cookie_of(visit(weir))[0] for _ in range(8)]
    for value in values:
        assert "backend" not in value and "127.0.0.1" not in value
        for server in servers.values():
            assert str(server.port) not in value


def test_attributes(start_weir, http_server, certs):
    text = (conf.listener() + conf.listener(f"tls {{ {certs.block('localhost')} }}", name="tls") +
            conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", {"a": http_server("a")}, STICKY))
    weir = start_weir(text)
    _, attributes = cookie_of(weir.get("/"))
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=3600"}
    with weir.client("tls", tls=certs.client()) as client:
        _, attributes = cookie_of(client.get("/"))
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=3600", "Secure"}


def test_attributes_as_configured(start_weir, http_server):
    sticky = ('sticky "cookie" { name = "shop"  path = "/a"  domain = "shop.example"  '
              'same_site = "strict"  secure = always  http_only = off }')
    weir = start_weir(conf.one_pool({"a": http_server("a")}, sticky))
    value, attributes = cookie_of(weir.get("/a"), "shop")
    assert value
    assert set(attributes) == {"Path=/a", "Domain=shop.example", "SameSite=Strict", "Secure"}


def test_lost_server_means_new_choice_and_new_cookie(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, STICKY))
    first = visit(weir)
    value, _ = cookie_of(first)
    other = "b" if first.server == "a" else "a"
    servers[first.server].stop()
    moved = visit(weir, value)
    assert (moved.status, moved.server) == (200, other)
    new_value, _ = cookie_of(moved)
    assert new_value and new_value != value
    servers[first.server].start()
    assert visit(weir, new_value).server == other, "the new session stays where it is"


def test_server_taken_out_by_probes(start_weir, http_server):
    """The same when health has noticed: nobody even tries the lost server."""
    servers = {name: http_server(name) for name in "ab"}
    health = 'health "http" { interval = 50ms  fast_interval = 50ms  rise = 1  fall = 1 }'
    weir = start_weir(conf.one_pool(servers, STICKY + health))
    first = visit(weir)
    value, _ = cookie_of(first)
    mark = len(weir.log())
    servers[first.server].stop()
    weir.wait_log(rf"{first.server}\b.*down", mark)
    moved = visit(weir, value)
    assert moved.status == 200 and moved.server != first.server
    assert cookie_of(moved)[0]
    assert weir.access(2)[1]["retries"] == 0


def test_no_new_sessions_but_old_ones_stay(start_weir, http_server):
    """A server of weight 0 keeps its sessions and gets no others."""
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, STICKY))
    values = {}
    while len(values) < 2:
        response = visit(weir)
        values[response.server] = cookie_of(response)[0]
    weir.reload(conf.one_pool({"a": (servers["a"], "weight = 0"), "b": servers["b"]}, STICKY))
    for _ in range(6):
        assert visit(weir, values["a"]).server == "a"
        assert visit(weir).server == "b"


def test_forged_values_are_nothing(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, STICKY))
    first = visit(weir)
    value, _ = cookie_of(first)
    swapped = value[:-1] + ("A" if value[-1] != "A" else "B")
    for forged in (swapped, "A" * len(value), value[::-1], value[:-1], value + "A", "x", "",
                   "a", "%00", '"', "=" * 8, "Z" * 4000):
        response = weir.get("/", [("Cookie", f"weir_session={forged}")])
        assert response.status == 200, forged
        assert cookie_of(response)[0], f"{forged!r} was taken for good"
    # Beside others, in any order, and twice.
    response = weir.get("/", [("Cookie", f"a=b; weir_session={swapped}; weir_session={value}; c")])
    assert response.server == first.server and cookie_of(response)[0] is None


def test_cookie_of_another_pool(start_weir, http_server):
    """Two pools, each with its own sessions: a value of one means nothing in the other."""
    one = {name: http_server(f"one-{name}") for name in "ab"}
    two = {name: http_server(f"two-{name}") for name in "ab"}
    text = (conf.listener() + conf.modules() + conf.routes(one='"/one"', two='"/two"') +
            conf.pool("one", one, 'sticky "cookie" { name = "s1" }') +
            conf.pool("two", two, 'sticky "cookie" { name = "s2" }'))
    weir = start_weir(text)
    first, second = weir.get("/one"), weir.get("/two")
    one_value, attributes = cookie_of(first, "s1")
    two_value, _ = cookie_of(second, "s2")
    assert one_value and two_value
    assert not any(part.startswith("Max-Age") for part in attributes), "no ttl: a session cookie"
    both = [("Cookie", f"s1={one_value}; s2={two_value}")]
    for _ in range(4):
        assert weir.get("/one", both).server == first.server
        assert weir.get("/two", both).server == second.server
    strange = weir.get("/two", [("Cookie", f"s2={one_value}")])
    assert strange.status == 200 and cookie_of(strange, "s2")[0]


def test_sessions_survive_restart_and_reload(make_weir, http_server):
    servers = {name: http_server(name) for name in "abcd"}
    text = conf.one_pool(servers, STICKY)
    weir = make_weir()
    weir.configure(text)
    weir.start()
    first = visit(weir)
    value, _ = cookie_of(first)
    weir.reload()
    assert visit(weir, value).server == first.server
    weir.stop()
    # Another order of the servers, and one less.
    left = {name: servers[name] for name in "dcba"}
    left.pop(next(name for name in "abcd" if name != first.server))
    weir.configure(conf.one_pool(left, STICKY))
    weir.stopped = False
    weir.start()
    for _ in range(3):
        assert visit(weir, value).server == first.server


def test_hidden_from_servers(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, 'sticky "cookie" { hide = on }'))
    value, _ = cookie_of(visit(weir))
    weir.get("/", [("Cookie", f"x=1; weir_session={value}; y=2")])
    assert web.requests[-1].headers.get("Cookie") == "x=1; y=2"
    weir.get("/", [("Cookie", f"weir_session={value}")])
    assert "Cookie" not in web.requests[-1].headers


def test_servers_own_cookies_pass(start_weir, http_server):
    reply = Reply(b"x", headers=(("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")))
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: reply)}, STICKY))
    values = weir.get("/").headers.all("Set-Cookie")
    assert values[:2] == ["a=1; Path=/", "b=2"] and len(values) == 3


def test_busy_server_is_waited_for(start_weir, http_server):
    """A session's server at its limit: the request waits, the data are there."""
    holding = Holding(path="/held")
    servers = {name: (http_server(name, holding), "max_connections = 1") for name in "ab"}
    weir = start_weir(conf.one_pool(servers, STICKY))
    first = visit(weir)
    value, _ = cookie_of(first)
    server = servers[first.server][0]
    with weir.client() as holder, Client(weir.address()) as waiter:
        holder.request("GET", "/held", [("Cookie", f"weir_session={value}")])
        server.wait_active(1)
        waiter.request("GET", "/after", [("Cookie", f"weir_session={value}")])
        # It is in the queue once another visitor, sent later, has been served elsewhere.
        assert visit(weir, target="/x").server != first.server
        holding.release()
        assert holder.response().server == first.server
        assert waiter.response().server == first.server
    wait_for(lambda: len(weir.access()) >= 4, "the log")
