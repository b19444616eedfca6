# SPDX-License-Identifier: MIT
"""Another balancer of a pool, or the same with other options, is tried with a share of that pool's picks: it goes
back by itself where it does worse, else it is promoted; nothing else changes, and what runs is what is kept."""

import json
import shutil
import threading
import time

import pytest

from weirtest import admin, conf, swaps, wire
from weirtest.backend import Reply
from weirtest.client import Client
from weirtest.load import Load
from weirtest.swaps import COPIES, call, make_folder, restart, stage, text_of
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl

HASH = {"balance": "hash", "options": {"key": "path"}}
LONG = {"canary": "50%", "for": "1h"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of modules of the test's own."""
    folder = make_folder(tmp_path)
    for name in ("balance_strikes", "balance_learns"):
        shutil.copy(COPIES / f"{name}.so", folder)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


@pytest.fixture(name="begin")
def begin_(make_weir, http_server):
    def begin(servers=None, workers=1, modules="", **how):
        weir = make_weir(workers=workers)
        weir.configure(modules + text_of(weir, servers or {name: http_server(name) for name in "abc"}, **how))
        return weir.start()
    return begin


def show(weir, pool="web"):
    status, answer = call(weir, "GET", f"/pools/{pool}")
    assert status == 200, answer
    return answer


def patch(weir, body, pool="web", query=""):
    status, answer = call(weir, "PATCH", f"/pools/{pool}{query}", body)
    assert status == 200, answer
    return answer


def step(weir, what, pool="web"):
    status, answer = call(weir, "POST", f"/pools/{pool}/{what}")
    assert status == 200, answer
    return answer


def journal(weir):
    return swaps.journal(weir, "pool.")


def wait_state(weir, state):
    return swaps.wait_state(lambda: show(weir), state)


def policy(weir):
    pool = show(weir)
    return pool["policy"], pool["policy_set"]


def last_entry(weir, command):
    status, answer = call(weir, "GET", "/journal")
    assert status == 200
    return next(entry for entry in answer["entries"] if entry["command"] == command)


def undo(weir, entry):
    return call(weir, "POST", f"/journal/{entry['id']}/undo")


# ---- a trial, and its ends ----

def test_its_share_is_exact_and_it_is_promoted(begin):
    weir = begin()
    pool = patch(weir, {**HASH, "canary": "10%", "for": "1h"})
    assert (pool["policy"], pool["policy_set"], pool["swap"]["state"], pool["swap"]["canary"]) == \
        ("trial", None, "trying", 10)
    for _ in range(200):
        assert weir.get("/").status == 200
    told = show(weir)["swap"]
    (tried,) = told["pools"]
    assert (tried["pool"], tried["old"]["picks"], tried["new"]["picks"]) == ("web", 180, 20), "no chance in it"
    assert (tried["old"]["requests"], tried["new"]["requests"], tried["new"]["errors"]) == (180, 20, 0)
    assert tried["new"]["first_byte_ms"]["p50"] > 0 and tried["new"]["classes"]
    assert (told["old"]["balance"], told["old"]["from_files"], told["new"]) == ("trial", True, {**HASH, "strikes": 0})
    pool = step(weir, "promote")
    assert (pool["policy"], pool["policy_set"]) == ("hash", HASH), "what PATCH alone leaves"
    with admin.Events(str(weir.folder / "admin.sock"), [("Last-Event-ID", "1")]) as events:
        heard = [events.until("swap")[1] for _ in range(2)]
    assert [(data["pool"], data["state"]) for data in heard] == [("web", "trying"), ("web", "promoted")]
    assert len({weir.get("/x").server for _ in range(9)}) == 1
    assert journal(weir) == [("pool.patch", "trying"), ("pool.promote", "promoted")]
    for again in (weir.reload, lambda: restart(weir)):
        again()
        assert policy(weir) == ("hash", HASH)
    assert step(weir, "rollback")["policy_set"] is None
    assert policy(weir) == ("trial", None)
    restart(weir)
    assert (policy(weir), show(weir)["swap"]["state"]) == (("trial", None), "rolled_back")
    assert {weir.get("/x").server for _ in range(9)} == set("abc")


def test_its_time_is_over_under_load(begin):
    """No request fails, no client's connection ends, and the connections to servers stay."""
    weir = begin(workers=2)
    with Load(weir.client, threads=4) as load:
        load.wait_requests(100)
        before = sum(row["connections"] for row in show(weir)["servers"])
        patch(weir, {**HASH, "canary": "20%", "for": "1s"})
        assert wait_state(weir, "promoted")["policy_set"] == HASH
        load.wait_requests(50)
        step(weir, "rollback")
        load.wait_requests(50)
        patch(weir, {"balance": "least_conn", **LONG})
        load.wait_requests(50)
        step(weir, "rollback")
        load.wait_requests(50)
    load.assert_clean()
    assert load.closed == 0
    assert sum(row["connections"] for row in show(weir)["servers"]) >= before
    assert journal(weir)[:2] == [("pool.patch", "trying"), ("pool.promote", "promoted")]


def test_rolled_back_while_it_is_tried(begin):
    weir = begin()
    patch(weir, {**HASH, **LONG})
    pool = step(weir, "rollback")
    assert (pool["policy"], pool["policy_set"], pool["swap"]["state"]) == ("trial", None, "rolled_back")
    for what in ("promote", "rollback"):
        assert call(weir, "POST", f"/pools/web/{what}")[0] == 409
    assert {weir.get("/x").server for _ in range(9)} == set("abc")


def test_other_options_of_the_same(begin):
    """Both sides are the same copy, each with a block of its own."""
    weir = begin(balance="hash", balance_options="key = address")
    assert len({weir.get(path).server for path in ("/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8")}) == 1
    patch(weir, {**HASH, **LONG})
    assert len({weir.get(f"/{number}").server for number in range(32)}) > 1
    (tried,) = show(weir)["swap"]["pools"]
    assert tried["old"]["picks"] == tried["new"]["picks"] == 16
    _, module = call(weir, "GET", "/modules/balance_hash")
    assert (module["state"], [block["block"] for block in module["blocks"]]) == ("active", ["pool web balance 1"])
    assert show(weir)["swap"]["old"]["options"] == {"key": "address"}
    assert step(weir, "promote")["policy_set"] == HASH
    # One after the other, of what no file has.
    other = {"balance": "hash", "options": {"key": "path", "balance_factor": "2"}}
    patch(weir, {**other, **LONG})
    assert step(weir, "promote")["policy_set"] == other
    assert step(weir, "rollback")["policy_set"] == HASH, "the one before, not the files'"
    assert call(weir, "POST", "/pools/web/rollback")[0] == 409, "once"
    restart(weir)
    assert policy(weir) == ("hash", HASH)


def test_one_pool_of_two(begin, http_server):
    """The balancer of both is tried with other options in one alone."""
    weir = begin(extra=conf.pool("other", {"d": http_server("d")}, balance="trial"))
    patch(weir, {"balance": "least_conn", **LONG}, "other")
    assert show(weir)["swap"] is None and len(show(weir, "other")["swap"]["pools"]) == 1
    assert [row["swap"] is None for row in call(weir, "GET", "/pools")[1]["entries"]] == [True, False]
    assert step(weir, "promote", "other")["policy"] == "least_conn"
    assert policy(weir) == ("trial", None)


def test_what_was_learnt_passes_over(begin, http_server):
    """To the same balancer with other options, with it when it is promoted, and back."""
    failing = http_server("a", lambda request: Reply(b"", status=500) if request.target == "/fail" else "a")
    weir = begin({"a": failing, "b": http_server("b"), "c": http_server("c")},
                 modules='module "balance_learns" {}\n', balance="learns")

    def keeps_off():
        before = len(failing.requests)
        assert {weir.get("/").server for _ in range(12)} == set("bc")
        return len(failing.requests) == before

    wait_for(lambda: weir.get("/fail").status == 500, "the server that fails to have its turn")
    for end in ("promote", "rollback"):
        assert keeps_off()
        patch(weir, {"balance": "learns", "options": {"price": "2" if end == "promote" else "3"}, **LONG})
        assert keeps_off()
        (tried,) = show(weir)["swap"]["pools"]
        assert tried["new"]["picks"] == 6
        step(weir, end)
        assert keeps_off()
    assert policy(weir)[1]["options"] == {"price": "2"}


# ---- by itself ----

def bad_z(request):
    return Reply(b"no", status=503)


def test_more_errors(begin, http_server, folder):
    stage(folder, (COPIES / "trial_last.so").read_bytes())
    weir = begin({**{name: http_server(name) for name in "abcde"}, "z": http_server("z", bad_z)}, workers=2,
                 balance="round_robin", pool_options="retries = 0")
    with Load(weir.client, lambda client: client.get("/"), threads=4) as load:
        patch(weir, {"balance": "trial", "canary": "30%", "for": "1h", "max_error_ratio": 1})
        back = wait_state(weir, "rolled_back")
        assert back["policy"] == "round_robin" and "requests failed" in back["swap"]["reason"], back["swap"]
        load.wait_requests(50)
    load.assert_clean()
    assert journal(weir) == [("pool.patch", "trying"), ("pool.rollback", "rolled_back")]


def test_slower(begin, http_server, folder):
    stage(folder, (COPIES / "trial_last.so").read_bytes())

    def slow(_):
        time.sleep(0.1)
        return "z"

    weir = begin({**{name: http_server(name) for name in "abcde"}, "z": http_server("z", slow)}, workers=2,
                 balance="round_robin")
    with Load(weir.client, threads=6) as load:
        patch(weir, {"balance": "trial", "canary": "30%", "for": "1h"})
        back = wait_state(weir, "rolled_back")
        assert "to the first byte" in back["swap"]["reason"], back["swap"]
    load.assert_clean()


@pytest.mark.parametrize("where", ["pick_range", "pick_slow"])
def test_strikes(begin, where):
    """Of one block alone: the copy is the same, and does well with the other options."""
    weir = begin(workers=2, modules='module "balance_strikes" {}\n', balance="strikes")
    with Load(weir.client, threads=4) as load:
        load.wait_requests(20)
        patch(weir, {"balance": "strikes", "options": {"at": where}, "canary": "30%", "for": "1h"})
        back = wait_state(weir, "rolled_back")
        assert "strikes" in back["swap"]["reason"], back["swap"]
        assert back["policy_set"] is None
        load.wait_requests(20)
    load.assert_clean()


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_cannot_take_its_servers(begin, workers):
    """It has no picks that it could fail, and few strikes: its trial would show nothing, and promote it."""
    weir = begin(workers=workers, modules='module "balance_strikes" {}\n', balance="round_robin")
    patch(weir, {"balance": "strikes", "options": {"at": "members"}, "canary": "50%", "for": "10s"})
    back = wait_state(weir, "rolled_back")
    assert "could not take over its servers" in back["swap"]["reason"], back["swap"]
    assert {weir.get("/").server for _ in range(6)} == set("abc")


def test_one_that_crashes(begin, folder):
    """The next start has the one before; after the second time it is in quarantine, and not tried again."""
    stage(folder, (COPIES / "trial_crash.so").read_bytes())
    weir = begin(balance="round_robin")
    for turn in (1, 2):
        patch(weir, {"balance": "trial", **LONG})
        try:
            for _ in range(100):
                weir.get("/")
        except (OSError, wire.Cut):
            pass
        weir.process.wait()
        weir.stopped = True
        weir.start()
        assert wait_state(weir, "rolled_back")["policy"] == "round_robin"
        assert journal(weir)[-1] == ("pool.rollback", "rolled_back") and len(journal(weir)) == 2 * turn
    status, answer = call(weir, "PATCH", "/pools/web", {"balance": "trial", **LONG})
    assert status == 422 and "is in quarantine" in answer["detail"], answer


# ---- what comes between ----

def test_servers_come_and_a_reload_ends_it(begin, http_server):
    weir = begin({name: http_server(name) for name in "ab"})
    patch(weir, {"balance": "round_robin", **LONG})
    status, answer = call(weir, "POST", "/pools/web/servers", {"url": http_server("c").url, "id": "c"})
    assert status == 201, answer
    assert {weir.get("/").server for _ in range(12)} == set("abc"), "both know it"
    (tried,) = show(weir)["swap"]["pools"]
    assert tried["new"]["picks"] == tried["old"]["picks"] == 6
    weir.reload()
    assert "reload" in wait_state(weir, "rolled_back")["swap"]["reason"]
    assert policy(weir) == ("trial", None)
    assert {weir.get("/").server for _ in range(6)} == set("abc")


def test_looked_at_while_it_ends(begin):
    """One loop is late, and the others have gone on from the trial already: what reads show is still there."""
    weir = begin(modules='module "balance_strikes" {}\n',
                 pool_options='filter "balance_strikes" { at = destroy_slow  call_budget = 0 }')
    shown = []
    for end in ("promote", "rollback", "rollback"):
        patch(weir, {**(HASH if end == "promote" else {"balance": "least_conn"}), **LONG})
        ends = threading.Thread(target=step, args=(weir, end))
        ends.start()
        while ends.is_alive():
            for target in ("/pools/web", "/pools", "/modules", "/modules/balance_hash", "/listeners", "/routes"):
                status, answer = call(weir, "GET", target)
                assert status == 200, answer
                shown.append((answer.get("swap") or {}).get("state"))
            assert call(weir, "POST", "/explain", {"url": "http://weir/"})[0] == 200
        ends.join()
    assert {"trying", "promoted", "rolled_back"} >= set(shown) - {None} and "trying" in shown
    assert weir.get("/").status == 200


def test_sigkill_in_each_state(begin):
    weir = begin()
    patch(weir, {**HASH, **LONG})
    restart(weir)
    assert "started anew" in wait_state(weir, "rolled_back")["swap"]["reason"]
    assert policy(weir) == ("trial", None)
    assert journal(weir) == [("pool.patch", "trying"), ("pool.rollback", "rolled_back")]
    patch(weir, {**HASH, **LONG})
    step(weir, "promote")
    restart(weir)
    assert (policy(weir), show(weir)["swap"]["state"]) == (("hash", HASH), "promoted")
    other = {"balance": "least_conn"}
    patch(weir, {**other, **LONG})
    restart(weir)
    assert wait_state(weir, "rolled_back")["policy_set"] == HASH, "what was promoted, not the files'"
    patch(weir, {**other, **LONG})
    step(weir, "promote")
    restart(weir)
    assert step(weir, "rollback")["policy_set"] == HASH
    restart(weir)
    assert (policy(weir), show(weir)["swap"]["state"]) == (("hash", HASH), "rolled_back")


def test_files_that_agree_by_now(begin, http_server):
    """A rollback brings back what was before, or nothing."""
    servers = {name: http_server(name) for name in "abc"}
    weir = begin(servers)
    patch(weir, {**HASH, **LONG})
    step(weir, "promote")
    weir.configure(text_of(weir, servers, balance="least_conn"))
    weir.reload()
    assert policy(weir) == ("hash", HASH)
    status, answer = call(weir, "POST", "/pools/web/rollback")
    assert status == 409 and "the files give it another balancer" in answer["detail"], answer
    weir.configure(text_of(weir, servers, balance="hash", balance_options="key = path"))
    weir.reload()
    assert policy(weir) == ("hash", None)
    status, answer = call(weir, "POST", "/pools/web/rollback")
    assert status == 409 and "changed since" in answer["detail"], answer


@pytest.mark.parametrize("promoted", [False, True])
def test_beside_one_that_cannot_be_had(begin, promoted):
    """What was set before is of a module that a start lacked, so the files' own balancer ran: it comes back."""
    weir = begin()
    patch(weir, {"balance": "least_conn"})
    weir.stop()
    weir.conf_path.write_text(weir.conf_path.read_text().replace('module "balance_least_conn" {}\n', ""))
    weir.start()
    assert policy(weir)[0] == "trial"
    pool = patch(weir, {**HASH, **LONG})
    assert (pool["swap"]["old"]["balance"], pool["swap"]["old"]["from_files"]) == ("trial", True)
    if promoted:
        step(weir, "promote")
    pool = step(weir, "rollback")
    assert (pool["policy"], pool["swap"]["state"]) == ("trial", "rolled_back")
    assert {weir.get("/x").server for _ in range(9)} == set("abc")


def test_a_change_without_a_trial_since(begin):
    """It is a newer word than that of the trial before."""
    weir = begin()
    patch(weir, {**HASH, **LONG})
    step(weir, "promote")
    patch(weir, {"balance": "least_conn"})
    status, answer = call(weir, "POST", "/pools/web/rollback")
    assert status == 409 and "changed since" in answer["detail"], answer
    assert policy(weir)[0] == "least_conn"
    status, entry = call(weir, "POST", "/journal/last/undo")
    assert (status, policy(weir)) == (200, ("hash", HASH)), entry
    assert step(weir, "rollback")["policy_set"] is None


# ---- undo ----

def test_undo(begin):
    weir = begin()
    patch(weir, {"balance": "round_robin"})
    first = last_entry(weir, "pool.patch")
    patch(weir, {**HASH, **LONG})
    began = last_entry(weir, "pool.patch")
    status, answer = undo(weir, first)
    assert status == 409 and "trial runs" in answer["detail"], answer
    status, entry = call(weir, "POST", "/journal/last/undo")
    assert status == 200 and entry["undo_of"] == began["id"], entry
    assert (show(weir)["swap"]["state"], policy(weir)) == \
        ("rolled_back", ("round_robin", {"balance": "round_robin"}))
    # Where it was promoted: the promotion, or all of it.
    for ends in ("pool.promote", "pool.patch"):
        patch(weir, {**HASH, **LONG})
        step(weir, "promote")
        status, answer = undo(weir, first)
        assert status == 409 and "depends on it" in answer["detail"], answer
        status, answer = undo(weir, last_entry(weir, ends))
        assert status == 200, answer
        assert policy(weir)[0] == "round_robin"
        restart(weir)
        assert policy(weir)[0] == "round_robin"
    patch(weir, {**HASH, **LONG})
    began = last_entry(weir, "pool.patch")
    step(weir, "rollback")
    status, answer = undo(weir, began)
    assert status == 409 and "rolled back already" in answer["detail"], answer


def test_the_last_trial_is_what_undo_has_left(begin):
    """Undo brings a side of it back: then that is its state, also after a start, and it can go on from there."""
    weir = begin()

    def stands(state, name):
        assert (show(weir)["swap"]["state"], policy(weir)[0]) == (state, name)
        assert call(weir, "GET", "/pools")[1]["entries"][0]["swap"]["state"] == state

    patch(weir, {**HASH, **LONG})
    step(weir, "promote")
    assert undo(weir, last_entry(weir, "pool.promote"))[0] == 200
    stands("rolled_back", "trial")
    assert call(weir, "POST", "/pools/web/rollback")[0] == 409
    assert undo(weir, last_entry(weir, "journal.undo"))[0] == 200
    stands("promoted", "hash")
    restart(weir)
    stands("promoted", "hash")
    step(weir, "rollback")
    assert undo(weir, last_entry(weir, "pool.rollback"))[0] == 200
    stands("promoted", "hash")
    step(weir, "rollback")
    stands("rolled_back", "trial")
    patch(weir, HASH)
    stands("promoted", "hash")
    patch(weir, {"balance": "least_conn"})
    stands("promoted", "least_conn")
    assert "changed since" in call(weir, "POST", "/pools/web/rollback")[1]["detail"]


def test_unconfirmed(begin):
    """Nobody confirms it: it goes, whether it is tried or was promoted."""
    weir = begin()
    patch(weir, {**HASH, **LONG}, query="?confirm=1s")
    assert wait_state(weir, "rolled_back")["policy_set"] is None
    patch(weir, {**HASH, **LONG}, query="?confirm=5s")
    step(weir, "promote")
    assert wait_state(weir, "rolled_back")["policy_set"] is None
    assert last_entry(weir, "pool.patch")["state"] == "expired"


def state_of(weir, id):
    _, answer = call(weir, "GET", "/journal")
    return next(entry["state"] for entry in answer["entries"] if entry["id"] == id)


def unconfirmed_server(weir, pool, server):
    """A change that expires later than those with 1s: what was overdue before it has been looked at by then."""
    status, answer = call(weir, "PATCH", f"/pools/{pool}/servers/{server}?confirm=2s", {"weight": 7})
    assert status == 200, answer
    return last_entry(weir, "server.patch")["id"]


def test_an_unconfirmed_change_waits_for_a_trial(begin, http_server):
    """It cannot be taken back while one runs, of whatever pool; then it is."""
    weir = begin(extra=conf.pool("other", {"d": http_server("d")}))
    later = unconfirmed_server(weir, "web", "a")
    patch(weir, {"balance": "round_robin"}, query="?confirm=1s")
    first = last_entry(weir, "pool.patch")["id"]
    patch(weir, {**HASH, **LONG}, "other")
    wait_for(lambda: state_of(weir, later) == "expired", "the server's change to be taken back")
    assert (state_of(weir, first), policy(weir)[0]) == ("pending", "round_robin")
    step(weir, "rollback", "other")
    wait_for(lambda: policy(weir) == ("trial", None), "the balancer before")
    assert state_of(weir, first) == "expired"


def test_an_unconfirmed_trial_that_went_back(begin):
    """Nothing of it is left, and nobody is told that it stays."""
    weir = begin()
    patch(weir, {**HASH, **LONG}, query="?confirm=1s")
    began = last_entry(weir, "pool.patch")["id"]
    step(weir, "rollback")
    wait_for(lambda: state_of(weir, began) != "pending", "its time to be over")
    assert state_of(weir, began) == "expired"
    assert "gone back already" in weir.log() and "it stays" not in weir.log()


def test_an_unconfirmed_trial_waits_for_its_pool(begin, http_server):
    """Where a reload has removed it, and another brings it back."""
    servers = {name: http_server(name) for name in "abc"}
    extra = conf.pool("other", {"d": http_server("d")})
    weir = begin(servers, extra=extra)
    later = unconfirmed_server(weir, "other", "d")
    patch(weir, {**HASH, **LONG}, query="?confirm=1s")
    began = last_entry(weir, "pool.patch")["id"]
    step(weir, "promote")
    text = text_of(weir, servers, extra=extra)
    weir.configure(text.replace('"web"', '"else"'))
    weir.reload()
    wait_for(lambda: state_of(weir, later) == "expired", "the server's change to be taken back")
    assert state_of(weir, began) == "pending"
    weir.configure(text)
    weir.reload()
    wait_for(lambda: policy(weir) == ("trial", None), "the balancer before")
    assert state_of(weir, began) == "expired"


# ---- two operators ----

def test_who_has_read_something_else_is_told(begin):
    weir = begin()

    def tagged(method="GET", what="", tag=None, body=None):
        with Client(str(weir.folder / "admin.sock")) as client:
            client.request(method, f"/api/v1/pools/web{what}",
                           [("If-Match", tag)] * bool(tag) + [("Content-Type", "application/json")] * bool(body),
                           body=json.dumps(body) if body else None)
            response = client.response()
            return response.status, response.headers.get("ETag")

    _, first = tagged()
    assert weir.get("/").status == 200
    assert tagged() == (200, first), "what is counted changes nothing"
    assert tagged("PATCH", "", '"0123456789abcdef"', {**HASH, **LONG})[0] == 412
    assert show(weir)["swap"] is None
    status, second = tagged("PATCH", "", first, {**HASH, **LONG})
    assert status == 200 and second != first and tagged()[1] == second
    for _ in range(2):
        assert weir.get("/").status == 200
    assert tagged("POST", "/promote", first) == (412, second), "with the tag that is right"
    status, third = tagged("POST", "/promote", second)
    assert status == 200 and third not in (first, second)
    for what in ("/rollback", "/promote"):
        assert tagged("POST", what, second) == (412, third)
    assert tagged("POST", "/servers", second, {"url": "http://127.0.0.1:1", "id": "z"})[0] == 412
    status, last = tagged("POST", "/rollback", third)
    assert status == 200 and last not in (first, second, third)
    status, least = tagged("PATCH", "", last, {"balance": "least_conn"})
    assert status == 200 and least not in (first, second, third, last)
    assert tagged("PATCH", "", last, {"balance": "least_conn", "options": {"strikes": "1"}}) == (412, least)


# ---- what is refused ----

def test_what_is_refused(begin):
    weir = begin()
    for body, status, words in (
            ({**HASH, "canary": "5"}, 422, "no share"),
            ({**HASH, "canary": "0%"}, 422, "no share"),
            ({**HASH, "canary": "91%"}, 422, "no share"),
            ({**HASH, "canary": "0x10%"}, 422, "no share"),
            ({**HASH, "canary": "%"}, 422, "no share"),
            ({**HASH, "for": "soon"}, 422, "not a duration"),
            ({**HASH, "max_error_ratio": "2"}, 422, "must be a number"),
            ({**HASH, "max_latency_ratio": -1}, 422, "out of range (0..1000)"),
            ({**HASH, "canari": "5%"}, 422, 'did you mean "canary"'),
            ({"balance": "none", **LONG}, 422, "no module block enables"),
            ({"balance": "hash", "options": {"kye": "path"}, **LONG}, 422, "did you mean `key`"),
            ({"canary": "5%"}, 422, "required"),
            ({"balance": "trial", **LONG}, 409, "in force already"),
            ('{"balance": "hash", "canary": ', 400, "not JSON")):
        got, answer = call(weir, "PATCH", "/pools/web", body)
        assert got == status and words in answer["detail"], (body, answer)
        assert weir.get("/").status == 200
    for target, status in (("/pools/none/promote", 404), ("/pools/none/rollback", 404),
                           ("/pools/web/promote", 409), ("/pools/web/rollback", 409)):
        assert call(weir, "POST", target)[0] == status, target
    assert call(weir, "PATCH", "/pools/none", {**HASH, **LONG})[0] == 404
    assert show(weir)["swap"] is None and journal(weir) == []


def test_one_trial_at_a_time(begin, http_server):
    weir = begin(extra=conf.pool("other", {"d": http_server("d")}))
    copy = {"file": "trial_two.so", **LONG}

    def refused(method, target, body, words):
        status, answer = call(weir, method, target, body)
        assert status == 409 and words in answer["detail"], answer

    assert call(weir, "POST", "/modules/balance_trial/swap", {"file": "trial_two.so"})[0] == 200
    patch(weir, {**HASH, **LONG})
    for body in ({**HASH, **LONG}, HASH):
        refused("PATCH", "/pools/web", body, 'balancer of pool "web" is tried')
        refused("PATCH", "/pools/other", body, 'balancer of pool "web" is tried')
    refused("POST", "/modules/balance_trial/swap", copy, 'balancer of pool "web" is tried')
    # What was swapped before would end the trial by the way.
    refused("POST", "/modules/balance_trial/rollback", None, 'balancer of pool "web" is tried')
    step(weir, "promote")
    assert call(weir, "POST", "/modules/balance_hash/swap", {"file": "balance_hash.so", **LONG})[0] == 409
    step(weir, "rollback")
    assert call(weir, "POST", "/modules/balance_trial/rollback")[0] == 200
    assert call(weir, "POST", "/modules/balance_trial/swap", copy)[0] == 200
    refused("PATCH", "/pools/web", {**HASH, **LONG}, 'copy of "balance_trial" is tried')


# ---- weirctl ----

def test_weirctl(begin):
    weir = begin()
    socket = ["--socket", str(weir.folder / "admin.sock")]
    done = weirctl(*socket, "pool", "balance", "web", "hash", "key=path", "--canary", "5%", "--for", "1h",
                   "--max-error-ratio", "3")
    assert done.returncode == 0 and "trying" in done.stdout and "5 % of the picks" in done.stdout, done
    assert "hash key=path" in done.stdout and "weirctl undo" in done.stdout, done
    assert show(weir)["swap"]["max_error_ratio"] == 3
    done = weirctl(*socket, "pools", "web")
    assert "hash key=path" in done.stdout and "pool web: 0 picks" in done.stdout, done
    done = weirctl(*socket, "pool", "promote", "web")
    assert done.returncode == 0 and "balanced by hash" in done.stdout and "promoted" in done.stdout, done
    done = weirctl(*socket, "pool", "rollback", "web")
    assert done.returncode == 0 and "balanced by trial" in done.stdout and "rolled_back" in done.stdout, done
    done = weirctl(*socket, "pool", "rollback", "web")
    assert done.returncode != 0 and "back already" in done.stderr, done
    assert weirctl(*socket, "pool", "balance", "web", "hash", "--max-error-ratio", "many").returncode == 2
