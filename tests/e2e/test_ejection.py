# SPDX-License-Identifier: MIT
"""Servers that fail the visitors' requests are taken out for a time (module health_passive)."""

import collections
import re

import pytest

from weirtest import admin, conf
from weirtest.backend import Reply
from weirtest.load import Load
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, Stopwatch, wait_for
from weirtest.weir import run_weir


def passive(options):
    return f'health "passive" {{ {options} }}  '


class Servers:
    """Servers of which a test says who fails, and how."""

    def __init__(self, http_server, names):
        self.bad = {}
        self.all = {name: http_server(name, self._handler(name), keep=False) for name in names}

    def _handler(self, name):
        def handler(request):
            if request.target == "/health":
                return b"well"
            return Reply(name.encode(), status=self.bad.get(name, 200))
        return handler


def seen(weir, requests=12):
    return collections.Counter(weir.get("/").headers.get("X-Server") for _ in range(requests))


def test_errors_in_a_row(start_weir, http_server):
    """Five in a row, over both workers; then it is out, and comes back by itself."""
    servers = Servers(http_server, "abc")
    weir = start_weir(conf.one_pool(servers.all, passive("failures = 5  eject_time = 700ms")))
    assert set(seen(weir)) == set("abc")
    servers.bad["a"] = 500
    mark = len(weir.log())
    line = None

    def ejected():
        nonlocal line
        weir.get("/")
        line = [text for text in weir.log()[mark:].splitlines() if "ejected" in text]
        return line

    wait_for(ejected, "the ejection")
    with Stopwatch() as watch:
        assert "web/a is ejected for 0.7 s: 5 failures in a row" in line[0], line
        wait_for(lambda: set(seen(weir)) == set("bc"), "a to be out")
        servers.bad.clear()
        weir.wait_log(r"web/a is back", mark)
    assert watch.seconds >= 0.5
    wait_for(lambda: "a" in seen(weir), "a to be back")


def test_success_between_breaks_the_row(start_weir, http_server):
    """Every other request fails, which is no row."""
    count = 0

    def handler(_request):
        nonlocal count
        count += 1
        return Reply(status=500 if count % 2 else 200)

    weir = start_weir(conf.one_pool({"a": http_server("a", handler), "b": http_server("b")},
                                    passive("failures = 2  share = 0%")), workers=1)
    for _ in range(60):
        weir.get("/")
    assert "ejected" not in weir.log()


def test_share_of_a_window(start_weir, http_server):
    """The same is half of the requests."""
    count = 0

    def handler(_request):
        nonlocal count
        count += 1
        return Reply(status=500 if count % 2 else 200)

    weir = start_weir(conf.one_pool({"a": http_server("a", handler), "b": http_server("b")},
                                    passive("failures = 0  share = 40%  volume = 10  window = 60s")),
                      workers=1)

    def ejected():
        weir.get("/")
        return "ejected" in weir.log()

    wait_for(ejected, "the ejection")
    assert count >= 10
    weir.wait_log(r"web/a is ejected for 30 s: \d+ of \d+ requests failed within 60 s")


@pytest.mark.parametrize("how", ["refused", "cut"])
def test_failures_that_retries_hide(start_weir, http_server, scripted_server, how):
    """Visitors see nothing of it, and the server goes out all the same."""
    bad = f"http://127.0.0.1:{free_port()}" if how == "refused" else \
        scripted_server(lambda peer: peer.request())
    weir = start_weir(conf.one_pool({"bad": bad, "good": http_server("good", keep=False)},
                                    "retry_budget = 100%  " + passive("failures = 3")))
    with Load(weir.client) as load:
        weir.wait_log(r"web/bad is ejected for 30 s: \d+ failures in a row")
        weir.wait_unretried(200)
    load.assert_clean()
    assert sum(entry["retries"] for entry in weir.access(load.requests)) >= 3


def test_never_more_than_the_share(start_weir, http_server):
    """All four fail: two go out, two stay, and who stays is told."""
    servers = Servers(http_server, "abcd")
    weir = start_weir(conf.one_pool(servers.all, passive("failures = 2  max_ejected = 50%")))
    servers.bad.update(dict.fromkeys("abcd", 503))

    def enough():
        seen(weir)
        return weir.log().count(" is ejected ") >= 2 and "may be ejected" in weir.log()

    wait_for(enough, "two ejections")
    for _ in range(5):
        seen(weir)
    assert weir.log().count(" is ejected ") == 2
    assert "no more than 2 of 4 servers may be ejected" in weir.log()
    wait_for(lambda: len(seen(weir)) == 2, "the two to be out")


def test_servers_that_are_down_are_out_already(start_weir, http_server):
    """Half of the pool may be out, and is, by probes: who fails the visitors stays."""
    servers = Servers(http_server, "abcd")
    text = 'health "http" { path = "/health"  interval = 50ms  fast_interval = 50ms  rise = 1  fall = 1 }'
    weir = start_weir(conf.one_pool(servers.all, text + passive("failures = 2  max_ejected = 50%") +
                                    "retries = 0"))
    wait_for(lambda: set(seen(weir)) == set("abcd"), "all servers")
    servers.all["a"].stop()
    servers.all["b"].stop()
    weir.wait_log("web/a is down")
    weir.wait_log("web/b is down")
    wait_for(lambda: set(seen(weir)) == set("cd"), "the two to be out")
    servers.bad.update(c=500)
    weir.get("/")
    for _ in range(10):
        seen(weir)
    weir.wait_log("web/c stays, in spite of .*: no more than 2 of 4 servers may be ejected or down")
    assert " is ejected " not in weir.log()
    # One is back: now it goes.
    servers.all["a"].start()
    wait_for(lambda: seen(weir) and " is ejected " in weir.log(), "the ejection")


def test_servers_that_an_operator_took_out_are_not_of_the_pool(start_weir, http_server):
    """Two of four are in maintenance: half of the others is one."""
    servers = Servers(http_server, "abcd")
    weir = start_weir(admin.one_pool(servers.all, passive("failures = 2  max_ejected = 50%")))
    operator = admin.browser(weir)
    for name in "ab":
        assert operator.patch(f"/api/v1/pools/web/servers/{name}",
                              {"state": "maintenance"}).status == 200
    servers.bad.update(c=500, d=500)
    wait_for(lambda: seen(weir) and "may be ejected" in weir.log(), "one to stay")
    assert weir.log().count(" is ejected ") == 1
    assert "no more than 1 of 2 servers" in weir.log()


def test_longer_each_time(start_weir, http_server):
    servers = Servers(http_server, "ab")
    weir = start_weir(conf.one_pool(servers.all, passive("failures = 1  eject_time = 100ms  "
                                                         "max_eject_time = 400ms")))
    servers.bad["a"] = 500
    with Load(weir.client, lambda client: client.get("/"), threads=2) as load:
        for time in ("0.1", "0.2", "0.4", "0.4"):
            weir.wait_log(rf"web/a is ejected for {time} s: ")
        load.wait_requests(10)


def test_beside_probes(start_weir, http_server):
    """A server that answers its probes and fails at the work: probes alone would keep it."""
    servers = Servers(http_server, "abc")
    text = 'health "http" { path = "/health"  interval = 50ms  fast_interval = 50ms  rise = 1 }'
    weir = start_weir(conf.one_pool(servers.all, text + passive("failures = 3")))
    wait_for(lambda: set(seen(weir)) == set("abc"), "all servers")
    servers.bad["b"] = 500
    wait_for(lambda: set(seen(weir)) == set("ac"), "b to be out")
    mark = len(weir.log())
    served = servers.all["b"].served
    # Its good probes go on and change nothing.
    wait_for(lambda: servers.all["b"].served > served + 4, "probes of b")
    assert set(seen(weir)) == set("ac")
    assert "is back" not in weir.log()[mark:]
    # It can still be found down.
    servers.all["a"].stop()
    weir.wait_log(r"web/a is down", mark)
    wait_for(lambda: set(seen(weir)) == {"c"}, "a to be out, too")


def test_reload_keeps_who_is_out(start_weir, http_server):
    servers = Servers(http_server, "ab")
    text = conf.one_pool(servers.all, passive("failures = 1"))
    weir = start_weir(text)
    servers.bad["a"] = 500
    wait_for(lambda: set(seen(weir)) == {"b"}, "a to be out")
    servers.bad.clear()
    weir.reload(text)
    assert set(seen(weir)) == {"b"}
    # Without the module nobody would let it in again: it comes back at once.
    weir.reload(conf.one_pool(servers.all))
    wait_for(lambda: set(seen(weir)) == {"a", "b"}, "a to be back")


def test_sessions_leave_a_server_that_is_out(start_weir, http_server):
    servers = Servers(http_server, "ab")
    weir = start_weir(conf.one_pool(servers.all, 'sticky "cookie" {}' + passive("failures = 2")))
    cookie = None
    while cookie is None:
        first = weir.get("/")
        if first.headers.get("X-Server") == "a":
            cookie = [("Cookie", first.headers.get("Set-Cookie").split(";")[0])]
    servers.bad["a"] = 500
    wait_for(lambda: weir.get("/", cookie).headers.get("X-Server") == "b", "the session to move")


def test_clients_that_go_away_are_no_failures(start_weir, http_server):
    servers = Servers(http_server, "ab")
    weir = start_weir(conf.one_pool(servers.all, passive("failures = 2")))
    for _ in range(20):
        client = weir.client()
        client.request("GET", "/")
        client.reset()
    assert set(seen(weir)) == {"a", "b"}
    assert "ejected" not in weir.log()


def test_mistakes(make_weir):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": "http://127.0.0.1:1"},
                                 'health "passive" { interval = 1s }  health "http" { }\n'
                                 'health "http" { }'))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1
    assert "interval" in done.stderr, "an option of probes"
    assert "is probed by health" in done.stderr


def test_reload_forgives_nobody(start_weir, http_server):
    """Failures in a row are counted over reloads, and who was out is out for twice as long afterwards."""
    servers = Servers(http_server, "ab")
    servers.bad["a"] = 500
    text = conf.one_pool(servers.all, passive("failures = 4  share = 0%  eject_time = 1s"))
    weir = start_weir(text, workers=1)

    def ejections():
        return re.findall(r"web/a is ejected for ([\d.]+) s: (\d+) failures in a row", weir.log())

    def fail_until(count):
        """With a reload between any two failures."""
        with Stopwatch() as watch:
            while len(ejections()) < count:
                sent = servers.all["a"].served
                while servers.all["a"].served == sent and len(ejections()) < count:
                    assert watch.running() < DEADLINE
                    weir.get("/")
                weir.reload(text)

    fail_until(1)
    assert [seconds for seconds, _ in ejections()] == ["1"]
    weir.wait_log(r"web/a is back")
    with Stopwatch() as watch:
        fail_until(2)
    # Who has been well for the whole time is forgiven one.
    assert ejections()[1][0] == "2" or watch.seconds > 1


def test_reloads_put_no_end_off(start_weir, http_server):
    """A reload while a server is out: the end of it stays where it was."""
    servers = Servers(http_server, "ab")
    servers.bad["a"] = 500
    text = conf.one_pool(servers.all, passive("failures = 1  share = 0%  eject_time = 2s"))
    weir = start_weir(text, workers=1)
    wait_for(lambda: weir.get("/") and "ejected" in weir.log(), "the ejection")
    mark = len(weir.log())
    with Stopwatch() as watch:
        while "web/a is back" not in weir.log()[mark:]:
            assert watch.running() < DEADLINE
            weir.reload(text)
