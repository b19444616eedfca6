# SPDX-License-Identifier: MIT
"""Who serves when servers fail: backups, and a pool in panic."""

import collections

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.ports import free_port
from weirtest.wait import wait_for

HEALTH = 'health "http" { path = "/health"  interval = 30ms  fast_interval = 30ms  rise = 1  ' \
    'fall = 1 }  '


class Fleet:
    """Servers whose health a test sets."""

    def __init__(self, http_server, names):
        self.sick = set()
        self.servers = {name: http_server(name, self._handler(name)) for name in names}

    def _handler(self, name):
        def handler(request):
            if request.target == "/health" and name in self.sick:
                return Reply(status=503)
            return name
        return handler

    def set_sick(self, weir, names):
        """Lets exactly these be sick, and waits until weir has noticed."""
        mark = len(weir.log())
        fell, rose = set(names) - self.sick, self.sick - set(names)
        self.sick = set(names)
        for name in fell:
            weir.wait_log(rf"/{name} is down", mark)
        for name in rose:
            weir.wait_log(rf"/{name} is up", mark)


def seen(weir, requests=12):
    """Who answers, and with which status."""
    answers = [weir.get("/") for _ in range(requests)]
    return collections.Counter(a.server if a.status == 200 else a.status for a in answers)


def wait_seen(weir, names):
    """Until just these answer: workers hear of health a moment later."""
    wait_for(lambda: set(seen(weir)) == set(names), f"answers of {names}")


def test_backups_serve_only_when_all_others_are_down(start_weir, http_server):
    fleet = Fleet(http_server, ("a", "b", "x", "y"))
    servers = {"a": fleet.servers["a"], "b": fleet.servers["b"],
               "x": (fleet.servers["x"], "backup = true"),
               "y": (fleet.servers["y"], "backup = true")}
    weir = start_weir(conf.one_pool(servers, HEALTH))
    wait_seen(weir, "ab")
    fleet.set_sick(weir, "a")
    wait_seen(weir, "b")
    fleet.set_sick(weir, "ab")
    wait_seen(weir, "xy")
    fleet.set_sick(weir, "abx")
    wait_seen(weir, "y")
    fleet.set_sick(weir, "abxy")
    wait_seen(weir, {503})
    fleet.set_sick(weir, "ax")
    wait_seen(weir, "b")


def test_backup_for_a_request_that_all_others_failed(start_weir, http_server):
    """Nobody has noticed yet that the server is gone: the retry finds the backup."""
    backup = http_server("x")
    weir = start_weir(conf.one_pool({"a": f"http://127.0.0.1:{free_port()}",
                                     "x": (backup, "backup = true")}, "retry_budget = 100%"))
    for _ in range(5):
        response = weir.get("/")
        assert (response.status, response.server) == (200, "x")
    assert all(entry["retries"] == 1 for entry in weir.access(5))


def test_backup_takes_what_is_over_the_limit(start_weir, http_server):
    """A server at its limit cannot serve: its backup can, and only then does one wait."""
    holding = Holding(path="/held")
    a, x = http_server("a", holding), http_server("x", holding)
    weir = start_weir(conf.one_pool({"a": (a, "max_connections = 1"),
                                     "x": (x, "backup = true  max_connections = 1")}))
    clients = []
    for server in (a, x):
        client = weir.client()
        client.request("GET", "/held")
        clients.append(client)
        server.wait_active(1)
    third = weir.client()
    third.request("GET", "/third")
    holding.release()
    for client in [*clients, third]:
        assert client.response().status == 200
        client.close()
    wait_for(lambda: weir.get("/").server == "a", "the server's place")


def test_sessions_leave_the_backup(start_weir, http_server):
    fleet = Fleet(http_server, ("a", "x"))
    weir = start_weir(conf.one_pool({"a": fleet.servers["a"],
                                     "x": (fleet.servers["x"], "backup = on")},
                                    HEALTH + 'sticky "cookie" {}'))
    fleet.set_sick(weir, "a")
    wait_seen(weir, "x")
    cookie = weir.get("/").headers.get("Set-Cookie").split(";")[0]
    assert weir.get("/", [("Cookie", cookie)]).server == "x"
    fleet.set_sick(weir, "")
    wait_for(lambda: weir.get("/", [("Cookie", cookie)]).server == "a", "the session to move")


def test_panic_uses_all(start_weir, http_server):
    """Below the share the servers that are well would drown: all get their part."""
    fleet = Fleet(http_server, "abcd")
    weir = start_weir(conf.one_pool(fleet.servers, HEALTH + "panic = 50%"))
    wait_seen(weir, "abcd")
    fleet.set_sick(weir, "ab")
    wait_seen(weir, "cd")
    mark = len(weir.log())
    fleet.set_sick(weir, "abc")
    wait_seen(weir, "abcd")
    assert "panic" in weir.wait_log(r"[^\n]*1 of 4[^\n]*", mark).group(0)
    fleet.set_sick(weir, "abcd")
    wait_seen(weir, "abcd")
    fleet.set_sick(weir, "a")
    wait_seen(weir, "bcd")
    weir.wait_log(r"panic is over", mark)


def test_panic_uses_none(start_weir, http_server):
    """Rather an error at once, or the backup, than servers that fall one after the other."""
    fleet = Fleet(http_server, "abcdx")
    text = 'panic = 50%  panic_mode = none'
    servers = {name: fleet.servers[name] for name in "abcd"}
    weir = start_weir(conf.one_pool(servers, HEALTH + text))
    wait_seen(weir, "abcd")
    fleet.set_sick(weir, "abc")
    wait_seen(weir, {503})
    assert weir.access(1, lambda entry: entry["status"] == 503)[0]["reason"] == "no_server"
    fleet.set_sick(weir, "ab")
    wait_seen(weir, "cd")
    servers["x"] = (fleet.servers["x"], "backup = on")
    weir.reload(conf.one_pool(servers, HEALTH + text))
    fleet.set_sick(weir, "abc")
    wait_seen(weir, "x")


def test_no_panic_by_default(start_weir, http_server):
    fleet = Fleet(http_server, "abcd")
    weir = start_weir(conf.one_pool(fleet.servers, HEALTH))
    fleet.set_sick(weir, "abc")
    wait_seen(weir, "d")
