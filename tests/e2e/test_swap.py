# SPDX-License-Identifier: MIT
"""Another copy of a module takes the place of the one that runs, at once or after a trial, and goes again: nothing
else changes, no request fails, and what runs is what the journal says, also after SIGKILL."""

import json
import shutil

import pytest

from weirtest import conf, swaps, wire
from weirtest.backend import Reply
from weirtest.client import Client
from weirtest.load import Load
from weirtest.swaps import COPIES, NAME, call, make_folder, restart, stage, text_of
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of modules of the test's own, whose files it may replace."""
    folder = make_folder(tmp_path)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


@pytest.fixture(name="begin")
def begin_(make_weir, http_server):
    def begin(servers=None, extra="", workers=2):
        weir = make_weir(workers=workers)
        weir.configure(text_of(weir, servers or {name: http_server(name) for name in "ab"}, extra))
        return weir.start()
    return begin


def swap(weir, name=NAME, **body):
    status, answer = call(weir, "POST", f"/modules/{name}/swap", body)
    assert status == 200, answer
    return answer


def show(weir, name=NAME):
    status, answer = call(weir, "GET", f"/modules/{name}")
    assert status == 200, answer
    return answer


def step(weir, what, name=NAME):
    status, answer = call(weir, "POST", f"/modules/{name}/{what}")
    assert status == 200, answer
    return answer


def journal(weir):
    return swaps.journal(weir, "modules.")


def wait_state(weir, state, name=NAME):
    return swaps.wait_state(lambda: show(weir, name), state)


# ---- at once ----

def test_the_own_file_and_back(begin, folder):
    weir = begin()
    with Load(weir.client, threads=4) as load:
        load.wait_requests(50)
        stage(folder, (COPIES / "trial_two.so").read_bytes())
        assert show(weir)["version"] == "1.0", "a file that lies there is not in force"
        answer = swap(weir)
        assert (answer["version"], answer["swap"]["state"]) == ("2.0", "promoted")
        assert answer["swap"]["old"]["version"] == "1.0"
        load.wait_requests(50)
        assert step(weir, "rollback")["version"] == "1.0"
        load.wait_requests(50)
    load.assert_clean()
    assert load.closed == 0, "nor a connection"
    assert journal(weir) == [("modules.swap", "promoted"), ("modules.rollback", "rolled_back")]
    # The file that was rolled back is still there: neither a reload nor a start takes it again...
    weir.reload()
    assert show(weir)["version"] == "1.0"
    restart(weir)
    assert show(weir)["version"] == "1.0"
    # ... but a newer one.
    stage(folder, (COPIES / "trial_last.so").read_bytes())
    weir.reload()
    assert show(weir)["version"] == "2.1"
    wait_for(lambda: len([row for row in call(weir, "GET", "/modules")[1]["entries"] if row["name"] == NAME]) == 1,
             "the other copies to go")


def test_another_file(begin, folder):
    weir = begin()
    assert swap(weir, file="trial_two.so")["version"] == "2.0"
    (folder / "trial_two.so").unlink()
    for again in (weir.reload, lambda: restart(weir)):
        again()
        assert show(weir)["version"] == "2.0", "it stays what was promoted"
    assert step(weir, "rollback")["version"] == "1.0"
    assert swap(weir, file=str(folder / "trial_last.so"))["version"] == "2.1", "the path in full"


def test_servers_connections_and_counts_stay(begin, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = begin(servers, workers=1)
    for _ in range(6):
        weir.get("/")
    _, before = call(weir, "GET", "/pools/web")
    swap(weir, file="trial_two.so")
    for _ in range(6):
        weir.get("/")
    _, after = call(weir, "GET", "/pools/web")
    for old, new in zip(before["servers"], after["servers"]):
        assert new["connections"] == old["connections"], "no connection more"
        assert new["requests"] == old["requests"] + 3


def test_nothing_else_is_taken(begin, http_server, folder):
    """Neither the configuration's files nor another module's, as they are by now."""
    weir = begin({"a": http_server("a")})
    weir.configure(text_of(weir, {"b": http_server("b")}))
    stage(folder, (folder / "route_path.so").read_bytes() + bytes(16), "route_path")
    identity = show(weir, "route_path")["generation"]
    swap(weir, file="trial_two.so")
    assert weir.get("/").server == "a"
    _, rows = call(weir, "GET", "/modules")
    assert len([row for row in rows["entries"] if row["name"] == "route_path"]) == 1
    assert show(weir, "route_path")["generation"] > identity, "it goes on under the new generation"


OTHERS = ("route_path", "headers", "sticky_cookie", "health_http", "access_log", "rate_limit", "metrics_prometheus",
          "store_sqlite", "admin")


def test_every_kind_of_module(make_weir, http_server, folder):
    """The same program in another file, for each kind: routes keep their counts, sessions their server."""
    weir = make_weir(access_log=False)
    servers = {name: http_server(name) for name in "abc"}
    weir.configure(
        "".join(f'module "{name}" {{}}\n' for name in ("store_sqlite", "health_http", "rate_limit",
                                                       "metrics_prometheus", "headers", "sticky_cookie")) +
        f'module "access_log" {{ path = "{weir.folder}/own.log" }}\n'
        'module "admin" { web_dir = ""  request_limit = 0 }\n' +
        conf.listener('handler "admin" {}\n handler "metrics_prometheus" { path = "/metrics" }', "admin",
                      f'"unix:{weir.folder}/admin.sock"') +
        conf.listener('filter "headers" { response_set = {"X-Weir: here"} }\nfilter "rate_limit" { rate = 100000 }') +
        'module "balance_round_robin" {}\n'
        'module "route_path" { route "/" { pool = "web"  filter "headers" { response_set = {"X-Route: web"} } } }\n' +
        conf.pool("web", servers, 'sticky "cookie" {}\n health "http" { path = "/"  interval = 1s }'))
    weir.start()
    first = weir.get("/")
    cookie = first.headers.get("Set-Cookie").partition(";")[0]
    with Load(weir.client, threads=2) as load:
        for name in OTHERS:
            load.wait_requests(20)
            stage(folder, (folder / f"{name}.so").read_bytes() + bytes(16), name)
            assert swap(weir, name)["swap"]["state"] == "promoted", name
            response = weir.get("/", [("Cookie", cookie)])
            assert (response.server, response.headers.get("X-Weir"), response.headers.get("X-Route")) == \
                (first.server, "here", "web"), name
    load.assert_clean()
    _, routes = call(weir, "GET", "/routes")
    assert routes["entries"][0]["requests"] >= load.requests, "counts go on"
    restart(weir)
    assert weir.get("/", [("Cookie", cookie)]).server == first.server


def test_what_is_refused(begin, folder, tmp_path):
    weir = begin()
    elsewhere = tmp_path / "trial_two.so"
    shutil.copy(folder / "trial_two.so", elsewhere)
    (folder / "text.so").write_text("nothing")
    for body, status, words in (
            ({}, 409, "contents of the copy"),
            ({"file": str(elsewhere)}, 422, "only files of the folder of modules"),
            ({"file": "../trial_two.so"}, 422, "only files of the folder of modules"),
            ({"file": "none.so"}, 422, "cannot read"),
            ({"file": "text.so"}, 422, "not a shared object"),
            ({"file": "route_path.so"}, 422, "it calls itself"),
            ({"file": "trial_create.so"}, 503, "create failed"),
            ({"file": "trial_two.so", "canary": "5"}, 422, "no share"),
            ({"file": "trial_two.so", "canary": "0%"}, 422, "no share"),
            ({"file": "trial_two.so", "for": "soon"}, 422, "not a duration"),
            ({"file": "trial_two.so", "max_error_ratio": "2"}, 422, "must be a number"),
            ({"flie": "trial_two.so"}, 422, 'did you mean "file"')):
        got, answer = call(weir, "POST", f"/modules/{NAME}/swap", body)
        assert got == status, (body, answer)
        assert words in answer["detail"], (body, answer)
        assert weir.get("/").status == 200
    for target, status in (("/modules/none/swap", 404), (f"/modules/{NAME}/rollback", 409),
                           (f"/modules/{NAME}/promote", 409), ("/modules/none/rollback", 404)):
        assert call(weir, "POST", target)[0] == status, target
    status, answer = call(weir, "POST", "/modules/route_path/swap", {"canary": "5%", "file": "route_path.so"})
    assert status in (409, 422), answer
    assert show(weir)["version"] == "1.0" and show(weir)["swap"] is None
    assert journal(weir) == []


# ---- with a trial ----

def test_its_share_is_exact_and_it_is_promoted(begin):
    weir = begin(workers=1)
    answer = swap(weir, file="trial_two.so", canary="10%", **{"for": "1h"})
    assert (answer["version"], answer["swap"]["state"], answer["swap"]["canary"]) == ("1.0", "trying", 10)
    for _ in range(200):
        assert weir.get("/").status == 200
    pool, = show(weir)["swap"]["pools"]
    assert (pool["old"]["picks"], pool["new"]["picks"]) == (180, 20), "no chance in it"
    assert (pool["old"]["requests"], pool["new"]["requests"], pool["new"]["errors"]) == (180, 20, 0)
    assert pool["new"]["first_byte_ms"]["p50"] > 0 and pool["new"]["classes"]
    _, rows = call(weir, "GET", "/modules")
    assert {(row["version"], row["state"]) for row in rows["entries"] if row["name"] == NAME} == \
        {("1.0", "active"), ("2.0", "canary")}
    assert call(weir, "POST", f"/modules/{NAME}/swap", {"file": "trial_last.so"})[0] == 409, "one at a time"
    assert step(weir, "promote")["version"] == "2.0"
    assert journal(weir) == [("modules.swap", "trying"), ("modules.promote", "promoted")]
    wait_for(lambda: not [row for row in call(weir, "GET", "/modules")[1]["entries"]
                          if row["name"] == NAME and row["state"] == "canary"], "one copy in force")
    assert step(weir, "rollback")["version"] == "1.0", "the other one was kept"


def test_it_is_promoted_when_its_time_is_over(begin):
    weir = begin()
    with Load(weir.client, threads=2) as load:
        swap(weir, file="trial_two.so", canary="20%", **{"for": "1s"})
        assert wait_state(weir, "promoted")["version"] == "2.0"
        load.wait_requests(20)
    load.assert_clean()
    assert journal(weir)[-1] == ("modules.promote", "promoted")


def bad_z(request):
    return Reply(b"no", status=503)


@pytest.mark.parametrize("copy, reason", [("last", "requests failed"), ("index", "strikes"), ("slow", "strikes"),
                                          ("members", "take over its servers")])
def test_a_worse_one_goes_by_itself(begin, http_server, copy, reason):
    servers = {name: http_server(name) for name in "ab"}
    if copy == "last":
        servers["z"] = http_server("z", bad_z)
    weir = begin(servers)
    got = []

    def exchange(client):
        response = client.get("/")
        got.append(response.status)
        return response

    with Load(weir.client, exchange, threads=4) as load:
        swap(weir, file=f"trial_{copy}.so", canary="30%", **{"for": "1h"})
        back = wait_state(weir, "rolled_back")
        assert back["version"] == "1.0" and reason in back["swap"]["reason"], back["swap"]
        load.wait_requests(50)
    load.assert_clean()
    if copy != "last":
        assert set(got) == {200}
    assert journal(weir) == [("modules.swap", "trying"), ("modules.rollback", "rolled_back")]


def test_worse_in_one_pool_alone(make_weir, http_server):
    """Of two pools that it balances, the one with few requests has the server that it should not take."""
    weir = make_weir()
    good = {name: http_server(name) for name in "abcd"}
    other = {**{name: http_server(name) for name in "abcd"}, "z": http_server("z", bad_z)}
    weir.configure(text_of(weir, good).replace(
        conf.routes(web='"/"'), 'module "route_path" { route "/" { pool = "web" }  route "/o" { pool = "other" } }\n') +
        conf.pool("other", other, "retries = 0", balance="trial"))
    weir.start()
    with Load(weir.client, threads=2) as load, Load(weir.client, lambda client: client.get("/o"), threads=1) as second:
        swap(weir, file="trial_last.so", canary="30%", **{"for": "1h"})
        back = wait_state(weir, "rolled_back")
        assert back["swap"]["reason"].startswith("pool other: "), back["swap"]
        load.wait_requests(20)
        second.wait_requests(20)
    load.assert_clean()


def test_servers_come_and_reloads_end_it(begin, http_server):
    weir = begin(workers=1)
    swap(weir, file="trial_two.so", canary="50%", **{"for": "1h"})
    status, answer = call(weir, "POST", "/pools/web/servers", {"url": http_server("c").url, "id": "c"})
    assert status == 201, answer
    assert {weir.get("/").server for _ in range(12)} == set("abc"), "both copies know it"
    pool, = show(weir)["swap"]["pools"]
    assert pool["new"]["picks"] == pool["old"]["picks"] == 6
    weir.reload()
    assert "reload" in wait_state(weir, "rolled_back")["swap"]["reason"]
    assert show(weir)["version"] == "1.0"


def test_what_was_learnt_passes_over(make_weir, http_server, folder):
    """To a copy at once, to one that is tried, with that one when it is promoted, and back."""
    shutil.copy(COPIES / "balance_learns.so", folder)
    failing = http_server("a", lambda request: Reply(b"", status=500) if request.target == "/fail" else "a")
    weir = make_weir(workers=1)
    weir.configure('module "balance_learns" {}\n' + text_of(
        weir, {"a": failing, "b": http_server("b"), "c": http_server("c")}).replace('balance "trial"', 'balance "learns"'))
    weir.start()

    def keeps_off():
        before = len(failing.requests)
        assert {weir.get("/").server for _ in range(12)} == set("bc")
        return len(failing.requests) == before

    wait_for(lambda: weir.get("/fail").status == 500, "the server that fails to have its turn")
    assert keeps_off()
    for turn, how in enumerate(({}, {"canary": "50%", "for": "1h"}, {"canary": "50%", "for": "1h"})):
        stage(folder, (COPIES / "balance_learns.so").read_bytes() + bytes(16 * (turn + 1)), "balance_learns")
        swap(weir, "balance_learns", **how)
        assert keeps_off()
        if how:
            pool, = show(weir, "balance_learns")["swap"]["pools"]
            assert pool["new"]["picks"] == 6
            step(weir, "promote" if turn == 1 else "rollback", "balance_learns")
            assert keeps_off()
    status, _ = call(weir, "POST", "/modules/balance_learns/rollback")
    assert status == 409, "that of the last swap has been"
    assert "refused, and begin anew" not in weir.log()


# ---- and the end of the program ----

def test_sigkill_in_each_state(begin, folder):
    weir = begin()
    stage(folder, (COPIES / "trial_two.so").read_bytes())
    swap(weir, canary="10%", **{"for": "1h"})
    restart(weir)
    back = wait_state(weir, "rolled_back")
    assert back["version"] == "1.0", "not promoted: the old one, though its file is gone"
    assert "started anew" in back["swap"]["reason"]
    assert journal(weir)[-1] == ("modules.rollback", "rolled_back")
    stage(folder, (COPIES / "trial_two.so").read_bytes() + bytes(16))
    swap(weir, canary="10%", **{"for": "1h"})
    step(weir, "promote")
    restart(weir)
    assert (show(weir)["version"], show(weir)["swap"]["state"]) == ("2.0", "promoted")
    assert step(weir, "rollback")["version"] == "1.0", "the copy before is kept beside the state"
    restart(weir)
    assert (show(weir)["version"], show(weir)["swap"]["state"]) == ("1.0", "rolled_back")
    assert weir.get("/").status == 200


def test_one_that_crashes(begin):
    weir = begin(workers=1)
    swap(weir, file="trial_crash.so", canary="50%", **{"for": "1h"})
    try:
        for _ in range(100):
            weir.get("/")
    except (OSError, wire.Cut):
        pass
    weir.process.wait()
    assert json.loads((weir.state / "crash.json").read_text())["calls"][0]["module"] == NAME
    weir.stopped = True
    weir.start()
    assert wait_state(weir, "rolled_back")["version"] == "1.0"
    assert journal(weir)[-1] == ("modules.rollback", "rolled_back")


def test_a_store_that_comes_late(begin, make_weir):
    """Until then the files alone hold; then what was swapped and set is in force, without a start or reload."""
    weir = begin(workers=1)
    swap(weir, file="trial_two.so")
    assert call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "path"}})[0] == 200
    weir.stop()
    other = make_weir(workers=1)
    other.configure(f'module "store_sqlite" {{ path = "{weir.state}/weir.db" }}\n' + conf.listener() +
                    'module "route_path" { route "/" { redirect = "/elsewhere" } }\n')
    other.start()
    mark = len(weir.log())
    weir.start()
    weir.wait_log("the files alone hold", mark)
    assert (show(weir)["version"], show(weir)["swap"], policy(weir)) == ("1.0", None, ("trial", None))
    assert call(weir, "POST", f"/modules/{NAME}/swap", {"file": "trial_last.so"})[0] == 503, "it could not be kept"
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        other.stop()
        wait_for(lambda: show(weir)["version"] == "2.0", "what the store keeps to be in force")
        assert (show(weir)["swap"]["state"], policy(weir)[0]) == ("promoted", "hash")
        load.wait_requests(20)
    load.assert_clean()
    assert "the store is back" in weir.log()[mark:]
    assert step(weir, "rollback")["version"] == "1.0"


# ---- two operators ----

def test_who_has_read_something_else_is_told(begin):
    weir = begin()

    def tagged(what, tag=None, body=None):
        with Client(str(weir.folder / "admin.sock")) as client:
            client.request("POST" if what else "GET", f"/api/v1/modules/{NAME}{what}",
                           [("If-Match", tag)] * bool(tag) + [("Content-Type", "application/json")] * bool(body),
                           body=json.dumps(body) if body else None)
            response = client.response()
            return response.status, response.headers.get("ETag")

    _, first = tagged("")
    assert weir.get("/").status == 200
    assert tagged("") == (200, first), "what is counted changes nothing"
    assert tagged("/swap", '"0123456789abcdef"', {"file": "trial_two.so"})[0] == 412
    assert show(weir)["version"] == "1.0"
    status, second = tagged("/swap", first, {"file": "trial_two.so", "canary": "10%", "for": "1h"})
    assert status == 200 and second != first and tagged("")[1] == second
    assert tagged("/promote", first) == (412, second), "with the tag that is right"
    status, third = tagged("/promote", second)
    assert status == 200 and third not in (first, second)
    for what in ("/rollback", "/retry", "/promote"):
        assert tagged(what, second) == (412, third)
    assert tagged("/retry", third)[0] == 200
    status, last = tagged("/rollback", "*")
    assert status == 200 and last not in (first, second, third)
    assert tagged("/swap", last, {"file": "trial_two.so"})[0] == 200


# ---- weirctl ----

def test_weirctl(begin):
    weir = begin()
    socket = ["--socket", str(weir.folder / "admin.sock")]
    done = weirctl(*socket, "module", "swap", NAME, "--file", "trial_two.so", "--canary", "5%", "--for", "1h",
                   "--max-error-ratio", "3")
    assert done.returncode == 0 and "trying" in done.stdout and "5 % of the picks" in done.stdout, done
    assert show(weir)["swap"]["max_error_ratio"] == 3
    done = weirctl(*socket, "module", "show", NAME)
    assert "trial_two.so" in done.stdout and "pool web" in done.stdout, done
    done = weirctl(*socket, "module", "promote", NAME)
    assert done.returncode == 0 and "promoted" in done.stdout, done
    done = weirctl(*socket, "module", "rollback", NAME)
    assert done.returncode == 0 and "rolled_back" in done.stdout, done
    assert weirctl(*socket, "module", "rollback", NAME).returncode != 0


# ---- another balancer in a pool ----

def policy(weir):
    _, pool = call(weir, "GET", "/pools/web")
    return pool["policy"], pool["policy_set"]


def test_a_pool_gets_another_balancer(begin, http_server):
    servers = {name: http_server(name) for name in "abc"}
    weir = begin(servers, workers=1)
    assert {weir.get("/").server for _ in range(6)} == set("abc")
    _, before = call(weir, "GET", "/pools/web")
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        status, pool = call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "path"}})
        assert status == 200 and pool["policy"] == "hash", pool
        load.wait_requests(20)
    load.assert_clean()
    assert load.closed == 0
    by_path = {path: weir.get(path).server for path in ("/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8")}
    assert len(set(by_path.values())) > 1 and all(weir.get(path).server == by_path[path] for path in by_path)
    wanted = ("hash", {"balance": "hash", "options": {"key": "path"}})
    _, after = call(weir, "GET", "/pools/web")
    assert [row["connections"] for row in after["servers"]] >= [row["connections"] for row in before["servers"]]
    # It lies over the files, for reloads and starts, and an export says it.
    weir.reload()
    assert policy(weir) == wanted
    restart(weir)
    assert policy(weir) == wanted
    assert all(weir.get(path).server == by_path[path] for path in by_path)
    _, export = call(weir, "GET", "/config/export")
    assert 'balance "hash" { key = "path" }' in "".join(file["text"] for file in export["files"])
    # Members that come, and another copy of that module, leave it.
    assert call(weir, "POST", "/pools/web/servers", {"url": http_server("d").url, "id": "d"})[0] == 201
    assert policy(weir) == wanted
    # Other options of the same one, and back, step by step.
    assert call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "address"}})[0] == 200
    assert len({weir.get(path).server for path in by_path}) == 1, "one client, one server"
    for _ in range(2):
        status, entry = call(weir, "POST", "/journal/last/undo")
        assert status == 200, entry
    assert policy(weir)[0] == "hash", "the server's addition was undone before"
    assert call(weir, "POST", "/journal/last/undo")[0] == 200
    assert policy(weir) == ("trial", None)
    restart(weir)
    assert policy(weir) == ("trial", None)


def test_a_balancer_that_is_swapped_in_a_pool_of_its_own_block(begin, folder):
    """Swap after swap, of a block that no file has."""
    weir = begin(workers=1)
    assert call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "path"}})[0] == 200
    for turn in range(3):
        stage(folder, (folder / "balance_hash.so").read_bytes() + bytes(16), "balance_hash")
        swap(weir, "balance_hash", canary="50%", **{"for": "1h"})
        assert call(weir, "PATCH", "/pools/web", {"balance": "trial"})[0] == 409, "one thing after the other"
        assert weir.get("/").status == 200
        step(weir, "promote" if turn != 1 else "rollback", "balance_hash")
        assert weir.get("/").status == 200
    assert policy(weir)[0] == "hash"


def test_balancers_that_are_refused(begin):
    weir = begin()
    for body, words in (({"balance": "none"}, "no module block enables"),
                        ({"balance": "hash", "options": {"kye": "path"}}, 'did you mean `key`'),
                        ({"balance": "hash", "options": {"key": "nothing:at:all"}}, "key"),
                        ({"options": {}}, "required")):
        status, answer = call(weir, "PATCH", "/pools/web", body)
        assert status == 422 and words in answer["detail"], answer
    assert call(weir, "PATCH", "/pools/none", {"balance": "hash"})[0] == 404
    assert policy(weir) == ("trial", None)


def test_weirctl_balances(begin):
    weir = begin()
    socket = ["--socket", str(weir.folder / "admin.sock")]
    done = weirctl(*socket, "pool", "balance", "web", "hash", "key=path")
    assert done.returncode == 0 and "balanced by hash" in done.stdout and "journal" in done.stdout, done
    assert policy(weir)[1]["options"] == {"key": "path"}


def test_files_that_differ_and_agree(begin, http_server):
    """A reload tells what lies over the files, until they say the same."""
    servers = {"a": http_server("a")}
    weir = begin(servers)
    assert call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "path"}})[0] == 200
    status, answer = call(weir, "POST", "/config/reload")
    told, = answer["contradictions"]
    assert (status, told["pool"], told["field"], told["file"], told["runtime"]) == \
        (200, "web", "balance", "trial", "hash")
    weir.configure(text_of(weir, servers).replace('balance "trial" {}', 'balance "hash" { key = path }'))
    status, answer = call(weir, "POST", "/config/reload")
    assert (status, answer["contradictions"]) == (200, [])
    assert policy(weir) == ("hash", None)
    weir.configure(text_of(weir, servers))
    assert call(weir, "POST", "/config/reload")[0] == 200
    assert policy(weir) == ("trial", None), "the files alone say it again"
