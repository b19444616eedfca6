# SPDX-License-Identifier: MIT
"""A pool's shadow: another balancer is asked for each pick whom it would choose, and not obeyed. What it says is
counted, whatever becomes of requests, servers and itself; nothing that it does reaches a request."""

import json
import os
import pathlib
import signal
import threading

import pytest

from weirtest import conf, weir as weir_program
from weirtest.backend import Reply
from weirtest.client import Client
from weirtest.load import Load
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, SANITIZED, wait_for
from weirtest.weirctl import weirctl

MODULES = pathlib.Path(weir_program.module_dir())
BUILT = MODULES.parent.parent / "tests" / "modules" / "built"
STRIKES = 5


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The build's modules, and the tests' own: `trial` prefers the server z, and takes turns without one."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for path in [*MODULES.glob("*.so"), BUILT / "balance_hears.so", BUILT / "balance_strikes.so",
                 BUILT / "balance_learns.so", BUILT / "balance_fails.so", BUILT / "balance_marks.so",
                 BUILT / "lingers.so",
                 BUILT / "trial_create.so", BUILT / "trial_one.so"]:
        os.symlink(path, folder / path.name)
    os.symlink(BUILT / "trial_last.so", folder / "balance_trial.so")
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


def text_of(weir, servers, shadow='shadow "trial" {}', pool="", balance="round_robin"):
    return (f'module "balance_trial" {{}}\nmodule "balance_strikes" {{ strikes = {STRIKES} }}\n'
            'module "balance_hears" {}\nmodule "balance_learns" {}\nmodule "store_sqlite" {}\n'
            'module "balance_fails" {}\nmodule "balance_marks" {}\n'
            'module "metrics_prometheus" {}\nmodule "admin" { web_dir = ""  request_limit = 0 }\n' +
            conf.listener('handler "admin" {}\n handler "metrics_prometheus" { path = "/metrics" }', "admin",
                          f'"unix:{weir.folder}/admin.sock"') +
            conf.one_pool(servers, f"{shadow}\n  {pool}", balance=balance))


@pytest.fixture(name="begin")
def begin_(make_weir, http_server):
    """Starts a Weir with a pool of servers, by default a and z, and a shadow."""
    def begin(servers=None, shadow='shadow "trial" {}', pool="", balance="round_robin", workers=1):
        weir = make_weir(workers=workers)
        weir.servers = servers or {name: http_server(name) for name in "az"}
        weir.configure(text_of(weir, weir.servers, shadow, pool, balance))
        return weir.start()
    return begin


def call(weir, method, target, body=None):
    """Status, and the answer's JSON, over the Unix socket, where the test's own user is admin."""
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request(method, "/api/v1" + target, [] if body is None else [("Content-Type", "application/json")],
                       body=None if body is None else json.dumps(body))
        response = client.response(method)
        return response.status, json.loads(response.body) if response.body else None


def show(weir):
    """The pool's shadow."""
    status, pool = call(weir, "GET", "/pools/web")
    assert status == 200, pool
    return pool["shadow"]


def alarms(weir):
    return call(weir, "GET", "/status")[1]["alarms"]


def counts(weir):
    shadow = show(weir)
    return shadow["asked"], shadow["agreed"], shadow["none"]


def by_server(weir, *names):
    """What is said of each server, as pairs or a number."""
    return {server["id"]: tuple(server[name] for name in names) for server in show(weir)["servers"]}


def in_flight(weir):
    return by_server(weir, "in_flight", "predicted_in_flight")


def wait_in_flight(weir, **wanted):
    wait_for(lambda: in_flight(weir) == wanted, f"{wanted} in flight, not {in_flight(weir)}")


# ---- choices ----

@pytest.mark.parametrize("balance", ["round_robin", "least_conn", "first", "hash", "learns"])
@pytest.mark.parametrize("workers", [1, 2])
def test_equals_agree(begin, http_server, balance, workers):
    """The same balancer, beside itself: also where it begins later than the pool's own."""
    servers = {name: http_server(name) for name in "abc"}
    weir = begin(servers, "", balance=balance, workers=workers)
    for number in range(5):
        weir.get(f"/{number}")
    assert show(weir) is None
    weir.reload(text_of(weir, servers, f'shadow "{balance}" {{}}', balance=balance))
    for number in range(40):
        weir.get(f"/{number}")
    assert counts(weir) == (40, 40, 0)
    assert show(weir)["balancer"] == balance
    assert all(picked == chosen for picked, chosen in by_server(weir, "picked", "chosen").values())
    assert sum(picked for picked, in by_server(weir, "picked").values()) == 40


def test_what_differs_is_counted(begin):
    weir = begin()
    for _ in range(20):
        weir.get("/")
    assert {name: len(server.requests) for name, server in weir.servers.items()} == {"a": 10, "z": 10}
    assert counts(weir) == (20, 10, 0)
    assert by_server(weir, "picked", "chosen") == {"a": (10, 0), "z": (10, 20)}
    _, pools = call(weir, "GET", "/pools")
    assert pools["entries"][0]["shadow"]["asked"] == 20


def test_retries_are_picks_too(begin, http_server):
    """The server that failed is not usable for the shadow either."""
    weir = begin({"a": f"http://127.0.0.1:{free_port()}", "z": http_server("z")}, balance="first",
                 pool="retries = 1  retry_budget = 100%")
    assert weir.get("/").server == "z"
    assert counts(weir) == (2, 1, 0)
    assert by_server(weir, "picked", "chosen") == {"a": (1, 0), "z": (1, 2)}
    wait_in_flight(weir, a=(0, 0), z=(0, 0))


def test_sessions_are_no_picks_but_heard_of(begin, http_server):
    """The shadow hears how each request really went, whoever chose the server."""
    weir = begin({name: http_server(name) for name in "ab"}, 'shadow "hears" {}', 'sticky "cookie" {}')
    cookie = weir.get("/").headers.get("Set-Cookie").partition(";")[0]
    for _ in range(9):
        assert weir.get("/", [("Cookie", cookie)]).status == 200
    assert counts(weir)[0] == 1

    def heard():
        return {row["name"]: row["value"] for row in call(weir, "GET", "/modules/balance_hears")[1]["metrics"]}

    wait_for(lambda: heard()["completed"] == 10, "the last end to be told")
    assert heard()["heads"] == 10 and heard()["odd"] == 0


def test_beside_a_canary(begin):
    """Whose pick it is, the pool's or the copy's, the shadow is asked."""
    weir = begin(shadow='shadow "round_robin" {}', balance="trial")
    status, answer = call(weir, "POST", "/modules/balance_trial/swap", {"file": "trial_one.so", "canary": "50%"})
    assert status == 200, answer
    for _ in range(20):
        weir.get("/")
    asked, _, none = counts(weir)
    assert (asked, none) == (20, 0)
    assert by_server(weir, "picked", "chosen") == {"a": (10, 10), "z": (10, 10)}
    assert call(weir, "POST", "/modules/balance_trial/promote")[0] == 200
    weir.get("/")
    assert counts(weir)[0] == 21, "its counts go on"


def test_the_shadow_takes_over_what_it_has_learnt(begin, http_server):
    """Promoted, it keeps off a server that failed while it was not obeyed."""
    servers = {"a": http_server("a", lambda request: Reply(b"", status=500)), "b": http_server("b")}
    weir = begin(servers, 'shadow "learns" {}', "retries = 0")
    assert sorted(weir.get("/").status for _ in range(4)) == [200, 200, 500, 500]
    weir.reload(text_of(weir, servers, "", "retries = 0", balance="learns"))
    assert [weir.get("/").status for _ in range(6)] == [200] * 6


def test_one_that_is_tried_begins_with_what_the_shadow_has_learnt(begin, http_server):
    """The pool's balancer is exchanged on trial for the one that was asked: no pick of that one repeats a mistake."""
    servers = {"a": http_server("a", lambda request: Reply(b"", status=500)), "b": http_server("b")}
    weir = begin(servers, 'shadow "learns" {}', "retries = 0")
    assert sorted(weir.get("/").status for _ in range(4)) == [200, 200, 500, 500]
    status, answer = call(weir, "PATCH", "/pools/web", {"balance": "learns", "canary": "50%", "for": "1h"})
    assert status == 200, answer
    assert sorted(weir.get("/").status for _ in range(8)) == [200] * 6 + [500] * 2, "those of the one that takes turns"


@pytest.mark.parametrize("next_shadow", ["learns", "trial"])
def test_one_that_becomes_the_shadow_keeps_what_it_has_learnt(begin, http_server, next_shadow):
    """And so does the one that takes its place, if it was the shadow before."""
    servers = {"a": http_server("a", lambda request: Reply(b"", status=500)), "b": http_server("b")}
    weir = begin(servers, "" if next_shadow == "learns" else 'shadow "trial" {}', "retries = 0", balance="learns")
    assert sorted(weir.get("/").status for _ in range(4)) == [200, 200, 200, 500]
    weir.reload(text_of(weir, servers, 'shadow "learns" {}', "retries = 0",
                        "round_robin" if next_shadow == "learns" else "trial"))
    for _ in range(6):
        weir.get("/")
    assert counts(weir)[0] == 6
    assert by_server(weir, "chosen") == {"a": (0,), "b": (6,)}
    weir.reload(text_of(weir, servers, "", "retries = 0", balance="learns"))
    assert [weir.get("/").status for _ in range(6)] == [200] * 6


def test_balance_and_shadow_change_places(begin, http_server):
    """Under requests that both have heard of: each end is told to the instance that heard the beginning."""
    servers = {"a": http_server("a", lambda request: Reply(b"", status=500)), "b": http_server("b")}
    weir = begin(servers, 'shadow "learns" {}', "retries = 0", balance="hears", workers=2)

    def exchange(client):
        response = client.get("/")
        assert response.status in (200, 500)
        return response

    with Load(weir.client, exchange=exchange, threads=4) as load:
        for turn in range(8):
            load.wait_requests(40)
            both = ("learns", "hears") if turn % 2 == 0 else ("hears", "learns")
            weir.reload(text_of(weir, servers, f'shadow "{both[1]}" {{}}', "retries = 0", both[0]))
    load.assert_clean()
    wait_in_flight(weir, a=(0, 0), b=(0, 0))

    def heard():
        return {row["name"]: row["value"] for row in call(weir, "GET", "/modules/balance_hears")[1]["metrics"]}

    wait_for(lambda: heard()["odd"] == 0, "no end without a beginning")
    for _ in range(40): # connections of their own, so that both workers hear of it
        weir.get("/")
    weir.reload(text_of(weir, servers, "", "retries = 0", balance="learns"))
    assert [weir.get("/").status for _ in range(6)] == [200] * 6, "what it learnt has come along"


def test_an_exchanged_shadow_begins_in_step(begin, http_server):
    """As the first one does, wherever the turns of the one before were."""
    servers = {name: http_server(name) for name in "abc"}
    weir = begin(servers, 'shadow "trial" {}')
    for number in range(4):
        weir.get(f"/{number}")
    weir.reload(text_of(weir, servers, 'shadow "round_robin" {}'))
    for number in range(9):
        weir.get(f"/{number}")
    assert counts(weir) == (9, 9, 0)


def marks(weir):
    headers = weir.servers["a"].requests[-1].headers
    return tuple(headers.get(name) for name in ("X-Removed", "X-Set", "X-Added"))


def test_it_changes_no_request(begin, http_server):
    """Whatever its pick does to the request that it is asked for: the server gets it as the client sent it."""
    weir = begin({"a": http_server("a")}, 'shadow "marks" {}')
    fields = [("X-Removed", "kept"), ("X-Set", "client")]
    assert weir.get("/", fields).status == 200
    assert counts(weir) == (1, 1, 0)
    assert marks(weir) == ("kept", "client", None)
    weir.reload(text_of(weir, weir.servers, "", balance="marks"))
    assert weir.get("/", fields).status == 200
    assert marks(weir) == (None, "marks", "marks"), "the module does it"


# ---- what would be in flight ----

@pytest.fixture(name="held")
def held_(begin, http_server):
    """Starts a Weir whose servers begin to answer, and end when they are told to."""
    release = threading.Event()

    def body(request):
        yield b"begun"
        assert release.wait(DEADLINE)
        yield b" and ended"

    def start(handler=None, **how):
        servers = {name: http_server(name, handler or (lambda request: Reply(body(request), length=15)))
                   for name in "az"}
        return begin(servers, **how), release
    yield start
    release.set()


def ask_held(weir, number=4):
    """So many requests that stay, half of them at each server."""
    clients = [weir.client() for _ in range(number)]
    for client in clients:
        client.request()
    wait_in_flight(weir, a=(number // 2, 0), z=(number // 2, number))
    for server in weir.servers.values():
        server.wait_active(number // 2)
    return clients


def read_all(clients):
    for client in clients:
        assert client.response().body == b"begun and ended"
        client.close()


def test_until_bodies_end(held):
    weir, release = held()
    clients = ask_held(weir)
    release.set()
    read_all(clients)
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    assert all(wait > 0 for wait, in by_server(weir, "wait_ms").values())


def test_clients_that_go(held):
    weir, _ = held()
    for client in ask_held(weir):
        client.close()
    wait_in_flight(weir, a=(0, 0), z=(0, 0))


def test_servers_that_go(held):
    weir, _ = held(pool="retries = 0")
    clients = ask_held(weir)
    for server in weir.servers.values():
        server.drop()
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    for client in clients:
        client.close()


def test_answers_that_never_begin(held):
    release = threading.Event()
    weir, _ = held(lambda request: release.wait(DEADLINE) and b"", pool="retries = 0  response_timeout = 200ms")
    for _ in range(4):
        assert weir.get("/").status == 504
    release.set()
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    assert by_server(weir, "wait_ms") == {"a": (None,), "z": (None,)}, "nobody knows how long one waits"


def test_what_waits_in_the_queue_counts_where_it_runs(held):
    """A place that comes free is nobody's choice."""
    weir, release = held(shadow='shadow "first" {}', pool="queue_timeout = 60s")
    for name in "az":
        assert call(weir, "PATCH", f"/pools/web/servers/{name}", {"max_requests": 1})[0] == 200
    clients = [weir.client() for _ in range(4)]
    for client in clients:
        client.request()
    wait_for(lambda: call(weir, "GET", "/pools/web")[1]["queued"] == 2, "two to wait")
    assert sum(predicted for _, predicted in in_flight(weir).values()) == 2
    release.set()
    read_all(clients)
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    assert counts(weir)[0] == 2


def test_a_server_that_leaves_and_comes_back(held):
    weir, release = held()
    clients = ask_held(weir)
    url = weir.servers["z"].url
    status, answer = call(weir, "DELETE", "/pools/web/servers/z?now=1")
    assert status in (200, 202, 204), answer
    for client in clients[1::2]:  # those at z, whichever they are, are cut; the others go on
        client.close()
    wait_for(lambda: "z" not in in_flight(weir), "it to leave")
    assert all(predicted >= 0 for _, predicted in in_flight(weir).values())
    status, answer = call(weir, "POST", "/pools/web/servers", {"url": url, "id": "z"})
    assert status == 201, answer
    release.set()
    for client in clients[::2]:
        client.close()
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    weir.get("/")
    wait_in_flight(weir, a=(0, 0), z=(0, 0))


def test_a_reload_takes_the_shadow_away(held):
    """And brings it again while requests run that it was asked about: they count until they end."""
    weir, release = held()
    clients = ask_held(weir)
    weir.reload(text_of(weir, weir.servers, ""))
    assert show(weir) is None
    weir.reload(text_of(weir, weir.servers))
    assert counts(weir) == (0, 0, 0)
    assert in_flight(weir) == {"a": (2, 0), "z": (2, 4)}
    release.set()
    read_all(clients)
    wait_in_flight(weir, a=(0, 0), z=(0, 0))


def test_what_is_read_while_a_reload_ends(begin, tmp_path):
    """The configuration that is shown until all loops have the next one: its modules are there as long."""
    lingers = tmp_path / "lingers"
    weir = begin()
    text = f'module "lingers" {{ file = "{lingers}" }}\n'  # left last, as the first of the modules
    weir.reload(text + text_of(weir, weir.servers))
    lingers.touch()
    mark = len(weir.log())
    weir.signal(signal.SIGHUP)
    weir.wait_log("lingers: lingers", mark)
    for _ in range(20):
        for target in ("/pools", "/pools/web", "/listeners", "/modules", "/modules/balance_trial", "/stats"):
            assert call(weir, "GET", target)[0] == 200
        assert call(weir, "POST", "/explain", {"url": "http://localhost/"})[0] == 200
        assert metrics(weir)['weir_pool_shadow_out{pool="web"}'] == 0
    assert "reload done" not in weir.log()[mark:], "it goes on"
    lingers.unlink()
    weir.wait_log("reload done", mark)
    weir.get("/")
    assert counts(weir)[0] == 1


SHADOWS = ['shadow "trial" {}', "", 'shadow "ewma" {}', 'shadow "ewma" { choices = 2 }', 'shadow "round_robin" {}']


def test_reloads_under_load(begin):
    """It comes, changes and goes; nothing else does, and no request or connection is lost."""
    weir = begin(workers=2)
    with Load(weir.client, threads=4) as load:
        for turn in range(10):
            load.wait_requests(40)
            weir.reload(text_of(weir, weir.servers, SHADOWS[turn % len(SHADOWS)]))
        weir.reload(text_of(weir, weir.servers))
        load.wait_requests(40)
    load.assert_clean()
    assert load.closed == 0
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    asked, agreed, none = counts(weir)
    assert asked > 0 and none == 0 and 0 < agreed < asked


# ---- one that is no good ----

@pytest.mark.parametrize("at, kind", [("pick_range", "wrong_answer"), ("pick_none", "no_server"),
                                      ("pick_slow", "over_budget"), ("complete_slow", "over_budget")])
def test_one_that_breaks_its_contract_is_out_alone(begin, http_server, at, kind):
    weir = begin({name: http_server(name) for name in "ab"}, f'shadow "strikes" {{ at = {at} }}')
    for _ in range(STRIKES):
        assert weir.get("/").status == 200
    wait_for(lambda: show(weir)["out"], "it to be out")
    assert counts(weir)[2] == (STRIKES if at in ("pick_range", "pick_none") else 0)
    [alarm] = call(weir, "GET", "/modules/balance_strikes")[1]["alarms"]
    assert (alarm["block"], alarm["strike"], alarm["instead"]) == ("pool web shadow 1", kind, "not asked")
    asked = counts(weir)[0]
    assert asked == STRIKES
    for _ in range(6):
        assert weir.get("/").status == 200
    assert counts(weir)[0] == asked, "it is not asked any more"
    assert len(weir.servers["a"].requests) - len(weir.servers["b"].requests) in (-1, 0, 1), "the pool's own goes on"
    assert call(weir, "POST", "/modules/balance_strikes/retry")[0] == 200
    assert not show(weir)["out"]
    weir.get("/")
    wait_for(lambda: counts(weir)[0] == asked + 1, "it to be asked again")


def test_why_it_is_out_is_told(begin, http_server):
    weir = begin({name: http_server(name) for name in "ab"}, 'shadow "strikes" { at = pick_range }')
    for _ in range(STRIKES):
        assert show(weir)["reason"] is None
        weir.get("/")
    reason = f"{STRIKES} strikes within 10 s, the last one of pick: wrong_answer"
    wait_for(lambda: show(weir)["reason"] == reason, "it to be out")
    told = weirctl("--socket", str(weir.folder / "admin.sock"), "pools", "web").stdout
    assert "which is out and not asked" in told and reason in told


def test_one_that_cannot_take_its_members_is_out_at_once(begin, http_server):
    """It is not asked, long before its strikes are enough; and it is again once it can."""
    weir = begin({name: http_server(name) for name in "ab"}, 'shadow "fails" { at = members }', workers=2)
    for _ in range(4):
        assert weir.get("/").status == 200
    assert counts(weir) == (0, 0, 0)
    shown = show(weir)
    assert (shown["out"], shown["reason"]) == (True, "on_members failed on 2 of 2 workers")
    assert metrics(weir)['weir_pool_shadow_out{pool="web"}'] == 1
    assert call(weir, "GET", "/modules/balance_fails")[1]["alarms"] == []
    assert "web: the shadow could not take its members over; it is not asked" in weir.log()
    weir.reload(text_of(weir, weir.servers, 'shadow "fails" {}'))
    shown = show(weir)
    assert (shown["out"], shown["reason"]) == (False, None)
    weir.get("/")
    assert counts(weir)[0] == 1


def test_the_alarm_goes_with_its_block(begin, http_server):
    """Also while a request still runs that the shadow has heard of."""
    release = threading.Event()

    def body(_):
        yield b"begun"
        assert release.wait(DEADLINE)
        yield b" and ended"

    servers = {name: http_server(name, lambda request: Reply(body(request), length=15) if request.target == "/held"
                                 else Reply(b"")) for name in "ab"}
    weir = begin(servers, 'shadow "strikes" { at = pick_range }')
    with weir.client() as client:
        client.request("GET", "/held")
        for _ in range(STRIKES):
            weir.get("/")
        wait_for(lambda: show(weir)["out"], "it to be out")
        assert [alarm["block"] for alarm in alarms(weir)] == ["pool web shadow 1"]
        weir.reload(text_of(weir, servers, ""))
        assert alarms(weir) == []
        assert call(weir, "GET", "/modules/balance_strikes")[1]["alarms"] == []
        weir.reload(text_of(weir, servers, 'shadow "strikes" {}'))
        assert not show(weir)["out"] and alarms(weir) == []
        release.set()
        assert client.response().body == b"begun and ended"


def test_its_time_is_charged_to_no_server(begin, http_server):
    """It takes 20 ms or more a pick, and no server looks slower for that."""
    weir = begin({name: http_server(name) for name in "ab"},
                 'shadow "strikes" { at = pick_slow  strikes = 0 }')
    for _ in range(10):
        assert weir.get("/").status == 200
    log = call(weir, "GET", "/modules/balance_strikes")[1]
    pick, = [hook for hook in log["hooks"] if hook["hook"] == "pick"]
    for wait, in by_server(weir, "wait_ms").values():
        assert wait < pick["time_us"]["p50"] / 1000


def test_one_that_cannot_begin_is_refused(begin, folder):
    weir = begin(shadow="")
    (folder / "balance_trial.so").unlink()
    os.symlink(BUILT / "trial_create.so", folder / "balance_trial.so")
    mark = len(weir.log())
    weir.configure(text_of(weir, weir.servers))
    weir.signal(signal.SIGHUP)
    weir.wait_log('not taken over: pool "web": shadow "balance_trial": create failed', mark)
    assert weir.get("/").status == 200 and show(weir) is None


@pytest.mark.skipif(SANITIZED, reason="sanitizers report faults themselves")
def test_one_that_ends_the_program_is_named(begin, folder):
    """Twice, and the next start goes on without it."""
    (folder / "balance_trial.so").unlink()
    os.symlink(BUILT / "trial_crash.so", folder / "balance_trial.so")
    weir = begin()
    for turn in range(2):
        for _ in range(19):
            assert weir.get("/").status == 200
        with weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert weir.wait_exit() == -signal.SIGABRT
        call_of = json.loads((weir.state / "crash.json").read_text())["calls"][0]
        assert (call_of["module"], call_of["hook"], call_of["place"]) == ("balance_trial", "pick", "pool web shadow 1")
        weir.start()
        assert show(weir)["out"] == (turn == 1)
    for _ in range(25):
        assert weir.get("/").status == 200
    assert counts(weir) == (0, 0, 0)
    [alarm] = call(weir, "GET", "/modules/balance_trial")[1]["alarms"]
    assert (alarm["block"], alarm["strike"], alarm["instead"]) == ("pool web shadow 1", "quarantined", "not asked")


@pytest.mark.parametrize("shadow, message", [
    ('shadow "trial" {}\n  shadow "ewma" {}', 'pool "web" has a second shadow block; remove one'),
    ('shadow "nobody" {}', "nobody"),
    ('shadow "ewma" { halflife = 1s }', "half_life"),
])
def test_mistakes_are_told(begin, shadow, message):
    weir = begin(shadow="")
    assert message in weir.reload(text_of(weir, weir.servers, shadow), good=False)


# ---- seen from outside ----

def metrics(weir):
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request("GET", "/metrics")
        lines = client.response().body.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines
            if "_shadow_" in line and not line.startswith("#")}


def test_metrics(begin):
    weir = begin()
    for _ in range(20):
        weir.get("/")
    wait_in_flight(weir, a=(0, 0), z=(0, 0))
    found = metrics(weir)
    pool, a, z = '{pool="web"}', '{pool="web",server="a"}', '{pool="web",server="z"}'
    assert found["weir_pool_shadow_asked_total" + pool] == 20
    assert found["weir_pool_shadow_agreed_total" + pool] == 10
    assert found["weir_pool_shadow_none_total" + pool] == found["weir_pool_shadow_out" + pool] == 0
    assert 0 < found["weir_pool_shadow_waits_total" + pool] <= 20
    for choice in ("real", "shadow"):
        assert found['weir_pool_shadow_wait_seconds_total{pool="web",choice="%s"}' % choice] > 0
        assert found['weir_server_shadow_wait_seconds{pool="web",server="a",choice="%s"}' % choice] > 0
    assert found["weir_server_shadow_picked_total" + a] == found["weir_server_shadow_picked_total" + z] == 10
    assert found["weir_server_shadow_chosen_total" + a] == 0
    assert found["weir_server_shadow_chosen_total" + z] == 20
    assert found["weir_server_shadow_requests_in_flight" + z] == 0
    weir.reload(text_of(weir, weir.servers, ""))
    assert not metrics(weir), "a pool without a shadow has no such numbers"


def test_a_dry_run_tells_its_choice(begin):
    weir = begin()
    for _ in range(2):
        _, answer = call(weir, "POST", "/explain", {"url": "http://localhost/"})
        assert (answer["pick"], answer["shadow_pick"]) == ("a", "z")
    assert counts(weir) == (0, 0, 0), "it counts for nothing"


def test_weirctl(begin):
    weir = begin()
    for _ in range(20):
        weir.get("/")
    told = weirctl("--socket", str(weir.folder / "admin.sock"), "pools", "web")
    assert told.returncode == 0, told
    assert "trial: asked for 20 picks, agrees with 50.0 %, names nobody for 0" in told.stdout
    [row] = [line.split() for line in told.stdout.splitlines() if line.startswith("z ")]
    assert row[1:3] == ["50.0", "100.0"]
