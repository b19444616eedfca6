# SPDX-License-Identifier: MIT
"""Modules that were to blame twice for the end of the program: the next start goes on without them, or refuses to be
without them, and says why, until they are released or mended."""

import hashlib
import json
import os
import pathlib
import re
import signal
import time

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.load import Load
from weirtest.wait import SANITIZED, wait_for
from weirtest.weir import run_weir
from weirtest.weirctl import weirctl

crashes = pytest.mark.skipif(SANITIZED, reason="sanitizers report faults themselves")


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    built = pathlib.Path(weir_program.module_dir())
    mine = built.parent.parent / "tests" / "modules" / "built"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), *mine.glob("*_ends.so"), mine / "balance_dies.so"]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


@pytest.fixture
def bad(tmp_path):
    """The file that lets the module end the program while it is there."""
    path = tmp_path / "bad"
    path.touch()
    return path


def pool_with(servers, options="", extra="", module=""):
    return (f'module "balance_ends" {{ {module} }}\n' + conf.listener() + conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", servers, extra, balance="ends", balance_options=options) + admin.listener())


def hit(weir):
    """A request that ends the program, and waits for nothing."""
    client = weir.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def crash(weir):
    with hit(weir):
        assert weir.wait_exit() == -signal.SIGSEGV


def write_crash(weir, module, ago=0, hook="pick", place="pool web balance 1", file=""):
    """The record of a run that has died so many seconds ago."""
    calls = [{"module": module, "hook": hook, "place": place}] if module else []
    (weir.state / "crash.json").write_text(json.dumps({
        "kind": "signal", "time": int(time.time()) - ago, "pid": 7, "thread": "weir-0", "file": file, "calls": calls,
        "signal": "SIGSEGV", "at": "x", "stack": []}))


def hold(weir, module, hook="pick", place="pool web balance 1", ago=(90, 30)):
    """What two such runs leave: the first is in the book, the second in its record."""
    at = int(time.time()) - ago[0]
    (weir.state / "blame.json").write_text(json.dumps({"last": "", "modules": {module: {
        "file": "", "since": 0, "faults": [{"time": at, "what": "SIGBUS", "hook": hook, "place": place}]}}}))
    write_crash(weir, module, ago[1], hook, place)


def book(weir):
    return json.loads((weir.state / "blame.json").read_text())


def ctl(weir, *words):
    return weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file", weir.state / "admin.token", *words)


def ask(weir, path, root=None):
    """Asking may be too often for the plane (429)."""
    root = root or admin.browser(weir)
    answer = wait_for(lambda: next((got for got in [root.get(path)] if got.status != 429), None), "an answer")
    assert answer.status == 200, answer.json
    return answer.json


def show(weir, name="balance_ends"):
    return ask(weir, f"/api/v1/modules/{name}")


def names(weir, times=6):
    return {weir.get("/").server for _ in range(times)}


def refusal(weir):
    """A start that has to be refused, and what it says."""
    mark = len(weir.log())
    weir.start(wait=False)
    assert weir.wait_exit() == 1
    return weir.log()[mark:]


# ---- balancers ----

@crashes
def test_twice_in_pick(start_weir, http_server, bad):
    """The third start serves by the fallback; everything says why; a release brings the module back, and stays."""
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(pool_with(servers, f'at = pick  file = "{bad}"'), workers=1)
    crash(weir)
    weir.start()
    weir.wait_log(r"the run before ended by SIGSEGV in pick \(pool web balance 1\) at 20.*, of module balance_ends, "
                  r"thread weir-0: .*/state/crash\.json")
    assert not ask(weir, "/api/v1/status")["quarantined"], "once is not enough"
    crash(weir)
    weir.start()
    with Load(weir.client, threads=2) as load:
        load.wait_requests(50)
    load.assert_clean()
    assert names(weir) == {"a", "b"}, "least_conn takes turns; the module chooses the last"

    status = ask(weir, "/api/v1/status")
    assert status["health"] == "degraded"
    assert (status["crash"]["what"], status["crash"]["module"]) == ("SIGSEGV", "balance_ends")
    (held,) = status["quarantined"]
    assert held["module"] == "balance_ends" and abs(held["since"] / 1000 - time.time()) < 300
    assert [(fault["what"], fault["hook"], fault["place"]) for fault in held["faults"]] == \
        [("SIGSEGV", "pick", "pool web balance 1")] * 2
    shown = show(weir)
    assert shown["quarantine"] == held and shown["kinds"] == ["balancer", "filter"]
    (alarm,) = shown["alarms"]
    assert (alarm["strike"], alarm["hook"], alarm["instead"]) == ("quarantined", "pick", "least_conn")
    assert shown["hooks"] == [] and shown["calls"] == 0, "none of its hooks has been called"
    assert show(weir, "balance_least_conn")["quarantine"] is None
    assert re.search(r"balance_ends: it is in quarantine, as Weir has died in it \(SIGSEGV in pick .*, SIGSEGV in pick "
                     r".*\): pool web balance 1 is out, .*weirctl module release balance_ends", weir.log())
    told = ctl(weir, "status").stdout
    assert re.search(r"last run +ended by SIGSEGV in module balance_ends, hook pick \(pool web balance 1\) at", told)
    assert re.search(r"quarantined +balance_ends, since .*; weirctl module release balance_ends", told), told
    assert re.search(r"balance_ends .* quarantined", ctl(weir, "modules").stdout)
    assert "hook pick (pool web balance 1)" in ctl(weir, "module", "show", "balance_ends").stdout
    checked = run_weir("-t", "-c", weir.conf_path)
    assert checked.returncode == 0 and 'module "balance_ends" is in quarantine' in checked.stderr
    refused = admin.browser(weir).post("/api/v1/modules/balance_ends/retry")
    assert refused.status == 409 and "module release" in refused.json["detail"]

    weir.stop()
    weir.start()
    assert names(weir) == {"a", "b"}, "over all starts"
    assert ask(weir, "/api/v1/status")["crash"] is None, "it was told"
    weir.reload()
    assert show(weir)["quarantine"], "and reloads"
    bad.unlink()
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        run = ctl(weir, "module", "release", "balance_ends")
        assert run.returncode == 0 and re.search(r"released +balance_ends; generation \d", run.stdout), run.stderr
        load.wait_requests(50)
    load.assert_clean()
    assert names(weir) == {"b"}, "it chooses again"
    assert show(weir)["quarantine"] is None and not ask(weir, "/api/v1/status")["quarantined"]
    entry = ask(weir, "/api/v1/journal")["entries"][0]
    assert (entry["command"], entry["target"]) == ("modules.release", "balance_ends")
    assert entry["before"]["quarantine"]["faults"][0]["what"] == "SIGSEGV"
    weir.stop()
    weir.start()
    assert names(weir) == {"b"}, "for good"
    weir.stop()
    bad.touch()
    weir.start()
    crash(weir)
    weir.start()
    assert show(weir)["quarantine"] is None, "and it is judged anew"


def test_twice_hung(start_weir, http_server, bad):
    web = http_server("a")
    weir = start_weir("stall_limit = 500ms\n" + conf.listener() + conf.modules() + 'module "balance_dies" {}\n' +
                      conf.routes(web='"/"') + conf.pool(
                          "web", {"a": web}, balance="dies", balance_options=f'how = sleeps  file = "{bad}"') +
                      admin.listener())
    for _ in range(2):
        with hit(weir):
            assert weir.wait_exit() == 70
        weir.start()
    assert weir.get("/").status == 200
    assert [fault["what"] for fault in show(weir, "balance_dies")["quarantine"]["faults"]] == ["stall"] * 2


@crashes
@pytest.mark.parametrize("at", ["conf_create", "create", "load", "constructor"])
def test_a_loop_of_starts_ends(make_weir, http_server, bad, monkeypatch, at):
    """A supervisor starts it again and again: the third start serves. The state_dir is not there at first."""
    servers = {name: http_server(name) for name in "ab"}
    weir = make_weir()
    weir.state.rmdir()
    weir.configure(pool_with(servers, f'at = {at}  file = "{bad}"' if at.startswith("c") and at != "constructor" else
                             'at = nowhere'))
    if at in ("load", "constructor"):
        monkeypatch.setenv("WEIR_ENDS_AT", at)
    for _ in range(2):
        weir.start(wait=False)
        assert weir.wait_exit() == -signal.SIGSEGV
    weir.start()
    assert names(weir) == {"a", "b"}
    shown = show(weir)
    assert {fault["hook"] for fault in shown["quarantine"]["faults"]} == {"load" if at == "constructor" else at}
    assert shown["alarms"][0]["instead"] == "least_conn"
    weir.reload()
    assert names(weir) == {"a", "b"}


def test_its_options_hold_while_it_is_not_loaded(start_weir, make_weir, http_server):
    weir = make_weir(workers=1)
    hold(weir, "balance_ends", hook="load", place="")
    servers = {name: http_server(name) for name in "ab"}
    weir.configure(pool_with(servers, "at = nowhere", module="fallback = round_robin  strikes = 7"))
    weir.start()
    assert show(weir)["alarms"][0]["instead"] == "round_robin"
    assert names(weir) == {"a", "b"}


# ---- what is passed over, or refused ----

def filter_with(web, on_fault, where="pool"):
    block = f'filter "balance_ends" {{ {on_fault} }}'
    return ('module "balance_ends" {}\n' + conf.listener(block if where == "listener" else "") + conf.modules() +
            conf.routes(web='"/"') + conf.pool("web", {"a": web}, block if where == "pool" else "") +
            admin.listener())


@pytest.mark.parametrize("where, hook", [("pool", "on_request"), ("listener", "on_request"), ("pool", "load")])
def test_an_open_filter_is_passed_over(make_weir, http_server, where, hook):
    weir = make_weir()
    weir.configure(filter_with(http_server("a"), "on_fault = open", where))
    weir.start()
    assert weir.get("/").headers.get("X-Filtered") == "yes"
    weir.stop()
    hold(weir, "balance_ends", hook, f"{where} x filter 1")
    weir.start()
    answer = weir.get("/")
    assert answer.status == 200 and answer.headers.get("X-Filtered") is None
    explained = admin.browser(weir).post("/api/v1/explain", {"url": "http://x/"}).json
    assert explained["filters"][0]["why"] == "it is out, and passed over"
    assert admin.browser(weir).post("/api/v1/modules/balance_ends/release").status == 200
    assert weir.get("/").headers.get("X-Filtered") == "yes"


@pytest.mark.parametrize("on_fault", ["on_fault = closed", ""])
def test_a_closed_filter_refuses_the_start(make_weir, http_server, on_fault):
    """Whatever starts it again is refused again; the module is released without a Weir that runs."""
    weir = make_weir()
    weir.configure(filter_with(http_server("a"), on_fault))
    hold(weir, "balance_ends", "on_request", "pool web filter 1")
    for _ in range(2):
        told = refusal(weir)
        assert re.search(r"weir\.conf:\d+: module \"balance_ends\" is in quarantine, as Weir has died in it \(SIGBUS in "
                         r"on_request \(pool web filter 1\) at 20\S+Z, SIGSEGV in on_request .*\), and on_fault closes",
                         told), told
        assert "weir --release-module balance_ends" in told
    checked = run_weir("-t", "-c", weir.conf_path)
    assert checked.returncode == 1 and "is in quarantine" in checked.stderr
    away = weirctl("--url", "http://127.0.0.1:1", "module", "release", "balance_ends")
    assert away.returncode == 3 and "weir --release-module balance_ends" in away.stderr
    done = run_weir("-c", weir.conf_path, "--release-module", "balance_ends")
    assert done.returncode == 0 and "is released" in done.stdout, done.stderr
    again = run_weir("-c", weir.conf_path, "--release-module", "balance_ends")
    assert again.returncode == 1 and "is not in quarantine" in again.stderr
    weir.start()
    assert weir.get("/").headers.get("X-Filtered") == "yes"


@pytest.mark.parametrize("hook", ["route", "load"])
@pytest.mark.parametrize("name, options, starts", [
    ("route_ends", "", False), ("route_ends", "on_fault = open", True), ("log_ends", "", False)])
def test_module_blocks(make_weir, http_server, name, options, starts, hook):
    weir = make_weir()
    weir.configure(f'module "{name}" {{ {options} }}\n' + conf.one_pool({"a": http_server("a")}) + admin.listener())
    hold(weir, name, hook, "")
    if starts:
        weir.start()
        assert weir.get("/").status == 200
        explained = admin.browser(weir).post("/api/v1/explain", {"url": "http://x/"}).json
        assert explained["route"]["tried"][0]["why"] == "it is out, and passed over"
    else:
        assert f'module "{name}" is in quarantine' in refusal(weir)


@pytest.mark.parametrize("hook", ["judge", "load"])
def test_nothing_can_take_the_place_of_probes(make_weir, http_server, hook):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": http_server("a")}, 'health "http" { interval = 1s }'))
    hold(weir, "health_http", hook, "")
    told = refusal(weir)
    assert 'module "health_http" is in quarantine' in told and "interval" not in told


def test_a_filter_of_unknown_kind_is_closed_by_default(make_weir, http_server):
    weir = make_weir()
    weir.configure(filter_with(http_server("a"), "").replace("balance_ends", "headers"))
    hold(weir, "headers", "load", "")
    assert "on_fault closes this block" in refusal(weir)


def test_a_module_that_nobody_uses(make_weir, http_server):
    weir = make_weir()
    weir.configure('module "balance_ends" {}\n' + admin.one_pool({"a": http_server("a")}))
    hold(weir, "balance_ends")
    weir.start()
    assert show(weir)["quarantine"] and show(weir)["alarms"] == []


def test_a_reload_that_wants_it_closed_is_refused(make_weir, http_server):
    web = http_server("a")
    weir = make_weir()
    weir.configure(filter_with(web, "on_fault = open"))
    hold(weir, "balance_ends")
    weir.start()
    weir.configure(filter_with(web, "on_fault = closed"))
    assert 'module "balance_ends" is in quarantine' in weir.reload(good=False)
    assert weir.get("/").status == 200


# ---- when it is none ----

def test_long_apart(make_weir, http_server):
    weir = make_weir(workers=1)
    weir.configure(pool_with({name: http_server(name) for name in "ab"}))
    hold(weir, "balance_ends", ago=(30 + 11 * 60, 30))
    weir.start()
    assert names(weir) == {"b"} and show(weir)["quarantine"] is None
    weir.stop()
    write_crash(weir, "balance_ends", ago=20)
    weir.start()
    assert show(weir)["quarantine"], "the last two are near"


def test_one_record_counts_once(make_weir, http_server):
    weir = make_weir(workers=1)
    weir.configure(pool_with({name: http_server(name) for name in "ab"}))
    write_crash(weir, "balance_ends")
    for number in range(3):
        weir.start()
        assert (ask(weir, "/api/v1/status")["crash"] is not None) == (number == 0)
        assert show(weir)["quarantine"] is None
        weir.stop()
    assert weir.log().count("the run before ended by") == 1


def test_a_check_books_nothing(make_weir, http_server):
    weir = make_weir()
    weir.configure(pool_with({"a": http_server("a")}))
    hold(weir, "balance_ends")
    before = book(weir)
    for _ in range(2):
        checked = run_weir("-t", "-c", weir.conf_path)
        assert checked.returncode == 0 and 'module "balance_ends" is in quarantine' in checked.stderr
        assert book(weir) == before
    weir.start()
    assert show(weir)["quarantine"]
    root = admin.browser(weir)
    assert root.post("/api/v1/config/check").json["ok"]


def test_another_file_is_another_module(make_weir, http_server, module_folder):
    weir = make_weir(workers=1)
    weir.configure(pool_with({name: http_server(name) for name in "ab"}))
    hold(weir, "balance_ends")
    weir.start()
    identity = book(weir)["modules"]["balance_ends"]["file"]
    assert identity == ""
    weir.stop()
    path = module_folder / "balance_ends.so"
    contents = path.read_bytes()
    digest = hashlib.sha256(contents).hexdigest()
    told = book(weir)
    told["modules"]["balance_ends"]["file"] = digest
    (weir.state / "blame.json").write_text(json.dumps(told))
    weir.start()
    assert show(weir)["quarantine"], "it is that file's"
    path.unlink()
    path.write_bytes(contents + bytes(16))
    weir.reload()
    assert show(weir)["quarantine"] is None and names(weir) == {"b"}
    path.write_bytes(contents)
    weir.reload()
    assert show(weir)["quarantine"] and names(weir) == {"a", "b"}, "the old one again"


@crashes
def test_the_record_tells_the_file(start_weir, http_server, bad, module_folder):
    weir = start_weir(pool_with({"a": http_server("a")}, f'at = pick  file = "{bad}"'))
    crash(weir)
    record = json.loads((weir.state / "crash.json").read_text())
    assert record["file"] == hashlib.sha256((module_folder / "balance_ends.so").read_bytes()).hexdigest()
    assert 0 < record["uptime_ms"] < 600000


@crashes
def test_a_crash_of_nobody(start_weir, http_server):
    weir = start_weir(admin.one_pool({"a": http_server("a")}))
    for number in range(2):
        weir.signal(signal.SIGSEGV)
        assert weir.wait_exit() == -signal.SIGSEGV
        weir.start()
        status = ask(weir, "/api/v1/status")
        assert (status["crash"]["module"], status["quarantined"]) == (None, []), number
    assert weir.log().count("the run before ended by SIGSEGV at") == 2


# ---- trouble with the files ----

@pytest.mark.parametrize("name", ["crash.json", "blame.json"])
@pytest.mark.parametrize("what", ["cut", "long", "other", "fifo"])
def test_files_that_make_no_sense(make_weir, http_server, name, what):
    weir = make_weir()
    weir.configure(pool_with({"a": http_server("a")}))
    hold(weir, "balance_ends")
    path = weir.state / name
    text = path.read_text()
    if what == "fifo":
        path.unlink()
        os.mkfifo(path)
    else:
        path.write_text({"cut": text[:len(text) // 2], "long": "[" * (1 << 20), "other": '{"modules": [7]}'}[what])
    weir.start()
    assert weir.get("/").status == 200
    assert show(weir)["quarantine"] is None
    if (name, what) != ("blame.json", "other"):
        assert re.search(rf"{name} (makes no sense|cannot be read)", weir.log())


def test_a_book_that_cannot_be_written(make_weir, http_server):
    """The start goes on, and says so; the quarantine holds for this run."""
    weir = make_weir(workers=1)
    weir.configure(pool_with({name: http_server(name) for name in "ab"}))
    hold(weir, "balance_ends")
    (weir.state / ".blame.json.new").mkdir()
    weir.start()
    assert "blame.json cannot be written" in weir.log()
    assert names(weir) == {"a", "b"}
    weir.reload()
    assert names(weir) == {"a", "b"}
    assert admin.browser(weir).post("/api/v1/modules/balance_ends/release").status == 200
    weir.wait_log("released and in force, but the next start will have it in quarantine again")
    assert names(weir) == {"b"}


# ---- the release ----

def test_who_can_be_released(start_weir, http_server):
    weir = start_weir(admin.one_pool({"a": http_server("a")}))
    root = admin.browser(weir)
    assert root.post("/api/v1/modules/nobody/release").status == 404
    answer = root.post("/api/v1/modules/route_path/release")
    assert answer.status == 409 and "is not in quarantine" in answer.json["detail"]


def test_a_release_whose_reload_is_refused_is_none(make_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = make_weir(workers=1)
    weir.configure(pool_with(servers))
    hold(weir, "balance_ends")
    weir.start()
    root = admin.browser(weir)
    weir.configure(pool_with(servers) + "nonsense\n")
    refused = root.post("/api/v1/modules/balance_ends/release")
    assert refused.status == 422 and "nonsense" in str(refused.json["mistakes"])
    assert ask(weir, "/api/v1/journal")["entries"][0]["state"] == "refused"
    weir.configure(pool_with(servers))
    weir.reload()
    assert show(weir)["quarantine"] and names(weir) == {"a", "b"}
    assert root.post("/api/v1/modules/balance_ends/release").status == 200
    assert names(weir) == {"b"}


@crashes
def test_a_release_that_crashes_leaves_it_in_quarantine(make_weir, http_server, bad):
    weir = make_weir()
    weir.configure(pool_with({"a": http_server("a")}, f'at = conf_create  file = "{bad}"'))
    hold(weir, "balance_ends")
    weir.start()
    ctl(weir, "module", "release", "balance_ends")
    assert weir.wait_exit() == -signal.SIGSEGV
    weir.start()
    assert show(weir)["quarantine"]["faults"][0]["hook"] == "conf_create"


def test_a_release_from_outside_counts_with_the_next_reload(make_weir, http_server):
    weir = make_weir(workers=1)
    weir.configure(pool_with({name: http_server(name) for name in "ab"}))
    hold(weir, "balance_ends")
    weir.start()
    assert run_weir("-c", weir.conf_path, "--release-module", "balance_ends").returncode == 0
    assert names(weir) == {"a", "b"}
    weir.reload()
    assert names(weir) == {"b"}


# ---- who hears of it ----

def test_events_tell(make_weir, http_server):
    weir = make_weir()
    weir.configure(pool_with({"a": http_server("a")}))
    hold(weir, "balance_ends")
    weir.start()
    with admin.events(weir, last_id=1) as events:
        _, crashed = events.until("crash")
        assert (crashed["what"], crashed["module"], crashed["hook"]) == ("SIGSEGV", "balance_ends", "pick")
        _, out = events.until("module")
        assert (out["module"], out["strike"], out["block"]) == ("balance_ends", "quarantined", "pool web balance 1")


def test_metrics_tell(make_weir, http_server):
    weir = make_weir()
    weir.configure(pool_with({"a": http_server("a")}) + 'module "metrics_prometheus" {}\n' +
                   conf.listener('handler "metrics_prometheus" {}', "metrics"))
    hold(weir, "balance_ends")
    weir.start()
    lines = weir.get("/metrics", name="metrics").body.decode().splitlines()
    for series in ('weir_module_quarantined{module="balance_ends"} 1', 'weir_module_quarantined{module="route_path"} 0',
                   'weir_module_blocks_out{module="balance_ends"} 1'):
        assert series in lines
