# SPDX-License-Identifier: MIT
"""Modules that break their contract: each breach is a strike, and enough of them put the block out that made them,
on all workers at once and without losing a request. What a module takes is charged to no server."""

import os
import pathlib

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.load import Load
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules, and the tests' that break their contract."""
    built = pathlib.Path(weir_program.module_dir())
    mine = built.parent.parent / "tests" / "modules" / "built"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), *mine.glob("*_strikes.so")]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


STRIKES = 5


def module(options="", name="balance_strikes", strikes=STRIKES):
    return f'module "{name}" {{ strikes = {strikes}  {options} }}\n'


def pool_with(servers, options, extra="", module_options=""):
    """A pool whose balancer breaks its contract as the options say."""
    return (module(module_options) + conf.listener() + conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", servers, extra, balance="strikes", balance_options=options) + admin.listener())


def show(weir, name="balance_strikes"):
    """The module as it is now; asking may be too often for the plane (429)."""
    root = admin.browser(weir)
    answer = wait_for(lambda: next((got for got in [root.get(f"/api/v1/modules/{name}")] if got.status != 429), None),
                      "an answer")
    assert answer.status == 200, answer.json
    return answer.json


def hook(shown, name):
    return next(row for row in shown["hooks"] if row["hook"] == name)


def wait_out(weir, name="balance_strikes"):
    return wait_for(lambda: show(weir, name)["alarms"], f"the alarm of {name}")


# What breaks the contract, the hook that it is counted at, and the kind of strike.
BALANCERS = [
    ("pick_slow", "pick", "over_budget"),
    ("pick_range", "pick", "wrong_answer"),
    ("pick_none", "pick", "no_server"),
    ("assign_slow", "on_assign", "over_budget"),
    ("complete_slow", "on_complete", "over_budget"),
]


@pytest.mark.parametrize("at, where, kind", BALANCERS, ids=[row[0] for row in BALANCERS])
def test_a_balancer_goes_out_and_no_request_with_it(start_weir, http_server, at, where, kind):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(pool_with(servers, f"at = {at}"))
    with Load(weir.client, threads=4) as load:
        alarm, = wait_out(weir)
        out = show(weir)
        load.wait_requests(100)
    load.assert_clean()
    assert load.closed == 0, "nor a connection"
    assert (alarm["block"], alarm["kind"], alarm["instead"]) == ("pool web balance 1", "balancer", "least_conn")
    assert (alarm["hook"], alarm["strike"]) == (where, kind)
    assert (alarm["took_us"] or 0) > (40000 if kind == "over_budget" else -1)
    assert hook(out, where)["strikes"][kind] >= STRIKES, "counted by hook and kind"
    shown = show(weir)
    assert hook(shown, where)["calls"] <= hook(out, where)["calls"] + 4, "it is not called any more"
    of_hook = hook(shown, where)
    assert sum(row["strikes"][kind] for row in of_hook["workers"]) == of_hook["strikes"][kind]
    # On a busy machine a call of another hook may be over its budget as well.
    assert sum(row["strikes"][kind] for row in shown["hooks"]) == shown["strikes"][kind]
    assert "it is out" in weir.log() and "weirctl module retry balance_strikes" in weir.log()


def test_failed_members_are_strikes(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(pool_with(servers, "at = members", module_options="strikes = 3").replace(
        f"strikes = {STRIKES}", ""))
    alarm, = wait_out(weir)
    assert (alarm["hook"], alarm["strike"]) == ("on_members", "failed")
    assert weir.get("/").status == 200


def test_one_that_fails_after_a_while(start_weir, http_server):
    """It chooses the last server; least_conn, alone, takes turns."""
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(pool_with(servers, "at = pick_range  after = 10"), workers=1)
    assert {weir.get("/").server for _ in range(10)} == {"b"}
    assert not show(weir)["alarms"]
    for _ in range(STRIKES):
        assert weir.get("/").status == 200
    wait_out(weir)
    assert {weir.get("/").server for _ in range(4)} == {"a", "b"}


@pytest.mark.parametrize("fallback", ["round_robin", "random"])
def test_the_fallback_is_an_option_of_the_pool(start_weir, http_server, fallback):
    servers = {name: http_server(name) for name in "abc"}
    text = pool_with(servers, f'at = pick_none  fallback = {fallback}', module_options="fallback = least_conn")
    weir = start_weir(text.replace('module "balance_least_conn" {}', ""))
    for _ in range(STRIKES):
        assert weir.get("/").status == 200
    alarm, = wait_out(weir)
    assert alarm["instead"] == fallback
    assert {weir.get("/").server for _ in range(60)} == set("abc")


def test_only_the_pool_where_it_fails(start_weir, http_server):
    a, b = http_server("a"), http_server("b")
    weir = start_weir(
        module() + conf.listener() + conf.modules() + conf.routes(web='"/"', api='"/api"') +
        conf.pool("web", {"a": a}, balance="strikes", balance_options="at = pick_range") +
        conf.pool("api", {"b": b}, balance="strikes") + admin.listener(), workers=1)
    for _ in range(STRIKES):
        assert weir.get("/").status == 200
    alarm, = wait_out(weir)
    assert alarm["block"] == "pool web balance 1"
    before = hook(show(weir), "pick")["calls"]
    for _ in range(3):
        assert weir.get("/api").status == 200
        assert weir.get("/").status == 200
    assert hook(show(weir), "pick")["calls"] == before + 3, "the other pool asks it as ever"


def test_no_strikes_put_nobody_out(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_range").replace(
        f"strikes = {STRIKES}", "strikes = 0"))
    for _ in range(3 * STRIKES):
        assert weir.get("/").status == 200
    shown = show(weir)
    assert shown["alarms"] == [] and shown["strikes"]["wrong_answer"] == shown["faults"] == 3 * STRIKES


def test_no_budget_no_strike(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_slow  call_budget = 0"))
    for _ in range(2 * STRIKES):
        assert weir.get("/").status == 200
    shown = show(weir)
    assert shown["alarms"] == [] and shown["strikes"]["over_budget"] == 0
    assert hook(shown, "pick")["time_us"]["worst"] > 40000, "it is measured all the same"


# ---- filters, routers, stickiness ----

# What fails, its answer until it is out, and what comes then: open, closed.
OTHERS = [
    ("filter", "request_fails", 500),
    ("filter", "request_slow", 200),
    ("filter", "response_fails", 500),
    ("router", "route_fails", 500),
    ("router", "route_slow", 200),
    ("sticky", "lookup_slow", 200),
    ("sticky", "sticky_fails", 500),
]


def block_with(kind, at, on_fault, server):
    """The block that fails; a router's is its module block."""
    name = "sticky_strikes" if kind == "sticky" else "balance_strikes"
    own = f"at = {at}  {on_fault}"
    text = module(own if kind == "router" else "", name) + conf.listener() + conf.modules() + conf.routes(web='"/"')
    block = {"filter": f'filter "{name}" {{ {own} }}', "sticky": f'sticky "strikes" {{ {own} }}', "router": ""}[kind]
    return name, text + conf.pool("web", {"a": server}, block) + admin.listener()


@pytest.mark.parametrize("on_fault", ["open", "closed", ""])
@pytest.mark.parametrize("kind, at, before", OTHERS, ids=[row[1] for row in OTHERS])
def test_others_are_passed_over_or_closed(start_weir, http_server, kind, at, before, on_fault):
    web = http_server("a")
    name, text = block_with(kind, at, f"on_fault = {on_fault}" if on_fault else "", web)
    weir = start_weir(text)
    for _ in range(STRIKES):
        assert weir.get("/").status == before
    alarm, = wait_out(weir, name)
    expected = on_fault or ("open" if kind == "sticky" else "closed")
    assert (alarm["kind"], alarm["instead"]) == (kind, expected)
    served = web.served
    answers = [weir.get("/") for _ in range(3)]
    if expected == "open":
        assert [answer.status for answer in answers] == [200] * 3
        assert all("X-Filtered" not in answer.headers for answer in answers), "as if it were not there"
    else:
        assert [answer.status for answer in answers] == [503] * 3
        assert web.served == served, "nothing passes"
        assert len(weir.access(3, lambda entry: entry["reason"] == "module_out")) == 3


# ---- what explain tells of it ----

def explain(weir):
    answer = admin.browser(weir).post("/api/v1/explain", {"url": "http://a.example/"})
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.parametrize("on_fault", ["open", "closed"])
@pytest.mark.parametrize("kind, at", [("filter", "request_fails"), ("router", "route_fails"), ("sticky", "sticky_fails")])
def test_explain_tells_what_is_out(start_weir, http_server, kind, at, on_fault):
    """What it says is what a visitor gets."""
    name, text = block_with(kind, at, f"on_fault = {on_fault}", http_server("a"))
    weir = start_weir(text)
    for _ in range(STRIKES):
        weir.get("/")
    wait_out(weir, name)
    told = explain(weir)
    why = f"it is out, and {'closed meanwhile' if on_fault == 'closed' else 'passed over'}"
    if kind == "filter":
        assert (name, "out", why) in [(row["module"], row["verdict"], row["why"]) for row in told["filters"]]
    elif kind == "router":
        assert (name, "differs", why) in [(row["module"], row["verdict"], row["why"])
                                          for row in told["route"]["tried"]]
    else:
        assert told["sticky"]["verdict"] == "out"
    if on_fault == "closed":
        assert told["answer"] == {"status": 503, "reason": f"module_out: {name}"} and told["pick"] is None
    else:
        assert told["answer"] is None and told["pick"] == "a"
        assert told["balancer"] == {"module": "balance_round_robin", "out": False, "fallback": None}
    assert weir.get("/").status == (503 if on_fault == "closed" else 200)


def test_explain_tells_who_chooses(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_none  fallback = round_robin"))
    assert explain(weir)["balancer"] == {"module": "balance_strikes", "out": False, "fallback": None}
    spoil(weir)
    wait_out(weir)
    told = explain(weir)
    assert told["balancer"] == {"module": "balance_strikes", "out": True, "fallback": "round_robin"}
    assert told["pick"] == "a"
    run = weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "explain", "http://a.example/",
                  environment={"WEIR_TOKEN_FILE": str(weir.state / "admin.token")})
    assert run.returncode == 0 and "balance_strikes is out: round_robin chooses" in run.stdout, run.stdout


# ---- again ----

def spoil(weir, statuses=(200,)):
    for _ in range(STRIKES):
        assert weir.get("/").status in statuses


@pytest.mark.parametrize("how", ["api", "weirctl"])
def test_a_module_is_tried_again(start_weir, http_server, tmp_path, how):
    bad = tmp_path / "bad"
    bad.touch()
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(pool_with(servers, f'at = pick_range  file = "{bad}"'))
    root = admin.browser(weir)
    spoil(weir)
    wait_out(weir)
    bad.unlink()
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        if how == "api":
            answer = root.post("/api/v1/modules/balance_strikes/retry")
            assert answer.status == 200 and answer.json["alarms"] == []
        else:
            run = weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "module", "retry", "balance_strikes",
                          environment={"WEIR_TOKEN_FILE": str(weir.state / "admin.token")})
            assert run.returncode == 0, run.stderr
        wait_for(lambda: {weir.get("/").server for _ in range(8)} == {"b"}, "the balancer to choose again")
    load.assert_clean()
    entry = root.get("/api/v1/journal").json["entries"][0]
    assert (entry["command"], entry["target"]) == ("modules.retry", "balance_strikes")
    assert entry["before"]["alarms"][0]["strike"] == "wrong_answer"
    bad.touch()
    spoil(weir)
    assert wait_out(weir), "and is out again when it goes on so"


def test_nobody_tries_what_is_not_there(start_weir, http_server):
    weir = start_weir(admin.one_pool({"a": http_server("a")}))
    root = admin.browser(weir)
    assert root.post("/api/v1/modules/nobody/retry").status == 404
    assert root.get("/api/v1/modules/nobody").status == 404
    assert root.post("/api/v1/modules/route_path/retry").status == 200, "it need not be out"


@pytest.mark.parametrize("kind", ["balancer", "filter"])
def test_a_reload_keeps_it_out_unless_its_options_change(start_weir, http_server, kind):
    web = http_server("a")
    if kind == "balancer":
        text = pool_with({"a": web}, "at = pick_none")
    else:
        _, text = block_with("filter", "request_fails", "on_fault = open", web)
    weir = start_weir(text)
    spoil(weir, (200, 500))
    wait_out(weir)
    weir.reload(text + "# nothing has changed\n")
    assert show(weir)["alarms"], "the same"
    assert weir.get("/").status == 200
    weir.reload(text.replace(f"strikes = {STRIKES}", f"strikes = {STRIKES + 1}"))
    assert not show(weir)["alarms"], "another"
    spoil(weir, (200, 500))
    assert not show(weir)["alarms"]
    weir.get("/")
    wait_out(weir)


def test_a_reload_with_another_file_begins_anew(start_weir, http_server, module_folder):
    text = pool_with({"a": http_server("a")}, "at = pick_none")
    weir = start_weir(text)
    spoil(weir)
    wait_out(weir)
    path = module_folder / "balance_strikes.so"
    contents = path.read_bytes()
    path.unlink()
    path.write_bytes(contents + bytes(16))
    weir.reload(text)
    shown = show(weir)
    assert shown["alarms"] == [] and shown["strikes"]["no_server"] == 0


def test_the_alarm_is_an_event(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_none"))
    with admin.events(weir) as events:
        spoil(weir)
        _, event = events.until("module")
    assert (event["module"], event["block"], event["strike"]) == (
        "balance_strikes", "pool web balance 1", "no_server")


def test_metrics_tell(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_none") + 'module "metrics_prometheus" {}\n' +
                      conf.listener('handler "metrics_prometheus" {}', "metrics"))
    spoil(weir)
    wait_out(weir)
    lines = weir.get("/metrics", name="metrics").body.decode().splitlines()

    def value(series):
        return float(next(line for line in lines if line.startswith(series + " ")).split()[-1])

    mine = 'module="balance_strikes",hook="pick"'
    assert value(f"weir_module_calls_total{{{mine}}}") == STRIKES
    assert value(f'weir_module_strikes_total{{{mine},kind="no_server"}}') == STRIKES
    assert value(f'weir_module_strikes_total{{{mine},kind="over_budget"}}') == 0
    assert value('weir_module_blocks_out{module="balance_strikes"}') == 1
    assert value('weir_module_blocks_out{module="route_path"}') == 0
    assert 0 < value(f"weir_module_call_time_seconds_total{{{mine}}}") < 1
    p50, p99, worst = (value(f'weir_module_call_duration_seconds{{{mine},point="{point}"}}')
                       for point in ("p50", "p99", "worst"))
    assert 0 < p50 <= p99 <= worst < 1


def test_blocks_tell_their_bounds_and_the_status_who_is_out(start_weir, http_server):
    a, b = http_server("a"), http_server("b")
    weir = start_weir(
        module("fallback = random") + conf.listener() + conf.modules() + conf.routes(web='"/"', api='"/api"') +
        conf.pool("web", {"a": a}, balance="strikes", balance_options="at = pick_range  call_budget = 20ms") +
        conf.pool("api", {"b": b}, balance="strikes") + admin.listener())

    def blocks():
        return {row["block"]: row for row in show(weir)["blocks"]}

    root = admin.browser(weir)
    assert root.get("/api/v1/status").json["alarms"] == []
    before = blocks()
    # The module may route as well, and does so by its own block.
    assert set(before) == {"", "pool web balance 1", "pool api balance 1"}
    assert not any(row["out"] for row in before.values())
    spoil(weir)
    wait_out(weir)
    after = blocks()
    assert after["pool web balance 1"] == {"block": "pool web balance 1", "kind": "balancer", "out": True,
                                           "instead": "random", "call_budget_us": 20000, "strikes_limit": STRIKES}
    assert {name for name, row in after.items() if row["out"]} == {"pool web balance 1"}
    assert after["pool api balance 1"]["call_budget_us"] == 1000
    least_conn, = show(weir, "access_log")["blocks"]
    assert (least_conn["kind"], least_conn["instead"]) == ("logger", None), "is never out"
    alarm, = wait_for(lambda: root.get("/api/v1/status").json["alarms"], "the status to tell")
    assert (alarm["module"], alarm["block"], alarm["instead"]) == ("balance_strikes", "pool web balance 1", "random")
    run = weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "status",
                  environment={"WEIR_TOKEN_FILE": str(weir.state / "admin.token")})
    assert "balance_strikes, pool web balance 1: pick wrong_answer; now random" in run.stdout


def test_the_last_minutes(start_weir, http_server):
    weir = start_weir(pool_with({"a": http_server("a")}, "at = nowhere"))
    first = show(weir)
    assert len(first["recent"]["calls"]) == len(first["recent"]["request_us"]) == 150
    assert set(first["recent"]["calls"]) <= {None, 0}

    def busy(shown):
        recent = shown["recent"]
        return any(recent["calls"]) and any(recent["request_us"]) and (shown["rates"]["calls"] or 0) > 0

    with Load(weir.client, threads=2) as load:
        wait_for(lambda: busy(show(weir)), "the last seconds")
    load.assert_clean()
    shown = show(weir)
    assert 0 < shown["rates"]["request_us"] < 1000
    assert 0 < shown["rates"]["cpu_share"] < 1
    run = weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "module", "show", "balance_strikes",
                  environment={"WEIR_TOKEN_FILE": str(weir.state / "admin.token")})
    assert "calls a second" in run.stdout


def test_memory_is_told_by_hook(start_weir, http_server):
    weir = start_weir(conf.listener() + conf.modules() + 'module "headers" {}\n' + conf.routes(web='"/"') +
                      conf.pool("web", {"a": http_server("a")},
                                'filter "headers" { request_set = {"X-Long: {host} and more of it"} }') +
                      admin.listener())
    assert weir.get("/").status == 200
    shown = show(weir, "headers")
    bytes_of = {row["hook"]: row["allocated_bytes"] for row in shown["hooks"]}
    assert bytes_of["on_request"] > 0
    assert sum(bytes_of.values()) == shown["allocated_bytes"]


# ---- time ----

def test_time_in_a_module_is_charged_to_no_server(start_weir, http_server):
    """Each pick takes 50 ms; the server answers at once."""
    weir = start_weir(pool_with({"a": http_server("a")}, "at = pick_slow  strikes = 0"), workers=1)

    def measured():
        pool = admin.browser(weir).get("/api/v1/pools/web")
        rows = pool.json["servers"] if pool.status == 200 else []  # else asked too often
        return rows if rows and rows[0]["latency_ms"]["p50"] is not None else None

    with Load(weir.client, threads=4) as load:
        load.wait_requests(60)
        row, = wait_for(measured, "the latency of the last minute")
    load.assert_clean()
    assert row["latency_ms"]["p50"] < 25


def test_timeouts_do_not_count_what_a_module_took(start_weir, http_server):
    """The time to answer is over for each request while others are chosen for; its answer is there all the same."""
    web = http_server("a")
    weir = start_weir(pool_with({"a": web}, "at = pick_slow  strikes = 0", "response_timeout = 30ms  retries = 0"),
                      workers=1)
    with Load(weir.client, threads=4) as load:
        load.wait_requests(60)
    load.assert_clean()
    row, = admin.browser(weir).get("/api/v1/pools/web").json["servers"]
    assert not row["errors"].get("response_timeout")
